"""A classification network as a predictor: torchvision's and transformers' alike."""

from collections.abc import Sequence
from typing import Literal

import torch

from job.models.device import Placement, ToInput
from job.recipe import Recipe

# What makes scores of a network's outputs; of a regression they are the scores.
Scores = Literal["softmax", "sigmoid", "none"]


class NetworkClassifier:
    """Wraps a network that maps [N, 3, h, w] to logits [N, C]."""

    def __init__(
        self,
        network: torch.nn.Module,
        recipe: Recipe,
        labels: Sequence[str],
        placement: Placement,
        scores: Scores = "softmax",
    ) -> None:
        self.recipe = recipe
        self.labels = labels
        self.precision = placement.precision
        self._network = placement.place(network)
        self._to_input = ToInput(recipe, placement.device, placement.dtype)
        self._scores = scores

    def predict(self, images_nhwc: torch.Tensor) -> torch.Tensor:
        """Scores [N, C] float32."""
        logits_nc: torch.Tensor = self._network(self._to_input(images_nhwc)).float()
        if self._scores == "none":
            return logits_nc
        return logits_nc.softmax(-1) if self._scores == "softmax" else logits_nc.sigmoid()
