"""Do the tests notice mistakes in the bounds? Every mutant of the files below is tested; survivors are listed.

``python tests/mutants/run.py [FILE ...]``, or ``make mutants``: each mutant in a process of its own that is forked when all
libraries are loaded, so nothing is written to the source. Tests stop at the first failure. ``known.toml`` names the mutants
that are known to survive, each with the reason why it is no mistake; any other survivor makes this end with 1.
docs/design/mutants.md records what was found.
"""

from __future__ import annotations

import importlib.util
import os
import resource
import signal
import sys
import tempfile
import time
import tomllib
from collections import Counter
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import NoReturn

from mutations import mutants

ROOT = Path(__file__).parents[2]
KNOWN = Path(__file__).with_name("known.toml")
BOUNDS = [
    "tests/unit/stats/test_binomial.py",
    "tests/unit/stats/test_binomial_in_doubt.py",
    "tests/property/test_binomial_bounds.py",
]
RADII = [
    "tests/unit/certify/test_radius.py",
    "tests/unit/certify/test_radius_in_doubt.py",
    "tests/property/test_flip_thresholds.py",
]
NETWORKS = [
    "tests/unit/intnet/test_fixedpoint.py",
    "tests/unit/intnet/test_limits.py",
    "tests/unit/intnet/test_border_ranges.py",
    "tests/unit/intnet/test_network.py",
    "tests/unit/intnet/test_vectors.py",
    "tests/property/test_integer_networks.py",
]
TESTS = {
    "stats/binomial.py": BOUNDS,
    "certify/radius.py": RADII,
    "intnet/fixedpoint.py": NETWORKS,
    "intnet/ranges.py": NETWORKS,
}
"""The tests of each file, the quickest first."""
PATIENCE, SPARE_SECONDS = 3, 10
"""A mutant may take this many times the tests' processor time, and some more. One that needs more is called endless."""


class Finder:
    """Gives one module other code; everything else is found as usual."""

    def __init__(self, name: str, path: Path, code: CodeType) -> None:
        self.name, self.path, self.code = name, path, code

    def find_spec(self, name: str, path: object = None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != self.name:
            return None
        loader = SourceFileLoader(name, str(self.path))
        loader.get_code = lambda _: self.code  # type: ignore[method-assign, assignment]
        return importlib.util.spec_from_file_location(name, self.path, loader=loader)


def outcome(file: str, code: CodeType | None, seconds: int) -> str:
    """What the tests of a file say of other code in its place: ``survives``, ``noticed``, or ``endless`` after some seconds."""
    with tempfile.TemporaryDirectory() as folder:
        child = os.fork() or run_tests(file, code, seconds, folder)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return "survives" if status == 0 else "endless" if status == -signal.SIGXCPU else "noticed"


def run_tests(file: str, code: CodeType | None, seconds: int, folder: str) -> NoReturn:
    """Run them and end this process. The cache of radius tables is its own, since it may be filled with wrong ones."""
    import pytest

    status = 1
    try:
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
        if code is not None:
            path = ROOT / "src" / "holdfast" / file
            sys.meta_path.insert(0, Finder("holdfast." + file[:-3].replace("/", "."), path, code))  # type: ignore[arg-type]
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, 1), os.dup2(silent, 2)
        tests = [str(ROOT / test) for test in TESTS[file]]
        status = int(pytest.main([*tests, "-x", "-q", "-p", "no:cacheprovider", f"--basetemp={folder}/base"]))
    finally:
        os._exit(status)


def processor_time(file: str) -> int:
    """Seconds that the tests of a file take when nothing is wrong, rounded up."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    if outcome(file, None, 600) != "survives":
        sys.exit(f"{file}: the tests fail without any mistake")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1 + int(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def load_libraries() -> None:
    """What all tests import anyway, but nothing of holdfast."""
    import flint  # noqa: F401
    import hypothesis  # noqa: F401
    import numpy  # noqa: F401
    import pytest  # noqa: F401
    import scipy.special  # noqa: F401


def tested(file: str, known: dict[str, str]) -> Counter[str]:
    """Test all mutants of a file; print those that survive, and what is known but does not."""
    path, found, met = ROOT / "src" / "holdfast" / file, Counter[str](), set()
    seconds = SPARE_SECONDS + PATIENCE * processor_time(file)
    for mutant in mutants(path.read_text(encoding="utf-8"), str(path)):
        said, is_known = outcome(file, mutant.code, seconds), mutant.name in known
        met.add(mutant.name)
        found[said] += 1
        if (said == "survives") != is_known and not (said == "endless" and is_known):
            found["unexpected"] += 1
            print(f"{file}:{mutant.line}: {said}{', though known.toml has it' * is_known}: {mutant.name}", flush=True)
    processor_time(file)  # whoever edits meanwhile makes tests fail that notice nothing
    for name in known.keys() - met:
        found["unexpected"] += 1
        print(f"{file}: known.toml names what is no mutant any more: {name}", flush=True)
    return found


def main(files: list[str]) -> int:
    os.chdir(ROOT)
    load_libraries()
    known = tomllib.loads(KNOWN.read_text(encoding="utf-8"))
    unexpected = 0
    for file in files or list(TESTS):
        start = time.monotonic()
        found = tested(file, {entry["mutant"]: entry["why"] for entry in known.get(file, [])})
        unexpected += found["unexpected"]
        said = ", ".join(f"{found[kind]} {kind}" for kind in ("noticed", "endless", "survives"))
        print(f"{file}: {said} ({time.monotonic() - start:.0f} s)", flush=True)
    return int(unexpected > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
