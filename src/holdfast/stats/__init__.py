"""Bounds on plain integers, proved with ball arithmetic; metrics of certified robustness."""

from __future__ import annotations

from holdfast.stats.binomial import check_alpha, clopper_pearson_lower_down, critical_count, require_possible
from holdfast.stats.metrics import (
    Result,
    accuracy_among_certified,
    average_certified_radius,
    certified_accuracy,
    certified_percentage,
    smoothed_accuracy,
)

__all__ = [
    "Result",
    "accuracy_among_certified",
    "average_certified_radius",
    "certified_accuracy",
    "certified_percentage",
    "check_alpha",
    "clopper_pearson_lower_down",
    "critical_count",
    "require_possible",
    "smoothed_accuracy",
]
