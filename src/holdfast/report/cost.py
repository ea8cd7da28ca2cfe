"""What a network weighs and how much it multiplies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Cost", "network_cost"]


@dataclass(frozen=True, slots=True)
class Cost:
    """The size of a network.

    Attributes:
        file_bytes: of its file.
        tensor_bytes: of its weights and other tensors in memory.
        parameters: trained numbers.
        macs: multiplications in convolutions and matrix products, for one image.
    """

    file_bytes: int
    tensor_bytes: int
    parameters: int
    macs: int

    def facts(self) -> list[tuple[str, str]]:
        """Names and texts."""
        return [
            ("network file", f"{self.file_bytes:,} bytes"),
            ("tensors in memory", f"{self.tensor_bytes:,} bytes"),
            ("parameters", f"{self.parameters:,}"),
            ("MACs of convolutions and matrix products, per noisy copy", f"{self.macs:,}"),
        ]


def network_cost(module: nn.Module, shape: tuple[int, int, int], file_bytes: int) -> Cost:
    """Count a network by running it once, on zeros: what it really multiplies, wherever in its code that happens.

    Args:
        module: takes a float32 batch (N, C, H, W); its weights stay as they are.
        shape: (C, H, W).
        file_bytes: of its file.

    Example:
        >>> import torch
        >>> network_cost(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 3)), (1, 2, 2), 99)
        Cost(file_bytes=99, tensor_bytes=60, parameters=15, macs=12)
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        module.eval()(torch.zeros((1, *shape)))
    tensors = [*module.parameters(), *module.buffers()]
    return Cost(
        file_bytes=file_bytes,
        tensor_bytes=sum(t.numel() * t.element_size() for t in tensors),
        parameters=sum(p.numel() for p in module.parameters()),
        macs=counter.get_total_flops() // 2,
    )
