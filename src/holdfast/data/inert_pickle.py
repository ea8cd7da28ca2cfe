"""Reading the pickles of CIFAR without executing them.

A pickle is a program; :mod:`pickle` runs it, and may be made to call anything. This is an interpreter for the few
instructions the published CIFAR-10 and CIFAR-100 files consist of. It builds integers, byte strings, lists, tuples,
dictionaries and uint8 arrays, and knows of three names that say "here comes an array". It imports nothing and calls
nothing that the file names; any other instruction or name is refused.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from pickletools import opcodes
from typing import Any

import numpy as np
from numpy.typing import NDArray

from holdfast.errors import DataFileError

__all__ = ["read_inert_pickle"]


@dataclass(frozen=True, slots=True)
class _Name:
    """A global the file refers to; only ever compared, never imported."""

    text: str


@dataclass(slots=True, eq=False)
class _Array:
    """``numpy.ndarray`` under construction; ``value`` is None until BUILD sets it."""

    value: NDArray[np.uint8] | None = None


@dataclass(slots=True, eq=False)
class _ByteType:
    """``numpy.dtype("u1")``, the only dtype these files have."""


MAX_INSTRUCTIONS = 1_000_000
"""The largest published file, CIFAR-100's ``train``, has about 200 000."""

_MARK = object()
_RECONSTRUCT = (_Name("numpy.core.multiarray _reconstruct"), _Name("numpy._core.multiarray _reconstruct"))
_NDARRAY, _DTYPE = _Name("numpy ndarray"), _Name("numpy dtype")
_NAMES = {name.text: name for name in (*_RECONSTRUCT, _NDARRAY, _DTYPE)}


def read_inert_pickle(data: bytes, where: Path | str) -> dict[bytes, Any]:
    """Read the dictionary in a CIFAR batch file.

    Args:
        data: all bytes of the file.
        where: the file, for messages.

    Returns:
        Values by key. A value is an int, None, bool, bytes, a list, tuple or dict of these, or a uint8 array
        (a read-only view of ``data``).

    Raises:
        DataFileError: the pickle is damaged, or contains an instruction or a name that these files do not have;
            the message names it. Nothing was executed.
    """
    try:
        result = _Machine(data).run()
    except _Refused as refused:
        raise DataFileError(f"{where}: {refused}") from None
    except (struct.error, IndexError, KeyError, TypeError, ValueError) as error:
        raise DataFileError(f"{where}: a damaged pickle ({type(error).__name__}: {error})") from error
    if not isinstance(result, dict):
        raise DataFileError(f"{where}: the pickle holds no dictionary, so it is no CIFAR batch")
    return {key: _plain(value) for key, value in result.items()}


class _Refused(Exception):
    """The pickle asks for something these files do not ask for."""


