"""Bounds on plain integers, proved with ball arithmetic; metrics of certified robustness."""

from __future__ import annotations

from holdfast.stats.binomial import check_alpha, clopper_pearson_lower_down, critical_count, require_possible
from holdfast.stats.interval import Interval, clopper_pearson_upper_up, mean_interval, share_interval
from holdfast.stats.metrics import (
    Result,
    accuracy_among_certified,
    average_certified_radius,
    certified_accuracy,
    certified_percentage,
    smoothed_accuracy,
)
from holdfast.stats.paired import PairedCounts, difference_interval, difference_upper_up, mean_difference_interval

__all__ = [
    "Interval",
    "PairedCounts",
    "Result",
    "accuracy_among_certified",
    "average_certified_radius",
    "certified_accuracy",
    "certified_percentage",
    "check_alpha",
    "clopper_pearson_lower_down",
    "clopper_pearson_upper_up",
    "critical_count",
    "difference_interval",
    "difference_upper_up",
    "mean_difference_interval",
    "mean_interval",
    "require_possible",
    "share_interval",
    "smoothed_accuracy",
]
