"""The algorithms: certify, predict, the radius table, and checking what was certified.

Pure: no torch, no ledger; the cache of radius tables (:mod:`holdfast.certify.table`) is the one place that sees files.
"""

from __future__ import annotations

from holdfast.certify.certify import DEFAULT_BATCH, certify, check_image, decide, label_batches
from holdfast.certify.predict import Prediction, decide_prediction, predict
from holdfast.certify.radius import certified_count, largest_radius_sq
from holdfast.certify.runs import new_run
from holdfast.certify.table import radius_table

__all__ = [
    "DEFAULT_BATCH",
    "Prediction",
    "certified_count",
    "certify",
    "check_image",
    "decide",
    "decide_prediction",
    "label_batches",
    "largest_radius_sq",
    "new_run",
    "predict",
    "radius_table",
]
