"""The executor for float networks: a label is a function of image and address, whatever is asked for with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from holdfast.certify import certify, new_run
from holdfast.engine import torch as engine
from holdfast.engine.torch import BLOCK, DTYPES, TorchClassifier, labels_depend_on_device, labels_depend_on_threads
from holdfast.errors import ParameterError
from holdfast.models import to_input
from holdfast.noise import DiscreteGaussian, noise_law
from holdfast.protocols import NoisyClassifier
from holdfast.records import Address, Preprocessing, Purpose

Make = Callable[..., Any]
Images = np.ndarray


def test_it_is_a_noisy_classifier(usual: TorchClassifier) -> None:
    assert isinstance(usual, NoisyClassifier)
    assert usual.executor == "torch float32"
    assert (usual.num_classes, usual.shape) == (3, (2, 4, 4))


@pytest.mark.parametrize("law", ["discrete", "rounded", "continuous"])
@pytest.mark.parametrize("dtype", list(DTYPES))
def test_labels_are_the_documented_function(
    law: str, dtype: str, classifier: Make, network: Make, image: Images, address: Address
) -> None:
    """z = x + n exactly, one map to the input, the module in eval mode, argmax: by hand for one whole block."""
    module, noise = network(), noise_law(law, "40")
    found = classifier(module, noise=noise, dtype=dtype).labels(image, address, 0, BLOCK)
    z = noise.sample(address, 0, BLOCK, image.size).astype(np.float32).reshape(BLOCK, *image.shape) + image
    with torch.inference_mode():
        x = to_input(torch.from_numpy(z), classifier().preprocessing, DTYPES[dtype], torch.channels_last)
        expected = module.eval().to(DTYPES[dtype], memory_format=torch.channels_last)(x).argmax(dim=1)
    assert found.dtype == np.uint16
    assert found.tolist() == expected.tolist()
    assert len(set(found.tolist())) > 1


def test_any_range_gives_the_same_labels(usual: TorchClassifier, image: Images, address: Address) -> None:
    whole = usual.labels(image, address, 0, 4 * BLOCK)
    for start, count in ((0, 1), (255, 2), (100, 777), (256, 256), (300, 0), (1023, 1), (511, 513)):
        assert np.array_equal(usual.labels(image, address, start, count), whole[start : start + count])
    far = 2**40 + 17
    assert np.array_equal(usual.labels(image, address, far, 9), usual.labels(image, address, far - 5, 20)[5:14])


@pytest.mark.parametrize("batch", [100, 256, 777])
def test_certificates_do_not_depend_on_the_batch_size(batch: int, usual: TorchClassifier, image: Images) -> None:
    run = new_run(usual, data="one", data_digest="00" * 32, n0=50, n=1500, alpha="0.01", nonce="07" * 32)
    assert certify(usual, image, run, batch=batch) == certify(usual, image, run, batch=1024)


def test_rows_that_depend_on_their_batch_still_give_one_label_per_address(
    classifier: Make, function_module: Make, image: Images, address: Address
) -> None:
    """The worst module: its logits depend on the whole batch. Aligned blocks make a label a function of its address."""

    def rude(x: torch.Tensor) -> torch.Tensor:
        mean = x.mean((1, 2, 3))
        return torch.stack([mean, x.mean().expand(len(x)), -mean], 1)

    mine = classifier(function_module(rude))
    parts = [mine.labels(image, address, a, 50) for a in range(0, 600, 50)]
    assert np.array_equal(np.concatenate(parts), mine.labels(image, address, 0, 600))


@pytest.mark.parametrize("row", [(0.0, 0.0, 0.0), (-1.0, 5.0, 5.0), (float("nan"), 0.0, 1.0)])
@pytest.mark.parametrize("dtype", list(DTYPES))
def test_ties_give_the_lowest_index(
    row: tuple[float, ...], dtype: str, classifier: Make, function_module: Make, image: Images, address: Address
) -> None:
    """Also where a logit is no number: the label is still one of the classes, and always the same."""
    module = function_module(lambda x: torch.tensor(row, dtype=x.dtype).expand(len(x), 3))
    expected = 1 if row[0] == -1.0 else 0
    assert set(classifier(module, dtype=dtype).labels(image, address, 0, 300).tolist()) == {expected}


def test_logits_of_clean_images(usual: TorchClassifier, image: Images) -> None:
    images = np.random.default_rng(1).integers(0, 256, (300, *image.shape), dtype=np.uint8)
    found = usual.logits(images)
    assert (found.shape, found.dtype) == ((300, 3), np.float32)
    assert np.array_equal(usual.logits(images[:7]), found[:7])


def test_the_network_is_copied_and_left_alone(classifier: Make, network: Make, image: Images, address: Address) -> None:
    module = network().train()
    mine = classifier(module)
    before = mine.labels(image, address, 0, 256)
    with torch.no_grad():
        module[5].weight.zero_()
    assert module.training
    assert module[5].weight.requires_grad
    assert np.array_equal(mine.labels(image, address, 0, 256), before)


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (lambda x: x.flatten(1)[:, :2], r"logits of shape \(N, 3\), but for N=256 gave \(256, 2\)"),
        (lambda x: x.flatten(1)[:1, :3], r"gave \(1, 3\)"),
        (lambda x: x[:, :, :3, 0], r"gave \(256, 2, 3\)"),
        (lambda x: (x.flatten(1)[:, :3],), "gave tuple"),
        (lambda x: None, "gave NoneType"),
        (lambda x: x.reshape(7, -1), "does not take images of shape"),
        (lambda x: x[:, 5], "does not take images of shape"),
        (lambda x: x + "a", "does not take images of shape"),
    ],
)
def test_wrong_outputs_are_refused(output: Make, message: str, classifier: Make, function_module: Make) -> None:
    with pytest.raises(ParameterError, match=message):
        classifier(function_module(output))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shape": (3, 4, 4)}, "does not take images"),
        ({"num_classes": 4}, r"logits of shape \(N, 4\)"),
        ({"num_classes": 1}, "2 to 65536 classes"),
        ({"num_classes": 65537}, "2 to 65536 classes"),
        ({"dtype": "float64"}, "unknown dtype 'float64'; known: float32, bfloat16, float16"),
        ({"threads": 0}, "threads must lie between 1 and 1024"),
        ({"threads": 1025}, "threads must lie between 1 and 1024"),
        ({"device": "tpu"}, "unknown device 'tpu'"),
        ({"device": "xpu"}, "unknown device 'xpu'"),
        ({"device": "meta"}, "unknown device 'meta'"),
    ],
)
def test_wrong_settings_are_refused(changes: dict[str, Any], message: str, classifier: Make) -> None:
    with pytest.raises(ParameterError, match=message):
        classifier(**changes)


def test_cuda_is_refused_where_there_is_none(monkeypatch: pytest.MonkeyPatch, classifier: Make) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ParameterError, match="torch sees no CUDA device"):
        classifier(device="cuda")


def test_on_cuda_nothing_is_left_to_choice() -> None:
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.deterministic
    with engine._deterministic(torch.device("cuda")):
        assert torch.get_float32_matmul_precision() == "highest"
        assert (torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark) == (True, False)
        assert not torch.backends.cudnn.allow_tf32
    assert (torch.get_float32_matmul_precision(), torch.backends.cudnn.deterministic) == before


@pytest.mark.usefixtures("two_threads")
def test_its_threads_are_its_own_and_torchs_number_is_restored(
    classifier: Make, function_module: Make, image: Images, address: Address
) -> None:
    seen: list[int] = []
    mine = classifier(function_module(lambda x: (seen.append(torch.get_num_threads()), x.flatten(1)[:, :3])[1]))
    mine.labels(image, address, 0, 1)
    assert (set(seen), torch.get_num_threads(), mine.threads) == ({1}, 2, 1)
    assert classifier(threads=None).threads == 2
    with pytest.raises(ParameterError):
        classifier(function_module(lambda x: x[:, 9]))
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("threads", [1, 2])
def test_labels_that_change_with_the_threads_are_noticed(
    threads: int, usual: TorchClassifier, classifier: Make, function_module: Make, image: Images, address: Address
) -> None:
    unsteady = function_module(lambda x: x.flatten(1)[:, :3] * (1 if torch.get_num_threads() == 1 else -1))
    assert labels_depend_on_threads(classifier(unsteady, threads=threads), image, address)
    assert not labels_depend_on_threads(usual, image, address)


@pytest.mark.parametrize("differs", [True, False])
def test_labels_that_change_with_the_device_are_noticed(
    differs: bool, usual: TorchClassifier, classifier: Make, image: Images, address: Address, monkeypatch: Any
) -> None:
    """With a stand-in for the arithmetic of another device."""
    assert not labels_depend_on_device(usual, image, address)
    other = classifier()
    other.device = torch.device("meta")
    monkeypatch.setattr(TorchClassifier, "labels", lambda self, *_: np.array([differs and self.device.type == "cpu"]))
    assert labels_depend_on_device(other, image, address) == differs


@pytest.fixture(scope="module")
def compiled_pair(compiler: None) -> tuple[TorchClassifier, TorchClassifier]:
    """One small network, as it is and compiled."""
    torch.manual_seed(3)
    module = torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3, padding=1),
        torch.nn.BatchNorm2d(4),
        torch.nn.ReLU(),
        torch.nn.Flatten(),
        torch.nn.Linear(256, 5),
    )
    plain, fast = (
        TorchClassifier(
            module,
            num_classes=5,
            shape=(1, 8, 8),
            preprocessing=Preprocessing((0.5,), (0.5,)),
            noise=DiscreteGaussian("30.6"),
            compiled=compiled,
            threads=1,
        )
        for compiled in (False, True)
    )
    return plain, fast


def test_a_compiled_network_is_another_classifier(compiled_pair: tuple[TorchClassifier, TorchClassifier]) -> None:
    plain, fast = compiled_pair
    assert plain.fingerprint != fast.fingerprint
    assert fast.description["compiled"] is True
    assert fast.executor == "torch float32, compiled"
    assert "compiled" not in plain.description
    assert fast.description["graph"] == plain.description["graph"]


def test_a_compiled_network_computes_the_same_function(compiled_pair: tuple[TorchClassifier, TorchClassifier]) -> None:
    plain, fast = compiled_pair
    images = np.random.default_rng(1).integers(0, 256, (300, 1, 8, 8)).astype(np.uint8)
    assert np.allclose(plain.logits(images), fast.logits(images), atol=1e-5)


def test_labels_of_a_compiled_network_are_functions_of_the_address(
    compiled_pair: tuple[TorchClassifier, TorchClassifier],
) -> None:
    image, address = np.full((1, 8, 8), 90, np.uint8), Address(bytes(32), bytes(range(32)), Purpose.ESTIMATE)
    whole = compiled_pair[1].labels(image, address, 0, 600)
    parts = [compiled_pair[1].labels(image, address, start, 200) for start in (0, 200, 400)]
    assert np.array_equal(whole, np.concatenate(parts))
    assert len(set(whole.tolist())) > 1


def test_what_torch_cannot_compile_is_one_line(
    monkeypatch: pytest.MonkeyPatch, classifier: Make, network: Make
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("no compiler\nand a long story")

    monkeypatch.setattr(torch, "compile", lambda *_, **__: fail)
    with pytest.raises(ParameterError, match=r"^torch.compile cannot compile this network here: no compiler$"):
        classifier(network(), compiled=True)


def test_a_network_that_does_not_fit_is_named_before_it_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", None)
    with pytest.raises(ParameterError, match="does not take images of shape"):
        TorchClassifier(
            torch.nn.Conv2d(1, 4, 3),
            num_classes=4,
            shape=(2, 8, 8),
            preprocessing=Preprocessing((0.5, 0.5), (0.5, 0.5)),
            noise=DiscreteGaussian("30.6"),
            compiled=True,
        )
