"""transformers' object detection networks as a predictor."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import torch

from job.models.device import Placement, ToInput
from job.models.predictor import Detection
from job.recipe import Recipe, Size


class TransformersDetector:
    """Boxes come out relative to the input; the processor's own post-processing maps them to the original's pixels.

    Only inputs of one size share a batch: what fills up a smaller image reaches its boxes, where a network has no mask
    at all and, through convolutions, where it has one.
    """

    def __init__(
        self, network: torch.nn.Module, recipe: Recipe, labels: Sequence[str], placement: Placement, processor: Any
    ) -> None:
        self.recipe = recipe
        self.labels = labels
        self.precision = placement.precision
        self._network = placement.place(network)
        self._to_input = ToInput(recipe, placement.device, placement.dtype)
        self._processor = processor

    def predict(self, images: Sequence[torch.Tensor], sizes: Sequence[Size]) -> list[Detection]:
        groups: defaultdict[Size, list[int]] = defaultdict(list)
        for index, image in enumerate(images):
            groups[image.shape[0], image.shape[1]].append(index)
        detections: dict[int, Detection] = {}
        for indices in groups.values():
            pixels_nchw = self._to_input(torch.stack([images[index] for index in indices]))
            for index, found in zip(indices, self._found(pixels_nchw, [sizes[i] for i in indices]), strict=True):
                detections[index] = Detection(found["boxes"], found["labels"], found["scores"])
        return [detections[index] for index in range(len(images))]

    def _found(self, pixels_nchw: torch.Tensor, sizes: list[Size]) -> list[dict[str, torch.Tensor]]:
        outputs = self._network(**self._filled(pixels_nchw))
        outputs.logits, outputs.pred_boxes = outputs.logits.float(), outputs.pred_boxes.float()
        # Every box: the stage applies the spec's threshold to all kinds of models alike.
        found: list[dict[str, torch.Tensor]] = self._processor.post_process_object_detection(
            outputs, threshold=-1.0, target_sizes=sizes
        )
        return found

    def _filled(self, pixels_nchw: torch.Tensor) -> dict[str, torch.Tensor]:
        """Filled up with zeros, and masked, where the processor is set to one fixed size."""
        target = getattr(self._processor, "pad_size", None) if getattr(self._processor, "do_pad", False) else None
        if not target:
            return {"pixel_values": pixels_nchw}
        count, channels, height, width = pixels_nchw.shape
        filled = pixels_nchw.new_zeros((count, channels, target.height, target.width))
        filled[:, :, :height, :width] = pixels_nchw
        mask = torch.zeros((count, target.height, target.width), dtype=torch.int64, device=filled.device)
        mask[:, :height, :width] = 1
        return {"pixel_values": filled, "pixel_mask": mask}
