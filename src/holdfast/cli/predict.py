"""``holdfast predict``."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from holdfast.cli.options import (
    AlphaOption,
    BatchOption,
    ClipOption,
    CompileOption,
    DataDirOption,
    DeviceOption,
    DtypeOption,
    EngineOption,
    JsonOption,
    MeanOption,
    ModelArgument,
    NoiseOption,
    SigmaOption,
    StdOption,
    ThreadsOption,
    WeightsOption,
)
from holdfast.cli.output import print_json, print_line, progress

__all__ = ["predict"]


def predict(
    model: ModelArgument,
    images: Annotated[
        list[str],
        typer.Argument(
            help="Image files (.png, .npy: uint8), or inputs of a data set such as digits:12.", metavar="IMAGE..."
        ),
    ],
    sigma: SigmaOption = None,
    n: Annotated[int, typer.Option(help="Samples.")] = 1000,
    alpha: AlphaOption = "0.001",
    noise: NoiseOption = "discrete",
    dtype: DtypeOption = "float32",
    compiled: CompileOption = False,
    device: DeviceOption = "cpu",
    threads: ThreadsOption = None,
    engine: EngineOption = None,
    clip: ClipOption = False,
    batch_size: BatchOption = 1024,
    data_dir: DataDirOption = None,
    weights: WeightsOption = None,
    mean: MeanOption = None,
    std: StdOption = None,
    json: JsonOption = False,
) -> None:
    """Answer with the smoothed class of each image, or abstain.

    The answer names another class than the smoothed classifier's with probability at most alpha: the exact binomial test
    of the two most frequent classes. Every query draws a fresh secret key.

    Example: holdfast predict net.safetensors digits:0 digits:1 photo.png
    """
    from holdfast.workflows.classifiers import as_classifier, load_network, parse_preprocessing
    from holdfast.workflows.predict import image_shape, predict_images

    shape = image_shape(images[0], data_dir)
    preprocessing = parse_preprocessing(mean, std, shape[0])
    network = load_network(model, weights=weights, preprocessing=preprocessing, shape=shape)
    classifier = as_classifier(
        network,
        sigma=sigma,
        noise=noise,
        dtype=dtype,
        device=device,
        threads=threads,
        engine=engine,
        clip=clip,
        compiled=compiled,
    )
    began = time.monotonic()
    with progress("predict") as report:

        def tell(done: int, total: int) -> None:
            report(done, total, f"{done}/{total} images", (time.monotonic() - began) * (total - done) / done)

        answers = predict_images(
            classifier, images, n=n, alpha=alpha, batch=batch_size, data_dir=data_dir, on_progress=tell
        )
    if json:
        print_json(
            [{"image": name, "label": a.label, "counts": list(a.counts), "needed": a.needed} for name, a in answers]
        )
        return
    classes = network.metadata.get("classes")
    names = [str(name) for name in classes] if isinstance(classes, list) else []
    for name, answer in answers:
        said = "abstained" if answer.abstained else _class_name(answer.label, names)
        top = sorted(answer.counts, reverse=True)[:2]
        print_line(f"{name}: {said} ({top[0]} of {n} samples, next class {top[1]}, needed {answer.needed})")


def _class_name(label: int, classes: list[str]) -> str:
    name = classes[label] if label < len(classes) else str(label)
    return f"{label}" if name == str(label) else f"{label} ({name})"
