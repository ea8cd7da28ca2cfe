"""What all tests share: one thread, a cache of their own, the command line, a small network, a classifier without torch.

With ``HOLDFAST_REQUIRE=all`` no test may skip, except for data sets that cannot be shipped.
"""

from __future__ import annotations

import fcntl
import io
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from numpy.typing import NDArray

from holdfast.digest import json_digest
from holdfast.protocols import Noise
from holdfast.records import Address

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported, and for every process that a test starts


settings.register_profile("repeatable", derandomize=True, deadline=None)  # a slow machine is no failure
settings.load_profile("repeatable")


def pytest_configure() -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a job that a shell started in the background
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Where everything is required, a skipped test is a failed one; data sets that cannot be shipped are excepted."""
    report: Any = yield
    if os.environ.get("HOLDFAST_REQUIRE") == "all" and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if not reason.removeprefix("Skipped: ").startswith("shared data"):
            report.outcome, report.longrepr = "failed", f"skipped although HOLDFAST_REQUIRE=all is set: {reason}"
    return report


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], None]], Path]:
    """A folder that is filled once for all test processes: the first to come fills it, the others wait."""
    base = tmp_path_factory.getbasetemp()
    root = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def folder(name: str, fill: Callable[[Path], None]) -> Path:
        with (root / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (root / f"{name}.done").exists():
                shutil.rmtree(root / name, ignore_errors=True)
                (root / name).mkdir()
                fill(root / name)
                (root / f"{name}.done").touch()
        return root / name

    return folder


@pytest.fixture(scope="session")
def compiler() -> None:
    """For tests of what ``torch.compile`` makes."""
    if shutil.which(os.environ.get("CXX", "g++")) is None:
        pytest.skip("torch.compile needs a C++ compiler, and there is none")


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test reads or fills the user's cache."""
    os.environ["HOLDFAST_CACHE"] = str(tmp_path_factory.getbasetemp().parent / "cache")


@dataclass(frozen=True)
class Answer:
    """What a command said: exit code, standard output, standard error."""

    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The one line of a user's mistake."""
        assert self.code == 2, f"exit code {self.code}\n{self.out}\n{self.err}"
        assert "Traceback" not in self.err
        lines = [line for line in self.err.splitlines() if line.startswith("holdfast: ")]
        assert len(lines) == 1, self.err
        assert self.err.rstrip("\n").endswith(lines[0]), self.err
        return lines[0]


@pytest.fixture
def holdfast(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Answer]:
    """The command line in this process (a new one costs seconds for torch): the same code from its arguments on."""
    from holdfast.cli.app import run

    def answer(*arguments: object) -> Answer:
        monkeypatch.setattr(sys, "argv", ["holdfast", *map(str, arguments)])
        out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
        with redirect_stdout(out), redirect_stderr(err):
            try:
                code = run()
            except SystemExit as end:
                code = end.code
        return Answer(int(code or 0), *(stream.buffer.getvalue().decode() for stream in (out, err)))  # type: ignore[attr-defined]

    return answer


@pytest.fixture(scope="session")
def digits_model(once: Callable[[str, Callable[[Path], None]], Path]) -> Path:
    """A checkpoint for the embedded digits: random convolutions, and a last layer by least squares on noisy images."""
    return once("digits-model", _write_digits_model) / "digits.safetensors"


def _write_digits_model(folder: Path) -> None:
    import torch

    from holdfast import data
    from holdfast.models import ModelSpec, build, checkpoint, to_input
    from holdfast.records import Preprocessing

    digits = data.load("digits", "train")
    spec = ModelSpec("cnn-small", 10, digits.shape, Preprocessing((0.3,), (0.4,)), {"widths": [16, 64]})
    module = build(spec, seed=1).eval()
    noisy = digits.images + np.random.default_rng(1).normal(0, 0.15 * 255, digits.images.shape)
    with torch.inference_mode():
        x = to_input(torch.from_numpy(noisy.astype(np.int16)), spec.preprocessing)
        hidden = module.flatten(module.pool(module.features(x))).double()
        wanted = 2.0 * torch.nn.functional.one_hot(torch.tensor(digits.labels), 10) - 1
        square = hidden.T @ hidden + 1e-3 * torch.eye(hidden.shape[1])
        module.fc.weight.copy_(torch.linalg.solve(square, hidden.T @ wanted.double()).T)
        module.fc.bias.zero_()
    checkpoint.save(folder / "digits.safetensors", module, spec, {"sigma": "0.15", "classes": list(digits.classes)})


@dataclass(eq=False)
class Brightness:
    """Labels a noisy copy by the sum of its pixels: one class more than thresholds. Needs no torch, and is exact.

    ``calls`` records (start, count) of every call.
    """

    noise: Noise
    thresholds: tuple[int, ...] = (300, 600)
    shape: tuple[int, ...] = (1, 2, 2)
    facts: dict[str, Any] = field(default_factory=dict)
    calls: list[tuple[int, int]] = field(default_factory=list)

    @property
    def executor(self) -> str:
        return "a sum"

    @property
    def num_classes(self) -> int:
        return len(self.thresholds) + 1

    @property
    def description(self) -> dict[str, Any]:
        return {"weights": list(self.thresholds), "dtype": "int", "threads": 1} | self.facts

    @property
    def fingerprint(self) -> str:
        return json_digest([self.description, list(self.shape), self.num_classes]).hex()

    def labels(self, image: NDArray[np.uint8], address: Address, start: int, count: int) -> NDArray[np.uint16]:
        self.calls.append((start, count))
        copies = self.noise.sample(address, start, count, image.size) + image.reshape(-1).astype(np.int64)
        return np.searchsorted(self.thresholds, copies.sum(axis=1), side="right").astype(np.uint16)


@pytest.fixture(scope="session")
def brightness() -> Callable[..., Brightness]:
    """Makes a :class:`Brightness` of a given noise scale in grey levels."""
    from holdfast.noise import noise_law

    def make(sigma_px: object = 20, law: str = "discrete", **settings: Any) -> Brightness:
        return Brightness(noise_law(law, str(sigma_px)), **settings)

    return make
