"""The gate: what is shown has a tail of at most 5 %, in exact fractions; what cannot be shown is refused, not failed."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import comb
from pathlib import Path
from typing import Any

import pytest

from holdfast.errors import LedgerError, ParameterError
from holdfast.ledger import Ledger
from holdfast.records import ImportedResult, ImportedRun
from holdfast.report import ImportedReport
from holdfast.workflows import certify as work
from holdfast.workflows import gate as gates
from holdfast.workflows.contenders import Contender, Outcome
from holdfast.workflows.gate import Demand, gate, parse_demand

RADIUS = Fraction(1, 4)
NANO = Fraction(1, 10**9)


def made_up(name: str, right: list[bool]) -> Contender:
    """Inputs that are certified at 1/4 or not."""
    results = tuple(ImportedResult(i, 0, 0, "0.25" if ok else "0.2") for i, ok in enumerate(right))
    record = ImportedRun(name=name, source="-", source_digest="0" * 64, data="dots", sigma="0.5", results=results)
    outcomes = {r.index: Outcome(r.index, r.label, r.prediction, Fraction(r.radius)) for r in results}
    return Contender(record, "-", outcomes, ImportedReport(record))


def upper_tail(k: int, n: int, p: Fraction) -> Fraction:
    """``P(Bin(n, p) >= k)`` exactly."""
    return sum((comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k, n + 1)), Fraction(0))


@pytest.mark.parametrize("share", [Fraction(9, 20), Fraction(9, 10), Fraction(1, 20)])
@pytest.mark.parametrize("n", [1, 17, 40])
def test_certified_accuracy_is_shown_exactly_when_the_tail_is_small(n: int, share: Fraction) -> None:
    for k in range(n + 1):
        found = gates._at_least(made_up("run", [i < k for i in range(n)]), Demand(share, RADIUS))
        if found.verdict == "shown":
            assert upper_tail(k, n, share) <= gates.LEVEL
        else:
            assert upper_tail(k, n, share + NANO) > gates.LEVEL
        at_most = 1 - upper_tail(k + 1, n, share)
        assert (found.verdict == "refuted") == (at_most < gates.LEVEL), "as far as no equality is hit"
        assert (found.measured, found.counts) == (Fraction(k, n), f"{k} of {n}")


def test_the_gate_passes_wrongly_in_at_most_5_percent_of_samples() -> None:
    """By enumeration, for a share that is a little too small."""
    n, share, true = 30, Fraction(7, 10), Fraction(7, 10) - NANO
    passing = [
        k for k in range(n + 1)
        if gates._at_least(made_up("run", [i < k for i in range(n)]), Demand(share, RADIUS)).verdict == "shown"
    ]  # fmt: skip
    assert passing
    assert sum(comb(n, k) * true**k * (1 - true) ** (n - k) for k in passing) <= Fraction(1, 20)


@pytest.mark.parametrize("most", [Fraction(0), Fraction(1, 10), Fraction(1, 2)])
def test_a_drop_is_shown_or_refuted_wrongly_in_at_most_5_percent_of_samples(most: Fraction) -> None:
    """Every (lost, won) of sixteen inputs, for drops right at the border, also when nothing is ever won."""
    n, judged = 16, {}
    for lost in range(n + 1):
        for won in range(n + 1 - lost):
            before = made_up("before", [i < lost for i in range(n)])
            after = made_up("after", [lost <= i < lost + won for i in range(n)])
            found = gates._at_most_dropped(after, before, most, RADIUS)
            assert found.measured == Fraction(lost - won, n)
            judged[lost, won] = found.verdict
    assert set(judged.values()) == {"shown", "not shown", "refuted"}
    for q in (Fraction(0), Fraction(1, 10), (1 - most) / 2 - NANO):
        for p, wrong in ((most + q + NANO, "shown"), (most + q - NANO, "refuted")):
            if p < 0:
                continue
            chance = sum(
                comb(n, b) * comb(n - b, c) * p**b * q**c * (1 - p - q) ** (n - b - c)
                for (b, c), verdict in judged.items()
                if verdict == wrong
            )
            assert chance <= Fraction(1, 20)


@pytest.mark.parametrize(
    ("right", "n", "share"), [(113, 200, "0.51"), (81, 200, "0.4"), (81, 200, "0.42"), (990, 1000, "0.985")]
)
def test_about_as_many_inputs_as_it_says_would_decide(right: int, n: int, share: str) -> None:
    demand = Demand(Fraction(share), RADIUS)
    found = gates._at_least(made_up("run", [i < right for i in range(n)]), demand)
    assert found.verdict == "not shown"
    needed = found.inputs_needed
    assert needed is not None
    assert needed > n

    def verdict(inputs: int) -> str:
        right_there = round(inputs * right / n)
        return gates._at_least(made_up("run", [i < right_there for i in range(inputs)]), demand).verdict

    assert verdict(needed * 11 // 10) == ("shown" if Fraction(right, n) > demand.share else "refuted")
    assert verdict(needed * 8 // 10) == "not shown"
    assert f"about {needed:,} inputs would decide it" in found.text()


def test_no_number_of_inputs_decides_when_the_measured_share_is_the_threshold() -> None:
    found = gates._at_least(made_up("run", [True, False] * 50), Demand(Fraction(1, 2), RADIUS))
    assert (found.verdict, found.inputs_needed) == ("not shown", None)
    assert "too close to the threshold for any number of inputs to decide" in found.text()
    close = gates._at_least(made_up("run", [True, False] * 50), Demand(Fraction(1, 2) - NANO / 100, RADIUS))
    assert (close.verdict, close.inputs_needed) == ("not shown", None)


def test_how_many_inputs_a_drop_would_need() -> None:
    same = made_up("run", [True] * 200)
    found = gates._at_most_dropped(same, same, Fraction(1, 100), RADIUS)
    assert found.verdict == "not shown"
    more = made_up("run", [True] * ((found.inputs_needed or 0) * 11 // 10))
    assert gates._at_most_dropped(more, more, Fraction(1, 100), RADIUS).verdict == "shown"
    worse = made_up("run", [i % 10 > 0 for i in range(200)])
    lost = gates._at_most_dropped(worse, same, Fraction(1, 20), RADIUS)
    assert (lost.verdict, lost.measured) == ("not shown", Fraction(1, 10))
    assert 200 < (lost.inputs_needed or 0) < 2000


# Of ledgers


@pytest.fixture(scope="module")
def worse(squares: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The squares by a classifier with other borders."""
    path = tmp_path_factory.mktemp("worse") / "worse.ledger"
    with Ledger(path, create=True) as ledger:
        classifier = squares.classifier(thresholds=(200, 400))
        run = squares.open(ledger, classifier, nonce="0f" * 32)
        work.certify_inputs(ledger, run, classifier, squares.data, range(12))
    return path


