"""torchvision's detection networks as a predictor."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import torch
from torchvision.models.detection.transform import GeneralizedRCNNTransform

from job.models.device import Autocast, Placement
from job.models.predictor import Detection
from job.recipe import Recipe, Size

# The parts that take the time; anchors, boxes and their suppression stay in float32.
_HEAVY_PARTS = ("backbone", "head", "rpn.head", "roi_heads.box_head", "roi_heads.box_predictor")


class TorchvisionDetector:
    """Networks of torchvision.models.detection: they resize and normalise, and answer in the image's own pixels."""

    def __init__(self, network: torch.nn.Module, labels: Sequence[str], placement: Placement) -> None:
        self.recipe = Recipe()
        self.labels = labels
        self.precision = placement.precision
        network = without_masks(network).eval().requires_grad_(False).to(placement.device)
        # Images a second of one core: SSDLite 16 to 24, Faster R-CNN on MobileNetV3 6.8 to 9.4.
        self._network = network.to(memory_format=torch.channels_last)
        autocast_heavy_parts(self._network, placement)
        if isinstance(self._network.transform, GeneralizedRCNNTransform):
            normalize_in_place(self._network.transform)

    def predict(self, images: Sequence[torch.Tensor], sizes: Sequence[Size]) -> list[Detection]:
        """Batches only what is padded to the same size, so that an image's boxes do not depend on its neighbours."""
        detections: dict[int, Detection] = {}
        for indices in self._alike(sizes):
            inputs = [images[index].permute(2, 0, 1).float().div_(255) for index in indices]
            for index, found in zip(indices, self._network(inputs), strict=True):
                detections[index] = Detection(found["boxes"], found["labels"], found["scores"])
        return [detections[index] for index in range(len(images))]

    def _alike(self, sizes: Sequence[Size]) -> Iterable[list[int]]:
        transform = self._network.transform
        if not isinstance(transform, GeneralizedRCNNTransform):
            return [[index] for index in range(len(sizes))]
        groups: defaultdict[Size, list[int]] = defaultdict(list)
        for index, size in enumerate(sizes):
            groups[_padded(transform, size)].append(index)
        return groups.values()


def normalize_in_place(transform: GeneralizedRCNNTransform) -> None:
    """Its own way holds an image three times as floats, 36 bytes a pixel before it is resized. Same numbers."""
    mean, std = (torch.tensor(values)[:, None, None] for values in (transform.image_mean, transform.image_std))

    def normalize(image: torch.Tensor) -> torch.Tensor:
        return image.sub_(mean.to(image)).div_(std.to(image))

    transform.normalize = normalize


def without_masks(network: torch.nn.Module) -> torch.nn.Module:
    """Mask R-CNN and Keypoint R-CNN draw both from the boxes; the boxes are the same without."""
    heads = getattr(network, "roi_heads", None)
    if heads is not None:
        heads.mask_roi_pool = heads.keypoint_roi_pool = None
    return network


def autocast_heavy_parts(network: torch.nn.Module, placement: Placement) -> None:
    """In lower precision the heavy parts alone: a box of 800 pixels in bfloat16 would be 4 pixels off."""
    for name in _HEAVY_PARTS:
        parent_name, _, child = name.rpartition(".")
        try:
            parent, part = network.get_submodule(parent_name), network.get_submodule(name)
        except AttributeError:
            continue
        part = placement.packed(part) if placement.dtype == torch.float32 else Autocast(part, placement)
        # Images of a detector come in many shapes, and each would be compiled for itself.
        setattr(parent, child, placement.compiled(part, dynamic=True) if name == "backbone" else part)


def _padded(transform: GeneralizedRCNNTransform, size: Size) -> Size:
    """The size that an image of `size` has in a batch of its own: resized, then filled to a multiple."""
    if transform.fixed_size is not None:
        return transform.fixed_size[1], transform.fixed_size[0]
    scale = min(transform.min_size[-1] / min(size), transform.max_size / max(size))
    multiple = transform.size_divisible
    height, width = (-(-int(edge * scale) // multiple) * multiple for edge in size)
    return height, width
