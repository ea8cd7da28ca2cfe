"""The parts of a report: pictures, noisy copies, times, sizes, curves and histograms."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from holdfast.certify import new_run
from holdfast.digest import array_digest
from holdfast.models import ModelSpec, build
from holdfast.noise import noise_law
from holdfast.records import Preprocessing, Purpose
from holdfast.report import RunReport, Timing, network_cost, noisy_example
from holdfast.report.elements import anchor, facts, folded, note, section, table
from holdfast.report.histogram import BINS, histogram_rows, histogram_svg
from holdfast.report.pictures import centre, data_address, png_base64, shrunk
from holdfast.report.plot import Series, curves_svg, reading_points, round_step
from holdfast.report.timings import time_by_outcome, time_by_place, time_facts

Make = Callable[..., RunReport]


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 28, 28), (3, 32, 32), (3, 5, 17)])
def test_a_png_is_the_image_as_another_reader_sees_it(shape: tuple[int, int, int]) -> None:
    image = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    with Image.open(io.BytesIO(base64.b64decode(png_base64(image)))) as read:
        assert read.format == "PNG"
        seen = np.asarray(read)
    assert np.array_equal(seen if shape[0] == 3 else seen[..., None], image.transpose(1, 2, 0))
    assert data_address(image) == f"data:image/png;base64,{png_base64(image)}"


def test_images_that_are_no_pictures_have_none() -> None:
    assert data_address(np.zeros((4, 3, 3), np.uint8)) == ""


@given(st.integers(1, 3), st.integers(1, 90), st.integers(1, 90))
def test_shrunk_images_are_means_of_blocks(channels: int, height: int, width: int) -> None:
    image = np.random.default_rng(height * 91 + width).integers(0, 256, (channels, height, width), dtype=np.uint8)
    small = shrunk(image)
    factor = max(-(-height // 32), -(-width // 32))
    assert max(small.shape[1:]) <= 32
    block = image[:, :factor, :factor].astype(int)
    assert [int(v) for v in small[:, 0, 0]] == [int(part.sum()) // part.size for part in block]
    assert (small is image) == (max(height, width) <= 32)


def test_the_centre_is_cut_out_and_not_scaled() -> None:
    image = np.arange(200 * 100, dtype=np.int64).reshape(1, 200, 100).astype(np.uint8)
    assert np.array_equal(centre(image), image[:, 52:148, 2:98])
    assert centre(image[:, :50]).shape == (1, 50, 96)


@pytest.mark.parametrize("law", ["discrete", "rounded", "continuous"])
def test_noisy_copies_are_the_runs_own_estimation_samples(law: str, brightness: Callable[..., object]) -> None:
    run = new_run(
        brightness("38.25", law, shape=(1, 3, 5)), data="d test", data_digest="d" * 64, n0=9, n=50, alpha="0.1"
    )
    image = np.random.default_rng(2).integers(0, 256, (1, 3, 5), dtype=np.uint8)
    digest = array_digest(image)
    example = noisy_example(run, 7, digest, image, [2, 0, 1, 1, 2])
    noise = noise_law(law, run.sigma_px).sample(run.address(digest, Purpose.ESTIMATE), 0, 50, 15)
    wanted = np.clip(np.rint(image.astype(float) + noise[:4].reshape(4, 1, 3, 5)), 0, 255)
    assert np.array_equal(example.copies, wanted)
    assert (example.index, example.labels, example.copies.dtype) == (7, (2, 0, 1, 1), np.uint8)
    assert len(noisy_example(run, 7, digest, image, [1]).copies) == 1


def test_times_add_up(report: Make) -> None:
    made = report([(0, 0, 5), (1, 1, -1), (1, 0, 3)])
    timings = [Timing(0, 100, 1.0, "a", "torch"), Timing(1, 100, 2.0, "b", "torch"), Timing(2, 200, 5.0, "a", "torch")]
    assert dict(time_facts(timings, 400)) == {
        "time": "8.0 s",
        "samples timed": "400",
        "samples per second": "50",
        "seconds per input: least, median, most": "1.000, 2.000, 5.000",
    }
    assert dict(time_facts(timings, 1400))["samples in the certificates"].startswith("1,400; the others")
    assert time_facts([], 400) == [("time", "not recorded")]
    assert time_by_place(timings) == [
        ("a, torch", "2", "300", "6.0 s", "50"),
        ("b, torch", "1", "100", "2.0 s", "50"),
    ]
    assert time_by_outcome(timings, made.results) == [
        ("right", "1", "1.0 s", "12.5 %"),
        ("wrong", "1", "5.0 s", "62.5 %"),
        ("abstained", "1", "2.0 s", "25.0 %"),
    ]
    nothing = [Timing(0, 0, 0.0, "a", "torch")]
    assert dict(time_facts(nothing, 0))["samples per second"] == "-"
    assert {row[3] for row in time_by_outcome(nothing, made.results)} == {"-"}


def test_a_network_is_counted_as_by_hand() -> None:
    spec = ModelSpec("cnn-small", 10, (1, 8, 8), Preprocessing((0.3,), (0.4,)), {"widths": [4]})
    module = build(spec, seed=0)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    convolutions = [m for m in module.modules() if isinstance(m, torch.nn.Conv2d)]
    linear = [m for m in module.modules() if isinstance(m, torch.nn.Linear)]
    (conv,), (last,) = convolutions, linear
    side = 8 // conv.stride[0]
    cost = network_cost(module, (1, 8, 8), 77)
    assert cost.macs == side * side * conv.weight.numel() + last.weight.numel()
    assert cost.parameters == sum(p.numel() for p in module.parameters())
    assert cost.tensor_bytes == sum(v.numel() * v.element_size() for v in module.state_dict().values())
    assert cost.file_bytes == 77
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert ("network file", "77 bytes") in cost.facts()


@given(st.floats(0, 5000, allow_nan=False))
def test_five_steps_hold_the_largest_and_not_much_more(largest: float) -> None:
    step = round_step(largest)
    assert 5 * step >= largest
    assert step == Fraction(1, 1000) or 5 * step <= 2 * Fraction(largest)


def test_a_curve_reads_itself_out_when_no_texts_are_given() -> None:
    series = [Series("<one>", [(0.0, 1.0), (0.5, 1.0), (0.5, 0.25)]), Series("two", [(0.0, 1 / 3)], dashed=True)]
    points = reading_points(series)
    assert (points[0], points[1], points[-1], len(points)) == (0, Fraction("0.005"), Fraction("0.5"), 101)
    drawn = curves_svg(series, x_label="r & d", y_label="share")
    assert '"texts":[["1.0000","1.0000"' in drawn
    assert '["0.3333","0.3333"' in drawn
    assert "<one>" not in drawn
    assert "&lt;one&gt;" in drawn
    assert "at r &amp; d " in drawn
    assert [kinds.split() for kinds in re.findall(r'<polyline class="([^"]*)"', drawn)] == [
        ["curve", "series0"],
        ["curve", "series1", "dashed"],
    ]
    assert [series[0].height(Fraction(x)) for x in ("0", "0.5", "0.6")] == [1.0, 1.0, 0.25]


class Attributes(HTMLParser):
    """Attributes of the first tag."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.first: dict[str, str | None] = {}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.first = self.first or dict(attrs)


