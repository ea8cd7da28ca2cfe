"""``holdfast train``: data, network and recipe to a checkpoint that says how it came about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from holdfast import __version__
from holdfast.data import DataSet
from holdfast.errors import ParameterError
from holdfast.models import ModelSpec, build, checkpoint
from holdfast.models.user_module import build_user, check_logits, is_user_name
from holdfast.records import Preprocessing
from holdfast.training import EpochRecord, Recipe, accuracy, choose, named, train

__all__ = ["TrainRequest", "augmentation", "measured_preprocessing", "recipe_for", "train_network"]

_FLIPPED = ("cifar10", "cifar100", "caltech101", "imagenet")
_VALIDATION = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainRequest:
    """What the user asked for."""

    model: str
    sigma: str
    out: Path
    recipe: Recipe
    seed: int = 0
    options: dict[str, Any] | None = None
    preprocessing: Preprocessing | None = None
    init_from: Path | None = None
    device: str = "cpu"
    precision: str = "auto"


def augmentation(data: DataSet, flip: bool | None, crop: int | None) -> dict[str, Any]:
    """Flips for photographs only, shifts by an eighth of the side for images of 28 pixels and more, unless told."""
    side = min(data.shape[1:])
    return {
        "flip": data.name in _FLIPPED if flip is None else flip,
        "crop": (side // 8 if side >= 28 else 0) if crop is None else crop,
    }


def measured_preprocessing(data: DataSet) -> Preprocessing:
    """Mean and standard deviation of the training pixels per channel, to four decimals: the centering layer."""
    pixels = data.images[:: max(1, len(data) // 5000)].astype(np.float64) / 255
    mean, std = pixels.mean(axis=(0, 2, 3)), pixels.std(axis=(0, 2, 3))
    return Preprocessing(tuple(round(float(m), 4) for m in mean), tuple(max(round(float(s), 4), 0.01) for s in std))


def train_network(
    request: TrainRequest, training: DataSet, test: DataSet, on_epoch: Callable[[EpochRecord], None]
) -> dict[str, Any]:
    """Train, measure on the test split, and write the checkpoint.

    Beside the checkpoint a log (``.csv``) is kept, and until it is done the state from which the same call continues.

    Args:
        request: what to train.
        training: the training split.
        test: the test split; nothing is selected by it.
        on_epoch: called after every epoch.

    Returns:
        The checkpoint's metadata.

    Raises:
        ParameterError: the checkpoint is there already, or a value is out of range.
        TrainingDiverged: the loss became NaN; the last good state is kept.
    """
    if request.out.exists():
        raise ParameterError(f"{request.out} is there already: choose another --out, or delete it to train again")
    request.out.parent.mkdir(parents=True, exist_ok=True)
    preprocessing = request.preprocessing or measured_preprocessing(training)
    module, spec = _build(request, training, preprocessing)
    if request.init_from is not None:
        checkpoint.load_weights(module, request.init_from)
    state_path = request.out.with_suffix(".state")
    result = train(
        module,
        training.images,
        training.labels,
        preprocessing=preprocessing,
        sigma=request.sigma,
        recipe=request.recipe,
        seed=request.seed,
        device=request.device,
        precision=request.precision,  # type: ignore[arg-type]
        state_path=state_path,
        log_path=request.out.with_suffix(".csv"),
        validation=(test.images[:_VALIDATION], test.labels[:_VALIDATION]),
        on_epoch=on_epoch,
    )
    execution = choose(request.device, "float32")
    measured = (module, test.images, test.labels, preprocessing, execution)
    metadata = {
        "data": training.name,
        "data_digest": training.digest,
        "classes": list(training.classes),
        "sigma": request.sigma,
        "seed": request.seed,
        "recipe": request.recipe.to_json(),
        "init_from": request.init_from.name if request.init_from else None,
        "execution": result.settings["execution"],
        "clean_accuracy": accuracy(*measured),
        "noisy_accuracy": accuracy(*measured, sigma_px=float(request.sigma) * 255),
        "training_seconds": round(result.seconds, 1),
        "holdfast": __version__,
    }
    checkpoint.save(request.out, module, spec, metadata)
    state_path.unlink(missing_ok=True)
    return metadata


def _build(request: TrainRequest, data: DataSet, preprocessing: Preprocessing) -> tuple[Any, ModelSpec]:
    if not is_user_name(request.model):
        spec = ModelSpec(request.model, data.num_classes, data.shape, preprocessing, request.options or {})
        return build(spec, seed=request.seed), spec
    if request.options:
        raise ParameterError("--option goes with a network of holdfast's own; your factory takes no arguments")
    module = build_user(request.model, seed=request.seed)
    logits = check_logits(module, data.shape)
    if logits < data.num_classes:
        raise ParameterError(f"{request.model} gives {logits} logits, {data.name} has {data.num_classes} classes")
    return module, ModelSpec(request.model, logits, data.shape, preprocessing)


def recipe_for(name: str, data: DataSet, flip: bool | None, crop: int | None, **changes: Any) -> Recipe:
    """A named recipe with what the user changed, and the augmentation that fits the data."""
    given = {key: value for key, value in changes.items() if value is not None}
    return named(name, **augmentation(data, flip, crop), **given)
