"""What cannot be converted is refused in one line: which layer, which line of code, why, and what to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from holdfast.compression.export import to_graph
from holdfast.errors import ConversionError

SHAPE = (3, 8, 8)


def refused(module: nn.Module, *parts: str) -> str:
    """The message with which a network is refused; it has one line and says all of ``parts``."""
    with pytest.raises(ConversionError) as caught:
        to_graph(module, SHAPE)
    message = str(caught.value)
    assert "\n" not in message
    for part in parts:
        assert part in message, f"{part!r} is not in: {message}"
    return message


class Network(nn.Module):
    """A convolution, then what a test asks for, then a linear layer."""

    def __init__(self, middle: Callable[[Tensor], Tensor], features: int = 4 * 8 * 8) -> None:
        super().__init__()
        self.conv, self.middle, self.fc = nn.Conv2d(3, 4, 3, padding=1), middle, nn.Linear(features, 5)

    def forward(self, x: Tensor) -> Any:
        return self.fc(self.middle(self.conv(x)).flatten(1))


class SqueezeExcite(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        gate = F.relu(self.fc(x.mean((2, 3))))
        return (x * gate[:, :, None, None]).mean((2, 3))


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.query, self.key = nn.Linear(192, 8), nn.Linear(192, 8)

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(1)
        return self.query(x) @ self.key(x).T


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.LSTM(24, 5, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.rnn(x.flatten(2).reshape(-1, 8, 24))[0][:, -1]


class Counting(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(192, 5)
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.seen += 1
        return self.fc(x.flatten(1)) + self.seen


def decides(x: Tensor) -> Tensor:
    if x.sum() > 0:
        return x
    return -x


def test_the_message_names_the_layer_the_line_and_the_way_out() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Sequential(nn.GELU()), nn.Flatten(), nn.Linear(144, 5))
    message = refused(module, "aten.gelu", "GELU 1.0", "use ReLU, ReLU6 or hardtanh and train again")
    assert "File" not in message
    assert ".py" not in message, "no line of this network is the user's own"


def test_the_innermost_line_of_the_users_own_code_is_shown() -> None:
    message = refused(SqueezeExcite(), "aten.mul", "multiplies two values", "squeeze-and-excitation")
    line = next(i for i, text in enumerate(open(__file__), 1) if "x * gate[" in text)  # noqa: SIM115, PTH123
    assert f"{__file__}:{line} 'return (x * gate[:, :, None, None]).mean((2, 3))'" in message


@pytest.mark.parametrize(
    ("module", "parts"),
    [
        (Attention(), ("aten.permute", "changes the order of dimensions", "attention cannot be converted")),
        (Recurrent(), ("aten.lstm", "LSTM rnn", "recurrent layers")),
        (Network(nn.GroupNorm(2, 4)), ("GroupNorm middle", "statistics", "BatchNorm")),
        (Network(nn.LayerNorm([4, 8, 8])), ("LayerNorm middle", "statistics", "BatchNorm")),
        (Network(nn.BatchNorm2d(4, track_running_stats=False)), ("BatchNorm2d middle", "statistics")),
        (Network(nn.ConvTranspose2d(4, 1, 2, 2)), ("ConvTranspose2d middle", "transposed convolutions")),
        (Network(nn.Upsample(scale_factor=2), 1024), ("Upsample middle", "upsampling")),
        (Network(nn.PReLU()), ("PReLU middle", "this activation has no integer form")),
        (Network(nn.Sigmoid()), ("Sigmoid middle", "this activation has no integer form")),
        (Network(nn.ReflectionPad2d(1), 400), ("pads with reflect", "pad with zeros")),
        (Network(nn.AdaptiveAvgPool2d(3), 36), ("8x8 is not a multiple of 3x3",)),
        (Network(nn.AvgPool2d(3, 2, 1, count_include_pad=False), 64), ("count_include_pad=False", "divide by fewer")),
        (Network(nn.AvgPool2d(3, 2, ceil_mode=True), 64), ("ceil_mode", "divide by fewer places")),
        (Network(nn.AvgPool2d(2, divisor_override=3), 64), ("divisor_override=3 is not the 4 places",)),
    ],
    ids=lambda value: type(value.middle if isinstance(value, Network) else value).__name__,
)
def test_layers_without_an_integer_form(module: nn.Module, parts: tuple[str, ...]) -> None:
    refused(module, *parts)


@pytest.mark.parametrize(
    ("middle", "features", "parts"),
    [
        (F.dropout, 256, ("draws random numbers", "self.training")),
        (lambda x: x + torch.randn_like(x), 256, ("aten.randn_like", "draws random numbers")),
        (lambda x: F.pad(x, (-1, -1)), 192, ("crop",)),
        (lambda x: F.pad(x, (1, 1), value=0.5), 320, ("pads with 0.5",)),
        (lambda x: x[:, :, 1:-1], 192, ("takes a part of dimension 2",)),
        (lambda x: x[:, 1:], 192, ("takes a part of dimension 1",)),
        (lambda x: x[:, ::2], 128, ("takes a part of dimension 1",)),
        (lambda x: x.chunk(2, 1)[1], 128, ("takes a part of the channels",)),
        (lambda x: x[:, [1, 0]], 128, ("aten.index", "takes a part of the channels")),
        (lambda x: x.permute(0, 2, 3, 1), 256, ("changes the order of dimensions",)),
        (lambda x: torch.cat([x, torch.ones_like(x)], 1), 512, ("appends constants that are not zero",)),
        (lambda x: torch.cat([x, x * 0, x], 1), 768, ("zeros stand between values",)),
        (lambda x: torch.cat([x, x], 2), 512, ("along dimension 2",)),
        (lambda x: x + torch.arange(8), 256, ("differs between places of one channel",)),
        (lambda x: x + x.mean((2, 3), keepdim=True), 256, ("[4, 8, 8] and [4, 1, 1]", "one shape")),
        (lambda x: x.mean((2, 3), keepdim=True) + torch.ones(4, 8, 8), 256, ("enlarges the value",)),
        (lambda x: x.mean((2, 3), keepdim=True).expand(-1, -1, 8, 8), 256, ("repeats values",)),
        (lambda x: x / (x.abs() + 1), 256, ("aten.abs",)),
        (lambda x: 1 / x, 256, ("aten.reciprocal",)),
        (lambda x: torch.div(x, 2, rounding_mode="floor"), 256, ("rounds the quotient",)),
        (lambda x: x.mean(1), 64, ("takes the mean over the dimensions [1]",)),
        (lambda x: x.max(1)[0], 64, ("the maximum over dimensions",)),
        (lambda x: torch.maximum(x, -x), 256, ("limit is not one constant number",)),
        (lambda x: x.flatten(1).relu().view(-1, 16, 4, 4).relu(), 256, ("neither (C, H, W) as computed nor flat",)),
        (lambda x: F.max_pool2d(x.reshape(-1, 16, 4, 4), 2), 64, ("reads [16, 4, 4] per image", "[4, 8, 8]")),
        (lambda x: x @ x, 256, ("aten.matmul", "multiplies values with values", "attention")),
        (lambda x: F.scaled_dot_product_attention(x, x, x), 256, ("multiplies two values", "attention")),
        (lambda x: x.flatten(2).relu(), 256, ("neither (C, H, W) as computed nor flat",)),
        (lambda x: F.linear(x, torch.ones(8, 8)), 256, ("[4, 8, 8] per image with a matrix", "flatten")),
        (lambda x: F.max_pool2d(x, 2, return_indices=True)[1].float(), 64, ("second result",)),
        (lambda x: x.half().float(), 256, ("float16 numbers", "float32 or float64 throughout")),
        (lambda x: x - x.mean(0), 256, ("aten.mean", "images of a batch are mixed")),
        (lambda x: x.sum() + x, 256, ("aten.sum",)),
        (lambda x: x * (torch.zeros(4, 1, 1) / 0), 256, ("aten.mul", "NaN or infinite", "division by zero")),
        (lambda x: x / torch.zeros(4, 1, 1), 256, ("aten.div", "NaN or infinite", "division by zero")),
        (lambda x: x + torch.empty(4, 1, 1), 256, ("aten.add", "NaN or infinite", "memory that was never written")),
        (lambda x: torch.rsub(x, x.relu()), 256, ("aten.rsub", "write a - b")),
        (lambda x: F.conv2d(torch.ones(len(x), 4, 8, 8), x)[:, :2], 2, ("'input' does not depend on the image",)),
        (lambda x: torch.ones(3, len(x)) @ x.flatten(1), 256, ("aten.matmul", "images of a batch are mixed")),
        (lambda x: torch.cat([x.flatten(1), torch.zeros_like(x).flatten(1)], 1), 512, ("concatenate images",)),
        (lambda x: torch.cond(x.sum() > 0, torch.relu, torch.neg, (x,)), 256, ("aten.cond", "one path")),
        (
            lambda x: x + torch.ones(4).view(torch.int32).view(torch.float32).view(4, 1, 1),
            256,
            ("store it as a buffer",),
        ),
        (decides, 256, ("decides by the values it computes", "'if x.sum() > 0:'", "one path")),
        (lambda x: x * float(x.max()), 256, ("decides by the values it computes", ".item()")),
        (lambda x: torch.from_numpy(x.detach().numpy()), 256, ("torch.export cannot follow", "from_numpy")),
        (lambda x: x * len(x), 256, ("differ by", "number of images")),
        (lambda x: x.view(3, 4, 8, 8), 256, ("torch.export cannot follow", "invalid for input of size")),
    ],
)
def test_operations_without_an_integer_form(
    middle: Callable[[Tensor], Tensor], features: int, parts: tuple[str, ...]
) -> None:
    message = refused(Network(middle, features), *parts)
    assert "; " in message, "no advice"


@pytest.mark.parametrize("end", [nn.Sigmoid(), nn.Softmax(1), nn.LogSoftmax(-1), nn.Tanh()])
def test_a_monotone_end_is_refused_with_the_advice_to_drop_it(end: nn.Module) -> None:
    refused(
        nn.Sequential(nn.Flatten(), nn.Linear(192, 5), end),
        type(end).__name__,
        "logits are needed",
        "drop it",
        "the class with the largest output stays the same",
    )


def test_a_softmax_over_the_images_of_a_batch_is_not_called_monotone() -> None:
    message = refused(nn.Sequential(nn.Flatten(), nn.Linear(192, 5), nn.Softmax(0)), "Softmax 2")
    assert "drop it" not in message


def test_a_monotone_operation_elsewhere_is_an_activation_like_others() -> None:
    message = refused(nn.Sequential(nn.Flatten(), nn.Linear(192, 5), nn.Tanh(), nn.Linear(5, 5)), "Tanh 2")
    assert "drop it" not in message


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_no_numbers_are_refused_by_name(bad: float) -> None:
    module = Network(F.relu)
    module.conv.weight.data[1, 2, 0, 0] = bad
    with pytest.raises(ConversionError, match=r"tensor 'conv\.weight' has NaN or infinite elements"):
        to_graph(module, SHAPE)


def test_a_batch_norm_with_a_negative_variance_is_refused() -> None:
    module = Network(nn.BatchNorm2d(4))
    module.middle.running_var[2] = -1
    refused(module, "of 'conv' is NaN or infinite in some channels", "negative variance")


@pytest.mark.filterwarnings("ignore:Complex modules are a new feature")
def test_other_number_formats_are_refused_by_name() -> None:
    refused(Network(F.relu).half(), "tensor 'conv.weight' is float16", ".float()")
    refused(Network(F.relu).to(torch.complex64), "tensor 'conv.weight' is complex64")


def test_a_network_that_remembers_is_refused() -> None:
    refused(Counting(), "changes its buffer 'seen' while it runs")


@pytest.mark.parametrize(
    ("forward", "found"),
    [
        (lambda x: (x, x), "a tuple"),
        (lambda x: {"logits": x}, "a dict"),
        (lambda x: x, "[3, 3, 8, 8]"),
        (lambda x: x.flatten(1)[:, :1], "[3, 1]"),
        (lambda x: x.flatten(0, 1).flatten(1), "[9, 64]"),
    ],
)
def test_a_network_returns_one_tensor_of_logits(forward: Callable[[Tensor], Any], found: str) -> None:
    class Returns(nn.Module):
        def forward(self, x: Tensor) -> Any:
            return forward(x)

    refused(Returns(), f"the network returns {found} for 3 images", "(N, classes)")


def test_images_of_another_shape_are_refused_with_the_line_that_cannot_take_them() -> None:
    refused(
        Network(F.relu, features=100),
        "cannot take images of shape (3, 8, 8) at ",
        "'return self.fc(self.middle(self.conv(x)).flatten(1))'",
        "shapes cannot be multiplied",
    )


def test_logits_that_do_not_depend_on_the_image_are_refused() -> None:
    class Constant(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bias = nn.Parameter(torch.ones(5))

        def forward(self, x: Tensor) -> Tensor:
            return self.bias.expand(len(x), 5) * 1.0

    refused(Constant(), "do not depend on the image")


def test_a_network_that_cannot_be_copied_is_refused() -> None:
    module = Network(F.relu)
    module.history = module.conv.weight * 2
    refused(module, "cannot be copied")


def test_the_exporter_says_nothing_besides_the_error(capfd: pytest.CaptureFixture[str]) -> None:
    refused(Network(decides), "decides")
    refused(Network(lambda x: x.view(3, 4, 8, 8)), "cannot follow")
    assert capfd.readouterr() == ("", "")
