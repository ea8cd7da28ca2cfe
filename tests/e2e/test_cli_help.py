"""`--help` of every verb teaches and is quick: nothing heavy is imported for it."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

VERBS = [
    "", "demo", "train", "inspect", "certify", "predict", "verify", "env", "data", "data list", "data info", "data fetch",
    "ledger", "ledger list", "ledger show", "ledger check", "ledger export", "ledger merge", "ledger import",
    "compare", "gate", "report",
]  # fmt: skip
HEAVY = {"torch", "scipy", "flint", "matplotlib", "PIL", "safetensors", "sqlite3"}
SCRIPT = f"""
import sys
from holdfast.cli.app import run
for verb in {VERBS}:
    print("=====", verb, flush=True)
    sys.argv = ["holdfast", *verb.split(), "--help"]
    try:
        run()
    except SystemExit as end:
        assert not end.code, (verb, end.code)
print("===== imported", *sorted({HEAVY} & sys.modules.keys()))
"""


@pytest.fixture(scope="module")
def help_texts() -> dict[str, str]:
    """What each verb says, and which heavy modules the process had imported after all of them."""
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, timeout=120)
    parts = re.split(r"^===== ?", done.stdout, flags=re.MULTILINE)[1:]
    return {head.strip(): body for head, _, body in (part.partition("\n") for part in parts)}


def test_no_help_imports_anything_heavy(help_texts: dict[str, str]) -> None:
    (imported,) = [head for head in help_texts if head.startswith("imported")]
    assert imported == "imported"


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb not in ("", "demo", "data", "ledger")])
def test_a_verb_shows_an_example_of_itself(verb: str, help_texts: dict[str, str]) -> None:
    text = help_texts[verb]
    assert re.search(rf"^ *Example: holdfast {verb}\b", text, flags=re.MULTILINE), text
    assert "Options:" in text


def test_the_first_help_says_where_to_start_and_names_every_verb(help_texts: dict[str, str]) -> None:
    text = help_texts[""]
    assert "Start with `holdfast demo`" in text
    for verb in VERBS[1:]:
        assert re.search(rf"^ +{verb.split()[0]} ", text, flags=re.MULTILINE)
    assert "everything included" in help_texts["demo"]


@pytest.mark.parametrize("group", ["data", "ledger"])
def test_a_group_names_its_verbs(group: str, help_texts: dict[str, str]) -> None:
    for verb in VERBS:
        if verb.startswith(group + " "):
            assert re.search(rf"^ +{verb.split()[1]} ", help_texts[group], flags=re.MULTILINE)


@pytest.mark.parametrize("verb", ["certify", "predict", "train"])
def test_every_option_is_explained(verb: str, help_texts: dict[str, str]) -> None:
    options = help_texts[verb].split("Options:")[1]
    named = re.split(r"\n  (?=--)", options)[1:]
    assert len(named) > 8
    for option in named:
        words = re.sub(r"--[\w-]+|<[^>]*>|\[[^]]*\]", "", option).split()
        assert words, option
