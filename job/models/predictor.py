"""What a model is to the predict stage. A model of kind `python` is a factory that returns one of these:

    from job.recipe import Recipe, ShortestEdge

    class Brightness:
        recipe = Recipe(ShortestEdge(256), crop=(224, 224))
        labels = ["dark", "bright"]

        def __init__(self, spec, device):       # a class is a factory; any callable of (ModelSpec, str) is
            self.device = device

        def predict(self, images):              # [N, 224, 224, 3] uint8, on the device
            bright = images.float().mean((1, 2, 3)) / 255
            return torch.stack([1 - bright, bright], 1)

is run by `kind: python, name: "my_models:Brightness"`. The driver needs only the recipe: a factory that has a `recipe`
of its own, as this class does, is not called there. `predict` runs in `torch.inference_mode`, in one thread, and
should not wait for the device: the stage fetches all results of a chunk at once.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from job.recipe import Recipe, Size

if TYPE_CHECKING:
    import torch


class Detection(NamedTuple):
    """What was found in one image, on any device."""

    boxes: "torch.Tensor"  # [M, 4] x0, y0, x1, y1 in the original's pixels
    labels: "torch.Tensor"  # [M] indices into the predictor's labels
    scores: "torch.Tensor"  # [M] probabilities


class Classifier(Protocol):
    """A predictor of `task: classify`."""

    @property
    def recipe(self) -> Recipe:
        """Must fix a size."""

    @property
    def labels(self) -> Sequence[str]:
        """A name for each class."""

    def predict(self, images: "torch.Tensor", /) -> "torch.Tensor":
        """[N, h, w, 3] uint8 on the device, as the recipe left them, to probabilities [N, C]."""


class Detector(Protocol):
    """A predictor of `task: detect`."""

    @property
    def recipe(self) -> Recipe: ...

    @property
    def labels(self) -> Sequence[str]:
        """A name for each class."""

    def predict(self, images: "Sequence[torch.Tensor]", sizes: Sequence[Size], /) -> Sequence[Detection]:
        """Images [h_i, w_i, 3] uint8 on the device, and the originals' (height, width): a detection for each."""


Predictor = Classifier | Detector
