"""`holdfast gate` in a pipeline: the exit code decides, the output says why."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

from holdfast.ledger import Ledger
from holdfast.rounding import truncated_text

Run = Callable[..., Any]


def right_at_zero(path: Path) -> int:
    with Ledger(path) as ledger:
        (run,) = ledger.runs()
        return sum(e.certificate.prediction == e.label for e in ledger.entries(run))


def test_the_exit_code_says_whether_everything_is_shown(filled: Path, holdfast: Run) -> None:
    right = right_at_zero(filled)
    assert right > 6, "the digits' network is better than this"
    passed = holdfast("gate", filled, "--min-certified-accuracy", "0.2@0")
    assert passed.code == 0, passed
    head, note, shown, verdict, meaning = passed.out.splitlines()
    assert head.endswith("12 inputs of digits test")
    assert note.startswith("NOTE: ")
    assert "its nonce was given" in note
    measured = truncated_text(Fraction(right, 12), 4)
    said = f"SHOWN: certified accuracy at 0 is at least 0.2; measured {measured} ({right} of 12), 95 % limits 0."
    assert shown.startswith(said)
    assert verdict == "gate passed: 1 of 1 demands shown"
    assert "whole test set" in meaning
    demands = [x for share in ("0.2", "0.9", "0.9999") for x in ("--min-certified-accuracy", f"{share}@0")]
    failed = holdfast("gate", filled, *demands)
    assert failed.code == 1
    assert "gate not passed: 1 of 3 demands shown" in failed.out
    assert "\nNOT SHOWN: certified accuracy at 0 is at least 0.9;" in failed.out
    assert "inputs would decide it" in failed.out


def test_json_for_machines(filled: Path, holdfast: Run) -> None:
    answer = holdfast("gate", filled, "--min-certified-accuracy", "0.2@0", "--json")
    assert answer.code == 0
    said = json.loads(answer.out)
    assert (said["passed"], said["inputs"], said["against"]) == (True, 12, None)
    (demand,) = said["demands"]
    assert demand["verdict"] == "shown"
    assert 0.2 <= demand["limits"][0] <= demand["measured"] <= demand["limits"][1] <= 1


def test_a_drop_against_another_ledger(filled: Path, copied: Path, holdfast: Run) -> None:
    generous = holdfast("gate", copied, "--max-drop", "0.5@0", "--against", filled)
    assert generous.code == 0, generous
    assert "(0 lost, 0 won of 12 paired)" in generous.out
    strict = holdfast("gate", copied, "--max-drop", "0.01@0", "--against", filled)
    assert strict.code == 1
    assert "NOT SHOWN: certified accuracy at 0 dropped by at most 0.01" in strict.out


def test_a_mistake_is_neither(filled: Path, holdfast: Run) -> None:
    cases: list[tuple[list[object], str]] = [
        ([filled], "nothing is demanded"),
        ([filled, "--min-certified-accuracy", "0.4"], "takes SHARE@RADIUS"),
        ([filled, "--min-certified-accuracy", "0.4@9"], "ask at a smaller radius"),
        ([filled, "--max-drop", "0.1"], "belong together"),
        ([filled, "--max-drop", "0.1", "--against", "zz"], "no run 'zz'"),
        ([filled, "--run", "zz", "--min-certified-accuracy", "0.4@0"], "no run 'zz'"),
        (["missing.ledger", "--min-certified-accuracy", "0.4@0"], "no such ledger"),
    ]
    for arguments, said in cases:
        answer = holdfast("gate", *arguments)
        assert said in answer.error, arguments
        assert answer.out == ""
