"""Training objectives: one small file each.

An objective is a callable value: it is given the network as a function from pixels to logits, a batch, and a source of
noise, and returns the loss to descend with the logits to count. It is a frozen dataclass, so that its fields tell how a
network was trained.
"""

from holdfast.training.objectives.distilled import Distilled
from holdfast.training.objectives.gaussian import Gaussian
from holdfast.training.objectives.protocol import Classify, Draw, Objective, Outcome

__all__ = ["Classify", "Distilled", "Draw", "Gaussian", "Objective", "Outcome"]
