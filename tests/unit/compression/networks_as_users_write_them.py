"""Networks in the many ways people write them, each for images of :data:`SHAPE`; all can be converted."""

from __future__ import annotations

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SHAPE = (3, 12, 12)


class InPlaceSequential(nn.Module):
    """Nested nn.Sequential, in-place ReLU, dropout, view."""

    def __init__(self) -> None:
        super().__init__()
        block = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(inplace=True))
        self.features = nn.Sequential(block, nn.MaxPool2d(2), nn.Sequential(nn.Conv2d(6, 8, 3), nn.ReLU(True)))
        self.classifier = nn.Sequential(nn.Dropout(), nn.Linear(8 * 4 * 4, 16), nn.ReLU(True), nn.Linear(16, 5))

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x)
        return self.classifier(x.view(x.size(0), -1))


class Functional(nn.Module):
    """Everything from torch.nn.functional."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 3, stride=2)
        self.conv2 = nn.Conv2d(6, 8, 2)
        self.fc = nn.Linear(8 * 2 * 2, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv1(x))
        x = F.max_pool2d(F.relu(self.conv2(x), inplace=True), 2)
        x = F.dropout(x, 0.3, training=self.training)
        return self.fc(torch.flatten(x, 1))


class SharedLayers(nn.Module):
    """One convolution, one batch norm and one ReLU, used three times."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.conv, self.bn = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.relu, self.fc = nn.ReLU(), nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for _ in range(3):
            x = self.relu(self.bn(self.conv(x)))
        return self.fc(x.mean([2, 3]))


class InvertedResidual(nn.Module):
    """MobileNetV2's block: expand, depthwise, project."""

    def __init__(self, channels_in: int, channels_out: int, stride: int, expand_ratio: int) -> None:
        super().__init__()
        hidden = channels_in * expand_ratio
        self.use_res_connect = stride == 1 and channels_in == channels_out
        layers: list[nn.Module] = []
        if expand_ratio != 1:
            layers += [nn.Conv2d(channels_in, hidden, 1, bias=False), nn.BatchNorm2d(hidden), nn.ReLU6(inplace=True)]
        depthwise = nn.Conv2d(hidden, hidden, 3, stride, 1, groups=hidden, bias=False)
        layers += [depthwise, nn.BatchNorm2d(hidden), nn.ReLU6(inplace=True)]
        layers += [nn.Conv2d(hidden, channels_out, 1, bias=False), nn.BatchNorm2d(channels_out)]
        self.conv = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.use_res_connect else self.conv(x)


class MobileNetV2(nn.Module):
    """The whole network at a quarter of its width, with strides for small images."""

    def __init__(self, width: float = 0.25) -> None:
        super().__init__()
        channels = int(32 * width)
        features: list[nn.Module] = [nn.Conv2d(3, channels, 3, 1, 1, bias=False), nn.BatchNorm2d(channels), nn.ReLU6()]
        settings = [
            (1, 16, 1, 1),
            (6, 24, 2, 1),
            (6, 32, 3, 2),
            (6, 64, 4, 2),
            (6, 96, 3, 1),
            (6, 160, 3, 2),
            (6, 320, 1, 1),
        ]
        for expand_ratio, c, repeats, stride in settings:
            for i in range(repeats):
                features.append(InvertedResidual(channels, int(c * width), stride if i == 0 else 1, expand_ratio))
                channels = int(c * width)
        features += [nn.Conv2d(channels, 320, 1, bias=False), nn.BatchNorm2d(320), nn.ReLU6(inplace=True)]
        self.features = nn.Sequential(*features)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(320, 5))

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x).mean(3).mean(2))


class LambdaLayer(nn.Module):
    def __init__(self, function: object) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)  # type: ignore[operator]


def _pad_slice(x: Tensor) -> Tensor:
    return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 2, 2), "constant", 0)


def _pool_and_append_zeros(x: Tensor) -> Tensor:
    x = F.avg_pool2d(x, kernel_size=1, stride=2)
    return torch.cat((x, x.mul(0)), 1)


def _append_new_zeros(x: Tensor) -> Tensor:
    x = x[..., ::2, ::2]
    zeros = torch.zeros(x.size(0), 2, x.size(2), x.size(3), dtype=x.dtype, device=x.device)
    return torch.cat([zeros, x, x.new_zeros(x.shape[0], 2, x.shape[2], x.shape[3])], dim=1)


