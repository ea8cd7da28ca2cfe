"""``holdfast compress``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from holdfast.cli.layers import layer_lines
from holdfast.cli.options import (
    DataDirOption,
    JsonOption,
    MeanOption,
    ModelArgument,
    SigmaOption,
    StdOption,
    WeightsOption,
)
from holdfast.cli.output import epoch_line, error_console, print_json, print_line

if TYPE_CHECKING:
    from holdfast.workflows.compress import CompressResult

__all__ = ["compress"]


def compress(
    model: ModelArgument,
    data: Annotated[str, typer.Option(help="The data it was trained on; see `holdfast data list`.")],
    out: Annotated[Path, typer.Option(help="The integer network to write (.hfi).")],
    method: Annotated[str, typer.Option(help="int8: weights and activations of 8 bits.")] = "int8",
    qat_epochs: Annotated[
        int, typer.Option(min=0, help="Epochs of training with quantised numbers under the noise; 0 calibrates only.")
    ] = 4,
    sigma: SigmaOption = None,
    lr: Annotated[float | None, typer.Option(help="Change the peak learning rate of that training.")] = None,
    batch: Annotated[int | None, typer.Option(help="Change its images per step.")] = None,
    flip: Annotated[bool | None, typer.Option(help="Mirror images at random; by default for photographs only.")] = None,
    crop: Annotated[int | None, typer.Option(help="Shift images by up to this many pixels.")] = None,
    seed: Annotated[int, typer.Option(help="Of order, augmentation and noise.")] = 0,
    weights: WeightsOption = None,
    mean: MeanOption = None,
    std: StdOption = None,
    data_dir: DataDirOption = None,
    json: JsonOption = False,
) -> None:
    """Turn a trained float network into an integer network: no float from the noisy pixels to the label.

    Folds batch norms, calibrates, trains on with quantised numbers, converts, proves that no accumulator can overflow, and
    checks that the result equals the network that was trained on every logit of a batch. What cannot be converted is named
    with its place; nothing is left in float in silence. The same verbs take the result: certify, predict, verify.

    Example: holdfast compress net.safetensors --data digits --out net.hfi
    """
    from holdfast import data as datasets
    from holdfast.errors import ParameterError
    from holdfast.intnet import IntegerNetwork
    from holdfast.workflows.classifiers import load_network, parse_preprocessing, sigma_of
    from holdfast.workflows.compress import CompressRequest, compress_network
    from holdfast.workflows.train import recipe_for

    training, test = (datasets.load(data, split, data_dir) for split in ("train", "test"))
    preprocessing = parse_preprocessing(mean, std, training.shape[0])
    network = load_network(model, weights=weights, preprocessing=preprocessing, shape=training.shape)
    if isinstance(network, IntegerNetwork):
        raise ParameterError(f"{model} is an integer network already")
    recipe = recipe_for("qat", training, flip, crop, epochs=qat_epochs, lr=lr, batch=batch) if qat_epochs else None
    request = CompressRequest(
        network=network,
        source=str(weights or model),
        sigma=sigma_of(network, sigma),
        recipe=recipe,
        out=out,
        method=method,
        seed=seed,
    )
    console = error_console()
    result = compress_network(
        request,
        training,
        test,
        say=lambda text: console.print(text, markup=False),
        on_epoch=lambda record: console.print(epoch_line(record, qat_epochs), markup=False),
    )
    if json:
        print_json(_as_json(result, out))
        return
    _print(result, out, data)


def _print(result: CompressResult, out: Path, data: str) -> None:
    for line in layer_lines(result.network, result.saturated):
        print_line(line)
    print_line(f"training twin and integer network agree on all {result.compared} logits compared")
    (clean, noisy), (clean_after, noisy_after) = result.before, result.after
    print_line(f"clean accuracy {clean:.4f} before, {clean_after:.4f} after")
    print_line(f"accuracy under one draw of noise {noisy:.4f} before, {noisy_after:.4f} after")
    print_line(f"{result.float_bytes:,} bytes of float parameters before, {result.file_bytes:,} bytes in {out} after")
    print_line(f"Next: holdfast certify {out} --data {data} --limit 100 --n 1000 --ledger {out.with_suffix('.ledger')}")


def _as_json(result: CompressResult, out: Path) -> dict[str, Any]:
    return {
        "file": str(out),
        "digest": result.network.digest,
        "bytes": result.file_bytes,
        "float_bytes": result.float_bytes,
        "logits_compared": result.compared,
        "saturated": list(result.saturated),
        **result.network.metadata,
    }
