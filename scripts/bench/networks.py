"""The models as the hand-written pipelines build them: `stub`, which is as good as nothing, and torchvision's.

Imported by `plain` and `dataloader` inside their processes. `scripts.bench.stub` has the same two for Tench.
"""

from typing import Any

import torch
from torchvision import models

SEED = 0


class Stub(torch.nn.Module):
    """Ten logits that are ten of the input's numbers."""

    def forward(self, images_nchw: torch.Tensor) -> torch.Tensor:
        return images_nchw[:, 0, 0, :10]


def build_network(name: str) -> torch.nn.Module:
    """In evaluation mode; weights are random, from a seed."""
    torch.manual_seed(SEED)
    network: torch.nn.Module = Stub() if name == "stub" else models.get_model(name, weights=None)
    return network.eval()


def published_transforms(name: str) -> Any:
    """The recipe of the model's published weights; nothing is downloaded. The stub takes MobileNet's."""
    return models.get_model_weights("mobilenet_v3_small" if name == "stub" else name).DEFAULT.transforms()
