"""Checkpoints: what goes in comes out, and everything else is refused with a reason."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from holdfast.errors import ModelFileError
from holdfast.models import ModelSpec, build, checkpoint, tensorfile
from holdfast.records import Preprocessing

SPEC = ModelSpec("cnn-small", 10, (1, 8, 8), Preprocessing((0.1307,), (0.3081,)), {"widths": [4, 8]})
FACTS = {"data": "digits", "sigma": "0.25", "seed": 3, "epochs": 2, "clean_accuracy": 0.9}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "net.safetensors"
    checkpoint.save(file, build(SPEC, seed=1), SPEC, FACTS)
    return file


def test_a_checkpoint_gives_back_module_spec_and_facts(path: Path) -> None:
    saved = build(SPEC, seed=1)
    module, spec, facts = checkpoint.load(path)
    assert (spec, facts) == (SPEC, FACTS)
    assert checkpoint.read_header(path) == (SPEC, FACTS)
    assert not module.training
    assert all(torch.equal(value, module.state_dict()[name]) for name, value in saved.state_dict().items())
    x = torch.ones(2, 1, 8, 8)
    assert torch.equal(module(x), saved.eval()(x))


def test_a_file_is_the_same_for_any_memory_layout(path: Path, tmp_path: Path) -> None:
    module = build(SPEC, seed=1).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    checkpoint.save(tmp_path / "other.safetensors", module, SPEC, FACTS)
    assert (tmp_path / "other.safetensors").read_bytes() == path.read_bytes()


def test_weights_of_a_checkpoint_start_another_network(path: Path) -> None:
    module = build(SPEC, seed=2)
    checkpoint.load_weights(module, path)
    assert torch.equal(module.state_dict()["fc.weight"], build(SPEC, seed=1).state_dict()["fc.weight"])
    with pytest.raises(ModelFileError, match="does not fit"):
        checkpoint.load_weights(build(ModelSpec("mlp", 10, (1, 8, 8), SPEC.preprocessing), seed=0), path)


class Touch:
    """Unpickling an instance creates a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (str(self.target),))


def header(path: Path, **changes: Any) -> None:
    """Rewrite a checkpoint with fields of its header changed; None removes one."""
    _, tensors = tensorfile.read(path, checkpoint.FORMAT, checkpoint.VERSION)
    full = {"format": checkpoint.FORMAT, "version": 1, "model": SPEC.to_json(), "metadata": FACTS} | changes
    save_file(tensors, path, {"holdfast": json.dumps({k: v for k, v in full.items() if v is not None})})


def tensors_changed(path: Path, change: Callable[[dict[str, torch.Tensor]], Any]) -> None:
    _, tensors = tensorfile.read(path, checkpoint.FORMAT, checkpoint.VERSION)
    change(tensors)
    tensorfile.write(path, checkpoint.FORMAT, 1, {"model": SPEC.to_json(), "metadata": FACTS}, tensors)


def length_lies(path: Path) -> None:
    path.write_bytes((2**62).to_bytes(8, "little") + path.read_bytes()[8:])


HOSTILE: dict[str, tuple[Callable[[Path], Any], str]] = {
    "missing": (lambda p: p.unlink(), "cannot read"),
    "empty": (lambda p: p.write_bytes(b""), "cut short: 0 bytes"),
    "four bytes": (lambda p: p.write_bytes(b"abcd"), "cut short: 4 bytes"),
    "garbage": (lambda p: p.write_bytes(os.urandom(999)), "damaged"),
    "cut in the header": (lambda p: p.write_bytes(p.read_bytes()[:200]), "damaged"),
    "cut in the tensors": (lambda p: p.write_bytes(p.read_bytes()[:-5]), "damaged"),
    "too long": (lambda p: p.write_bytes(p.read_bytes() + b"x"), "damaged"),
    "a lying header length": (length_lies, "damaged"),
    "a pickle": (lambda p: p.write_bytes(pickle.dumps(Touch(p.parent / "run"), 2)), "pickle"),
    "a torch file": (lambda p: torch.save({"a": torch.ones(1)}, p), "pickle"),
    "plain weights": (lambda p: save_file({"a": torch.ones(1)}, p), "not written by holdfast"),
    "no JSON": (lambda p: save_file({"a": torch.ones(1)}, p, {"holdfast": "{"}), "no JSON"),
    "deep JSON": (lambda p: save_file({"a": torch.ones(1)}, p, {"holdfast": "[" * 10**5}), "no JSON"),
    "a list": (lambda p: save_file({"a": torch.ones(1)}, p, {"holdfast": "[]"}), "'list' file"),
    "another format": (lambda p: header(p, format="holdfast-training-state"), "'holdfast-training-state' file"),
    "a newer version": (lambda p: header(p, version=2), "newer holdfast .*version 2"),
    "version true": (lambda p: header(p, version=True), "version True"),
    "version zero": (lambda p: header(p, version=0), "version 0"),
    "no metadata": (lambda p: header(p, metadata=None), "no metadata"),
    "no spec": (lambda p: header(p, model=None), "does not describe a network"),
    "unknown network": (lambda p: header(p, model=SPEC.to_json() | {"name": "vgg"}), "no network is called 'vgg'"),
    "unknown option": (lambda p: header(p, model=SPEC.to_json() | {"options": {"x": 1}}), "no option 'x'"),
    "a network of terabytes": (
        lambda p: header(p, model=SPEC.to_json() | {"name": "mlp", "options": {"widths": [65536] * 64}}),
        "does not fit",
    ),
    "an image of exabytes": (
        lambda p: header(p, model=SPEC.to_json() | {"name": "mlp", "shape": [1, 10**10, 10**10], "options": {}}),
        "does not describe a network: shape",
    ),
    "the user's code": (
        lambda p: header(p, model=SPEC.to_json() | {"name": "os:getcwd"}),
        "none was given.*give os:getcwd as the network",
    ),
    "a missing tensor": (lambda p: tensors_changed(p, lambda t: t.pop("fc.bias")), "'fc.bias' is missing"),
    "an unexpected tensor": (
        lambda p: tensors_changed(p, lambda t: t.update(zeta=torch.ones(1))),
        "'zeta' is unexpected",
    ),
    "another shape": (
        lambda p: tensors_changed(p, lambda t: t.update({"fc.bias": torch.ones(3)})),
        r"'fc.bias' has shape \(3,\), the network needs \(10,\)",
    ),
    "another type": (
        lambda p: tensors_changed(p, lambda t: t.update({"fc.bias": torch.ones(10, dtype=torch.int32)})),
        "'fc.bias' has type torch.int32",
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_other_files_are_refused_with_a_reason(case: str, path: Path) -> None:
    damage, message = HOSTILE[case]
    damage(path)
    with pytest.raises(ModelFileError, match=message) as caught:
        checkpoint.load(path)
    assert str(path) in str(caught.value)
    assert not (path.parent / "run").exists()


def test_a_checkpoint_whose_length_looks_like_a_pickle_is_read(path: Path) -> None:
    for padding in range(0, 400, 8):
        checkpoint.save(path, build(SPEC, seed=1), SPEC, {"note": "x" * padding})
        if path.read_bytes().startswith(b"\x80\x05"):
            assert checkpoint.read_header(path)[0] == SPEC
            return
    pytest.fail("no header of that length was found")


def test_a_failed_write_leaves_the_old_file_and_no_other(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = path.read_bytes()

    def no_space(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(OSError, match="No space"):
        checkpoint.save(path, build(SPEC, seed=2), SPEC, FACTS)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]
