"""Tench's own MobileNetV3-small, recorded: `scripts.bench.mobilenet:MobileNet`.

What `kind: torchvision, name: mobilenet_v3_small, weights: none` loads, and a record of every batch beside it.
"""

import torch

from job.models.classifier import NetworkClassifier
from job.models.torchvision import load_predictor, load_recipe
from job.spec.spec import ModelSpec
from scripts.bench.record import batch_done

NAME = "mobilenet_v3_small"


class MobileNet:
    """Its weights are random, from the seed that Tench takes."""

    recipe = load_recipe(ModelSpec(kind="torchvision", name=NAME, weights="none"))

    def __init__(self, spec: ModelSpec, device: str) -> None:
        named = spec.model_copy(update={"kind": "torchvision", "name": NAME, "weights": "none"})
        classifier = load_predictor(named, device)
        if not isinstance(classifier, NetworkClassifier):
            raise TypeError(f"{NAME} was loaded as a {type(classifier).__name__}, which is no classifier")
        self.classifier = classifier
        self.labels = classifier.labels
        self.precision = classifier.precision

    def predict(self, images_nhwc: torch.Tensor) -> torch.Tensor:
        probabilities_nc = self.classifier.predict(images_nhwc)
        batch_done(len(images_nhwc))
        return probabilities_nc
