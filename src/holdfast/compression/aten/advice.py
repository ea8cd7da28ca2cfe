"""What a network cannot have, and what to do instead: reason and advice by operation."""

from __future__ import annotations

import torch
from torch.fx import Node

from holdfast.compression.aten.place import operation_of

__all__ = ["advice_on", "is_random"]

_MONOTONE = ("log_sigmoid", "log_softmax", "sigmoid", "softmax", "tanh")
"""Operations that leave the order of the logits as it is."""

_ACTIVATION = ("this activation has no integer form", "use ReLU, ReLU6 or hardtanh and train again")
_STATISTICS = (
    "it normalises with statistics of the values it is given",
    "use BatchNorm with running statistics, which is a constant map at inference",
)
_RECURRENT = ("recurrent layers have no integer form", "use convolutions and linear layers")
_LARGER = ("transposed convolutions and upsampling have no integer form", "leave them out; classifiers only shrink")
_PRODUCT = ("it multiplies two values that both depend on the image", "leave out attention; use constant weights")
_PART = ("it takes a part of the channels", "compute the parts with layers of their own")
_ORDER = ("it changes the order of dimensions", "keep (N, C, H, W) throughout; attention cannot be converted")
_RANDOM = ("it draws random numbers", "let it do so in training only, as in F.dropout(x, p, self.training)")
_DIMENSION = ("only two-dimensional convolutions and pools have an integer form", "use the 2d form of the layer")
_UNKNOWN = (
    "this operation has no integer form",
    "express it with convolutions, linear layers, BatchNorm, ReLU or pools",
)

_ADVICE = {
    **dict.fromkeys(
        "celu elu gelu glu hardsigmoid hardswish leaky_relu log_sigmoid log_softmax mish prelu rrelu selu sigmoid silu"
        " softmax softplus softsign tanh threshold where".split(),
        _ACTIVATION,
    ),
    **dict.fromkeys("group_norm instance_norm layer_norm rms_norm std var".split(), _STATISTICS),
    **dict.fromkeys("gru lstm rnn_relu rnn_tanh".split(), _RECURRENT),
    **dict.fromkeys("baddbmm bilinear bmm einsum pow scaled_dot_product_attention square".split(), _PRODUCT),
    **dict.fromkeys(
        "channel_shuffle chunk index index_select narrow select split split_with_sizes unbind".split(), _PART
    ),
    **dict.fromkeys("flip movedim numpy_T permute t transpose".split(), _ORDER),
    **dict.fromkeys(
        "adaptive_avg_pool1d avg_pool1d avg_pool3d conv1d conv3d max_pool1d max_pool3d".split(), _DIMENSION
    ),
}


def advice_on(node: Node) -> tuple[str, str]:
    """Why an operation cannot be converted, and what to do about it.

    Example:
        >>> graph = torch.fx.Graph()
        >>> advice_on(graph.call_function(torch.ops.aten.gelu.default, (graph.placeholder("x"),)))[1]
        'use ReLU, ReLU6 or hardtanh and train again'
    """
    operation = operation_of(node)
    over_images = "softmax" in operation and node.args[1:2] == (0,)
    if operation in _MONOTONE and not over_images and any(user.op == "output" for user in node.users):
        return (
            "the network ends in it, but logits are needed",
            "drop it: it is monotone, so the class with the largest output stays the same",
        )
    if operation.startswith(("_native_batch_norm_legit", "native_batch_norm", "batch_norm")):
        return _STATISTICS
    if operation.startswith(("conv_transpose", "upsample", "_upsample", "pixel_shuffle")):
        return _LARGER
    return _ADVICE.get(operation, _RANDOM if is_random(node) else _UNKNOWN)


def is_random(node: Node) -> bool:
    """Whether an operation can draw from a random generator."""
    return isinstance(node.target, torch._ops.OpOverload) and torch.Tag.nondeterministic_seeded in node.target.tags
