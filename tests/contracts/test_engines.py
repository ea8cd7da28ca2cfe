"""One contract for all engines: the reference executor's logits and labels, bit for bit, with every instruction set."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from engine_programs import LAYERS, Layer, ProgramReader, extreme_images, pool_of_extremes
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from integer_networks import images, networks
from known_networks import KnownAnswer, known_answers
from native_engine import HERE, NEEDED
from numpy.typing import NDArray

from holdfast.engine.integer import IntegerClassifier
from holdfast.engine.native import NativeClassifier, NativeNetwork, encode
from holdfast.intnet import IntegerNetwork
from holdfast.noise import noise_law
from holdfast.noise.native import sample_table as native_sample_table
from holdfast.noise.sampler import sample_table
from holdfast.noise.tables import NoiseTable
from holdfast.protocols import NoisyClassifier
from holdfast.records import Address, Purpose

pytestmark = NEEDED
ADDRESS = Address(bytes(32), bytes(range(32)), Purpose.ESTIMATE)
UNHURRIED = settings(suppress_health_check=list(HealthCheck))


def logits_of(network: IntegerNetwork, batch: NDArray[np.int16], isa: str, threads: int = 1) -> NDArray[np.int32]:
    return NativeNetwork(network, isa, threads).logits(batch)


def test_portable_kernels_are_everywhere() -> None:
    assert HERE[0] == "portable"


@pytest.mark.parametrize("isa", HERE)
@pytest.mark.parametrize("file", ["layers", "networks"])
def test_known_answers(isa: str, file: str) -> None:
    def agrees(case: KnownAnswer) -> bool:
        return np.array_equal(logits_of(case.network, case.images.astype(np.int16), isa), case.logits)

    cases = known_answers(file)
    assert len(cases) > 3
    assert [case.name for case in cases if not agrees(case)] == []


@given(st.data())
@settings(UNHURRIED, max_examples=200)
def test_random_networks(data: st.DataObject) -> None:
    network = data.draw(networks())
    batch = data.draw(images(network, 3)).astype(np.int16)
    expected = network.logits(batch)
    for isa in HERE:
        np.testing.assert_array_equal(logits_of(network, batch, isa), expected, isa)


@given(st.data())
@settings(UNHURRIED, max_examples=30)
def test_random_networks_of_many_channels(data: st.DataObject) -> None:
    network = data.draw(networks(largest_side=9, largest_width=80))
    batch = data.draw(images(network, 2)).astype(np.int16)
    expected = network.logits(batch)
    for isa in HERE:
        np.testing.assert_array_equal(logits_of(network, batch, isa), expected, isa)


@pytest.mark.parametrize("isa", HERE)
@pytest.mark.parametrize("name", LAYERS)
def test_layers_in_every_geometry(isa: str, name: str) -> None:
    network = LAYERS[name].network()
    batch = np.random.default_rng(1).integers(-60, 316, (3, *network.shape)).astype(np.int16)
    expected = network.logits(batch)
    least = 10 if LAYERS[name].wide else expected.size // 2  # small sums beside a large bias change little
    assert len(np.unique(expected)) > least, "the layer must not be saturated or dead"
    np.testing.assert_array_equal(logits_of(network, batch, isa), expected)


@pytest.mark.parametrize("isa", HERE)
def test_a_pool_whose_sums_int16_does_not_hold(isa: str) -> None:
    network = pool_of_extremes()
    batch = extreme_images(network)
    expected = network.logits(batch)
    assert (expected.min(), expected.max()) == (-400 * 127, 400 * 127)
    np.testing.assert_array_equal(logits_of(network, batch, isa), expected)


@given(st.data())
@settings(UNHURRIED, max_examples=60)
def test_layers_at_random(data: st.DataObject) -> None:
    def pair(low: int, high: int) -> tuple[int, int]:
        return data.draw(st.integers(low, high)), data.draw(st.integers(low, high))

    groups = data.draw(st.sampled_from([1, 1, 1, 2, 3, 16]))
    inputs, outputs = (groups * data.draw(st.integers(1, 70 // groups)) for _ in range(2))
    kernel, dilation = data.draw(st.sampled_from([(3, 3), (3, 3), (1, 1), (2, 3), (5, 4)])), pair(1, 2)
    reach = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
    padding = (*pair(0, 3), *pair(0, 3))
    side = (reach[0] + data.draw(st.integers(1, 9)), reach[1] + data.draw(st.integers(1, 70)))
    factor = data.draw(st.sampled_from([None, 0, 1, 32767, 32768, 100000]))
    same = inputs == outputs and [a + b for a, b in (padding[:2], padding[2:])] == reach
    residual = factor if same else None
    stride = (1, 1) if residual is not None else pair(1, 3)
    event(f"residual {residual}")
    layer = Layer(
        inputs,
        outputs,
        side,
        kernel,
        stride,
        padding,
        dilation,
        groups,
        residual,
        *data.draw(st.tuples(*[st.booleans()] * 2)),
    )
    network = layer.network(data.draw(st.integers(0, 2**32 - 1)))
    batch = data.draw(images(network, 2)).astype(np.int16)
    expected = network.logits(batch)
    for isa in HERE:
        np.testing.assert_array_equal(logits_of(network, batch, isa), expected, f"{isa} {layer}")


@pytest.mark.parametrize("isa", HERE)
def test_the_engines_own_known_answers_are_the_references(isa: str) -> None:
    from holdfast import _native

    words, weights, pixels, answer = _native.self_test_network()
    network = ProgramReader(words, np.array(weights, np.int8)).network()
    batch = np.array(pixels, np.int16).reshape(-1, *network.shape)
    expected = network.logits(batch)
    assert len({type(op) for op in network.operations}) == 11, "every operation takes part"
    digest = 0xCBF29CE484222325
    for byte in expected.astype("<i4").tobytes():
        digest = (digest ^ byte) * 0x100000001B3 % 2**64
    assert digest == answer
    np.testing.assert_array_equal(logits_of(network, batch, isa), expected)


@given(networks())
@settings(UNHURRIED, max_examples=50)
def test_programs_say_what_the_network_says(network: IntegerNetwork) -> None:
    words, weights = encode(network)
    assert ProgramReader(words.tolist(), weights).network().digest == network.digest


Maker = Callable[[IntegerNetwork, str, bool], NoisyClassifier]


def native_maker(isa: str, threads: int) -> Maker:
    return lambda network, law, clip: NativeClassifier(network, noise_law(law, "25"), clip, isa=isa, threads=threads)


ENGINES = {f"{isa}, {threads} threads": native_maker(isa, threads) for isa in HERE for threads in (1, 2, 5)}


@pytest.fixture(scope="module")
def small() -> IntegerNetwork:
    return Layer(8, 8, (6, 7), factor=30).network()


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("clip", [False, True])
@pytest.mark.parametrize("law", ["discrete", "rounded", "continuous"])
def test_classifiers(name: str, law: str, clip: bool, small: IntegerNetwork) -> None:
    """Labels, fingerprint and description of every engine are those of the reference executor."""
    reference = IntegerClassifier(small, noise_law(law, "25"), clip)
    classifier = ENGINES[name](small, law, clip)
    image = np.random.default_rng(2).integers(0, 256, small.shape).astype(np.uint8)
    expected = reference.labels(image, ADDRESS, 5, 150)
    assert len(set(expected.tolist())) > 1, "the noise must change labels"
    assert isinstance(classifier, NoisyClassifier)
    np.testing.assert_array_equal(classifier.labels(image, ADDRESS, 5, 150), expected)
    parts = [classifier.labels(image, ADDRESS, start, 150 - start + 5 if start else 12) for start in (17, 30)]
    np.testing.assert_array_equal(parts[0], expected[12:])
    np.testing.assert_array_equal(parts[1], expected[25:])
    assert classifier.labels(image, ADDRESS, 9, 0).tolist() == []
    assert (classifier.fingerprint, classifier.description) == (reference.fingerprint, reference.description)
    assert (reference.executor, classifier.executor) == ("reference", f"native {name.partition(',')[0]}")
    assert (classifier.num_classes, classifier.shape) == (reference.num_classes, reference.shape)


@given(st.data())
@settings(UNHURRIED, max_examples=60)
def test_noise_with_any_thresholds(data: st.DataObject) -> None:
    """Cells with none, one and many thresholds; thresholds on the words themselves, so that all 128 bits decide."""
    key, start, dimension = (1, 2), data.draw(st.integers(0, 2**63 - 8)), data.draw(st.integers(1, 200))
    words = _words(key, start, dimension)
    ties = data.draw(st.lists(st.sampled_from(words), max_size=20))
    near = st.tuples(st.sampled_from(words), st.integers(-(2**20), 2**20)).map(
        lambda t: max(1, t[0] * 2**96 + t[1] * 2**90)
    )
    thresholds = [tie << 96 | data.draw(st.integers(0, 2**96 - 1)) for tie in ties] + data.draw(
        st.lists(near, max_size=20)
    )
    table = NoiseTable(-len(thresholds) // 2, tuple(sorted(t % 2**128 for t in thresholds)))
    expected = sample_table(table, key, start, 2, dimension)
    np.testing.assert_array_equal(native_sample_table(table, key, start, 2, dimension), expected)


def _words(key: tuple[int, int], start: int, dimension: int) -> list[int]:
    from holdfast.noise.philox import philox4x32

    blocks = range(-(-dimension // 4))
    found = [w for b in blocks for w in philox4x32((b, 0, start & 0xFFFFFFFF, start >> 32), key)]
    return found[:dimension]
