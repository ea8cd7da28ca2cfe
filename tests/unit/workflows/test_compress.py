"""Compressing a network: what is recorded is what was measured, an interruption changes nothing, mistakes leave nothing."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from float_graphs import Graph, graph_of

from holdfast import data, intnet
from holdfast.compression import Twin, saturated_shares, to_twin
from holdfast.compression.plan import make_plan
from holdfast.data import DataSet
from holdfast.errors import ConversionError, ParameterError, RunMismatch
from holdfast.records import Preprocessing
from holdfast.training import EpochRecord, named
from holdfast.workflows.classifiers import Network, load_network
from holdfast.workflows.compress import CompressRequest, CompressResult, compress_network

RECIPE = named("qat", epochs=2, flip=False, crop=0)
FILES = {"net.hfi", "net.csv"}


@pytest.fixture(scope="module")
def network(digits_model: Path) -> Network:
    found = load_network(str(digits_model))
    assert isinstance(found, Network)
    return found


@pytest.fixture(scope="module")
def digits() -> tuple[DataSet, DataSet]:
    """Fewer of them; training needs no more to be repeatable."""
    parts = (data.load("digits", split) for split in ("train", "test"))
    train, test = (replace(d, images=d.images[:300], labels=d.labels[:300]) for d in parts)
    return train, test


Compress = Callable[..., CompressResult]


@pytest.fixture
def compress(network: Network, digits: tuple[DataSet, DataSet], digits_model: Path, tmp_path: Path) -> Compress:
    def run(
        training: DataSet = digits[0], on_epoch: Callable[[EpochRecord], None] = lambda _: None, **changes: Any
    ) -> CompressResult:
        given: dict[str, Any] = {
            "network": copy.deepcopy(network),
            "source": str(digits_model),
            "sigma": "0.15",
            "recipe": RECIPE,
            "out": tmp_path / "net.hfi",
        }
        return compress_network(CompressRequest(**given | changes), training, digits[1], on_epoch=on_epoch)

    return run


def test_the_file_is_the_network_that_was_measured(
    compress: Compress, digits: tuple[DataSet, DataSet], tmp_path: Path
) -> None:
    result = compress()
    file, test = intnet.load(tmp_path / "net.hfi"), digits[1]
    assert {path.name for path in tmp_path.iterdir()} == FILES
    assert file.digest == result.network.digest
    assert file.metadata == result.network.metadata
    right = int((file.logits(test.images).argmax(1) == test.labels).sum())
    assert result.after[0] == pytest.approx(right / len(test), abs=1e-12), "the accuracy is the integer network's own"
    assert file.metadata["clean_accuracy"] == result.after[0]
    assert file.metadata["float_clean_accuracy"] == result.before[0]
    assert result.file_bytes == (tmp_path / "net.hfi").stat().st_size < result.float_bytes
    assert result.compared == 2 * 64 * 10
    assert len(result.saturated) == len(file.operations)


def test_the_metadata_say_where_it_comes_from(
    compress: Compress, digits: tuple[DataSet, DataSet], digits_model: Path
) -> None:
    facts = compress(recipe=None).network.metadata
    assert facts["source"] == digits_model.name
    assert facts["source_sha256"] == sha256(digits_model.read_bytes()).hexdigest()
    assert (facts["data"], facts["data_digest"]) == ("digits", digits[0].digest)
    assert (facts["sigma"], facts["method"], facts["seed"], facts["recipe"]) == ("0.15", "int8", 0, None)
    assert facts["classes"] == [str(d) for d in range(10)]


def test_an_interrupted_training_ends_with_the_same_bytes(compress: Compress, tmp_path: Path) -> None:
    compress(out=tmp_path / "whole" / "net.hfi")

    def stop(record: EpochRecord) -> None:
        raise KeyboardInterrupt

    epochs: list[int] = []
    out = tmp_path / "halves" / "net.hfi"
    with pytest.raises(KeyboardInterrupt):
        compress(out=out, on_epoch=stop)
    assert {path.name for path in out.parent.iterdir()} == {"net.state", "net.csv"}
    compress(out=out, on_epoch=lambda record: epochs.append(record.epoch))
    assert epochs == [2], "the first epoch is not done again"
    assert {path.name for path in out.parent.iterdir()} == FILES
    assert out.read_bytes() == (tmp_path / "whole" / "net.hfi").read_bytes()


@pytest.mark.parametrize(
    "changes", [{"seed": 1}, {"sigma": "0.2"}, {"recipe": named("qat", epochs=3, flip=False, crop=0)}]
)
def test_another_training_does_not_continue_this_one(
    changes: dict[str, Any], compress: Compress, tmp_path: Path
) -> None:
    def stop(record: EpochRecord) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compress(on_epoch=stop)
    with pytest.raises(RunMismatch):
        compress(**changes)
    assert not (tmp_path / "net.hfi").exists()


def test_calibration_alone_does_not_train(
    compress: Compress, network: Network, digits: tuple[DataSet, DataSet], tmp_path: Path
) -> None:
    result = compress(recipe=None)
    assert {path.name for path in tmp_path.iterdir()} == {"net.hfi"}
    twin = to_twin(network.module, calibration=digits[0].images, preprocessing=network.spec.preprocessing, sigma="0.15")
    assert result.network.digest == twin.integer_network().digest


def test_training_changes_the_network_and_not_the_one_it_came_from(
    compress: Compress, network: Network, tmp_path: Path
) -> None:
    given = copy.deepcopy(network)
    before = {name: tensor.clone() for name, tensor in given.module.state_dict().items()}
    trained = compress(network=given)
    after = given.module.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(p.requires_grad for p in given.module.parameters()), "it can be trained on"
    assert trained.network.digest != compress(recipe=None, out=tmp_path / "calibrated.hfi").network.digest


# Shares of saturated values


def test_saturated_values_are_counted_by_hand() -> None:
    """An identity of two pixels; one grey level is one step."""

    def write(g: Graph) -> None:
        same = torch.eye(2, dtype=torch.float64).reshape(2, 2, 1, 1)
        relu = g.relu("relu", g.conv("conv", 0, same, torch.zeros(2, dtype=torch.float64)))
        g.linear("fc", g.flatten("flat", relu), torch.eye(2, dtype=torch.float64))

    plan = make_plan(graph_of(write, channels=2, height=1, width=1))
    twin = Twin(plan, [1 / 255] * plan.groups, Preprocessing((0.0, 0.0), (1.0, 1.0))).eval()
    pixels = np.array([[-200, 5], [127, -127], [126, -126], [0, 300]], np.int16).reshape(4, 2, 1, 1)
    shares = saturated_shares(twin, pixels)
    assert dict(zip((step.node.name for step in plan.steps), shares, strict=True)) == {
        "input": 4 / 8,  # -200, 127, -127, 300
        "conv": 2 / 8,  # 127 and 300; what the ReLU cuts is meant to be cut
        "flat": 2 / 8,
        "fc": 0.0,
    }


# Mistakes


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"method": "int3"}, "unknown method 'int3'; known: int8"),
        ({"out": Path("net.pt")}, r"goes into a \.hfi file, not 'net\.pt'"),
        ({"sigma": "wide"}, "sigma must be a decimal number"),
        ({"sigma": "9.5"}, "sigma must be positive and at most"),
    ],
)
def test_a_mistake_leaves_nothing(changes: dict[str, Any], said: str, compress: Compress, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=said):
        compress(**changes)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_stays(compress: Compress, tmp_path: Path) -> None:
    (tmp_path / "net.hfi").write_bytes(b"mine")
    with pytest.raises(ParameterError, match=r"net\.hfi is there already"):
        compress()
    assert (tmp_path / "net.hfi").read_bytes() == b"mine"


def test_data_that_do_not_fit_are_refused(compress: Compress) -> None:
    def made(images: Any, labels: Any) -> DataSet:
        classes = tuple(map(str, range(int(max(labels)) + 1)))
        return DataSet("squares", "train", np.array(images, np.uint8), np.array(labels, np.int64), classes)

    random = np.random.default_rng(0)
    with pytest.raises(ParameterError, match=r"takes images \(1, 8, 8\) \(C, H, W\), squares has \(1, 9, 9\)"):
        compress(made(np.zeros((2, 1, 9, 9)), [0, 1]))
    with pytest.raises(ParameterError, match="squares has 12 classes, the network knows 10"):
        compress(made(random.integers(0, 256, (24, 1, 8, 8)), np.arange(24) % 12), recipe=None)
    with pytest.raises(ConversionError, match="all calibration images are alike"):
        compress(made(np.full((24, 1, 8, 8), 9), np.arange(24) % 10), recipe=None)
