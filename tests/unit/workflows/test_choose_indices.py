"""Which inputs are certified: a limit spread evenly, or a list of numbers and ranges; never none, never others."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import ParameterError
from holdfast.workflows.certify import choose_indices


@given(st.integers(1, 5000), st.integers(1, 6000))
def test_a_limit_is_spread_evenly(total: int, limit: int) -> None:
    chosen = choose_indices(total, limit, None)
    assert len(chosen) == min(limit, total)
    assert chosen == sorted(set(chosen))
    assert chosen[0] == 0
    assert chosen[-1] < total
    gaps = {after - before for before, after in pairwise(chosen)}
    assert not gaps or max(gaps) - min(gaps) <= 1


def test_no_limit_is_everything() -> None:
    assert choose_indices(7, None, None) == list(range(7))


BOUND = st.none() | st.integers(-30, 30)


@given(
    st.integers(1, 25), st.lists(st.tuples(BOUND, BOUND, BOUND.filter(lambda step: step != 0)), min_size=1, max_size=4)
)
def test_ranges_are_those_of_python_in_order_and_once(total: int, ranges: list[tuple[int | None, ...]]) -> None:
    text = ",".join(":".join("" if part is None else str(part) for part in one) for one in ranges)
    expected = sorted({i for one in ranges for i in range(total)[slice(*one)]})
    if expected:
        assert choose_indices(total, None, text) == expected
    else:
        with pytest.raises(ParameterError, match="chooses none"):
            choose_indices(total, None, text)


@given(st.lists(st.integers(0, 99), min_size=1))
def test_numbers_in_any_order_and_repeated(numbers: list[int]) -> None:
    assert choose_indices(100, None, " , ".join(map(str, numbers))) == sorted(set(numbers))


@pytest.mark.parametrize(
    ("indices", "message"),
    [
        ("100", "outside the data set, which has 100 inputs"),
        ("-1", "outside the data set"),
        ("3,400:,500", "outside the data set"),
        ("", "takes numbers and ranges"),
        ("1,,2", "takes numbers and ranges"),
        ("a:b", "takes numbers and ranges"),
        ("1.5", "takes numbers and ranges"),
        ("::0", "takes numbers and ranges"),
        ("1:2:3:4", "takes numbers and ranges"),
        ("5:5", "chooses none of the 100 inputs"),
        ("200:", "chooses none of the 100 inputs"),
    ],
)
def test_other_texts_are_refused(indices: str, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        choose_indices(100, None, indices)


@pytest.mark.parametrize("limit", [0, -3])
def test_a_limit_below_one_is_refused(limit: int) -> None:
    with pytest.raises(ParameterError, match="at least 1"):
        choose_indices(100, limit, None)


def test_limit_and_indices_exclude_each_other() -> None:
    with pytest.raises(ParameterError, match="not both"):
        choose_indices(100, 5, "3")
