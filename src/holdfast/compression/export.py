"""The front end of conversion: from any ``nn.Module`` to a float graph, through ``torch.export``."""

from __future__ import annotations

import copy
import io
import logging
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode

from holdfast.compression.aten import translate
from holdfast.compression.aten.place import is_user_code
from holdfast.compression.aten.step import BATCH
from holdfast.compression.evaluate import evaluate
from holdfast.compression.folding import fold, without_dead_nodes
from holdfast.compression.graph import FloatGraph
from holdfast.errors import ConversionError

__all__ = ["to_graph"]

_CHECKED_IMAGES = BATCH + 1
"""Images with which the graph is compared to the module: another number than it was exported with."""


def to_graph(module: nn.Module, shape: tuple[int, int, int]) -> FloatGraph:
    """Translate a network into a float graph of plain operations.

    A copy of the module is taken in evaluation mode, on the CPU. ``torch.export`` records which operations its forward
    runs; each is translated, or the network is refused. Batch norms are folded into the layers before them. At the end
    the graph and the module label random images, and must agree.

    Args:
        module: from preprocessed images (N, C, H, W) to logits (N, num_classes), float32 or float64; its weights, mode
            and device stay as they are.
        shape: (C, H, W) of an image.

    Returns:
        A graph with float64 parameters and no dead nodes.

    Raises:
        ConversionError: the network cannot be converted. One line says which layer and which line of code, why, and
            what could be done.

    Example:
        >>> network = nn.Sequential(nn.Conv2d(1, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(inplace=True),
        ...                         nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 10))
        >>> graph = to_graph(network, (1, 8, 8))
        >>> [(type(node).__name__, node.name) for node in graph.nodes]
        [('FloatInput', 'input'), ('FloatConv', '0'), ('FloatClamp', '2'), ('FloatAvgPool', '3'),
         ('FloatFlatten', '3.flatten'), ('FloatLinear', '5')]
    """
    network = _prepared(module)
    dtype = next((p.dtype for p in network.parameters() if p.is_floating_point()), torch.float32)
    images = torch.randn((_CHECKED_IMAGES, *shape), generator=torch.Generator().manual_seed(0), dtype=dtype)
    logits = _run(network, images)
    program = _exported(network, images[:BATCH])
    graph = fold(without_dead_nodes(translate(program, shape)))
    _require_finite(graph)
    _require_agreement(graph, images, logits)
    return graph


def _prepared(module: nn.Module) -> nn.Module:
    """A copy in evaluation mode on the CPU; number formats other than float32 and float64 are refused."""
    for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
        if tensor.is_complex() or (tensor.is_floating_point() and tensor.dtype not in (torch.float32, torch.float64)):
            kind = str(tensor.dtype).removeprefix("torch.")
            raise ConversionError(f"tensor {name!r} is {kind}; convert the network with .float() first")
    try:
        return copy.deepcopy(module).cpu().eval()
    except Exception as error:
        raise ConversionError(
            f"the network cannot be copied ({_first_line(error)}); keep tensors with a history out of its attributes"
        ) from error


def _run(network: nn.Module, images: Tensor) -> Tensor:
    """The logits of random images."""
    try:
        with torch.no_grad():
            logits = network(images.clone())
    except Exception as error:
        raise ConversionError(
            f"the network cannot take images of shape {tuple(images.shape[1:])}{_user_line(error)}: "
            f"{_first_line(error)}; give the shape it was trained with"
        ) from error
    if not isinstance(logits, Tensor) or logits.ndim != 2 or logits.shape[0] != len(images) or logits.shape[1] < 2:
        found = list(logits.shape) if isinstance(logits, Tensor) else f"a {type(logits).__name__}"
        raise ConversionError(
            f"the network returns {found} for {len(images)} images; it must return logits, one tensor (N, classes) "
            "with two classes or more"
        )
    return logits


def _exported(network: nn.Module, images: Tensor) -> ExportedProgram:
    """The operations that forward runs, those in place replaced by others."""
    try:
        with _silent(), torch.no_grad():
            program: ExportedProgram = torch.export.export(network, (images.clone(),)).run_decompositions({})
            return program
    except GuardOnDataDependentSymNode as error:
        raise ConversionError(
            f"the network decides by the values it computes{_user_line(error)}; a graph has one path for all images: "
            "replace if, while, .item() and float() on tensors"
        ) from error
    except Exception as error:
        raise ConversionError(
            f"torch.export cannot follow the network{_user_line(error)}: {_first_line(error)}; "
            "use only tensor operations in forward"
        ) from error


@contextmanager
def _silent() -> Iterator[None]:
    """Without the log and the warnings of the exporter, which tell an error a second time, at length."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stderr(io.StringIO()), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _user_line(error: Exception) -> str:
    """`` at file:line 'code'`` of the innermost line outside PyTorch and this package that an error passed."""
    frames = [
        f for f in traceback.extract_tb(error.__traceback__) if is_user_code(f.filename) and f.filename != __file__
    ]
    return f" at {frames[-1].filename}:{frames[-1].lineno} {frames[-1].line!r}" if frames else ""


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def _require_finite(graph: FloatGraph) -> None:
    for node in graph.nodes:
        for name in ("weight", "bias", "scale", "shift"):
            parameter = getattr(node, name, None)
            if parameter is not None and not bool(torch.isfinite(parameter).all()):
                raise ConversionError(
                    f"the {name} of {node.name!r} is NaN or infinite in some channels; "
                    "look for a division by zero or a negative variance"
                )


def _require_agreement(graph: FloatGraph, images: Tensor, logits: Tensor) -> None:
    """Compare with what the module computed: it rounds, and so may differ by the square root of its precision."""
    difference = float((evaluate(graph, images) - logits.double()).abs().max())
    if not difference <= torch.finfo(logits.dtype).eps ** 0.5 * float(logits.abs().max()):
        raise ConversionError(
            f"the converted network gives logits that differ by {difference:.3g} from the network's own; its forward "
            "seems to depend on the number of images, on earlier calls or on a random source"
        )
