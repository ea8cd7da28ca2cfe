"""``.hfi`` files: what goes in comes out, in the same bytes each time; everything else is refused with a reason."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

import holdfast
from holdfast.errors import ModelFileError, ParameterError
from holdfast.intnet import (
    Conv,
    Flatten,
    Input,
    IntegerNetwork,
    Linear,
    Requantise,
    Residual,
    codec,
    container,
    load,
    save,
)

ONE = Requantise(np.array([1], np.int32), np.array([1], np.uint8), -127, 127)
FACTS = {"data": "digits", "accuracy": 0.25, "sizes": [1, None, True], "name": "Größe \ud800"}


@pytest.fixture
def network() -> IntegerNetwork:
    residual = Residual(0, np.array([3], np.int32))
    weight = np.arange(-4, 5, dtype=np.int8).reshape(1, 1, 3, 3)
    convolution = Conv("conv", 0, weight, np.array([7], np.int32), ONE, padding=(1, 1, 1, 1), residual=residual)
    start = Input("in", (1, 2, 3), np.array([128], np.int32), ONE)
    fc = Linear("fc", 2, np.ones((2, 6), np.int8), np.array([1, 2], np.int32), None)
    return IntegerNetwork([start, convolution, Flatten("flat", 1), fc], FACTS)


@pytest.fixture
def path(tmp_path: Path, network: IntegerNetwork) -> Path:
    network.save(tmp_path / "net.hfi")
    return tmp_path / "net.hfi"


def test_a_file_gives_back_the_network(path: Path, network: IntegerNetwork) -> None:
    copy = load(path)
    assert (copy.digest, copy.metadata, copy.shape) == (network.digest, FACTS, (1, 2, 3))
    assert [op.name for op in copy.operations] == ["in", "conv", "flat", "fc"]
    images = np.arange(12, dtype=np.uint8).reshape(2, 1, 2, 3) * 20
    assert np.array_equal(copy.logits(images), network.logits(images))
    assert holdfast.load(str(path)).digest == network.digest


def test_a_network_is_the_same_bytes_every_time(path: Path, network: IntegerNetwork) -> None:
    assert codec.to_bytes(network) == path.read_bytes()
    save(load(path), path.with_name("again.hfi"))
    assert path.with_name("again.hfi").read_bytes() == path.read_bytes()
    assert sorted(p.name for p in path.parent.iterdir()) == ["again.hfi", "net.hfi"]


def test_memory_layout_and_order_of_bytes_change_nothing(network: IntegerNetwork) -> None:
    start, convolution, flat, fc = network.operations
    assert isinstance(fc, Linear)
    other = Linear("fc", 2, np.asfortranarray(fc.weight), fc.bias, None)
    assert codec.to_bytes(IntegerNetwork([start, convolution, flat, other], FACTS)) == codec.to_bytes(network)


def test_other_readers_of_safetensors_read_it(path: Path) -> None:
    tensors = safetensors.numpy.load_file(path)
    assert {name: (str(t.dtype), t.shape) for name, t in tensors.items()} == {
        "0.center": ("int32", (1,)),
        "0.requantise.multiplier": ("int32", (1,)),
        "0.requantise.shift": ("uint8", (1,)),
        "1.weight": ("int8", (1, 1, 3, 3)),
        "1.bias": ("int32", (1,)),
        "1.requantise.multiplier": ("int32", (1,)),
        "1.requantise.shift": ("uint8", (1,)),
        "1.residual.factor": ("int32", (1,)),
        "3.weight": ("int8", (2, 6)),
        "3.bias": ("int32", (2,)),
    }
    assert tensors["1.weight"].ravel().tolist() == list(range(-4, 5))


def test_a_file_that_another_writer_arranged_is_read(path: Path, network: IntegerNetwork) -> None:
    """Tensors in another order and not aligned, keys in another order, spaces."""
    found = container.unpack(path.read_bytes())
    texts, tensors = found.texts, found.tensors()
    header: dict[str, Any] = {}
    data = b""
    for name in sorted(tensors, key=lambda name: tensors[name].itemsize):
        piece = tensors[name].tobytes()
        header[name] = {"data_offsets": [len(data), len(data) + len(piece)], "shape": list(tensors[name].shape)}
        header[name]["dtype"] = {"int8": "I8", "uint8": "U8", "int32": "I32"}[tensors[name].dtype.name]
        data += piece
    description = json.dumps(dict(reversed(json.loads(texts["holdfast"]).items())), indent=1)
    text = json.dumps(header | {"__metadata__": {"other": "x", "holdfast": description}}).encode() + b"   "
    copy = codec.from_bytes(len(text).to_bytes(8, "little") + text + data, "another")
    assert copy.digest == network.digest
    bias = copy.operations[1].bias  # type: ignore[union-attr]
    assert bias.flags.aligned
    assert bias.tolist() == [7]


def test_reading_needs_no_torch(path: Path) -> None:
    code = f"import sys, holdfast.intnet as i; i.load({str(path)!r}); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("value", [{1}, float("nan"), b"bytes", {(1, 2): 3}])
def test_metadata_that_are_no_json_are_refused(value: Any, network: IntegerNetwork, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="the metadata of a network must be JSON values"):
        IntegerNetwork(network.operations, {"fact": value}).save(tmp_path / "net.hfi")
    assert not list(tmp_path.iterdir())


def rewritten(file: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change the header of a container and set its length right."""
    data = file.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    text = json.dumps(change(header) or header).encode()
    file.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + size :])


