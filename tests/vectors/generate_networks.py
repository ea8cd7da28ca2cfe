"""Known answers for integer networks, from the plain implementation beside this file.

``python tests/vectors/generate_networks.py`` writes

``layers.json``
    Every operation alone: an input, the operation, and whatever makes its value flat.
``networks.json``
    Whole small networks, with labels.

A case has a name, the operations and images (as :mod:`plain_networks` describes them), the logits of each image, and the
digest of the network.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from plain_networks import Array, digest, logits

FOLDER = Path(__file__).parent


def array(dtype: str, shape: list[int], numbers: list[int] | tuple[int, int, int, int]) -> Array:
    """A list is the values, a tuple the rule."""
    return {"dtype": dtype, "shape": shape, "values" if isinstance(numbers, list) else "rule": numbers}


def law(multipliers: list[int], shifts: list[int], low: int = -127, high: int = 127) -> dict[str, Any]:
    pair = array("int32", [len(multipliers)], multipliers), array("uint8", [len(shifts)], shifts)
    return {"multiplier": pair[0], "shift": pair[1], "low": low, "high": high}


def image_input(shape: list[int], centers: list[int] | None = None, factor: Any = None) -> dict[str, Any]:
    """The input; without more, it passes [-127, 127] as it is."""
    center = array("int32", [shape[0]], centers or [0] * shape[0])
    return {"kind": "Input", "name": "input", "shape": shape, "center": center, "requantise": factor or law([2], [1])}


def weighted(kind: str, source: int, shape: list[int], requantise: Any, **more: Any) -> dict[str, Any]:
    """A convolution or a linear layer, its numbers by rules unless given."""
    op = {"kind": kind, "name": kind.lower(), "source": source, "requantise": requantise, "residual": None}
    op["weight"] = array("int8", shape, (53, 17, 255, -127))
    op["bias"] = array("int32", shape[:1], (977, 300, 2001, -1000))
    spatial = {"stride": [1, 1], "padding": [0] * 4, "dilation": [1, 1], "groups": 1} if kind == "Conv" else {}
    return op | spatial | more


def residual(source: int, factors: list[int]) -> dict[str, Any]:
    return {"source": source, "factor": array("int32", [len(factors)], factors)}


def pooled(kind: str, kernel: list[int], stride: list[int], **more: Any) -> dict[str, Any]:
    own = {"dilation": [1, 1]} if kind == "MaxPool" else {"requantise": None}
    basic = {"kind": kind, "name": kind.lower(), "source": 0, "kernel": kernel, "stride": stride, "padding": [0] * 4}
    return basic | own | more


def named(kind: str, **content: Any) -> dict[str, Any]:
    return {"kind": kind, "name": kind.lower(), **content}


def flat(source: int) -> dict[str, Any]:
    return named("Flatten", source=source)


def pixels(count: int, shape: list[int], rule: tuple[int, int, int, int] = (37, 11, 256, -128)) -> Array:
    return array("int16", [count, *shape], rule)


def case(name: str, operations: list[dict[str, Any]], images: Array) -> dict[str, Any]:
    found = logits(operations, images)
    return {"name": name, "operations": operations, "images": images, "logits": found, "digest": digest(operations)}


BIG, ALL = 2**22 - 1, (4099, 11, 65536, -32768)
SMALL = (61, 7, 255, -127)


def of_input() -> Iterator[dict[str, Any]]:
    def alone(name: str, shape: list[int], factor: Any, centers: list[int], rule: Any = ALL) -> dict[str, Any]:
        return case(f"input, {name}", [image_input(shape, centers, factor), flat(0)], pixels(2, shape, rule))

    yield alone("halves of both signs are ties", [1, 3, 5], law([1], [1]), [0], (1, 0, 30, -15))
    yield alone("every int16 saturates but a few", [1, 4, 16], law([1], [1]), [0])
    yield alone("a factor and a centre per channel", [3, 3, 3], law([BIG, 12345, 3], [29, 20, 9]), [-32767, 128, 32767])
    yield alone("multiplier 0", [2, 1, 2], law([0, 1], [1, 8]), [0, 5])
    yield alone("multiplier 2^22 - 1 at shift 52", [1, 2, 4], law([BIG], [52]), [100])
    yield alone("ties after scaling by 3/8", [1, 2, 20], law([3], [3]), [0], (1, 0, 40, -20))
    yield alone("one pixel, clamped to one value", [1, 1, 2], law([1], [1], 7, 7), [0])
    bytes_ = array("uint8", [2, 3, 2, 2], (37, 11, 256, 0))
    yield case("input, bytes", [image_input([3, 2, 2], [128, 120, 99], law([1, 3, 5], [1, 2, 3])), flat(0)], bytes_)


def of_conv() -> Iterator[dict[str, Any]]:
    def alone(name: str, shape: list[int], kernel: list[int], factor: Any = None, **more: Any) -> dict[str, Any]:
        factor = factor or law([5243], [21])
        rule = more.pop("rule", SMALL)
        operations = [image_input(shape), weighted("Conv", 0, kernel, factor, **more), flat(1)]
        return case(f"conv, {name}", operations, pixels(2, shape, rule))

    yield alone("1x1", [3, 4, 5], [5, 3, 1, 1])
    yield alone("3x3 with a border", [3, 5, 4], [2, 3, 3, 3], padding=[1, 1, 1, 1])
    yield alone("one pixel under 3x3", [2, 1, 1], [3, 2, 3, 3], padding=[1, 1, 1, 1])
    yield alone("borders of four widths", [2, 3, 4], [3, 2, 2, 3], padding=[0, 1, 2, 3])
    yield alone("a border wider than the kernel", [1, 2, 2], [2, 1, 2, 2], padding=[3, 0, 0, 4])
    yield alone("stride 2, odd sides", [3, 7, 5], [4, 3, 3, 3], stride=[2, 2], padding=[1, 1, 1, 1])
    yield alone("strides 3 and 1", [2, 8, 4], [3, 2, 2, 2], stride=[3, 1])
    yield alone("dilation 2", [2, 7, 7], [3, 2, 3, 3], dilation=[2, 2], padding=[2, 2, 2, 2])
    yield alone("dilations 1 and 3, stride 2", [2, 6, 9], [2, 2, 2, 3], dilation=[1, 3], stride=[2, 2])
    yield alone("two groups", [6, 4, 4], [4, 3, 3, 3], groups=2, padding=[1, 1, 1, 1])
    yield alone("depthwise", [7, 5, 5], [7, 1, 3, 3], law([9000], [19]), groups=7, padding=[1, 1, 1, 1])
    yield alone("depthwise, two outputs each, stride 2", [3, 5, 5], [6, 1, 3, 3], groups=3, stride=[2, 2])
    yield alone("17 channels to 19", [17, 3, 3], [19, 17, 3, 3], law([1311], [21]), padding=[1, 1, 1, 1])
    yield alone("33 channels to 5, 1x1", [33, 3, 2], [5, 33, 1, 1], law([2621], [21]))
    yield alone("16 channels to 32", [16, 4, 2], [32, 16, 3, 3], law([1311], [21]), padding=[1, 1, 1, 1])
    yield alone("kernels 1x5 and as wide as the image", [2, 3, 5], [3, 2, 1, 5])
    yield alone("kernel 5x1", [2, 6, 2], [3, 2, 5, 1], padding=[2, 2, 0, 0])
    yield alone("kernel as large as the image", [3, 4, 4], [5, 3, 4, 4], law([1311], [21]))
    yield alone("after ReLU", [3, 4, 4], [4, 3, 3, 3], law([5243], [21], 0, 127))
    yield alone("a factor per channel, from nothing to saturation", [2, 3, 3], [6, 2, 2, 2], law(
        [0, 1, BIG, 3, 12345, BIG], [1, 10, 34, 1, 20, 52]))  # fmt: skip
    halves = {"weight": array("int8", [2, 1, 1, 1], [1, -1]), "bias": array("int32", [2], [0, 1])}
    yield alone("halves of both signs are ties", [1, 3, 5], [2, 1, 1, 1], law([1], [1]), rule=(1, 0, 15, -7), **halves)
    yield alone("extreme weights and values", [4, 3, 3], [2, 4, 3, 3], law([BIG], [35]), rule=(254, 0, 255, -127),
        weight=array("int8", [2, 4, 3, 3], (254, 0, 508, -127)))  # fmt: skip
    raw = weighted("Conv", 0, [3, 2, 3, 3], None)
    yield case("conv, raw", [image_input([2, 4, 4]), raw, flat(1)], pixels(2, [2, 4, 4], SMALL))


def of_limits() -> Iterator[dict[str, Any]]:
    """Accumulators at the ends of 32 bits, and products at 2^53: weights nearly zero, the bias does it."""
    largest = 2**31 - 1
    limits = [
        ("the largest accumulator", [largest, -largest], law([1], [24])),
        ("the largest product", [largest, -largest], law([BIG], [32])),
        ("the largest accumulator, shift 31", [largest, -largest], law([2**21 + 1, 64], [52, 31])),
        ("ties at shift 52", [2**30, -(2**30)], law([2**21], [52])),
        ("just below and above ties at shift 52", [2**30 - 1, -(2**30) - 1], law([2**21], [52])),
        ("multiplier 2^22 - 1 at shift 52", [2**30, -(2**30)], law([BIG], [52])),
    ]
    for name, bias, factor in limits:
        fc = weighted("Linear", 1, [2, 1], factor, weight=array("int8", [2, 1], [0, 0]), bias=array("int32", [2], bias))
        yield case(f"limits, {name}", [image_input([1, 1, 1]), flat(0), fc], pixels(1, [1, 1, 1]))


def of_linear() -> Iterator[dict[str, Any]]:
    for features, outputs in ((1, 2), (5, 3), (16, 4), (17, 16), (67, 5), (130, 2)):
        shape = [1, 1, features]
        fc = weighted("Linear", 1, [outputs, features], None)
        yield case(f"linear, {features} to {outputs}, raw", [image_input(shape), flat(0), fc], pixels(2, shape, SMALL))
    fc = weighted("Linear", 1, [7, 20], law([5243], [21], 0, 100))
    yield case("linear, clamped", [image_input([1, 4, 5]), flat(0), fc], pixels(2, [1, 4, 5], SMALL))
    fc = weighted(
        "Linear", 1, [6, 6], law([800] * 6, [15, 16, 17, 18, 19, 20]), residual=residual(1, [0, 1, 2, 99, 5000, 7])
    )
    yield case("linear, residual", [image_input([1, 2, 3]), flat(0), fc], pixels(2, [1, 2, 3], SMALL))


def of_residual() -> Iterator[dict[str, Any]]:
    shape = [3, 4, 4]
    for name, factors, factor in (
        ("factors 0, 1 and 1000", [0, 1, 1000], law([5243], [21])),
        ("a factor near 2^31 / 127", [16000000, 3, 12345], law([1, 700, 9], [24, 17, 15])),
    ):
        op = weighted("Conv", 0, [3, 3, 3, 3], factor, padding=[1, 1, 1, 1], residual=residual(0, factors))
        yield case(f"residual, {name}", [image_input(shape), op, flat(1)], pixels(2, shape, SMALL))
    op = weighted("Conv", 0, [3, 3, 3, 3], None, padding=[1, 1, 1, 1], residual=residual(0, [0, 5, 77777]))
    yield case("residual, raw", [image_input(shape), op, flat(1)], pixels(2, shape, SMALL))


def of_add() -> Iterator[dict[str, Any]]:
    def alone(name: str, multipliers: list[int], shift: int, low: int = -127, high: int = 127) -> dict[str, Any]:
        other = named("Rescale", source=0, requantise=law([3, 7], [2, 2]))
        add = named("Add", sources=[0, 1], multipliers=multipliers, shift=shift, low=low, high=high)
        return case(f"add, {name}", [image_input([2, 3, 3]), other, add, flat(2)], pixels(2, [2, 3, 3], SMALL))

    yield alone("halves of both signs are ties", [1, 1], 1)
    yield alone("multiplier 0", [0, 3], 2)
    yield alone("both 0", [0, 0], 1, -3, 5)
    yield alone("the largest multipliers, saturated", [BIG, BIG], 1)
    yield alone("the largest multipliers, shift 30", [BIG, BIG], 30)
    yield alone("shift 52", [BIG, 2**21], 52)
    yield alone("after ReLU", [9000, 7000], 14, 0, 127)
    one = named("Add", sources=[1, 1], multipliers=[1, 2], shift=2, low=-127, high=127)
    yield case("add, a flat value to itself", [image_input([1, 1, 5]), flat(0), one], pixels(2, [1, 1, 5]))


def of_pools() -> Iterator[dict[str, Any]]:
    def alone(name: str, shape: list[int], op: dict[str, Any], rule: Any = SMALL) -> dict[str, Any]:
        return case(f"{op['name']}, {name}", [image_input(shape), op, flat(1)], pixels(2, shape, rule))

    yield alone("2x2", [3, 4, 6], pooled("MaxPool", [2, 2], [2, 2]))
    yield alone("2x2, odd sides", [2, 5, 3], pooled("MaxPool", [2, 2], [2, 2]))
    edge = pooled("MaxPool", [3, 3], [2, 2], padding=[1, 1, 1, 1])
    yield alone("a border never wins", [2, 5, 5], edge, (7, 3, 100, -127))
    yield alone(
        "overlapping 3x2, borders of four widths", [2, 4, 5], pooled("MaxPool", [3, 2], [1, 1], padding=[2, 0, 1, 0])
    )
    yield alone("dilation 2", [2, 6, 7], pooled("MaxPool", [2, 3], [2, 1], dilation=[3, 2], padding=[1, 2, 0, 1]))
    yield alone("2x2, ties", [2, 4, 4], pooled("AvgPool", [2, 2], [2, 2], requantise=law([1], [2])), (1, 0, 23, -11))
    yield alone("3x3, borders count", [2, 5, 4], pooled(
        "AvgPool", [3, 3], [2, 1], padding=[1, 0, 0, 1], requantise=law([466034, 932068], [22, 22])))  # fmt: skip
    yield alone("global", [5, 7, 7], pooled("AvgPool", [7, 7], [7, 7], requantise=law([85598], [22])))
    yield alone("raw", [6, 3, 5], pooled("AvgPool", [3, 5], [1, 1]))
    yield alone("raw, borders count", [2, 3, 3], pooled("AvgPool", [2, 3], [1, 2], padding=[1, 1, 0, 2]))


def of_the_rest() -> Iterator[dict[str, Any]]:
    shape, images = [3, 3, 4], pixels(2, [3, 3, 4])
    for name, factor in (
        ("one factor", law([3], [2])),
        ("a factor per channel", law([1, BIG, 0], [1, 20, 1])),
        ("ReLU with a ceiling", law([2], [1], 0, 37)),
        ("negative values only", law([2], [1], -50, -3)),
    ):
        yield case(
            f"rescale, {name}", [image_input(shape), named("Rescale", source=0, requantise=factor), flat(1)], images
        )
    half = named("Rescale", source=0, requantise=law([1], [1]))
    joined = named("Concat", sources=[1, 0, 1])
    yield case("concat, three values", [image_input(shape), half, joined, flat(2)], images)
    yield case(
        "concat, flat values", [image_input(shape), half, flat(0), flat(1), named("Concat", sources=[3, 2])], images
    )
    for name, before, after in (("rows and columns", [0, 1, 2], [0, 3, 0]), ("channels", [2, 0, 0], [1, 0, 0])):
        padded = named("Pad", source=0, before=before, after=after)
        yield case(f"pad, {name}", [image_input(shape), padded, flat(1)], images)
    for stride in ([2, 2], [1, 3], [5, 1]):
        thinned = named("Subsample", source=0, stride=stride)
        yield case(f"subsample, {stride[0]} and {stride[1]}", [image_input(shape), thinned, flat(1)], images)
    yield case("flatten, the order of channels, rows, columns", [image_input(shape), flat(0)], images)


def layers() -> list[dict[str, Any]]:
    """Every operation alone."""
    kinds = (of_input, of_conv, of_limits, of_linear, of_residual, of_add, of_pools, of_the_rest)
    return [one for kind in kinds for one in kind()]


def networks() -> list[dict[str, Any]]:
    """Whole small networks."""
    found = [case("perceptron", *perceptron()), case("equal logits", *equal_logits())]
    found += [case("residual", *residual_network()), case("branches", *branches())]
    for one in found:
        one["labels"] = [row.index(max(row)) for row in one["logits"]]
    return found


def perceptron() -> tuple[list[dict[str, Any]], Array]:
    hidden = weighted("Linear", 1, [23, 35], law([2621], [21], 0, 127))
    fc = weighted("Linear", 2, [10, 23], None, weight=array("int8", [10, 23], (89, 5, 255, -127)))
    first = image_input([1, 5, 7], [128], law([3], [2]))
    return [first, flat(0), hidden, fc], array("uint8", [8, 1, 5, 7], (101, 3, 256, 0))


def equal_logits() -> tuple[list[dict[str, Any]], Array]:
    """Rows of weights in pairs, so that every largest logit is there twice: the label is the first."""
    numbers = [(17 * (o // 2) + 41 * f) % 255 - 127 for o in range(6) for f in range(12)]
    fc = weighted("Linear", 1, [6, 12], None, weight=array("int8", [6, 12], numbers), bias=array("int32", [6], [0] * 6))
    return [image_input([3, 2, 2]), flat(0), fc], pixels(8, [3, 2, 2])


def residual_network() -> tuple[list[dict[str, Any]], Array]:
    """Two blocks with shortcuts, one of which halves the image and doubles the channels with zeros."""
    relu, same = (0, 127), {"padding": [1, 1, 1, 1]}
    ops = [
        image_input([3, 8, 8], [125, 123, 114], law([3300000, 3310000, 3250000], [22, 22, 22])),
        weighted("Conv", 0, [4, 3, 3, 3], law([7000, 6000, 8000, 6500], [21] * 4, *relu), **same),
        weighted("Conv", 1, [4, 4, 3, 3], law([5243], [21], *relu), **same),
        weighted("Conv", 2, [4, 4, 3, 3], law([4000], [20], *relu), residual=residual(1, [90, 100, 110, 120]), **same),
        weighted("Conv", 3, [8, 4, 3, 3], law([5243], [21], *relu), stride=[2, 2], **same),
        weighted("Conv", 4, [8, 8, 3, 3], law([4000], [21]), **same),
        named("Subsample", source=3, stride=[2, 2]),
        named("Pad", source=6, before=[2, 0, 0], after=[2, 0, 0]),
        named("Add", sources=[5, 7], multipliers=[3000000, 1700000], shift=22, low=0, high=127),
        pooled("AvgPool", [4, 4], [4, 4], source=8, requantise=law([2**18], [21])),
        flat(9),
        weighted("Linear", 10, [10, 8], None),
    ]
    return ops, array("int16", [3, 3, 8, 8], (211, 40, 331, -40))


def branches() -> tuple[list[dict[str, Any]], Array]:
    """Depthwise and pointwise convolutions, joined branches, both pools, odd sizes."""
    ops = [
        image_input([2, 9, 7], [100, 140], law([2, 3], [2, 2])),
        weighted("Conv", 0, [6, 1, 3, 3], law([12000], [20], 0, 127), groups=2, padding=[1, 1, 1, 1]),
        weighted("Conv", 1, [5, 6, 1, 1], law([6000], [20], 0, 96)),
        pooled("MaxPool", [3, 3], [2, 2], source=1, padding=[1, 1, 1, 1]),
        weighted("Conv", 2, [3, 5, 3, 3], law([5243], [21]), stride=[2, 2], padding=[1, 1, 1, 1]),
        named("Rescale", source=3, requantise=law([1, 2, 3, 4, 5, 6], [3] * 6)),
        named("Concat", sources=[4, 5]),
        weighted("Conv", 6, [5, 9, 3, 2], None, dilation=[2, 1]),
        flat(7),
    ]
    return ops, array("uint8", [3, 2, 9, 7], (83, 19, 256, 0))


def text(cases: list[dict[str, Any]]) -> str:
    """JSON with one case per line."""
    return "[\n" + ",\n".join(json.dumps(one, separators=(",", ":")) for one in cases) + "\n]\n"


FILES = {"layers": layers, "networks": networks}


def main() -> None:
    """Write both files."""
    for name, make in FILES.items():
        (FOLDER / f"{name}.json").write_text(text(make()))


if __name__ == "__main__":
    main()