def test_a_ledger_is_judged_by_its_counts(whole: Any) -> None:
    result = gate(whole[1], least=["0.3@0", "0.999@0", "0.5@0"])
    assert [j.verdict for j in result.judgements][:2] == ["shown", "refuted"]
    assert not result.passed
    assert gate(whole[1], least=["0.3@0"]).passed
    correct = sum(o.correct for o in result.run.outcomes.values())
    assert result.judgements[0].counts == f"{correct} of 12"


def test_a_drop_is_judged_where_accuracy_is_demanded_or_at_multiples_of_half_sigma(whole: Any, worse: Path) -> None:
    def radii(**settings: Any) -> list[str]:
        result = gate(worse, against=str(whole[1]), **settings)
        return [j.demand.split()[3] for j in result.judgements if "dropped" in j.demand]

    reached = [r for r in (Fraction(whole[0].sigma) * k / 2 for k in range(5)) if gate_reaches(whole[1], r)]
    assert [Fraction(r) for r in radii(drops=["0.5"])] == reached
    assert radii(drops=["0.5"], least=["0.1@0.05", "0.1@0", "0.2@0"]) == ["0", "0.05"]
    assert radii(drops=["0.5@0.1", "0.9@0"], least=["0.1@0.05"]) == ["0.1", "0"]


