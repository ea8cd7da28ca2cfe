"""A network of the user's own: the code, the usual wrappers around weights, and what is refused."""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from holdfast.errors import ModelFileError, ParameterError
from holdfast.models import ModelSpec, checkpoint, load_user
from holdfast.models.user_module import build_user, check_logits
from holdfast.records import Preprocessing

GREY = Preprocessing((0.5,), (0.25,))
CODE = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, classes=4):
        super().__init__()
        self.conv = nn.Conv2d(1, 3, 3, padding=1)
        self.bn = nn.BatchNorm2d(3)
        self.fc = nn.Linear(3, classes)

    def forward(self, x):
        return self.fc(self.bn(self.conv(x)).relu().mean((2, 3)))

def make(): return Net()
def one_class(): return Net(1)
def wrong(): return "a text"
def broken(): raise RuntimeError("no licence")
class Pair(Net):
    def forward(self, x): return super().forward(x), 1
number = 3
"""


@pytest.fixture(autouse=True)
def _user_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "usernet.py").write_text(CODE)
    (tmp_path / "halfnet.py").write_text("import not_installed_anywhere")
    (tmp_path / "badnet.py").write_text("1 / 0")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    sys.modules.pop("usernet", None)


def weights() -> dict[str, Tensor]:
    torch.manual_seed(3)
    return build_user("usernet:make").state_dict()


def load(path: str | None, factory: str = "usernet:make") -> tuple[torch.nn.Module, ModelSpec]:
    return load_user(factory, None if path is None else Path(path), preprocessing=GREY, shape=(1, 8, 8))


def prefixed(prefix: str) -> dict[str, Tensor]:
    return {prefix + name: value for name, value in weights().items()}


WRAPPED: dict[str, Callable[[], Any]] = {
    "bare": weights,
    "state_dict": lambda: {"state_dict": weights(), "epoch": 3},
    "model_state_dict": lambda: {"model_state_dict": weights(), "optimizer": {"lr": 0.1}},
    "model": lambda: {"model": weights()},
    "model and state_dict": lambda: {"model": {"state_dict": weights()}},
    "data parallel": lambda: {"state_dict": prefixed("module.")},
    "compiled": lambda: prefixed("_orig_mod."),
    "compiled inside data parallel": lambda: prefixed("module._orig_mod."),
    "data parallel inside compiled": lambda: prefixed("_orig_mod.module."),
    "old, without counters": lambda: {n: v for n, v in weights().items() if "num_batches" not in n},
    "half precision": lambda: {n: v.half() if v.is_floating_point() else v for n, v in weights().items()},
}


@pytest.mark.parametrize("case", WRAPPED)
@pytest.mark.parametrize("legacy", [False, True])
def test_usual_wrappers_are_understood(case: str, legacy: bool) -> None:
    torch.save(WRAPPED[case](), "w.pt", _use_new_zipfile_serialization=not legacy)
    module, spec = load("w.pt")
    assert spec == ModelSpec("usernet:make", 4, (1, 8, 8), GREY)
    assert not module.training
    for name, value in weights().items():
        torch.testing.assert_close(module.state_dict()[name], value, rtol=1e-3, atol=1e-3)


def test_safetensors_weights_are_understood() -> None:
    save_file(prefixed("module."), "w.safetensors")
    module, _ = load("w.safetensors")
    assert all(torch.equal(value, module.state_dict()[name]) for name, value in weights().items())


def test_without_weights_the_factory_s_are_kept() -> None:
    assert load(None)[1].num_classes == 4


class Touch:
    """Unpickling an instance creates a directory."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, ("unpickled",))


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "code": (lambda: torch.save({"state_dict": Touch()}, "w.pt"), "would run code"),
    "a bare pickle": (lambda: Path("w.pt").write_bytes(pickle.dumps(Touch())), "w.pt"),
    "a whole network": (lambda: torch.save(build_user("usernet:make"), "w.pt"), "would run code"),
    "a tensor": (lambda: torch.save(torch.ones(3), "w.pt"), "holds a Tensor"),
    "nothing": (lambda: torch.save({}, "w.pt"), "without tensors"),
    "no tensor": (lambda: torch.save({"lr": 0.1}, "w.pt"), "entry 'lr' is a float"),
    "numbered": (lambda: torch.save({1: torch.ones(1)}, "w.pt"), "entry 1 "),
    "empty": (lambda: Path("w.pt").write_bytes(b""), "w.pt"),
    "garbage": (lambda: Path("w.pt").write_bytes(b"\x00garbage" * 99), "w.pt"),
    "missing": (lambda: None, "cannot read w.pt"),
    "cut short": (
        lambda: (torch.save(weights(), "w.pt"), Path("w.pt").write_bytes(Path("w.pt").read_bytes()[:-100])),
        "cannot read w.pt",
    ),
    "another network's": (lambda: torch.save({"other": torch.ones(1)}, "w.pt"), "'conv.weight' is missing"),
    "one too many": (lambda: torch.save(weights() | {"zeta": torch.ones(1)}, "w.pt"), "'zeta' is unexpected"),
    "another shape": (
        lambda: torch.save(weights() | {"fc.bias": torch.ones(5)}, "w.pt"),
        r"'fc.bias' has shape \(5,\)",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_other_weights_are_refused_and_never_run(case: str) -> None:
    write, message = REFUSED[case]
    write()
    with pytest.raises(ModelFileError, match=message):
        load("w.pt")
    assert not Path("unpickled").exists()


def test_damaged_safetensors_are_refused() -> None:
    Path("w.safetensors").write_bytes(b"abc")
    with pytest.raises(ModelFileError, match=r"w\.safetensors as safetensors"):
        load("w.safetensors")


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        ("usernet", "package.module:factory"),
        (":make", "package.module:factory"),
        ("usernet:", "package.module:factory"),
        ("usernet:make()", "package.module:factory"),
        ("nowhere:make", "no module 'nowhere'"),
        ("halfnet:make", "no module 'not_installed_anywhere'"),
        ("badnet:make", "ZeroDivisionError"),
        ("usernet:absent", "no function or class 'absent'"),
        ("usernet:number", "no function or class 'number'"),
        ("usernet:wrong", "returned a str"),
        ("usernet:broken", "RuntimeError: no licence"),
        ("usernet:one_class", r"returned \(2, 1\)"),
        ("usernet:Pair", "returned tuple"),
    ],
)
def test_factories_that_give_no_network_are_refused(factory: str, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        load(None, factory)


def test_a_seed_makes_the_factory_s_weights_repeat_and_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    one, two, other = (build_user("usernet:make", seed=s).state_dict() for s in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(one["fc.weight"], two["fc.weight"])
    assert not torch.equal(one["fc.weight"], other["fc.weight"])


def test_a_network_for_other_images_is_refused_and_left_as_it_was() -> None:
    module = build_user("usernet:make").train()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    with pytest.raises(ParameterError, match=r"cannot take images of shape \(3, 8, 8\)"):
        check_logits(module, (3, 8, 8))
    assert check_logits(module, (1, 8, 8)) == 4
    assert module.training
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_a_checkpoint_of_the_user_s_network_needs_the_user_to_name_it_again() -> None:
    module, spec = load(None)
    checkpoint.save(Path("net.safetensors"), module, spec, {})
    again, found, _ = checkpoint.load(Path("net.safetensors"), factory="usernet:make")
    assert found == spec
    assert torch.equal(again.state_dict()["fc.weight"], module.state_dict()["fc.weight"])
    with pytest.raises(ModelFileError, match="usernet:Net was given"):
        checkpoint.load(Path("net.safetensors"), factory="usernet:Net")