def _append_legacy_zeros(x: Tensor) -> Tensor:
    x = F.max_pool2d(x, 1, 2)
    return torch.cat([x, torch.Tensor(x.size(0), 1, 6, 6).zero_(), torch.zeros_like(x)[:, 1:]], dim=-3)


SHORTCUTS_A = (_pad_slice, _pool_and_append_zeros, _append_new_zeros, _append_legacy_zeros)


class OptionA(nn.Module):
    """A residual block whose shortcut has no parameters."""

    def __init__(self, shortcut: object) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)
        self.conv2, self.bn2 = nn.Conv2d(4, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8)
        self.shortcut = LambdaLayer(shortcut)
        self.linear = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        shortcut = self.shortcut(out)
        out = self.bn2(self.conv2(out))
        out += shortcut
        out = F.avg_pool2d(F.relu(out), out.size()[3])
        return self.linear(out.view(out.size(0), -1))


class ProjectionShortcut(nn.Module):
    """A 1x1 convolution in the shortcut, one ReLU module for all, ``out += identity``."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8)
        self.conv2, self.bn2 = nn.Conv2d(8, 8, 3, 1, 1, bias=False), nn.BatchNorm2d(8)
        self.downsample = nn.Sequential(
            OrderedDict(conv=nn.Conv2d(3, 8, 1, 2, bias=False), norm=nn.BatchNorm2d(8, affine=False))
        )
        self.relu = nn.ReLU(inplace=True)
        self.fc = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        identity = self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += identity
        out = self.relu(out)
        return self.fc(F.adaptive_avg_pool2d(out, (1, 1)).squeeze(3).squeeze(2))


class PreActivation(nn.Module):
    """Batch norm before the convolution; the in-place ReLU also changes what the shortcut reads."""

    def __init__(self) -> None:
        super().__init__()
        self.conv0 = nn.Conv2d(3, 6, 3, padding=1, bias=False)
        self.bn1, self.conv1 = nn.BatchNorm2d(6), nn.Conv2d(6, 6, 3, padding=1, bias=False)
        self.bn2, self.conv2 = nn.BatchNorm2d(6), nn.Conv2d(6, 6, 3, padding=1, bias=False)
        self.fc = nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv0(x)
        normed = self.bn1(x)
        out = F.relu(normed, inplace=True)
        out = self.conv1(out) + normed
        out = self.conv2(F.relu_(self.bn2(out))) + x
        return self.fc(out.mean((-2, -1), keepdim=True).flatten(1))


class BatchNormAct2d(nn.BatchNorm2d):
    """Batch norm and activation in one module, as in timm."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.drop, self.act = nn.Identity(), nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        training = self.training or (self.running_mean is None and self.running_var is None)
        x = F.batch_norm(
            x,
            self.running_mean if not self.training or self.track_running_stats else None,
            self.running_var if not self.training or self.track_running_stats else None,
            self.weight,
            self.bias,
            training,
            0.1,
            self.eps,
        )
        return self.act(self.drop(x))


