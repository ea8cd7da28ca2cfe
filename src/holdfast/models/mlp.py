"""The multilayer perceptron, of any depth and width."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

__all__ = ["Mlp"]


class Mlp(nn.Module):
    """Linear layers with ReLU between them, with BatchNorm before each ReLU if asked.

    Args:
        inputs: C * H * W of an image.
        widths: units of the hidden layers; an empty sequence is a linear classifier.
        num_classes: number of logits.
        batch_norm: put BatchNorm between a hidden linear layer and its ReLU.

    Example:
        >>> [tuple(p.shape) for p in Mlp(64, (32,), 10).parameters()]
        [(32, 64), (32,), (10, 32), (10,)]
    """

    def __init__(self, inputs: int, widths: Sequence[int], num_classes: int, batch_norm: bool = False) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Flatten()]
        for width in widths:
            layers.append(nn.Linear(inputs, width, bias=not batch_norm))
            layers += [nn.BatchNorm1d(width), nn.ReLU()] if batch_norm else [nn.ReLU()]
            inputs = width
        self.layers = nn.Sequential(*layers, nn.Linear(inputs, num_classes))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) preprocessed images to (N, num_classes) logits."""
        logits: Tensor = self.layers(x)
        return logits
