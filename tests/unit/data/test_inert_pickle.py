"""The pickle reader: what it builds, and that it runs nothing."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from holdfast.data import inert_pickle
from holdfast.data.inert_pickle import read_inert_pickle
from holdfast.errors import DataFileError


def test_what_it_builds(formats: SimpleNamespace) -> None:
    pixels = formats.images(300, (3072,))
    batch = read_inert_pickle(formats.cifar_batch(pixels, labels=list(range(300))), "b")
    assert batch[b"batch_label"] == b"testing batch 1 of 1"
    assert batch[b"labels"] == list(range(300))
    assert batch[b"filenames"][299] == b"picture_000299.png"
    np.testing.assert_array_equal(batch[b"data"], pixels)


@pytest.mark.parametrize(
    ("program", "value"),
    [
        (b"U\x01akU\x01bK\x01s", None),  # an instruction that is not known
        (b"U\x01aK\x07s", 7),
        (b"U\x01aM\x00\x01s", 256),
        (b"U\x01aJ\xff\xff\xff\xffs", -1),
        (b"U\x01aNs", None),
        (b"U\x01a\x88s", True),
        (b"U\x01a\x89s", False),
        (b"U\x01a)s", ()),
        (b"U\x01a(K\x01K\x02ts", (1, 2)),
        (b"U\x01aK\x01K\x02\x86s", (1, 2)),
        (b"U\x01a]K\x01aK\x02as", [1, 2]),
        (b"U\x01a]q\x05h\x05K\x03a0s", None),  # POP is not known
        (b"U\x01aq\x05h\x05s", b"a"),
        (b"U\x01ar\x05\0\0\0j\x05\0\0\0s", b"a"),
        (b"U\x01aT\x02\0\0\0xys", b"xy"),
    ],
)
def test_instructions_agree_with_pickle(program: bytes, value: object) -> None:
    data = b"\x80\x02}" + program + b"."
    if value is None and program[-2:] != b"Ns":
        with pytest.raises(DataFileError, match="refused the pickle instruction"):
            read_inert_pickle(data, "b")
        return
    assert read_inert_pickle(data, "b") == {b"a": value}
    assert pickle.loads(data, encoding="bytes") == {b"a": value}  # noqa: S301 (a known program)


def test_column_major_arrays(formats: SimpleNamespace) -> None:
    pixels = formats.images(2, (3,))
    data = b"}U\x04data" + formats.pickled_array(pixels).replace(b"tb\x89T", b"tb\x88T") + b"s."
    np.testing.assert_array_equal(read_inert_pickle(data, "b")[b"data"], pixels.reshape(-1).reshape(2, 3, order="F"))


class Call:
    """What a hostile pickle is made of."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_call_is_refused_and_not_made(tmp_path: Path, protocol: int) -> None:
    marker = tmp_path / "was-executed"
    for payload in (Call(marker), {"labels": Call(marker)}, [Call(marker)]):
        with pytest.raises(DataFileError, match=r"refused|protocol"):
            read_inert_pickle(pickle.dumps(payload, protocol), "evil")
    assert not marker.exists()


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (b"cos\nsystem\nU\x02ls\x85R.", "refused the name 'os system'"),
        (b"cbuiltins\neval\n", "refused the name 'builtins eval'"),
        (b"cnumpy\nfromfile\n", "refused the name 'numpy fromfile'"),
        (b"cnumpy.core.multiarray\n_reconstruct\nq\x01cnumpy\nndarray\nK\x00\x85U\x01c\x87R", "refused to call"),
        (b"cnumpy\ndtype\nU\x02O8K\x00K\x01\x87R", "refused to call 'numpy dtype'"),
        (
            b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb",
            "not plain uint8",
        ),
        (b"cnumpy\nndarray\n)R", "refused to call 'numpy ndarray'"),
        (b"K\x01K\x01R", "refused to call 'int'"),
        (b"]}b", "refused to set the state of a list"),
        (b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R)b", "whose state is not"),
        (b"ios\nsystem\n", "instruction INST"),
        (b"\x93", "instruction STACK_GLOBAL"),
        (b"(S'a'\nos\n", "instruction STRING"),
        (b"\x81", "instruction NEWOBJ"),
        (b"\xff", "instruction 0xff"),
        (b"cos", "a name without an end"),
        (b"cos" + b"x" * 300 + b"\ny\n", "a name without an end"),
        (b"\x80\x05", "protocol 5"),
        (b"", "no STOP"),
        (b".", "after its end"),
        (b"}}.", "after its end"),
        (b"}.x", "after its end"),
        (b"].", "no dictionary"),
        (b"a", "damaged pickle"),
        (b"e", "no MARK"),
        (b"]K\x01K\x02(e.", "list was expected"),
        (b"}(U\x01ae", "list was expected"),
        (b"}(U\x01au", "dictionary keys"),
        (b"}(K\x01K\x01u", "dictionary keys"),
        (b"}]K\x01s", "dictionary keys"),
        (b"h\x09", "damaged pickle"),
        (b"q\x09", "damaged pickle"),
        (b"(q\x09", "MARK stored"),
        (b"(\x85", "without enough items"),
        (b"K\x01\x87", "without enough items"),
        (b"U\xffabc", "cut off: 255 bytes"),
        (b"T\xff\xff\xff\xff", "a string of -1 bytes"),
        (b"T\xff\xff\xff\x7fabc", "cut off"),
        (b"K", "cut off"),
    ],
)
def test_refusals(program: bytes, message: str) -> None:
    with pytest.raises(DataFileError, match=message) as caught:
        read_inert_pickle(b"\x80\x02" + program, "the-file")
    assert "the-file" in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"(K\x01K\x02", b"(K\x02K\x02", "one to four dimensions"),
        (b"K\x02K\x03\x86", b"K\x02K\x04\x86", "does not have 8 bytes"),
        (b"K\x02K\x03\x86", b"J\xff\xff\xff\xffJ\xfa\xff\xff\xff\x86", "one to four dimensions"),
        (b"K\x02K\x03\x86", b"N", "one to four dimensions"),
        (b"tb\x89T", b"tbNT", "one to four dimensions"),
        (b"tb\x89T\x06\0\0\0", b"tb\x89J\x06\0\0\0}(", "refused|damaged"),
    ],
)
def test_refused_arrays(formats: SimpleNamespace, old: bytes, new: bytes, message: str) -> None:
    good = b"}U\x04data" + formats.pickled_array(np.arange(6, dtype=np.uint8).reshape(2, 3)) + b"s."
    assert old in good
    with pytest.raises(DataFileError, match=message):
        read_inert_pickle(good.replace(old, new), "b")


def test_an_array_without_state_is_nothing() -> None:
    program = b"}U\x04datacnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87Rs."
    assert read_inert_pickle(program, "b") == {b"data": None}


def test_too_many_instructions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inert_pickle, "MAX_INSTRUCTIONS", 1000)
    with pytest.raises(DataFileError, match="more than 1000 instructions"):
        read_inert_pickle(b"]" * 2000, "b")


def test_deep_nesting_is_harmless() -> None:
    deep = b"}U\x01a" + b")" + b"\x85" * 100_000 + b"s."
    assert isinstance(read_inert_pickle(deep, "b")[b"a"], tuple)
    call = b"K\x01" + b")" + b"\x85" * 100_000 + b"R."
    with pytest.raises(DataFileError, match="refused to call"):
        read_inert_pickle(call, "b")


def test_a_list_in_itself_is_harmless() -> None:
    assert len(read_inert_pickle(b"}U\x01a]q\x01h\x01as.", "b")[b"a"]) == 1
