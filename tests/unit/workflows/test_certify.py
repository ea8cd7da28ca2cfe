"""Certifying inputs: the same ledger from any order and batch size, and after any interruption."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.certify import certify
from holdfast.errors import ParameterError
from holdfast.ledger import Ledger, ledger_problems
from holdfast.records import Purpose, Run
from holdfast.workflows import certify as work


def test_the_ledger_holds_what_the_algorithm_says(squares: Any, whole: tuple[Run, Path, bytes]) -> None:
    run, path, _ = whole
    with Ledger(path) as ledger:
        entries = list(ledger.entries(run))
        timings = {e.index: e for e in ledger.executions(run)}
        assert list(ledger_problems(ledger)) == []
    assert [e.certificate for e in entries] == [
        certify(squares.classifier(), image, run, index) for index, image in enumerate(squares.data.images)
    ]
    assert [e.label for e in entries] == squares.data.labels.tolist()
    assert {e.certificate.abstained for e in entries} == {True, False}
    assert all(timings[i].samples == run.n0 + run.n and timings[i].seconds > 0 for i in range(len(entries)))
    assert {timing.engine for timing in timings.values()} == {squares.classifier().executor}


@settings(max_examples=10)
@given(order=st.permutations(range(12)), batches=st.lists(st.integers(1, 400), min_size=1, max_size=3))
def test_order_batch_size_and_division_into_calls_never_show(
    squares: Any,
    whole: tuple[Run, Path, bytes],
    tmp_path_factory: pytest.TempPathFactory,
    order: list[int],
    batches: list[int],
) -> None:
    path = tmp_path_factory.mktemp("order") / "a.ledger"
    for number, batch in enumerate(batches):
        squares.certify(path, order[number :: len(batches)], batch=batch)
    assert squares.exported(path) == whole[2]


class Killed(BaseException):
    """The end of the process, at a moment of our choosing."""


def killer(after: int) -> Callable[[Any], None]:
    left = after

    def on_progress(_: Any) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise Killed

    return on_progress


@settings(max_examples=12)
@given(kills=st.lists(st.integers(0, 40), min_size=1, max_size=6), batch=st.integers(7, 90), keep=st.booleans())
def test_an_interrupted_run_ends_with_the_same_bytes(
    squares: Any,
    whole: tuple[Run, Path, bytes],
    tmp_path_factory: pytest.TempPathFactory,
    kills: list[int],
    batch: int,
    keep: bool,
) -> None:
    path = tmp_path_factory.mktemp("killed") / "a.ledger"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(work, "_KEEP_SECONDS", -1.0 if keep else 1e9)  # keep labels after every batch, or never
        for after in kills:
            try:
                squares.certify(path, range(12), batch=batch, on_progress=killer(after))
            except Killed:
                batch = batch * 2 % 91 + 5  # and go on with another batch size
        squares.certify(path, batch=batch)
    assert squares.exported(path) == whole[2]


def test_kept_labels_are_not_computed_again(
    squares: Any, whole: tuple[Run, Path, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "_KEEP_SECONDS", -1.0)
    classifier = squares.classifier()
    with Ledger(tmp_path / "a.ledger", create=True) as ledger:
        run = squares.open(ledger)
        with pytest.raises(Killed):
            work.certify_inputs(ledger, run, classifier, squares.data, [3], batch=50, on_progress=killer(4))
        kept = len(ledger.partial(run, 3, Purpose.ESTIMATE))
        assert (kept, ledger.finished(run)) == (150, set())
        kept_rows = ledger.rows("SELECT start FROM partial WHERE purpose='estimate' ORDER BY start")
        assert kept_rows == [(0,), (50,), (100,)], "each label is kept once"
        classifier.calls.clear()
        seen: list[work.Progress] = []
        work.certify_inputs(ledger, run, classifier, squares.data, [3], batch=50, on_progress=seen.append)
        assert classifier.calls == [(0, 20), (150, 50), (200, 50), (250, 50)]
        assert (seen[0].samples_done, seen[0].samples_left) == (20, 300)
        assert (seen[-1].samples_done, seen[-1].samples_left) == (170, 0)
        assert ledger.executions(run)[0].samples == 170
        classifier.calls.clear()
        work.certify_inputs(ledger, run, classifier, squares.data, [3])
        assert classifier.calls == []
        (entry,) = ledger.entries(run)
        assert entry.certificate == certify(squares.classifier(), squares.data.images[3], run, 3)


def test_damaged_kept_labels_are_computed_again(
    squares: Any, whole: tuple[Run, Path, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "_KEEP_SECONDS", -1.0)
    path = tmp_path / "a.ledger"
    with pytest.raises(Killed):
        squares.certify(path, batch=50, on_progress=killer(4))
    with Ledger(path) as ledger:
        ledger._db.execute("UPDATE partial SET body=zeroblob(7) WHERE start=50")
    squares.certify(path, batch=50)
    assert squares.exported(path) == whole[2]


def test_progress_counts_inputs_and_samples(squares: Any, tmp_path: Path) -> None:
    seen: list[work.Progress] = []
    squares.certify(tmp_path / "a.ledger", [2, 4], batch=100, on_progress=seen.append)
    assert [(p.inputs_done, p.inputs, p.samples_done, p.samples_left) for p in seen] == [
        (0, 2, 20, 620), (0, 2, 120, 520), (0, 2, 220, 420), (0, 2, 320, 320), (1, 2, 320, 320),
        (1, 2, 340, 300), (1, 2, 440, 200), (1, 2, 540, 100), (1, 2, 640, 0), (2, 2, 640, 0),
    ]  # fmt: skip
    finished = [(p.finished.index, p.true_label) for p in seen if p.finished]
    assert finished == [(2, 0), (4, 1)]
    assert all(p.seconds_left >= 0 for p in seen)
    assert math.isnan(work.Progress(0, 1, 0, 5, 0.1).seconds_left)


def test_a_classifier_or_data_of_another_run_is_refused(squares: Any, tmp_path: Path) -> None:
    other = squares.classifier(thresholds=(310, 600))
    with Ledger(tmp_path / "a.ledger", create=True) as ledger:
        run = squares.open(ledger)
        with pytest.raises(ParameterError, match="another classifier or other data"):
            work.certify_inputs(ledger, run, other, squares.data, [0])
        assert ledger.finished(run) == set()
