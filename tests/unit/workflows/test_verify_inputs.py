"""Another person's look at what was certified: the data, the model, the machine; a difference in the last refutes nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from holdfast.errors import ParameterError
from holdfast.records import Run
from holdfast.workflows import verify as work

pytestmark = pytest.mark.usefixtures("fixed_randomness")


def test_damaged_labels_are_a_finding_of_the_replay(squares: Any, change: Callable[..., None], copied: Path) -> None:
    change("UPDATE labels SET body=zeroblob(9)")
    (found,) = squares.computed(copied)
    assert found.fatal
    assert "damaged" in found.text


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE inputs SET label=(label+1)%3 WHERE idx=4", "input 4: its true label is 1 in the data set, not 2"),
        (
            "UPDATE inputs SET digest=replace(digest, substr(digest,1,1), 'f') WHERE idx=4",
            "input 4: the data set has no",
        ),
    ],
)
def test_inputs_are_compared_with_the_data(
    statement: str, said: str, squares: Any, change: Callable[..., None], copied: Path
) -> None:
    change(statement)
    assert squares.claims(copied) == [], "nobody can know this without the data"
    found = squares.computed(copied, replay=2000, fresh=50)
    assert [f.fatal for f in found] == [True]
    assert said in found[0].text


def test_an_index_outside_the_data_is_a_finding(squares: Any, change: Callable[..., None], copied: Path) -> None:
    for table in ("inputs", "certificates", "labels"):
        change(f"UPDATE {table} SET idx=10000 WHERE idx=4")
    found = squares.computed(copied, replay=2000, fresh=50)
    assert [f.text.partition(": ")[2] for f in found] == ["the data set has no such input, or another image there"]


def test_nothing_is_compared_with_another_model_or_other_data(squares: Any, whole: tuple[Run, Path, bytes]) -> None:
    run = whole[0]
    with pytest.raises(ParameterError, match=r"another model: weights differ"):
        work.check_model(run, squares.classifier(thresholds=(310, 600)), squares.data)
    other = replace(squares.data, labels=squares.data.labels[::-1].copy())
    with pytest.raises(ParameterError, match="about other data"):
        work.check_model(run, squares.classifier(), other)
    assert work.check_model(run, squares.classifier(), squares.data) is None


def test_a_fingerprint_cannot_be_made_up_to_avoid_the_replay(squares: Any, whole: tuple[Run, Path, bytes]) -> None:
    """Otherwise every difference would be 'not reproducible here'."""
    run = whole[0]
    found = work.check_model(replace(run, fingerprint="0" * 64), squares.classifier(), squares.data)
    assert found is not None
    assert found.fatal
    silent = replace(run, fingerprint="0" * 64, classifier={})
    with pytest.raises(ParameterError, match="another model"):
        work.check_model(silent, squares.classifier(), squares.data)


def test_findings_without_work_to_do(squares: Any, whole: tuple[Run, Path, bytes], tmp_path: Path) -> None:
    classifier = squares.classifier()
    assert squares.computed(whole[1], classifier, replay=0, fresh=0) == []
    assert classifier.calls == []
    squares.certify(tmp_path / "empty.ledger", [])
    assert squares.computed(tmp_path / "empty.ledger", fresh=10) == []
    assert squares.claims(tmp_path / "empty.ledger") == []
