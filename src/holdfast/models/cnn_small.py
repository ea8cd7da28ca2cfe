"""A small convolutional network for digits (8x8) and MNIST (28x28)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

__all__ = ["SmallCnn"]


class SmallCnn(nn.Module):
    """3x3 convolutions with BatchNorm and ReLU, the second and later with stride 2; average pool; one linear layer.

    Args:
        widths: channels of the convolutions, two or three as a rule.
        num_classes: number of logits.
        channels: channels of the input.

    Example:
        >>> import torch
        >>> SmallCnn((32, 64, 64), 10, 1)(torch.zeros(2, 1, 8, 8)).shape
        torch.Size([2, 10])
    """

    def __init__(self, widths: Sequence[int], num_classes: int, channels: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for i, width in enumerate(widths):
            layers.append(nn.Conv2d(channels, width, 3, 1 if i == 0 else 2, 1, bias=False))
            layers += [nn.BatchNorm2d(width), nn.ReLU()]
            channels = width
        self.features = nn.Sequential(*layers)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) preprocessed images to (N, num_classes) logits."""
        logits: Tensor = self.fc(self.flatten(self.pool(self.features(x))))
        return logits