def gate_reaches(path: Path, radius: Fraction) -> bool:
    from holdfast.workflows.contenders import contenders_of

    return contenders_of(str(path))[0].reaches(radius)


def test_what_it_is_compared_with_may_be_in_the_same_ledger(whole: Any, worse: Path, tmp_path: Path) -> None:
    from holdfast.ledger import merge

    path = tmp_path / "both.ledger"
    path.write_bytes(whole[1].read_bytes())
    with Ledger(path) as ledger, Ledger(worse) as source:
        merge(ledger, source)
        ids = [run.id for run in ledger.runs()]
    with pytest.raises(ParameterError, match=f"2 runs; choose one by --run: {ids[0]}, {ids[1]}"):
        gate(path, least=["0.1@0"])
    inside = gate(path, run=ids[1][:6], drops=["0.9"], against=ids[0][:6])
    outside = gate(worse, drops=["0.9"], against=str(whole[1]))
    assert [j.text() for j in inside.judgements] == [j.text() for j in outside.judgements]
    named = gate(worse, drops=["0.9"], against=f"{path}:{ids[0][:6]}")
    assert [j.text() for j in named.judgements] == [j.text() for j in outside.judgements]
    with pytest.raises(ParameterError, match="2 runs; choose one as LEDGER:RUN"):
        gate(worse, drops=["0.9"], against=str(path))
    with pytest.raises(LedgerError, match="no run 'zz'"):
        gate(worse, drops=["0.9"], against="zz")


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": ({}, "nothing is demanded"),
    "no radius": ({"least": ["0.4"]}, "takes SHARE@RADIUS, such as 0.45@0.25"),
    "no share": ({"least": ["@0.4"]}, "must be a decimal number"),
    "words": ({"least": ["much@far"]}, "must be a decimal number"),
    "two radii": ({"least": ["0.4@0.1@0.2"]}, "must be a decimal number"),
    "all": ({"least": ["1@0"]}, "1 itself cannot be shown"),
    "percent": ({"least": ["45@0"]}, "a share lies between 0 and 1"),
    "less than nothing": ({"least": ["-0.1@0"]}, "a share lies between 0 and 1"),
    "a negative radius": ({"least": ["0.1@-1"]}, "a radius cannot be negative"),
    "beyond the cap": ({"least": ["0.1@1"]}, "can reach radius 1, not even by a unanimous vote"),
    "a drop from nothing": ({"drops": ["0.1"]}, "--max-drop and --against belong together"),
    "a drop of nothing": ({"least": ["0.1@0"], "against": "x"}, "--max-drop and --against belong together"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_demand_that_means_nothing_or_can_never_be_shown_is_a_mistake(what: str, whole: Any) -> None:
    settings, said = REFUSED[what]
    with pytest.raises(ParameterError, match=said):
        gate(whole[1], **settings)


def test_a_run_without_certificates_is_a_mistake(squares: Any, tmp_path: Path) -> None:
    squares.certify(tmp_path / "a.ledger", [])
    with pytest.raises(ParameterError, match="has no certificates"):
        gate(tmp_path / "a.ledger", least=["0.1@0"])


def test_demands_are_exact_decimals() -> None:
    assert parse_demand("0.1@0.3", "x") == Demand(Fraction(1, 10), Fraction(3, 10))
    assert parse_demand("0.02", "x") == Demand(Fraction(1, 50), None)


def test_certificates_larger_than_possible_are_not_believed(copied: Path, change: Callable[..., None]) -> None:
    change("UPDATE certificates SET radius_sq_px=99999 WHERE idx=4")
    with pytest.raises(LedgerError, match="see `holdfast verify`"):
        gate(copied, least=["0.1@0"])