class FusedNormAct(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.bn1 = nn.Conv2d(3, 6, 3, bias=False), BatchNormAct2d(6)
        self.head = nn.Conv2d(6, 5, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn1(self.stem(x))
        return F.adaptive_avg_pool2d(self.head(x), 1)[..., 0:1].flatten(1)


class Clamps(nn.Module):
    """Every way to write a clamp; batch norm between linear layers; a hardtanh head."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.bn1, self.fc2 = nn.Linear(432, 16), nn.BatchNorm1d(16), nn.Linear(16, 5)
        self.head = nn.Hardtanh(-2.5, 1.5)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu6(x.clamp(-1.5, 1.25)).clamp_min(0.1).clip(max=1.1)
        x = torch.max(torch.minimum(x, torch.tensor(0.9)), torch.tensor(0.2)).clamp_max_(0.8).expand_as(x)
        x = F.hardtanh(self.bn1(self.fc1(x.reshape(-1, 432))), -0.5, 2.0)
        return self.head(self.fc2(x))


class Dense(nn.Module):
    """Inception-like branches joined over channels, a batch norm behind."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 4, 1), nn.Sequential(nn.Conv2d(3, 5, 1), nn.ReLU(), nn.Conv2d(5, 5, 3, padding=1))
        self.norm, self.fc = nn.BatchNorm2d(3 + 4 + 5 + 3), nn.Linear(15, 5)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.concat([x, self.a(x), self.b(x), F.avg_pool2d(x, 3, 1, 1)], 1)
        y = F.relu(self.norm(y))
        return self.fc(y.mean((2, 3)) + y.amax((-1, -2)))


class Windows(nn.Module):
    """Windows of all kinds: ceil_mode, same, dilation, groups, uneven zeros, pools of one place and of the whole image."""

    def __init__(self) -> None:
        super().__init__()
        self.same = nn.Conv2d(3, 4, (4, 2), padding="same", dilation=(1, 3))
        self.valid = nn.Conv2d(4, 6, (1, 3), stride=(2, 1), padding="valid", groups=2)
        self.zeros, self.strided = nn.ZeroPad2d((0, 1, 2, 1)), nn.Conv2d(6, 6, 3, 2, (1, 0))
        self.fc = nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(self.same(x), 3, 2, 1, ceil_mode=True)
        x = F.avg_pool2d(F.pad(self.valid(x), (1, 1)), 2, 1, padding=(1, 0), count_include_pad=True)
        x, _ = F.max_pool2d(self.strided(self.zeros(x)), 2, 1, return_indices=True)
        x = F.avg_pool2d(x, 2, 2, ceil_mode=False, divisor_override=4)
        return self.fc(F.adaptive_max_pool2d(x, 1).view(x.shape[0], -1))


class Constants(nn.Module):
    """Normalisation inside, scalars, a learnt gain per channel, differences, in-place changes of the input."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor([0.4, 0.5, 0.6]).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor([0.2, 0.25, 0.3]), persistent=False)
        self.conv, self.other = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3)
        self.gain, self.offset = nn.Parameter(torch.rand(4, 1, 1)), nn.Parameter(torch.rand(1))
        self.fc = nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        x.mul_(0.5).add_(0.25)
        x = (x - self.mean) / self.std[None, :, None, None]
        a, b = self.offset + self.conv(x) * self.gain, self.gain * self.other(x)
        y = torch.add(a, b, alpha=0.5) - b / 3
        y = 1 - y.relu() + (-a)
        y -= torch.full_like(y, 0.125)
        return self.fc(y.flatten(2).mean(-1)) * 2.0 - torch.arange(5) / 10


class MatrixProducts(nn.Module):
    """Linear layers without nn.Linear, reparametrised weights, a second output that is never used."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 4, 3, stride=3))
        self.w1, self.w2 = nn.Parameter(torch.randn(64, 12)), nn.Parameter(torch.randn(12, 8))
        self.w3, self.b3 = nn.Parameter(torch.randn(8, 5)), nn.Parameter(torch.randn(5))
        self.auxiliary = nn.GELU()

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x).contiguous().reshape(x.size(0), 64).to(self.w1.dtype).type_as(x)
        self.auxiliary(x)
        x = torch.relu(x @ self.w1)
        x = torch.relu(torch.mm(x, self.w2 - self.w2.mean(0)) + self.b3.sum())
        return torch.addmm(self.b3, x, self.w3, beta=2.0, alpha=0.5)


class FlatConcat(nn.Module):
    """Two flat branches joined."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.fc = nn.Linear(432, 3), nn.Linear(432, 4), nn.Linear(7, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(1)
        return self.fc(torch.hstack([self.a(x).relu(), self.b(x)]))


NETWORKS = {
    "in-place-sequential": InPlaceSequential,
    "functional": Functional,
    "shared-layers": SharedLayers,
    "mobilenet-v2": MobileNetV2,
    **{f"option-a{function.__name__}": lambda function=function: OptionA(function) for function in SHORTCUTS_A},
    "projection-shortcut": ProjectionShortcut,
    "pre-activation": PreActivation,
    "fused-norm-act": FusedNormAct,
    "clamps": Clamps,
    "dense": Dense,
    "windows": Windows,
    "constants": Constants,
    "matrix-products": MatrixProducts,
    "flat-concat": FlatConcat,
}
