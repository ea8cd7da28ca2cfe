"""The executor for float networks: labels are a function of image and address, and the fingerprint names all else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from holdfast.certify import certify, new_run
from holdfast.digest import array_digest
from holdfast.engine import torch as engine
from holdfast.engine.torch import BLOCK, DTYPES, TorchClassifier, labels_depend_on_threads
from holdfast.errors import ParameterError
from holdfast.models import to_input
from holdfast.noise import DiscreteGaussian, noise_law
from holdfast.protocols import NoisyClassifier
from holdfast.records import Address, Preprocessing, Purpose

SHAPE, CLASSES = (2, 4, 4), 3
IMAGE = np.random.default_rng(5).integers(0, 256, SHAPE, dtype=np.uint8)
ADDRESS = Address(bytes(32), array_digest(IMAGE), Purpose.ESTIMATE)
INPUT = Preprocessing((0.5, 0.4), (0.25, 0.2))


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    layers = [
        nn.Conv2d(2, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Flatten(),
        nn.Linear(64, 3),
    ]
    return nn.Sequential(*layers)


def classifier(module: nn.Module | None = None, **changes: Any) -> TorchClassifier:
    settings = {
        "num_classes": CLASSES,
        "shape": SHAPE,
        "preprocessing": INPUT,
        "noise": DiscreteGaussian("40"),
        "threads": 1,
    }
    return TorchClassifier(module or network(), **(settings | changes))


class Module(nn.Module):
    """A network from a function."""

    def __init__(self, function: Callable[[torch.Tensor], Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> Any:
        return self.function(x)


@pytest.fixture(scope="module")
def usual() -> TorchClassifier:
    return classifier()


def test_it_is_a_noisy_classifier(usual: TorchClassifier) -> None:
    assert isinstance(usual, NoisyClassifier)
    assert (usual.num_classes, usual.shape) == (CLASSES, SHAPE)


@pytest.mark.parametrize("law", ["discrete", "rounded", "continuous"])
@pytest.mark.parametrize("dtype", list(DTYPES))
def test_labels_are_the_documented_function(law: str, dtype: str) -> None:
    """z = x + n exactly, one map to the input, the module in eval mode, argmax: by hand for one whole block."""
    module, noise = network(), noise_law(law, "40")
    found = classifier(module, noise=noise, dtype=dtype).labels(IMAGE, ADDRESS, 0, BLOCK)
    z = torch.from_numpy(noise.sample(ADDRESS, 0, BLOCK, IMAGE.size).astype(np.float32).reshape(BLOCK, *SHAPE) + IMAGE)
    with torch.inference_mode():
        x = to_input(z, INPUT, DTYPES[dtype], torch.channels_last)
        expected = module.eval().to(DTYPES[dtype], memory_format=torch.channels_last)(x).argmax(dim=1)
    assert found.dtype == np.uint16
    assert found.tolist() == expected.tolist()
    assert len(set(found.tolist())) > 1


def test_any_range_gives_the_same_labels(usual: TorchClassifier) -> None:
    whole = usual.labels(IMAGE, ADDRESS, 0, 4 * BLOCK)
    for start, count in ((0, 1), (255, 2), (100, 777), (256, 256), (300, 0), (1023, 1), (511, 513)):
        assert np.array_equal(usual.labels(IMAGE, ADDRESS, start, count), whole[start : start + count])
    far = 2**40 + 17
    assert np.array_equal(usual.labels(IMAGE, ADDRESS, far, 9), usual.labels(IMAGE, ADDRESS, far - 5, 20)[5:14])


@pytest.mark.parametrize("batch", [100, 256, 777])
def test_certificates_do_not_depend_on_the_batch_size(batch: int, usual: TorchClassifier) -> None:
    run = new_run(usual, data="one", data_digest="00" * 32, n0=50, n=1500, alpha="0.01", nonce="07" * 32)
    assert certify(usual, IMAGE, run, batch=batch) == certify(usual, IMAGE, run, batch=1024)


def test_rows_that_depend_on_their_batch_still_give_one_label_per_address() -> None:
    """The worst module: its logits depend on the whole batch. Aligned blocks make the labels a function of the address."""
    rude = classifier(
        Module(lambda x: torch.stack([x.mean((1, 2, 3)), x.mean().expand(len(x)), -x.mean((1, 2, 3))], 1))
    )
    whole = rude.labels(IMAGE, ADDRESS, 0, 600)
    assert np.array_equal(np.concatenate([rude.labels(IMAGE, ADDRESS, a, 50) for a in range(0, 600, 50)]), whole)


@pytest.mark.parametrize(
    "changes",
    [
        {"module": network(1)}, {"dtype": "bfloat16"}, {"dtype": "float16"}, {"threads": 2}, {"block": 128},
        {"preprocessing": Preprocessing((0.5, 0.4), (0.25, 0.21))}, {"preprocessing": Preprocessing((0.5, 0.41), (0.25, 0.2))},
        {"module": nn.Sequential(*network(), nn.Softmax(1))},
    ],
    ids=lambda c: "-".join(c),
)  # fmt: skip
def test_whatever_determines_a_label_changes_the_fingerprint(changes: dict[str, Any], usual: TorchClassifier) -> None:
    assert classifier(**changes).fingerprint != usual.fingerprint


@pytest.mark.parametrize("change", ["batch statistics", "one weight", "the sign of zero"])
def test_every_number_of_the_network_is_in_the_fingerprint(change: str, usual: TorchClassifier) -> None:
    module = network()
    with torch.no_grad():
        if change == "batch statistics":
            module[1].running_mean[0] = 1e-30
        elif change == "one weight":
            module[5].weight[2, 63] = torch.nextafter(module[5].weight[2, 63], torch.tensor(1.0))
        else:
            module[1].running_mean[0] = -0.0
    assert classifier(module).fingerprint != usual.fingerprint


def test_equal_networks_have_equal_fingerprints_whatever_the_noise(usual: TorchClassifier) -> None:
    assert classifier(noise=noise_law("rounded", "99")).fingerprint == usual.fingerprint
    assert usual.fingerprint == classifier().fingerprint
    assert len(bytes.fromhex(usual.fingerprint)) == 32


def test_constants_of_the_code_are_in_the_fingerprint() -> None:
    prints = {classifier(Module(lambda x, f=f: x.flatten(1)[:, :3] * f)).fingerprint for f in (1.0, -1.0, 1.0)}
    assert len(prints) == 2


def refusing_export(x: torch.Tensor) -> torch.Tensor:
    """A branch on data, which torch.export cannot follow."""
    return x.flatten(1)[:, :3] if float(x.sum()) > 0 else -x.flatten(1)[:, :3]


def test_a_network_that_cannot_be_exported_still_has_a_fingerprint() -> None:
    module = nn.Sequential(Module(refusing_export), nn.Linear(3, 3))
    one, other = classifier(module), classifier(nn.Sequential(*module, nn.ReLU()))
    assert one.fingerprint == classifier(module).fingerprint != other.fingerprint


def test_classes_without_source_are_named_by_their_name() -> None:
    kind = type("FromNowhere", (nn.Identity,), {"__module__": "nowhere"})
    assert "nowhere.FromNowhere" in engine._module_text(kind())


def test_the_description_says_what_counts(usual: TorchClassifier) -> None:
    facts = usual.description
    assert (facts["block"], facts["dtype"], facts["threads"], facts["torch"]) == (256, "float32", 1, torch.__version__)
    assert facts["layout"] == "channels_last"
    assert classifier(nn.Sequential(nn.Flatten(), nn.Linear(32, 3))).description["layout"] == "contiguous"
    assert facts["preprocessing"] == {"mean": [0.5, 0.4], "std": [0.25, 0.2]}
    assert facts["parameters"] == sum(p.numel() for p in network().parameters())
    assert facts["device"].startswith("cpu ")


def test_the_network_is_copied_and_left_alone() -> None:
    module = network().train()
    mine = classifier(module)
    before = mine.labels(IMAGE, ADDRESS, 0, 256)
    with torch.no_grad():
        module[5].weight.zero_()
    assert module.training
    assert module[5].weight.requires_grad
    assert np.array_equal(mine.labels(IMAGE, ADDRESS, 0, 256), before)


def test_ties_give_the_lowest_index() -> None:
    for logits in ((0.0, 0.0, 0.0), (-1.0, 5.0, 5.0)):
        tied = classifier(
            Module(lambda x, row=logits: torch.tensor(row, dtype=x.dtype).expand(len(x), 3)), dtype="bfloat16"
        )
        assert set(tied.labels(IMAGE, ADDRESS, 0, 300).tolist()) == {logits.index(max(logits))}


def test_logits_of_clean_images(usual: TorchClassifier) -> None:
    images = np.random.default_rng(1).integers(0, 256, (300, *SHAPE), dtype=np.uint8)
    found = usual.logits(images)
    assert (found.shape, found.dtype) == ((300, CLASSES), np.float32)
    assert np.array_equal(usual.logits(images[:7]), found[:7])


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
def test_wrong_outputs_are_refused(output: Callable[[torch.Tensor], Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        classifier(Module(output))


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
    ],
)
def test_wrong_settings_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        classifier(**changes)


def test_cuda_is_refused_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ParameterError, match="torch sees no CUDA device"):
        classifier(device="cuda")


def test_on_cuda_nothing_is_left_to_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.deterministic
    with engine._deterministic(torch.device("cuda")):
        assert torch.get_float32_matmul_precision() == "highest"
        assert (torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark) == (True, False)
        assert not torch.backends.cudnn.allow_tf32
    assert (torch.get_float32_matmul_precision(), torch.backends.cudnn.deterministic) == before
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "Some GPU")
    assert engine._device_name(torch.device("cuda")) == "cuda Some GPU"


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
def test_its_threads_are_its_own_and_torchs_number_is_restored() -> None:
    seen: list[int] = []
    mine = classifier(Module(lambda x: (seen.append(torch.get_num_threads()), x.flatten(1)[:, :3])[1]), threads=1)
    mine.labels(IMAGE, ADDRESS, 0, 1)
    assert (set(seen), torch.get_num_threads(), mine.threads) == ({1}, 2, 1)
    assert classifier(threads=None).threads == 2
    with pytest.raises(ParameterError):
        classifier(Module(lambda x: x[:, 9]))
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("threads", [1, 2])
def test_labels_that_change_with_the_threads_are_noticed(threads: int, usual: TorchClassifier) -> None:
    unsteady = Module(lambda x: x.flatten(1)[:, :3] * (1 if torch.get_num_threads() == 1 else -1))
    assert labels_depend_on_threads(classifier(unsteady, threads=threads), IMAGE, ADDRESS)
    assert not labels_depend_on_threads(usual, IMAGE, ADDRESS)


@pytest.mark.parametrize("text", [None, "nothing here\n"])
def test_a_processor_without_a_name(text: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(self: Path) -> str:
        if text is None:
            raise OSError("no such file")
        return text

    monkeypatch.setattr(Path, "read_text", read)
    monkeypatch.setattr("platform.processor", lambda: "some processor")
    assert engine._processor() == "some processor"