class _Machine:
    """The stack machine. One method per group of instructions; :data:`_STEPS` is the whole language."""

    def __init__(self, data: bytes) -> None:
        self.data, self.view, self.at = data, memoryview(data), 0
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        data, size, steps = self.data, len(self.data), _STEPS
        for _ in range(MAX_INSTRUCTIONS):
            if self.at >= size:
                raise _Refused("the pickle is cut off (no STOP)")
            code = data[self.at]
            self.at += 1
            if code == _STOP:
                return self.finish()
            step = steps[code]
            if step is None:
                raise _Refused(f"refused the pickle instruction {_opcode_name(code)} at byte {self.at - 1}")
            step(self)
        raise _Refused(f"the pickle has more than {MAX_INSTRUCTIONS} instructions; a CIFAR file has far fewer")

    def finish(self) -> Any:
        if self.at != len(self.data) or len(self.stack) != 1:
            raise _Refused("the pickle has something after its end")
        return self.stack[0]

    def take(self, count: int) -> memoryview:
        part = self.view[self.at : self.at + count]
        if len(part) < count:
            raise _Refused(f"the pickle is cut off: {count} bytes expected at byte {self.at}, {len(part)} are there")
        self.at += count
        return part

    def number(self, form: struct.Struct) -> int:
        return int(form.unpack(self.take(form.size))[0])

    def since_mark(self) -> list[Any]:
        stack = self.stack
        for i in range(len(stack) - 1, -1, -1):
            if stack[i] is _MARK:
                items = stack[i + 1 :]
                del stack[i:]
                return items
        raise _Refused("the pickle is damaged (no MARK)")

    def top(self, kind: type) -> Any:
        value = self.stack[-1]
        if type(value) is not kind:
            raise _Refused(f"the pickle is damaged (a {kind.__name__} was expected at byte {self.at - 1})")
        return value

    # numbers and strings

    def protocol(self) -> None:
        if (version := self.take(1)[0]) > 2:
            raise _Refused(f"pickle protocol {version}; the CIFAR files have protocol 2")

    def short_string(self) -> None:
        self.stack.append(bytes(self.take(self.take(1)[0])))

    def long_string(self) -> None:
        if (count := self.number(_INT32)) < 0:
            raise _Refused(f"the pickle is damaged (a string of {count} bytes)")
        self.stack.append(self.take(count))

    # the memo

    def put(self, form: struct.Struct) -> None:
        if (value := self.stack[-1]) is _MARK:
            raise _Refused("the pickle is damaged (MARK stored)")
        self.memo[self.number(form)] = value

    def get(self, form: struct.Struct) -> None:
        self.stack.append(self.memo[self.number(form)])

    # containers

    def pack(self, count: int) -> None:
        if len(self.stack) < count or _MARK in (items := self.stack[-count:]):
            raise _Refused("the pickle is damaged (a tuple without enough items)")
        self.stack[-count:] = [tuple(items)]

    def pack_marked(self) -> None:
        self.stack.append(tuple(self.since_mark()))

    def append(self) -> None:
        value = self.stack.pop()
        self.top(list).append(value)

    def appends(self) -> None:
        items = self.since_mark()
        self.top(list).extend(items)

    def set_items(self, items: list[Any]) -> None:
        target = self.top(dict)
        if len(items) % 2 or not all(type(key) is bytes for key in items[::2]):
            raise _Refused("the pickle is damaged (dictionary keys must be strings)")
        target.update(zip(items[::2], items[1::2], strict=True))

    def set_item(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self.set_items([key, value])

    # arrays

    def name(self) -> None:
        ends = self.at
        for _ in range(2):
            ends = self.data.find(b"\n", ends, self.at + 200) + 1
            if not ends:
                raise _Refused(f"the pickle is damaged (a name without an end at byte {self.at})")
        text = self.data[self.at : ends - 1].replace(b"\n", b" ").decode("ascii", "backslashreplace")
        if text not in _NAMES:
            raise _Refused(f"refused the name {text!r}; a CIFAR file names nothing but numpy's array and dtype")
        self.at = ends
        self.stack.append(_NAMES[text])

    def reduce(self) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        if function in _RECONSTRUCT and arguments == (_NDARRAY, (0,), b"b"):
            self.stack.append(_Array())
        elif function == _DTYPE and arguments == (b"u1", 0, 1):
            self.stack.append(_ByteType())
        else:
            what = function.text if isinstance(function, _Name) else type(function).__name__
            raise _Refused(f"refused to call {what!r} with other arguments than a CIFAR file has")

    def build(self) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        if isinstance(target, _ByteType):
            if state != (3, b"|", None, None, None, -1, -1, 0):
                raise _Refused("refused a dtype that is not plain uint8")
        elif isinstance(target, _Array):
            target.value = _array(state)
        else:
            raise _Refused(f"refused to set the state of a {type(target).__name__}")


def _array(state: Any) -> NDArray[np.uint8]:
    if type(state) is not tuple or len(state) != 5:
        raise _Refused("refused an array whose state is not (version, shape, dtype, order, bytes)")
    version, shape, dtype, fortran, content = state
    shaped = type(shape) is tuple and 1 <= len(shape) <= 4 and all(type(n) is int and n >= 0 for n in shape)
    if version != 1 or not shaped or not isinstance(dtype, _ByteType) or type(fortran) is not bool:
        raise _Refused("refused an array that is not plain uint8 with one to four dimensions")
    if not isinstance(content, bytes | memoryview) or len(content) != math.prod(shape):
        raise _Refused(f"the pickle is damaged (an array of shape {shape} does not have {math.prod(shape)} bytes)")
    return np.frombuffer(content, dtype=np.uint8).reshape(shape, order="F" if fortran else "C")


def _plain(value: Any) -> Any:
    if isinstance(value, memoryview):
        return bytes(value)
    return value.value if isinstance(value, _Array) else value


_BYTE, _UINT16, _INT32, _UINT32 = (struct.Struct(form) for form in ("<B", "<H", "<i", "<I"))
_STOP = ord(".")


def _push(make: Callable[[], Any]) -> Callable[[_Machine], None]:
    return lambda machine: machine.stack.append(make())


_LANGUAGE: dict[str, Callable[[_Machine], None]] = {
    "PROTO": _Machine.protocol,
    "MARK": _push(lambda: _MARK),
    "NONE": _push(lambda: None),
    "NEWTRUE": _push(lambda: True),
    "NEWFALSE": _push(lambda: False),
    "EMPTY_DICT": _push(dict),
    "EMPTY_LIST": _push(list),
    "EMPTY_TUPLE": _push(tuple),
    "BININT1": lambda machine: machine.stack.append(machine.number(_BYTE)),
    "BININT2": lambda machine: machine.stack.append(machine.number(_UINT16)),
    "BININT": lambda machine: machine.stack.append(machine.number(_INT32)),
    "SHORT_BINSTRING": _Machine.short_string,
    "BINSTRING": _Machine.long_string,
    "BINPUT": lambda machine: machine.put(_BYTE),
    "LONG_BINPUT": lambda machine: machine.put(_UINT32),
    "BINGET": lambda machine: machine.get(_BYTE),
    "LONG_BINGET": lambda machine: machine.get(_UINT32),
    "TUPLE": _Machine.pack_marked,
    "TUPLE1": lambda machine: machine.pack(1),
    "TUPLE2": lambda machine: machine.pack(2),
    "TUPLE3": lambda machine: machine.pack(3),
    "APPEND": _Machine.append,
    "APPENDS": _Machine.appends,
    "SETITEM": _Machine.set_item,
    "SETITEMS": lambda machine: machine.set_items(machine.since_mark()),
    "GLOBAL": _Machine.name,
    "REDUCE": _Machine.reduce,
    "BUILD": _Machine.build,
}
_CODES = {info.name: ord(info.code) for info in opcodes}
_OPCODE_NAMES = {code: name for name, code in _CODES.items()}
_STEPS: list[Callable[[_Machine], None] | None] = [None] * 256
for _name, _step in _LANGUAGE.items():
    _STEPS[_CODES[_name]] = _step


def _opcode_name(code: int) -> str:
    return _OPCODE_NAMES.get(code, f"0x{code:02x}")