def test_texts_with_quotes_do_not_end_the_attribute_they_stand_in() -> None:
    series, hostile = [Series("a", [(0.0, 1.0)])], "'\"><script>&amp;"
    drawn = curves_svg(series, x_label="x", y_label="y", texts=[[hostile] * 101])
    found = Attributes(drawn).first
    assert set(found) == {"class", "data-readings"}
    assert hostile in (found["data-readings"] or "").replace('\\"', '"')
    assert "<script>" not in drawn.replace("&lt;script", "")


def test_the_histogram_counts_every_input_once(report: Make) -> None:
    made = report([(0, 0, 5), (1, 0, 5), (1, 1, -1)])
    ps = [0.05, 1.0, 0.4999999]
    results = tuple((t, replace(c, p_lower=p)) for (t, c), p in zip(made.results, ps, strict=True))
    rows = histogram_rows(replace(made, results=results))
    assert len(rows) == BINS
    assert {i: row[2:] for i, row in enumerate(rows) if row[2:] != ("0", "0", "0")} == {
        1: ("1", "0", "0"),
        9: ("0", "0", "1"),
        19: ("0", "1", "0"),
    }, "the double 0.05 is a little above one twentieth"
    assert (rows[0][:2], rows[-1][:2]) == (("0", "0.05"), ("0.95", "1"))
    drawn = histogram_svg(rows, "<name>")
    assert re.findall(r"<title>([^<]*)</title>", drawn) == [
        "0.05 to 0.1: 1 right", "0.45 to 0.5: 1 abstained", "0.95 to 1: 1 wrong"
    ]  # fmt: skip
    assert "<name>" not in drawn


def test_elements_escape_what_they_are_given() -> None:
    hostile = "<b>\"'&"
    made = [table([hostile], [[hostile]]), facts([(hostile, hostile)]), note(hostile), folded(hostile, "<p>in</p>")]
    for text in made:
        assert "<b>" not in text
        assert "&lt;b&gt;" in text
    assert "<p>in</p>" in section(hostile, "<p>in</p>")
    assert f'id="{anchor("What this says")}"' in section("What this says", "")
    assert anchor('"><b>') == "b"
    assert 'class="warning"' in note("a", warning=True)
    assert 'class="numbers"' in table(["a"], [["1"]], numbers=True)
