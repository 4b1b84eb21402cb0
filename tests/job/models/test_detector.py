"""torchvision's detectors: what is done in another way than theirs gives the same numbers."""

import torch
from torchvision.models.detection import fasterrcnn_mobilenet_v3_large_320_fpn

from job.models.detector import normalize_in_place


def test_normalising_in_place_gives_the_same_numbers():
    network = fasterrcnn_mobilenet_v3_large_320_fpn(weights=None, weights_backbone=None)
    image = torch.rand(3, 40, 60).permute(1, 2, 0).contiguous().permute(2, 0, 1)
    expected = network.transform.normalize(image)
    normalize_in_place(network.transform)
    assert torch.equal(network.transform.normalize(image), expected)
