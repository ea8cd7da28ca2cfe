"""Executor for any ``torch.nn.Module``: labels noisy copies in aligned blocks, so that no batch size changes a label.

Float kernels may round differently for another batch size, thread count, version or device. Every forward pass here has
exactly ``block`` rows, aligned at multiples of ``block``, and all the rest is in the fingerprint: a label is a function
of its address alone (docs/theory/statistics.md, "Networks that compute in floating point"). The noise is added in
integers, before any float exists.
"""

from __future__ import annotations

import copy
import hashlib
import inspect
import platform
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any, cast, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from holdfast.digest import json_digest
from holdfast.errors import ParameterError
from holdfast.models import to_input
from holdfast.protocols import Noise
from holdfast.records import Address, Preprocessing

__all__ = ["BLOCK", "DTYPES", "TorchClassifier", "cpu_threads", "labels_depend_on_device", "labels_depend_on_threads"]

BLOCK = 256
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_MAX_CLASSES = 1 << 16


@final
class TorchClassifier:
    """A float network as a noisy classifier.

    Args:
        module: maps the preprocessed batch (N, C, H, W) to logits (N, num_classes); it is copied and set to eval mode.
        num_classes: number of logits.
        shape: (C, H, W) of an image.
        preprocessing: the one map from pixels to the module's input.
        noise: law of the noise.
        dtype: ``float32``, ``bfloat16`` or ``float16``: weights and arithmetic of the module.
        device: ``cpu`` or ``cuda``.
        block: rows of every forward pass.
        threads: CPU threads of every forward pass; by default torch's own number. For tiny networks one is best.
        compiled: run the network through ``torch.compile`` with its weights as constants: half a minute at the start, then
            about twice as fast in bfloat16 where the processor multiplies it in hardware. Other roundings, so another
            classifier.

    Raises:
        ParameterError: the module does not take such a batch, gives something else than such logits, or cannot be compiled.

    Guarantee:
        Exact noise; labels reproducible on machines with the same fingerprint. Nothing is promised for other machines.
    """

    def __init__(
        self,
        module: nn.Module,
        *,
        num_classes: int,
        shape: tuple[int, int, int],
        preprocessing: Preprocessing,
        noise: Noise,
        dtype: str = "float32",
        device: str = "cpu",
        block: int = BLOCK,
        threads: int | None = None,
        compiled: bool = False,
    ) -> None:
        if dtype not in DTYPES:
            raise ParameterError(f"unknown dtype {dtype!r}; known: {', '.join(DTYPES)}")
        if not 2 <= num_classes <= _MAX_CLASSES:
            raise ParameterError(f"a classifier has 2 to {_MAX_CLASSES} classes, not {num_classes}")
        self.num_classes, self.shape, self.noise = num_classes, tuple(shape), noise
        self.preprocessing, self.dtype, self.block = preprocessing, dtype, block
        self.device = _device(device)
        if threads is not None and not 1 <= threads <= 1024:
            raise ParameterError(f"the number of threads must lie between 1 and 1024, not {threads}")
        self.threads = threads or torch.get_num_threads()
        self._layout = torch.channels_last if any(p.ndim == 4 for p in module.parameters()) else torch.contiguous_format
        self._module = copy.deepcopy(module).eval().requires_grad_(False)
        self._module.to(device=self.device, dtype=DTYPES[dtype]).to(memory_format=self._layout)  # type: ignore[call-overload]
        self.compiled, self._run = False, cast(Callable[[torch.Tensor], Any], self._module)
        self._check_output()
        if compiled:
            self._compile()

    def _compile(self) -> None:
        self.compiled, self._run = True, torch.compile(self._module, dynamic=False)
        try:
            self._logits(torch.zeros((self.block, *self.shape), dtype=torch.int16))
        except RuntimeError as error:
            reason = str(error).splitlines()[0]
            raise ParameterError(f"torch.compile cannot compile this network here: {reason}") from error

    def _check_output(self) -> None:
        zeros = torch.zeros((self.block, *self.shape), dtype=torch.int16)
        try:
            logits = self._logits(zeros)
        except (RuntimeError, ValueError, IndexError, TypeError) as error:
            raise ParameterError(
                f"the network does not take images of shape {self.shape} (C, H, W): {error}"
            ) from error
        if not isinstance(logits, torch.Tensor) or tuple(logits.shape) != (self.block, self.num_classes):
            found = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
            raise ParameterError(
                f"the network must give logits of shape (N, {self.num_classes}), but for N={self.block} gave {found}"
            )

    @property
    def executor(self) -> str:
        """``torch``, the arithmetic, and whether it is compiled."""
        return f"torch {self.dtype}" + (", compiled" if self.compiled else "")

    @property
    def description(self) -> dict[str, Any]:
        """What determines the labels, apart from the weights' values and the graph, which appear as digests."""
        return self._description

    @cached_property
    def _description(self) -> dict[str, Any]:
        return ({"compiled": True} if self.compiled else {}) | {
            "evaluation": "float, aligned blocks",
            "block": self.block,
            "dtype": self.dtype,
            "layout": "channels_last" if self._layout is torch.channels_last else "contiguous",
            "device": _device_name(self.device),
            "threads": self.threads if self.device.type == "cpu" else 0,
            "torch": torch.__version__,
            "preprocessing": {"mean": list(self.preprocessing.mean), "std": list(self.preprocessing.std)},
            "weights": _weights_digest(self._module),
            "graph": self._graph_digest(),
            "parameters": sum(p.numel() for p in self._module.parameters()),
        }

    @cached_property
    def fingerprint(self) -> str:
        """Hex SHA-256 of the description and of the shapes of input and output."""
        return json_digest([self.description, list(self.shape), self.num_classes]).hex()

    def labels(self, image: NDArray[np.uint8], address: Address, start: int, count: int) -> NDArray[np.uint16]:
        """Labels of noisy copies ``start .. start+count-1``; whole blocks are evaluated, whatever the range.

        Args:
            image: uint8, the classifier's shape.
            address: where the noise comes from.
            start: first sample, at least 0.
            count: number of samples, at least 0.

        Returns:
            uint16 array of length count.
        """
        first, last = start // self.block, -(-(start + count) // self.block)
        blocks = [self._block_labels(image, address, b * self.block) for b in range(first, last)]
        offset = start - first * self.block
        return np.concatenate([np.empty(0, dtype=np.uint16), *blocks])[offset : offset + count]

    def _block_labels(self, image: NDArray[np.uint8], address: Address, start: int) -> NDArray[np.uint16]:
        noise = self.noise.sample(address, start, self.block, image.size)
        copies = noise + image.reshape(-1).astype(noise.dtype)
        logits = self._logits(torch.from_numpy(copies.reshape(self.block, *self.shape)))
        return logits.argmax(dim=1).to("cpu", torch.int32).numpy().astype(np.uint16)

    def logits(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Logits of clean images in zero-padded blocks: float32, shape (N, num_classes)."""
        padded = np.zeros((-(-len(images) // self.block) * self.block, *self.shape), dtype=np.int16)
        padded[: len(images)] = images
        parts = [self._logits(torch.from_numpy(part)) for part in np.split(padded, len(padded) // self.block)]
        return torch.cat(parts).to("cpu", torch.float32).numpy()[: len(images)]

    def _logits(self, z: torch.Tensor) -> torch.Tensor:
        """One forward pass of exactly ``block`` rows of integers (or float32, for continuous noise)."""
        weights = _constant_weights() if self.compiled else nullcontext()
        with torch.inference_mode(), cpu_threads(self.threads), _deterministic(self.device), weights:
            batch = to_input(z.to(self.device), self.preprocessing, DTYPES[self.dtype], self._layout)
            logits: torch.Tensor = self._run(batch)
            return logits

    def _graph_digest(self) -> str:
        """Digest of the exported graph and its constants; of source and settings where a network cannot be exported."""
        batch = torch.zeros((self.block, *self.shape), dtype=DTYPES[self.dtype], device=self.device)
        try:
            program = torch.export.export(self._module, (batch,))
        except Exception:  # whatever torch.export raises: this text only names the network, it never decides
            return hashlib.sha256(_module_text(self._module).encode()).hexdigest()
        constants = {name: value for name, value in program.constants.items() if isinstance(value, torch.Tensor)}
        return hashlib.sha256(f"{program.graph}\n{_tensors_digest(constants)}".encode()).hexdigest()


def labels_depend_on_threads(classifier: TorchClassifier, image: NDArray[np.uint8], address: Address) -> bool:
    """Self-test: whether one block's labels change with another number of threads.

    Such a network is still certified soundly, as the function this machine computes with this number (which is in the
    fingerprint), but elsewhere it may have to be replayed with the same number.
    """
    other = copy.copy(classifier)
    other.threads = 1 if classifier.threads > 1 else 2
    return not np.array_equal(
        classifier.labels(image, address, 0, classifier.block), other.labels(image, address, 0, classifier.block)
    )


def labels_depend_on_device(classifier: TorchClassifier, image: NDArray[np.uint8], address: Address) -> bool:
    """Self-test: whether one block's labels on this device differ from those on the CPU; never for a CPU."""
    if classifier.device.type == "cpu":
        return False
    other = copy.copy(classifier)
    other.device = torch.device("cpu")
    other._module = other._run = copy.deepcopy(classifier._module).cpu()
    return not np.array_equal(
        classifier.labels(image, address, 0, classifier.block), other.labels(image, address, 0, classifier.block)
    )


@contextmanager
def cpu_threads(wanted: int) -> Iterator[None]:
    """Torch's number of CPU threads while the context lasts."""
    before = torch.get_num_threads()
    if before == wanted:
        yield
        return
    torch.set_num_threads(wanted)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _deterministic(device: torch.device) -> Iterator[None]:
    """No benchmarking, no nondeterministic kernels, no TF32 on CUDA; nothing to do on a CPU."""
    if device.type != "cuda":
        yield
        return
    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
            yield
    finally:
        torch.set_float32_matmul_precision(precision)


def _constant_weights() -> AbstractContextManager[Any]:
    """What is compiled here takes the weights as constants, and folds batch normalisation into them."""
    from torch._inductor import config  # more than a second to import

    return config.patch(freezing=True)  # type: ignore[no-any-return]


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ParameterError(f"unknown device {name!r}; use cpu or cuda") from error
    if device.type not in ("cpu", "cuda"):
        raise ParameterError(f"unknown device {name!r}; use cpu or cuda")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ParameterError("device cuda was asked for, but torch sees no CUDA device here; use cpu")
    return device


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return f"cuda {torch.cuda.get_device_name(device)}"
    return f"cpu {platform.machine()} {torch.backends.cpu.get_cpu_capability()} {_processor()}".strip()


def _processor() -> str:
    """The processor's model name, where the system tells."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor()


def _weights_digest(module: nn.Module) -> str:
    """SHA-256 over every tensor of a network, also those outside its state_dict."""
    found = dict(module.state_dict())
    found |= dict(module.named_parameters(remove_duplicate=False)) | dict(module.named_buffers(remove_duplicate=False))
    for prefix, part in module.named_modules(remove_duplicate=False):
        found |= {f"{prefix}.{name}": value for name, value in vars(part).items() if isinstance(value, torch.Tensor)}
    return _tensors_digest(found)


def _tensors_digest(tensors: dict[str, torch.Tensor]) -> str:
    """SHA-256 over names, types, shapes and bytes, in order of name."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _module_text(module: nn.Module) -> str:
    """Structure, settings and source of the classes: names a network that cannot be exported."""
    kinds = sorted({type(m) for m in module.modules()}, key=lambda kind: (kind.__module__, kind.__qualname__))
    sources = []
    for kind in kinds:
        try:
            sources.append(inspect.getsource(kind))
        except (OSError, TypeError):
            sources.append(f"{kind.__module__}.{kind.__qualname__}")
    return "\n".join([repr(module), *_settings(module), *sources])


def _settings(module: nn.Module) -> Iterator[str]:
    """The plain values that the parts of a network keep as attributes, such as a factor or a tuple of sizes."""
    ours = vars(nn.Module())
    for prefix, part in module.named_modules(remove_duplicate=False):
        for name, value in sorted(vars(part).items()):
            if name not in ours and _is_plain(value):
                yield f"{prefix}.{name}={value!r}"


def _is_plain(value: Any) -> bool:
    if isinstance(value, tuple | list):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(_is_plain(k) and _is_plain(v) for k, v in value.items())
    return value is None or isinstance(value, bool | int | float | str | bytes)
