"""Training under integer noise: recipes, objectives, the loop, and trainings that resume to the same weights."""

from holdfast.training.evaluate import accuracy
from holdfast.training.history import EpochRecord
from holdfast.training.loop import TrainingResult, train
from holdfast.training.precision import Execution, choose
from holdfast.training.recipes import RECIPES, Recipe, named

__all__ = ["RECIPES", "EpochRecord", "Execution", "Recipe", "TrainingResult", "accuracy", "choose", "named", "train"]
