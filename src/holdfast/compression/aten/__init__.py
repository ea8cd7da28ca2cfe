"""From the operations of an exported PyTorch program (ATen) to those of a float graph: one small function per operation."""

from holdfast.compression.aten.translate import translate

__all__ = ["translate"]
