"""``holdfast train``."""

from __future__ import annotations

import json as json_text
from pathlib import Path
from typing import Annotated, Any

import typer

from holdfast.cli.options import DataDirOption, DeviceOption, JsonOption, MeanOption, StdOption
from holdfast.cli.output import epoch_line, error_console, print_json, print_line

__all__ = ["train"]


def train(
    data: Annotated[str, typer.Option(help="A data set's name, or an .npz or image folder; see `holdfast data list`.")],
    model: Annotated[
        str,
        typer.Option(
            help="mlp, cnn-small, resnet20|32|34|44|56|110, resnet50, or your own as package.module:factory "
            "(imported from here, called without arguments)."
        ),
    ],
    sigma: Annotated[str, typer.Option(help="Noise scale in [0, 1] image units, a decimal.", metavar="DECIMAL")],
    out: Annotated[Path, typer.Option(help="The checkpoint to write (.safetensors); its log goes beside it.")],
    recipe: Annotated[
        str, typer.Option(help="quick (few epochs), intrs, adre, adre-imagenet or cohen: the papers' schedules.")
    ] = "quick",
    epochs: Annotated[int | None, typer.Option(help="Change the recipe's number of epochs.")] = None,
    batch: Annotated[int | None, typer.Option(help="Change the recipe's images per step.")] = None,
    lr: Annotated[float | None, typer.Option(help="Change the recipe's peak learning rate.")] = None,
    option: Annotated[
        list[str] | None, typer.Option(help="An option of the network, such as widths=[64,64].", metavar="NAME=JSON")
    ] = None,
    flip: Annotated[bool | None, typer.Option(help="Mirror images at random; by default for photographs only.")] = None,
    crop: Annotated[int | None, typer.Option(help="Shift images by up to this many pixels.")] = None,
    mean: MeanOption = None,
    std: StdOption = None,
    init_from: Annotated[Path | None, typer.Option(help="Start from the weights of this checkpoint.")] = None,
    seed: Annotated[int, typer.Option(help="Of weights, order, augmentation and noise.")] = 0,
    device: DeviceOption = "cpu",
    precision: Annotated[
        str, typer.Option(help="auto (bfloat16 where the processor has it), float32 or bfloat16.")
    ] = "auto",
    data_dir: DataDirOption = None,
    json: JsonOption = False,
) -> None:
    """Train a network under the integer noise it will be certified with.

    One draw of noise per image and step. An interrupted training continues: run the same command again, and it ends with
    the same weights on the same machine. Without --mean and --std, those of the training pixels are used and recorded.

    Example: holdfast train --data cifar10 --model resnet20 --sigma 0.25 --out resnet20.safetensors
    """
    from holdfast import data as datasets
    from holdfast.workflows import train as work
    from holdfast.workflows.classifiers import parse_preprocessing

    training, test = (datasets.load(data, split, data_dir) for split in ("train", "test"))
    chosen = work.recipe_for(recipe, training, flip, crop, epochs=epochs, batch=batch, lr=lr)
    request = work.TrainRequest(
        model=model,
        sigma=sigma,
        out=out,
        recipe=chosen,
        seed=seed,
        options=dict(_option(text) for text in option or []),
        preprocessing=parse_preprocessing(mean, std, training.shape[0]),
        init_from=init_from,
        device=device,
        precision=precision,
    )
    console = error_console()
    console.print(f"{model} on {training} with noise of sigma {sigma}: {chosen.epochs} epochs, {recipe}", markup=False)
    metadata = work.train_network(
        request, training, test, lambda record: console.print(epoch_line(record, chosen.epochs), markup=False)
    )
    if json:
        print_json({"checkpoint": str(out), **metadata})
        return
    print_line(
        f"{out}: clean accuracy {metadata['clean_accuracy']:.4f}, under one draw of noise {metadata['noisy_accuracy']:.4f} "
        f"({len(test)} test images)"
    )
    print_line(
        f"Next: holdfast certify {out} --data {data} --limit 100 --n 10000 --ledger {out.with_suffix('.ledger')}"
    )


def _option(text: str) -> tuple[str, Any]:
    name, found, value = text.partition("=")
    if not found:
        raise typer.BadParameter(f"--option takes NAME=JSON, not {text!r}")
    try:
        return name, json_text.loads(value)
    except ValueError:
        return name, value
