"""The loop: it learns, repeats, resumes to the same bits, and stops with the last good weights when it diverges."""

from __future__ import annotations

import csv
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from holdfast.errors import ModelFileError, ParameterError, RunMismatch, TrainingDiverged
from holdfast.models import ModelSpec, build, tensorfile
from holdfast.records import Preprocessing
from holdfast.training import EpochRecord, TrainingResult, accuracy, choose, named, train
from holdfast.training.batches import Batch
from holdfast.training.objectives import Classify, Draw, Gaussian, Outcome

GREY = Preprocessing((0.5,), (0.25,))
SPEC = ModelSpec("cnn-small", 4, (1, 8, 8), GREY, {"widths": [4, 8]})
RECIPE = named("quick", epochs=4, batch=16, lr=0.1, crop=1, flip=False)


def data(count: int = 100, seed: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images whose bright quarter is their label."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, count)
    images = rng.integers(0, 60, (count, 1, 8, 8))
    for image, label in zip(images, labels, strict=True):
        row, column = 4 * (label // 2), 4 * (label % 2)
        image[0, row : row + 4, column : column + 4] += 150
    return images.astype(np.uint8), labels.astype(np.int64)


def run(module: nn.Module | None = None, **changes: Any) -> tuple[nn.Module, TrainingResult]:
    module = module or build(SPEC, seed=0)
    images, labels = data()
    arguments: dict[str, Any] = {
        "preprocessing": GREY,
        "sigma": "0.1",
        "recipe": RECIPE,
        "seed": 7,
        "precision": "float32",
    }
    return module, train(module, images, labels, **arguments | changes)


def same_bits(one: nn.Module, two: nn.Module) -> bool:
    mine, theirs = one.state_dict(), two.state_dict()
    return all(torch.equal(mine[name], theirs[name]) for name in mine)


def test_it_learns_and_reports() -> None:
    mlp = ModelSpec("mlp", 4, (1, 8, 8), GREY, {"widths": [16]})
    validation, records = data(50, 1), []
    module, result = run(
        build(mlp, seed=0), recipe=named("quick", epochs=10, batch=16, crop=0, flip=False), validation=validation,
        on_epoch=records.append,
    )  # fmt: skip
    assert tuple(records) == result.history
    last = result.history[-1]
    assert last.epoch == 10
    assert last.clean_accuracy is not None
    assert last.noisy_accuracy is not None
    assert last.clean_accuracy > 0.9
    assert last.noisy_accuracy > 0.9
    assert last.train_loss < result.history[0].train_loss
    assert result.seconds == pytest.approx(sum(r.seconds for r in records))
    assert not module.training
    execution = choose("cpu", "float32")
    assert accuracy(module, *validation, GREY, execution) == last.clean_accuracy
    assert accuracy(module, *validation, GREY, execution, sigma_px=9.0) <= 1.0


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("stop_after", [1, 3])
def test_a_training_stopped_at_an_epoch_resumes_to_the_same_bits(
    precision: str, stop_after: int, tmp_path: Path
) -> None:
    whole, uninterrupted = run(precision=precision, log_path=tmp_path / "whole.csv")
    kept: dict[str, Any] = {"precision": precision, "state_path": tmp_path / "s", "log_path": tmp_path / "log.csv"}

    def stop(record: EpochRecord) -> None:
        if record.epoch == stop_after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        run(**kept, on_epoch=stop)
    assert f"{stop_after} of 4 epochs are kept in {tmp_path / 's'}" in caught.value.__notes__[0]
    resumed, result = run(**kept)
    assert result.resumed_from == stop_after
    assert same_bits(whole, resumed)
    assert losses(result) == losses(uninterrupted)
    assert timeless(tmp_path / "log.csv") == timeless(tmp_path / "whole.csv")


def losses(result: TrainingResult) -> list[tuple[float, float]]:
    return [(record.train_loss, record.train_accuracy) for record in result.history]


def timeless(path: Path) -> list[dict[str, str]]:
    rows = list(csv.DictReader(path.open()))
    return [{k: v for k, v in row.items() if k not in ("seconds", "images_per_second")} for row in rows]


@dataclass
class Interrupted:
    """Gaussian training that is interrupted at one step."""

    name: ClassVar[str] = "gaussian"
    at: int
    steps: int = field(default=0)

    def __call__(self, classify: Classify, batch: Batch, draw: Draw) -> Outcome:
        self.steps += 1
        if self.steps == self.at:
            raise KeyboardInterrupt
        return Gaussian()(classify, batch, draw)

    def to_json(self) -> dict[str, Any]:
        return Gaussian().to_json()


@pytest.mark.parametrize(("at", "kept_epochs"), [(3, 0), (6, 0), (9, 1), (24, 3)])
def test_a_training_stopped_inside_an_epoch_resumes_to_the_same_bits(at: int, kept_epochs: int, tmp_path: Path) -> None:
    whole, _ = run()
    with pytest.raises(KeyboardInterrupt) as caught:
        run(objective=Interrupted(at), state_path=tmp_path / "s")
    assert (f"{kept_epochs} of 4 epochs" if kept_epochs else "no epoch was kept") in caught.value.__notes__[0]
    resumed, result = run(state_path=tmp_path / "s")
    assert result.resumed_from == kept_epochs
    assert same_bits(whole, resumed)


def test_a_finished_training_is_not_trained_again(tmp_path: Path) -> None:
    first, _ = run(state_path=tmp_path / "s")
    again, result = run(state_path=tmp_path / "s")
    assert result.resumed_from == 4
    assert same_bits(first, again)
    assert not again.training


def test_the_same_arguments_give_the_same_bits_and_another_seed_others() -> None:
    torch.manual_seed(1)
    one, _ = run()
    torch.manual_seed(2)
    two, _ = run()
    other, _ = run(seed=8)
    assert same_bits(one, two)
    assert not same_bits(one, other)


@pytest.mark.parametrize(
    ("changes", "named_key"),
    [
        ({"seed": 8}, "seed"),
        ({"sigma": "0.2"}, "sigma"),
        ({"recipe": named("quick", epochs=5, batch=16)}, "recipe"),
        ({"preprocessing": Preprocessing((0.4,), (0.25,))}, "mean"),
        ({"precision": "bfloat16"}, "execution"),
        ({"objective": Gaussian(0.1)}, "objective"),
        ({"module": build(SPEC, seed=1)}, "initial_weights"),
    ],
)
def test_a_state_of_another_training_is_refused_by_name(
    changes: dict[str, Any], named_key: str, tmp_path: Path
) -> None:
    run(state_path=tmp_path / "s")
    with pytest.raises(RunMismatch, match=f"with {named_key} = "):
        run(**changes, state_path=tmp_path / "s")


def rewritten(path: Path, **changes: Any) -> None:
    header, tensors = tensorfile.read(path, "holdfast-training-state", 1)
    tensorfile.write(path, "holdfast-training-state", 1, header | changes, tensors)


DAMAGES: dict[str, Callable[[Path], Any]] = {
    "empty": lambda p: p.write_bytes(b""),
    "cut short": lambda p: p.write_bytes(p.read_bytes()[:-9]),
    "no history": lambda p: rewritten(p, history=None),
    "an epoch skipped": lambda p: rewritten(
        p, history=[tensorfile.read_header(p, "holdfast-training-state", 1)["history"][1]]
    ),
    "a text for a number": lambda p: rewritten(p, history=[{"epoch": "1"}]),
    "no settings": lambda p: rewritten(p, settings=[]),
}


@pytest.mark.parametrize("case", DAMAGES)
def test_a_damaged_state_is_refused(case: str, tmp_path: Path) -> None:
    run(state_path=tmp_path / "s", recipe=named("quick", epochs=2, batch=16, lr=0.1, crop=1, flip=False))
    DAMAGES[case](tmp_path / "s")
    with pytest.raises(ModelFileError, match=str(tmp_path / "s")):
        run(state_path=tmp_path / "s", recipe=named("quick", epochs=2, batch=16, lr=0.1, crop=1, flip=False))


def test_a_state_whose_momentum_does_not_fit_is_refused(tmp_path: Path) -> None:
    run(state_path=tmp_path / "s")
    header, tensors = tensorfile.read(tmp_path / "s", "holdfast-training-state", 1)
    tensors["momentum/fc.bias"] = torch.zeros(3)
    tensorfile.write(tmp_path / "s", "holdfast-training-state", 1, header, tensors)
    with pytest.raises(ModelFileError, match=r"momentum of .fc\.bias. is"):
        run(state_path=tmp_path / "s")


@dataclass
class Explodes:
    """Gaussian training whose loss is no number from one step on."""

    name: ClassVar[str] = "gaussian"
    after: int
    steps: int = field(default=0)

    def __call__(self, classify: Classify, batch: Batch, draw: Draw) -> Outcome:
        self.steps += 1
        outcome = Gaussian()(classify, batch, draw)
        factor = float("nan") if self.steps > self.after else 1.0
        return Outcome(outcome.loss * factor, outcome.logits)

    def to_json(self) -> dict[str, Any]:
        return Gaussian().to_json()


def test_a_loss_that_is_no_number_stops_and_keeps_the_last_good_weights(tmp_path: Path) -> None:
    module = build(SPEC, seed=0)
    with pytest.raises(TrainingDiverged, match=r"epoch 3.*weights after epoch 2.*kept in") as caught:
        run(module, objective=Explodes(15), state_path=tmp_path / "s", log_path=tmp_path / "log.csv")
    assert str(tmp_path / "s") in str(caught.value)
    _, tensors = tensorfile.read(tmp_path / "s", "holdfast-training-state", 1)
    assert all(torch.equal(value, tensors[f"model/{name}"]) for name, value in module.state_dict().items())
    assert len(timeless(tmp_path / "log.csv")) == 2
    whole, _ = run()
    resumed, _ = run(state_path=tmp_path / "s")
    assert same_bits(whole, resumed)


def test_an_absurd_learning_rate_diverges_and_gives_back_the_initial_weights() -> None:
    module = build(SPEC, seed=0)
    with pytest.raises(TrainingDiverged, match="initial weights; try a lower"):
        run(module, recipe=named("cohen", epochs=1, batch=4, lr=1e30, flip=False))
    assert same_bits(module, build(SPEC, seed=0))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": data()[0].astype(np.float32)}, "images must be uint8"),
        ({"images": data()[0][:, 0]}, "images must be uint8"),
        ({"images": data()[0][:0]}, "images must be uint8"),
        ({"labels": data()[1][:5]}, "labels must be int64"),
        ({"labels": data()[1].astype(np.int32)}, "labels must be int64"),
        ({"labels": data()[1] + 1}, "labels go from 1 to 4, but the network has 4 logits"),
        ({"labels": data()[1] - 1}, "labels go from -1"),
        ({"sigma": 0.25}, "sigma"),
        ({"device": "teapot"}, "device 'teapot' cannot be used"),
        ({"precision": "float8"}, "precision must be"),
        ({"module": build(ModelSpec("mlp", 4, (1, 9, 9), GREY), seed=0)}, "cannot take images"),
    ],
)
def test_arguments_that_do_not_match_are_refused(changes: dict[str, Any], message: str) -> None:
    images, labels = data()
    arguments = {"module": build(SPEC, seed=0), "images": images, "labels": labels} | changes
    rest = {"preprocessing": GREY, "sigma": "0.1", "recipe": RECIPE} | {
        k: v for k, v in changes.items() if k in ("sigma", "device", "precision")
    }
    with pytest.raises(ParameterError, match=message):
        train(arguments["module"], arguments["images"], arguments["labels"], **rest)


def test_label_smoothing_of_the_recipe_reaches_the_loss() -> None:
    _, result = run(recipe=named("quick", epochs=1, batch=16, label_smoothing=0.2))
    assert result.settings["objective"] == {"name": "gaussian", "label_smoothing": 0.2}


def test_training_needs_neither_flint_nor_typer_nor_rich() -> None:
    code = (
        "import sys\n"
        "sys.modules.update(dict.fromkeys(('flint', 'typer', 'rich', 'pydantic', 'scipy')))\n"
        "import holdfast.training\n"
        "assert 'holdfast.data' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
