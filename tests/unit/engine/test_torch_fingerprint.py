"""The fingerprint of a float network: everything that determines a label, noise excluded, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from holdfast.engine import torch as engine
from holdfast.engine.torch import TorchClassifier
from holdfast.noise import noise_law
from holdfast.records import Preprocessing

Make = Callable[..., Any]


@pytest.mark.parametrize(
    "changes",
    [
        {"dtype": "bfloat16"},
        {"dtype": "float16"},
        {"threads": 2},
        {"block": 128},
        {"preprocessing": Preprocessing((0.5, 0.4), (0.25, 0.21))},
        {"preprocessing": Preprocessing((0.5, 0.41), (0.25, 0.2))},
    ],
    ids=lambda changes: "-".join(changes),
)
def test_every_setting_changes_it(changes: dict[str, Any], usual: TorchClassifier, classifier: Make) -> None:
    assert classifier(**changes).fingerprint != usual.fingerprint


def test_the_number_of_classes_and_the_shape_change_it(classifier: Make, function_module: Make) -> None:
    """For one module that takes and gives whatever it is asked for."""
    prints = {
        classifier(nn.Flatten(), num_classes=2 * h * w, shape=(2, h, w)).fingerprint
        for h, w in ((1, 4), (4, 1), (2, 3))
    }
    assert len(prints) == 3


@pytest.mark.parametrize("change", ["batch statistics", "one weight", "the sign of zero", "another seed"])
def test_every_number_of_the_network_changes_it(
    change: str, usual: TorchClassifier, classifier: Make, network: Make
) -> None:
    module = network(1 if change == "another seed" else 0)
    with torch.no_grad():
        if change == "batch statistics":
            module[1].running_mean[0] = 1e-30
        elif change == "one weight":
            module[5].weight[2, 63] = torch.nextafter(module[5].weight[2, 63], torch.tensor(1.0))
        elif change == "the sign of zero":
            module[1].running_mean[0] = -0.0
    assert classifier(module).fingerprint != usual.fingerprint


def test_another_graph_of_the_same_weights_changes_it(usual: TorchClassifier, classifier: Make, network: Make) -> None:
    assert classifier(nn.Sequential(*network(), nn.Softmax(1))).fingerprint != usual.fingerprint


def test_constants_of_the_code_change_it(classifier: Make, function_module: Make) -> None:
    modules = [function_module(lambda x, f=factor: x.flatten(1)[:, :3] * f) for factor in (1.0, -1.0, 1.0)]
    assert len({classifier(module).fingerprint for module in modules}) == 2


def test_equal_networks_have_equal_ones_whatever_the_noise(usual: TorchClassifier, classifier: Make) -> None:
    assert classifier(noise=noise_law("rounded", "99")).fingerprint == usual.fingerprint
    assert usual.fingerprint == classifier().fingerprint
    assert len(bytes.fromhex(usual.fingerprint)) == 32


def branching(x: torch.Tensor) -> torch.Tensor:
    """A branch on data, which torch.export cannot follow."""
    return x.flatten(1)[:, :3] if float(x.sum()) > 0 else -x.flatten(1)[:, :3]


def test_a_network_that_cannot_be_exported_still_has_one(classifier: Make, function_module: Make) -> None:
    module = nn.Sequential(function_module(branching), nn.Linear(3, 3))
    one, other = classifier(module), classifier(nn.Sequential(*module, nn.ReLU()))
    assert one.fingerprint == classifier(module).fingerprint != other.fingerprint


class Scaled(nn.Module):
    """A network that multiplies by numbers which are in no ``state_dict``."""

    def __init__(self, factor: float, kind: str) -> None:
        super().__init__()
        if kind == "buffer":
            self.register_buffer("factor", torch.full((3,), factor), persistent=False)
        else:
            self.factor = torch.full((3,), factor) if kind == "tensor" else factor
        self.branch = kind.endswith("not exportable")
        if kind.startswith("settings"):
            self.factor, self.settings = 1.0, {"factors": (factor, [0.5, None])}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = branching(x) if self.branch else x.flatten(1)[:, :3]
        return y * self.factor * (self.settings["factors"][0] if hasattr(self, "settings") else 1)


@pytest.mark.parametrize(
    "kind", ["number", "buffer", "tensor", "settings", "number, not exportable", "settings, not exportable"]
)
def test_numbers_outside_the_state_dict_change_it(kind: str, classifier: Make) -> None:
    """The factors 1 and -1 give opposite labels: two networks with one fingerprint could pass for each other."""
    one, other = (classifier(Scaled(factor, kind)) for factor in (1.0, -1.0))
    assert one.fingerprint != other.fingerprint


def test_classes_without_source_are_named_by_their_name() -> None:
    kind = type("FromNowhere", (nn.Identity,), {"__module__": "nowhere"})
    assert "nowhere.FromNowhere" in engine._module_text(kind())


def test_the_description_says_what_counts(usual: TorchClassifier, classifier: Make, network: Make) -> None:
    facts = usual.description
    assert (facts["block"], facts["dtype"], facts["threads"], facts["torch"]) == (256, "float32", 1, torch.__version__)
    assert facts["layout"] == "channels_last"
    assert classifier(nn.Sequential(nn.Flatten(), nn.Linear(32, 3))).description["layout"] == "contiguous"
    assert facts["preprocessing"] == {"mean": [0.5, 0.4], "std": [0.25, 0.2]}
    assert facts["parameters"] == sum(p.numel() for p in network().parameters())
    assert facts["device"].startswith("cpu ")


def test_a_gpu_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "Some GPU")
    assert engine._device_name(torch.device("cuda")) == "cuda Some GPU"


@pytest.mark.parametrize("text", [None, "nothing here\n"])
def test_a_processor_without_a_name(text: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(self: Path) -> str:
        if text is None:
            raise OSError("no such file")
        return text

    monkeypatch.setattr(Path, "read_text", read)
    monkeypatch.setattr("platform.processor", lambda: "some processor")
    assert engine._processor() == "some processor"
