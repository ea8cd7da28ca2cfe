"""The known answers for integer networks: up to date, and reproduced by the reference executor and by the file format."""

from __future__ import annotations

from typing import Any

import generate_networks
import numpy as np
import pytest
from known_networks import FOLDER, KnownAnswer, known_answers

from holdfast.intnet import codec

LAYERS, NETWORKS = known_answers("layers"), known_answers("networks")
CASES = LAYERS + NETWORKS


@pytest.mark.parametrize("name", ["layers", "networks"])
def test_the_files_are_what_the_plain_implementation_gives(name: str) -> None:
    """Nothing in them can change without being seen: it would break every integer network."""
    assert (FOLDER / f"{name}.json").read_text() == generate_networks.text(generate_networks.FILES[name]())


@pytest.mark.parametrize("known", CASES, ids=lambda known: known.name)
def test_the_reference_gives_the_known_logits(known: KnownAnswer) -> None:
    found = known.network.logits(known.images)
    assert found.dtype == np.int32
    assert np.array_equal(found, known.logits)


@pytest.mark.parametrize("known", CASES, ids=lambda known: known.name)
def test_a_network_has_the_known_digest_before_and_after_saving(known: KnownAnswer) -> None:
    assert known.network.digest == known.digest
    copy = codec.from_bytes(codec.to_bytes(known.network), "a copy")
    assert copy.digest == known.digest
    assert np.array_equal(copy.logits(known.images), known.logits)


@pytest.mark.parametrize("known", NETWORKS, ids=lambda known: known.name)
def test_a_label_is_the_first_largest_logit(known: KnownAnswer) -> None:
    assert known.logits.argmax(axis=1).tolist() == known.labels


def test_largest_logits_are_tied_where_they_are_meant_to_be() -> None:
    (tied,) = [known for known in NETWORKS if known.name == "equal logits"]
    assert ((tied.logits == tied.logits.max(axis=1, keepdims=True)).sum(axis=1) == 2).all()


def test_every_operation_and_every_setting_occurs() -> None:
    ops: list[Any] = [op for known in LAYERS for op in known.network.operations]
    assert {type(op).__name__ for op in ops} == set(codec._KINDS)
    convolutions = [op for op in ops if type(op).__name__ == "Conv"]
    settings: dict[str, set[Any]] = {
        name: {getattr(op, name) for op in convolutions} for name in ("stride", "dilation", "groups", "padding")
    }
    assert all(len(found) > 2 for found in settings.values()), settings
    laws = [op.requantise for op in ops if getattr(op, "requantise", None) is not None]
    multipliers, shifts = ({int(n) for law in laws for n in getattr(law, name)} for name in ("multiplier", "shift"))
    assert {0, 1, 2**22 - 1} <= multipliers
    assert {1, 52} <= shifts


def test_values_saturate_on_both_sides_and_are_ties_of_both_signs() -> None:
    """What the file claims to hold, it holds."""
    (halves,) = [known for known in LAYERS if known.name == "input, halves of both signs are ties"]
    accumulators = halves.images.ravel().astype(int)
    expected = [(a + 1) // 2 for a in accumulators]
    assert halves.logits.ravel().tolist() == expected
    assert {-15, -1, 1, 13} <= set(accumulators.tolist())
    flat = {int(n) for known in LAYERS if known.name.startswith(("input", "conv")) for n in known.logits.ravel()}
    assert {-127, 127} <= flat
