"""CERTIFY: labels to certificates, and everything it refuses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.certify import DEFAULT_BATCH, certified_count, certify, check_image, decide, label_batches
from holdfast.certify.certify import upper_complement
from holdfast.digest import array_digest
from holdfast.errors import ParameterError
from holdfast.records import ABSTAIN, Address, Purpose, Run

Make = Callable[..., Any]


def labels(*counts: int) -> np.ndarray:
    return np.repeat(np.arange(len(counts)), counts).astype(np.uint16)


def test_a_certificate_is_what_the_labels_prove(brightness: Make, start: Make, image: np.ndarray) -> None:
    classifier = brightness(60)
    run, digest = start(classifier), array_digest(image)
    selection = classifier.labels(image, Address(run.run_key, digest, Purpose.SELECT), 0, run.n0)
    estimation = classifier.labels(image, Address(run.run_key, digest, Purpose.ESTIMATE), 0, run.n)
    counts = tuple(np.bincount(estimation, minlength=3).tolist())
    label = int(np.bincount(selection, minlength=3).argmax())
    p_lower, radius_sq = certified_count(counts[label], run.n, Fraction(1, 1000), Fraction(60), Fraction(run.epsilon))
    found = certify(classifier, image, run, index=17)
    assert (found.run, found.index, found.digest, found.label) == (run.id, 17, digest.hex(), label)
    assert (found.counts, sum(found.selection_counts)) == (counts, run.n0)
    assert (found.p_lower, found.radius_sq_px) == (p_lower, radius_sq)
    assert Fraction(found.p_upper) >= 1 - Fraction(found.p_lower)
    assert found == decide(run, 17, digest, selection, estimation)
    assert radius_sq > 0


@pytest.mark.parametrize("law", ["discrete", "rounded"])
@pytest.mark.parametrize("batch", [1, 100, 256, 777, 1024, 10**6])
def test_the_batch_size_changes_nothing(batch: int, law: str, brightness: Make, start: Make, image: np.ndarray) -> None:
    classifier = brightness(100, law)
    run = start(classifier, n0=100, n=1500)
    assert certify(classifier, image, run, batch=batch) == certify(classifier, image, run)


def test_numpy_and_native_noise_give_the_same_certificate(
    brightness: Make, start: Make, image: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for wanted in ("0", "1"):
        monkeypatch.setenv("HOLDFAST_NATIVE", wanted)
        found.append(certify(brightness(100), image, start(brightness(100))))
    assert found[0] == found[1]


def test_selection_and_estimation_have_noise_of_their_own(brightness: Make, start: Make, image: np.ndarray) -> None:
    seen: list[Address] = []
    classifier = brightness(100)
    inner = classifier.labels
    classifier.labels = lambda image, address, first, count: (
        seen.append(address) if first == 0 else None,
        inner(image, address, first, count),
    )[1]
    run = start(classifier, n=2000)
    certify(classifier, image, run)
    assert [a.purpose for a in seen] == [Purpose.SELECT, Purpose.ESTIMATE]
    assert {(a.run_key, a.input_digest, a.layer) for a in seen} == {(run.run_key, array_digest(image), 0)}
    assert classifier.calls == [(0, 20), (0, 1024), (1024, 976)]


@given(st.integers(0, 3000), st.integers(0, 3000), st.integers(1, 1200))
def test_batches_cover_the_range_once_in_order_on_multiples(a: int, b: int, batch: int) -> None:
    first, stop, asked = min(a, b), max(a, b), []

    class Recorder:
        def labels(self, _image: Any, _address: Any, at: int, count: int) -> np.ndarray:
            asked.append((at, at + count))
            return np.arange(at, at + count).astype(np.uint16)

    found = list(label_batches(Recorder(), None, None, first, stop, batch))  # type: ignore[arg-type]
    assert [i for part in found for i in part] == list(range(first, stop))
    assert all(0 < end - at <= batch and (end % batch == 0 or end == stop) for at, end in asked)


@pytest.mark.parametrize("batch", [0, -1])
def test_a_batch_of_nothing_is_refused(batch: int) -> None:
    with pytest.raises(ParameterError, match="at least 1"):
        next(label_batches(None, None, None, 0, 5, batch))  # type: ignore[arg-type]
    assert DEFAULT_BATCH >= 1


def test_only_estimation_enters_the_bound(brightness: Make, start: Make) -> None:
    run = start(brightness(), n0=10, n=100)
    one = decide(run, 0, bytes(32), labels(0, 10, 0), labels(0, 90, 10))
    other = decide(run, 0, bytes(32), labels(4, 6, 0), labels(0, 90, 10))
    assert (one.p_lower, one.radius_sq_px, one.counts) == (other.p_lower, other.radius_sq_px, other.counts)
    assert one.p_lower == certified_count(90, 100, Fraction(1, 1000), Fraction(20), Fraction(run.epsilon))[0]


def test_the_selected_class_is_certified_even_if_another_wins_the_estimation(brightness: Make, start: Make) -> None:
    found = decide(start(brightness(), n0=10, n=100), 0, bytes(32), labels(6, 4, 0), labels(1, 99, 0))
    assert (found.label, found.abstained, found.prediction) == (0, True, ABSTAIN)
    assert found.p_lower < 0.01


def test_ties_select_the_lowest_index(brightness: Make, start: Make) -> None:
    found = decide(start(brightness(), n0=10, n=100), 0, bytes(32), labels(0, 5, 5), labels(0, 100, 0))
    assert (found.label, found.abstained) == (1, False)


def test_a_label_that_never_comes_again_abstains_with_the_trivial_bounds(brightness: Make, start: Make) -> None:
    found = decide(start(brightness(), n0=10, n=100), 0, bytes(32), labels(10, 0, 0), labels(0, 100, 0))
    assert (found.p_lower, found.p_upper, found.radius_sq_px) == (0.0, 1.0, -1)


@pytest.mark.parametrize(("n0", "n"), [(9, 100), (11, 100), (10, 99), (10, 101), (10, 200), (0, 0), (100, 10)])
def test_a_run_of_fixed_n_can_be_neither_cut_nor_extended(n0: int, n: int, brightness: Make, start: Make) -> None:
    """Extending until one is happy would fail several times more often than alpha says."""
    run = start(brightness(), n0=10, n=100)
    with pytest.raises(ParameterError, match="its n is fixed in advance"):
        decide(run, 0, bytes(32), labels(n0, 0, 0), labels(n, 0, 0))


def test_another_n_is_another_run_with_other_noise(brightness: Make, start: Make, image: np.ndarray) -> None:
    classifier = brightness(100)
    run, longer = start(classifier, n=400), start(classifier, n=800)
    assert run.nonce == longer.nonce
    assert run.id != longer.id
    digest = array_digest(image)
    both = [classifier.labels(image, r.address(digest, Purpose.ESTIMATE), 0, 400) for r in (run, longer)]
    assert not np.array_equal(*both)


def test_labels_outside_the_classes_are_refused(brightness: Make, start: Make) -> None:
    with pytest.raises(ParameterError, match="outside the 3 classes"):
        decide(start(brightness(), n0=10, n=100), 0, bytes(32), labels(10, 0, 0), labels(0, 99, 0, 1))


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.zeros((1, 2, 2)), "dtype float64"),
        (np.zeros((1, 2, 2), dtype=np.int64), "dtype int64"),
        (np.zeros((1, 2, 2), dtype=np.int8), "dtype int8"),
        ([[[1, 2], [3, 4]]], "not list"),
        (None, "not NoneType"),
        (np.full((1, 2, 2), np.nan), "dtype float64"),
        (np.zeros((2, 2), dtype=np.uint8), r"shape \(2, 2\), the classifier takes \(1, 2, 2\)"),
        (np.zeros((1, 1, 2, 2), dtype=np.uint8), r"shape \(1, 1, 2, 2\)"),
        (np.zeros((1, 2, 3), dtype=np.uint8), r"shape \(1, 2, 3\)"),
    ],
)
def test_unsuitable_images_are_refused_never_cast(bad: Any, message: str, brightness: Make, start: Make) -> None:
    classifier = brightness()
    with pytest.raises(ParameterError, match=message):
        certify(classifier, bad, start(classifier))


def test_a_suitable_image_is_given_back(image: np.ndarray) -> None:
    assert check_image(image, (1, 2, 2)) is image


def test_another_classifier_is_refused(brightness: Make, start: Make, image: np.ndarray) -> None:
    run = start(brightness())
    with pytest.raises(ParameterError, match="another classifier"):
        certify(brightness(thresholds=(300, 601)), image, run)


@pytest.mark.parametrize(
    ("law", "sigma_px"), [("discrete", 21), ("rounded", 20), ("continuous", 20), ("discrete", "0.01")]
)
def test_the_same_network_with_other_noise_is_refused(
    law: str, sigma_px: object, brightness: Make, start: Make, image: np.ndarray
) -> None:
    """The fingerprint leaves noise out; a radius for sigma 20 from labels under weaker noise would be false."""
    run, other = start(brightness(20)), brightness(sigma_px, law)
    assert other.fingerprint == run.fingerprint
    with pytest.raises(ParameterError, match="started for discrete noise with sigma_px 20"):
        certify(other, image, run)


def test_scales_so_small_that_their_tables_are_equal_are_told_apart(
    brightness: Make, start: Make, image: np.ndarray
) -> None:
    assert (
        brightness("0.01").noise.digest == brightness("0.02").noise.digest == brightness("0.02", "rounded").noise.digest
    )
    run = start(brightness("0.02"))
    for other in (brightness("0.01"), brightness("0.02", "rounded")):
        with pytest.raises(ParameterError, match="sigma_px 1/50"):
            certify(other, image, run)


def test_the_charge_for_the_noise_table_is_taken_from_the_probability(brightness: Make, start: Make) -> None:
    """The real one is too small to be seen in a double, so a run with a larger one shows it."""
    run = replace(start(brightness("30.6"), n0=10, n=100), epsilon="1/100")
    found = decide(run, 0, bytes(32), labels(10, 0, 0), labels(95, 5, 0))
    free, charged = (certified_count(95, 100, Fraction(1, 1000), run.sigma_px, Fraction(e)) for e in (0, "1/100"))
    assert (found.p_lower, found.radius_sq_px) == charged
    assert (free[0], free[1] > charged[1]) == (charged[0], True)


def test_replaying_a_nonce_gives_the_same_certificate_and_another_one_another(
    brightness: Make, start: Make, image: np.ndarray
) -> None:
    classifier = brightness(100)
    first, again, other = (
        certify(classifier, image, start(classifier, nonce=n)) for n in ("01" * 32, "01" * 32, "02" * 32)
    )
    assert first == again
    assert first.counts != other.counts


def test_other_images_get_other_noise(brightness: Make, start: Make, image: np.ndarray) -> None:
    """Also where the classifier cannot tell them apart."""
    classifier = brightness(100)
    run: Run = start(classifier, n=1000)
    moved = image[:, ::-1].copy()
    assert moved.sum() == image.sum()
    assert certify(classifier, image, run).counts != certify(classifier, moved, run).counts
    assert replace(certify(classifier, image, run), index=3) == certify(classifier, image, run, index=3)


@given(st.floats(0, 1))
def test_the_complement_is_the_least_double_that_is_not_too_small(p: float) -> None:
    upper = upper_complement(p)
    assert Fraction(upper) >= 1 - Fraction(p)
    assert Fraction(float(np.nextafter(upper, -1))) < 1 - Fraction(p)


def test_some_complements_are_rounded_up() -> None:
    assert upper_complement(0.1) != 1 - 0.1 or Fraction(1 - 0.1) >= 1 - Fraction(0.1)
    assert any(upper_complement(p) > 1 - p for p in np.linspace(0.01, 0.49, 97).tolist())