def described(file: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change the description."""

    def inside(header: dict[str, Any]) -> None:
        description = json.loads(header["__metadata__"]["holdfast"])
        header["__metadata__"]["holdfast"] = json.dumps(change(description) or description)

    rewritten(file, inside)


def op(position: int, **fields: Any) -> Callable[[Path], None]:
    """Set fields of an operation; ``...`` removes one."""

    def change(description: dict[str, Any]) -> None:
        found = description["operations"][position]
        found.update(fields)
        for name in [name for name, value in fields.items() if value is ...]:
            del found[name]

    return lambda file: described(file, change)


def field(**fields: Any) -> Callable[[Path], None]:
    return lambda file: described(file, lambda description: description.update(fields))


def entry(name: str, **fields: Any) -> Callable[[Path], None]:
    return lambda file: rewritten(file, lambda header: header[name].update(fields))


def text(description: str) -> Callable[[Path], None]:
    return lambda file: rewritten(file, lambda header: header["__metadata__"].update(holdfast=description))


def header(content: str) -> Callable[[Path], None]:
    return lambda file: file.write_bytes(len(content).to_bytes(8, "little") + content.encode())


def of(content: bytes) -> Callable[[Path], Any]:
    return lambda file: file.write_bytes(content)


def tensor_a(**fields: Any) -> Callable[[Path], None]:
    """A first tensor of one byte, but for these fields of its entry."""
    entry = {"dtype": "I8", "shape": [1], "data_offsets": [0, 1]} | fields
    return lambda file: rewritten(file, lambda header: {"__metadata__": header["__metadata__"], "a": entry})


HOSTILE: dict[str, tuple[Callable[[Path], Any], str]] = {
    "missing": (lambda p: p.unlink(), "cannot read .*: No such file"),
    "a folder": (lambda p: (p.unlink(), p.mkdir()), "cannot read .*: it is no regular file"),
    "a device": (lambda p: (p.unlink(), p.symlink_to("/dev/zero")), "it is no regular file"),
    "empty": (of(b""), "cut short: 0 bytes"),
    "seven bytes": (of(b"abcdefg"), "cut short: 7 bytes"),
    "cut in the header": (lambda p: p.write_bytes(p.read_bytes()[:200]), "claims a header of"),
    "cut in the tensors": (lambda p: p.write_bytes(p.read_bytes()[:-5]), "does not fit its place"),
    "too long": (lambda p: p.write_bytes(p.read_bytes() + b"x"), r"has \d+ bytes of data, its tensors"),
    "a lying header length": (lambda p: p.write_bytes((2**62).to_bytes(8, "little") + p.read_bytes()[8:]), "claims a"),
    "a pickle": (of(pickle.dumps({"a": list(range(9))}, 2)), "is a pickle .* an integer network"),
    "a torch file": (of(b"PK\x03\x04" + bytes(99)), "is a pickle"),
    "a damaged file whose length looks like a pickle": (
        of((0x280).to_bytes(8, "little") + b" " * 0x280),
        "damaged .*: its header is no JSON",
    ),
    "no text": (of(b"\x02" + bytes(7) + b"\xff\xff"), "its header is no JSON"),
    "no JSON": (header("{"), "its header is no JSON"),
    "deep JSON": (header("[" * 10**5), "its header is nested too deeply"),
    "a list": (header("[]"), "its header is a list"),
    "no table of texts": (header('{"__metadata__":[]}'), "its metadata are not texts"),
    "texts that are numbers": (header('{"__metadata__":{"holdfast":1}}'), "its metadata are not texts"),
    "a name twice": (header('{"a":1,"b":1,"a":2}'), "its header: 'a' occurs twice"),
    "NaN": (header('{"a":NaN}'), "its header: 'NaN' is no number"),
    "a float too large": (header('{"a":1e999}'), "its header: '1e999' is no number"),
    "an integer too large": (header('{"a":' + "9" * 5000 + "}"), "its header is no JSON .*limit"),
    "a tensor that is a number": (
        lambda p: rewritten(p, lambda h: h.update(a=1)),
        "tensor 'a' needs a dtype, a shape and data_offsets",
    ),
    "a tensor with more": (
        tensor_a(x=1),
        "needs a dtype, a shape and data_offsets, nothing else",
    ),
    "floats": (entry("1.bias", dtype="F32"), "tensor '1.bias' has type 'F32', which no integer network holds"),
    "a type that is a list": (entry("1.bias", dtype=[]), "has type a list of 0"),
    "a negative side": (tensor_a(shape=[-1], data_offsets=[0, 1]), "tensor 'a' has shape a list of 1"),
    "an empty side": (tensor_a(shape=[0], data_offsets=[0, 0]), "tensor 'a' has shape"),
    "a float side": (tensor_a(shape=[1.0], data_offsets=[0, 1]), "tensor 'a' has shape"),
    "a side true": (tensor_a(shape=[True], data_offsets=[0, 1]), "tensor 'a' has shape"),
    "many sides": (tensor_a(shape=[1] * 9, data_offsets=[0, 1]), "tensor 'a' has shape a list of 9"),
    "a huge side": (tensor_a(shape=[2**62], data_offsets=[0, 1]), "tensor 'a' has shape"),
    "exabytes": (tensor_a(shape=[2**61], data_offsets=[0, 2**61]), "does not fit its place"),
    "an overflowing product": (tensor_a(shape=[2**32, 2**32], data_offsets=[0, 0]), "does not fit its place"),
    "one offset": (entry("1.bias", data_offsets=[0]), "has data_offsets a list of 1"),
    "an offset true": (entry("1.bias", data_offsets=[False, 4]), "has data_offsets"),
    "offsets backwards": (entry("1.bias", data_offsets=[4, 0]), "does not fit its place 4 to 0"),
    "an offset outside": (entry("1.bias", data_offsets=[10**6, 10**6 + 4]), "does not fit its place"),
    "overlapping tensors": (entry("1.bias", data_offsets=[0, 4]), "overlap or leave a gap at byte"),
    "a gap": (lambda p: rewritten(p, lambda h: h.pop("0.center") and None), "overlap or leave a gap at byte 0"),
    "plain weights": (of(safetensors.numpy.save({"a": np.ones(2, np.int8)})), "not written by holdfast"),
    "plain float weights": (of(safetensors.numpy.save({"a": np.ones(2, np.float32)})), "not written by holdfast"),
    "a description that is no JSON": (text("{"), "its description is no JSON"),
    "a description with half a character": (text("\ud800"), "its description is no JSON"),
    "a deep description": (text("[" * 10**5), "its description is nested too deeply"),
    "a key twice in the description": (text('{"format":1,"format":2}'), "its description: 'format' occurs twice"),
    "a description that is a list": (text("[]"), "is a 'list' file: an integer network"),
    "another format": (field(format="holdfast-checkpoint"), "is a 'holdfast-checkpoint' file: an integer network"),
    "a newer version": (field(version=2), r"newer holdfast \(version 2; this one knows up to 1\): update holdfast"),
    "a newer law": (field(law=3), r"newer holdfast \(law 3; this one knows up to 1\): update holdfast"),
    "version true": (field(version=True), "its version is True"),
    "law zero": (field(law=0), "its law is 0"),
    "version 1.0": (field(version=1.0), "its version is 1.0"),
    "an unknown entry": (field(author="x"), "its description has an unknown field 'author'"),
    "no digest": (lambda p: described(p, lambda d: d.pop("digest") and None), "its description lacks 'digest'"),
    "another digest": (field(digest="0" * 64), "its content has digest [0-9a-f]{64}, its header says '0000"),
    "a digest that is a list": (field(digest=[]), "its header says a list of 0"),
    "metadata that are a list": (field(metadata=[]), "its metadata are a list of 0"),
    "operations that are a number": (field(operations=7), "its operations are 7"),
    "an operation that is a number": (field(operations=[7]), "operation 0 is 7"),
    "an operation that is a kind": (field(operations=["Flatten"]), "operation 0 is 'Flatten'"),
    "an unknown kind": (op(2, kind="Softmax"), "operation 2 is of kind 'Softmax', which this holdfast does not know"),
    "a kind that is a list": (op(2, kind=[]), "operation 2 is of kind a list of 0"),
    "a missing field": (op(1, stride=...), "Conv at 1 lacks 'stride'"),
    "an unknown field": (op(1, bits=4), "Conv at 1 has an unknown field 'bits'"),
    "a float where an integer is meant": (op(1, source=0.0), "1.source holds 0.0, not a whole number"),
    "true where an integer is meant": (op(1, groups=True), "1.groups holds True, not a whole number"),
    "a huge integer": (op(1, groups=2**31), "1.groups holds 2147483648, not a whole number of 32 bits"),
    "an integer where several are meant": (op(1, stride=1), "1.stride is 1, not 2 whole numbers"),
    "too many integers": (op(1, stride=[1, 1, 1]), "1.stride is a list of 3, not 2 whole numbers"),
    "a float among integers": (op(1, stride=[1, 1.0]), "1.stride holds 1.0, not a whole number"),
    "a name that is a number": (op(1, name=5), "1.name is 5, not a text"),
    "a name of two lines": (op(1, name="a\nb"), "operation 1: a name has 1 to 200 printable characters"),
    "a law that is a number": (op(1, requantise=5), "Requantise at 1.requantise is 5"),
    "no law for the input": (op(0, requantise=None), "Requantise at 0.requantise is None"),
    "a law that lacks a clamp": (
        op(1, requantise={"multiplier": "1.requantise.multiplier", "shift": "1.requantise.shift", "low": 0}),
        "Requantise at 1.requantise lacks 'high'",
    ),
    "crossed clamps": (
        op(
            1,
            requantise={
                "multiplier": "1.requantise.multiplier",
                "shift": "1.requantise.shift",
                "low": 5,
                "high": 4,
            },
        ),
        "describes no network that obeys the law: clamps need",
    ),
    "another's tensor": (
        op(1, bias="3.bias"),
        "1.bias names the tensor '3.bias', which is not the file's own '1.bias'",
    ),
    "a tensor named by a number": (op(1, bias=3), "1.bias names the tensor 3"),
    "a missing tensor": (
        lambda p: rewritten(p, lambda h: h.update({"x": h.pop("1.bias")})),
        "1.bias names the tensor '1.bias', which is not",
    ),
    "an unused tensor": (op(1, residual=None), "tensor '1.residual.factor' belongs to no operation"),
    "a weight of another type": (entry("1.weight", dtype="U8"), "describes no network .*weights must be int8"),
    "a weight of another shape": (
        entry("3.weight", shape=[3, 4]),
        "describes no network that obeys the law: fc: Linear",
    ),
    "one operation": (field(operations=[]), "belongs to no operation"),
    "a source that comes later": (op(1, source=2), "conv: operation 1 reads value 2, which is not an earlier one"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_other_files_are_refused_with_a_reason(case: str, path: Path) -> None:
    damage, message = HOSTILE[case]
    damage(path)
    with pytest.raises(ModelFileError, match=message) as caught:
        load(path)
    assert str(path) in str(caught.value)
    assert str(caught.value).isprintable(), "one line"


def test_a_checkpoint_is_told_apart(digits_model: Path) -> None:
    """Not as a damaged file because of its floats; and where to take it is said."""
    with pytest.raises(ModelFileError, match=r"is a 'holdfast-checkpoint' file: an integer network .*checkpoint\.load"):
        holdfast.load(digits_model)


def test_long_texts_of_a_file_are_shortened(path: Path) -> None:
    field(format="x" * 10**6)(path)
    with pytest.raises(ModelFileError) as caught:
        load(path)
    assert len(str(caught.value)) < 300 + len(str(path))


def test_a_changed_weight_is_found_by_the_digest(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(ModelFileError, match="its content has digest"):
        load(path)


def bomb(*middle: Any) -> bytes:
    """The smallest file of a network that would be large."""
    start = {"kind": "Input", "name": "in", "shape": [1, 1 << 14, 1 << 14], "center": "0.center"}
    law = {"multiplier": "0.requantise.multiplier", "shift": "0.requantise.shift", "low": 0, "high": 1}
    facts = {"format": codec.FORMAT, "version": 1, "law": 1, "digest": "", "metadata": {}}
    operations = [start | {"requantise": law}, *middle]
    tensors = {"0.center": np.zeros(1, np.int32), law["multiplier"]: np.zeros(1, np.int32)}
    tensors[law["shift"]] = np.ones(1, np.uint8)
    return container.pack(tensors, {"holdfast": json.dumps(facts | {"operations": operations})})


def step(kind: str, source: int, **settings: Any) -> dict[str, Any]:
    return {"kind": kind, "name": kind, "source": source} | settings


JOIN = {"kind": "Concat", "name": "join", "sources": [2] * 20}
WIDE = {"stride": [1, 1], "padding": [65536, 65536, 0, 0], "dilation": [1, 1]}
BOMBS: dict[str, tuple[list[Any], str]] = {
    "a flat value": ([step("Flatten", 0)], "huge value"),
    "many channels": (
        [
            step("Subsample", 0, stride=[1 << 14, 1 << 14]),
            step("Pad", 1, before=[65536, 0, 0], after=[65536, 0, 0]),
            *[JOIN] * 100,
        ],
        r"2\^22 channels",
    ),
    "many windows": (
        [step("Subsample", 0, stride=[1, 1 << 14]), step("MaxPool", 1, kernel=[65536, 1], **WIDE)],
        "lies wholly in the padding",
    ),
}


@pytest.mark.parametrize("case", BOMBS)
def test_a_small_file_needs_little_memory(case: str) -> None:
    operations, message = BOMBS[case]
    data = bomb(*operations)
    tracemalloc.start()
    try:
        with pytest.raises(ModelFileError, match=message):
            codec.from_bytes(data, "bomb")
        assert tracemalloc.get_traced_memory()[1] < 256 * 2**20
    finally:
        tracemalloc.stop()
