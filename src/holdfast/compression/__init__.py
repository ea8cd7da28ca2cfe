"""From trained float networks to integer networks."""

from __future__ import annotations

from holdfast.compression.integer import require_equal, to_integer, to_twin
from holdfast.compression.saturation import saturated_shares
from holdfast.compression.twin import Twin

__all__ = ["Twin", "require_equal", "saturated_shares", "to_integer", "to_twin"]
