"""One trained network in the runtimes that others deploy: prepared once, then opened each in a process of its own.

Every opener returns how to bind a batch of pixels to a call that runs the network on them, and which kernels that takes.
What a runtime is given it is given in the form that suits it best; turning pixels into it is not part of the call.
"""

from __future__ import annotations

import copy
import logging
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from holdfast import intnet
from holdfast.compression import to_integer
from holdfast.engine.native import NativeNetwork
from holdfast.models import to_input
from holdfast.models.cifar_resnet import BasicBlock, SubsampleAndPad
from holdfast.records import Preprocessing
from holdfast.workflows.classifiers import Network

Pixels = NDArray[np.int16]
Bind = Callable[[Pixels], Callable[[], Any]]
Opened = tuple[Bind, Callable[[], str]]
ENGINE, ONNX, ONNX_INT8, IR, IR_INT8 = "engine.hfi", "float.onnx", "int8.onnx", "float.xml", "int8.xml"


def for_peers(network: Network) -> nn.Module:
    """The network with its shortcuts as strided 1x1 convolutions of zeros and ones: the same function.

    Written as slices and padding they slow OpenVINO's and onnxruntime's int8 graphs (benchmarks/README.md has the rates).
    """
    module = copy.deepcopy(network.module).eval().requires_grad_(False)
    for name, part in list(module.named_modules()):
        if isinstance(part, SubsampleAndPad):
            parent, _, child = name.rpartition(".")
            block = module.get_submodule(parent)
            assert isinstance(block, BasicBlock)
            setattr(block, child, _selection(part, block.conv2.out_channels))
    return module


def _selection(shortcut: SubsampleAndPad, outputs: int) -> nn.Conv2d:
    inputs = outputs - shortcut.before - shortcut.after
    selection = nn.Conv2d(inputs, outputs, 1, shortcut.stride, bias=False).requires_grad_(False)
    nn.init.zeros_(selection.weight)
    for channel in range(inputs):
        selection.weight[shortcut.before + channel, channel] = 1
    return selection


def prepare(network: Network, images: NDArray[np.uint8], noisy: Pixels, sigma: str, folder: Path) -> None:
    """Write every runtime's files: float and, calibrated on the same images under noise, in 8 bits.

    Args:
        network: the trained float network.
        images: to calibrate the integer network, which draws its own noise.
        noisy: the same images with noise, to calibrate the peers.
        sigma: scale of that noise, in image units.
        folder: where the files go.
    """
    module, spec = for_peers(network), network.spec
    to_integer(network.module, calibration=images, preprocessing=spec.preprocessing, sigma=sigma).save(folder / ENGINE)
    batches = [batch.numpy() for batch in to_input(torch.from_numpy(noisy), spec.preprocessing).split(1)]
    _prepare_onnx(module, batches, folder)
    _prepare_openvino(module, batches, folder)


def _prepare_onnx(module: nn.Module, batches: list[NDArray[np.float32]], folder: Path) -> None:
    """onnxruntime's static quantisation: U8S8, a scale per channel, in the QDQ format."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.left = iter(batches)

        def get_next(self) -> dict[str, NDArray[np.float32]] | None:
            return next(({"x": batch} for batch in self.left), None)

    names: dict[str, Any] = {
        "input_names": ["x"],
        "output_names": ["y"],
        "dynamic_axes": {"x": {0: "n"}, "y": {0: "n"}},
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        arguments = (torch.from_numpy(batches[0]),)
        torch.onnx.export(module, arguments, folder / ONNX, dynamo=False, opset_version=17, **names)
        quant_pre_process(folder / ONNX, folder / "shaped.onnx")
    quantize_static(
        folder / "shaped.onnx",
        folder / ONNX_INT8,
        Reader(),
        quant_format=QuantFormat.QDQ,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        per_channel=True,
    )


def _prepare_openvino(module: nn.Module, batches: list[NDArray[np.float32]], folder: Path) -> None:
    """nncf's post-training quantisation with its own settings, on as many images as there are."""
    import nncf
    import openvino

    nncf.set_log_level(logging.ERROR)
    model = openvino.convert_model(module, example_input=torch.from_numpy(batches[0]))
    model.reshape([-1, *batches[0].shape[1:]])
    openvino.save_model(model, folder / IR, compress_to_fp16=False)
    quantised = nncf.quantize(model, nncf.Dataset(batches), subset_size=len(batches))
    openvino.save_model(quantised, folder / IR_INT8, compress_to_fp16=False)


def open_engine(folder: Path, isa: str) -> Opened:
    """The native integer engine; it takes the pixels as they are."""
    engine = NativeNetwork(intnet.load(folder / ENGINE), isa)
    return lambda pixels: lambda: engine.logits(pixels), lambda: engine.isa


def open_torch(network: Network, dtype: torch.dtype) -> Opened:
    """torch.compile with frozen weights (in bfloat16 twice as fast as without), channels last."""
    from torch._inductor import config

    config.freezing = True
    module = for_peers(network).to(dtype=dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
    compiled = torch.compile(module, dynamic=False)

    def bind(pixels: Pixels) -> Callable[[], Any]:
        batch = to_input(torch.from_numpy(pixels), network.spec.preprocessing, dtype, torch.channels_last)

        def run() -> NDArray[np.float32]:
            with torch.no_grad():
                logits: NDArray[np.float32] = compiled(batch).float().numpy()
                return logits

        return run

    return bind, lambda: "inductor"


def open_openvino(folder: Path, file: str, preprocessing: Preprocessing, precision: str | None = None) -> Opened:
    """OpenVINO on one thread and one stream, compiled for each size of a batch; ``precision`` of what is not in 8 bits."""
    import openvino

    core, compiled = openvino.Core(), {}
    wishes = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "THROUGHPUT"}
    wishes |= {"INFERENCE_PRECISION_HINT": precision} if precision else {}

    def bind(pixels: Pixels) -> Callable[[], Any]:
        if len(pixels) not in compiled:
            model = core.read_model(folder / file)
            model.reshape(list(pixels.shape))
            compiled[len(pixels)] = core.compile_model(model, "CPU", wishes)
        request = compiled[len(pixels)].create_infer_request()
        request.set_input_tensor(0, openvino.Tensor(_float_input(pixels, preprocessing)))

        def run() -> Any:
            request.infer()
            return request.get_output_tensor(0).data

        return run

    def kernels() -> str:
        nodes = (node.get_rt_info() for node in next(reversed(compiled.values())).get_runtime_model().get_ops())
        return _counted(n["primitiveType"].astype(str) for n in nodes if n["layerType"].astype(str) == "Convolution")

    return bind, kernels


def open_onnxruntime(folder: Path, file: str, preprocessing: Preprocessing) -> Opened:
    """onnxruntime on one thread with every optimisation of its graph."""
    import onnx
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3
    options.optimized_model_filepath = str(folder / f"optimised-{file}")
    session = onnxruntime.InferenceSession(folder / file, options, providers=["CPUExecutionProvider"])

    def bind(pixels: Pixels) -> Callable[[], Any]:
        feed = {"x": _float_input(pixels, preprocessing)}
        return lambda: session.run(None, feed)[0]

    def kernels() -> str:
        graph = onnx.load(options.optimized_model_filepath).graph
        return _counted(node.op_type for node in graph.node if "Conv" in node.op_type)

    return bind, kernels


def _float_input(pixels: Pixels, preprocessing: Preprocessing) -> NDArray[np.float32]:
    return np.ascontiguousarray(to_input(torch.from_numpy(pixels), preprocessing).numpy())


def _counted(kinds: Iterator[str]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in Counter(kinds).most_common())
