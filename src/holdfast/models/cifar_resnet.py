"""The residual networks for 32x32 images: 6n + 2 layers, three stages of 16, 32 and 64 channels.

References:
    He, Zhang, Ren, Sun: Deep Residual Learning for Image Recognition, section 4.2 (option A shortcuts).
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["BLOCKS_PER_STAGE", "BasicBlock", "CifarResNet", "SubsampleAndPad"]

BLOCKS_PER_STAGE = {"resnet20": 3, "resnet32": 5, "resnet34": 6, "resnet44": 7, "resnet56": 9, "resnet110": 18}
"""Blocks in each of the three stages. A name 6n + 2 has n, but for ``resnet34``: no n gives 34. The binarisation study
of EnResNet lists a 'ResNet34' of 0.56 million parameters; n = 6 has 561 370, and is the only n with that number."""


class SubsampleAndPad(nn.Module):
    """Option A shortcut: every second pixel, zero channels on both sides. No parameters."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.before = (channels_out - channels_in) // 2
        self.after = channels_out - channels_in - self.before

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C_out, ceil(H / stride), ceil(W / stride))."""
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.before, self.after))


class BasicBlock(nn.Module):
    """``relu(x' + bn(conv(relu(bn(conv(x))))))`` with 3x3 convolutions."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels_out)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels_out)
        same = stride == 1 and channels_in == channels_out
        self.shortcut = nn.Identity() if same else SubsampleAndPad(channels_in, channels_out, stride)
        self.relu2 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """(N, C_in, H, W) to (N, C_out, ceil(H / stride), ceil(W / stride))."""
        y = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        out: Tensor = self.relu2(y + self.shortcut(x))
        return out


class CifarResNet(nn.Module):
    """A residual network with ``blocks`` basic blocks in each of three stages.

    Args:
        blocks: n of 6n + 2, at least 1.
        num_classes: number of logits.
        channels: channels of the input.
        width: channels of the first stage; the others have twice and four times as many.

    Example:
        >>> sum(p.numel() for p in CifarResNet(3, 10).parameters())
        269722
    """

    def __init__(self, blocks: int, num_classes: int, channels: int = 3, width: int = 16) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, width, 3, 1, 1, bias=False)
        self.bn = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        self.stage1 = _stage(width, width, 1, blocks)
        self.stage2 = _stage(width, 2 * width, 2, blocks)
        self.stage3 = _stage(2 * width, 4 * width, 2, blocks)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(4 * width, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) preprocessed images to (N, num_classes) logits."""
        y = self.stage3(self.stage2(self.stage1(self.relu(self.bn(self.conv(x))))))
        logits: Tensor = self.fc(self.flatten(self.pool(y)))
        return logits


def _stage(channels_in: int, channels_out: int, stride: int, blocks: int) -> nn.Sequential:
    first = BasicBlock(channels_in, channels_out, stride)
    return nn.Sequential(first, *(BasicBlock(channels_out, channels_out, 1) for _ in range(blocks - 1)))
