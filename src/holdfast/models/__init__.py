"""Networks that holdfast can build, save, load and later convert: one file per family.

A module's input is the preprocessed float tensor (N, C, H, W); :func:`to_input` makes it from pixels.
"""

from holdfast.models.preprocess import to_input
from holdfast.models.registry import build, model_names
from holdfast.models.spec import ModelSpec
from holdfast.models.user_module import load_user

__all__ = ["ModelSpec", "build", "load_user", "model_names", "to_input"]
