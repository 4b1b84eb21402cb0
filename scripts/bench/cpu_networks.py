"""CPU time of networks as Tench runs them and as they are written by hand: `python -m scripts.bench networks`.

The model alone on one thread in float32, random weights of the real architectures: the plain network in a loop of
batches, as people write it, beside Tench's predictor. The detector's images lie and stand, so that the batch by hand
is filled up to the largest edges. Seconds of the thread, which others on the machine disturb less than the clock.
"""

import copy
import statistics
import time
from collections.abc import Callable, Mapping

import torch
from rich.console import Console
from rich.table import Table
from torchvision.models import get_model

from job.models.classifier import NetworkClassifier
from job.models.detector import TorchvisionDetector
from job.models.device import Placement
from job.recipe import Exactly, Recipe
from scripts.bench.networks import SEED

BATCH, EDGE = 8, 224
SIZES = ((375, 500), (500, 375))  # of the detector's images
PLACEMENT = Placement("cpu", torch.float32, compile=False)
RECIPE = Recipe(Exactly(EDGE, EDGE), mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
NAMES = ("mobilenet_v3_small", "resnet50", "vit_base_patch16", "fasterrcnn_resnet50_fpn_v2")

Way = Callable[[], object]


def print_cpu_networks(console: Console, rounds: int) -> None:
    """Medians over interleaved rounds, the first batch of each left out."""
    torch.set_num_threads(1)
    table = Table("", "by hand, ms", "tench, ms", "by hand ÷ tench", title="CPU time of an image", title_justify="left")
    with torch.inference_mode():
        for name in NAMES:
            images, ways = _ways(name)
            spent = _measure(ways, rounds)
            hand, ours = (1000 * statistics.median(spent[way]) / images for way in ("by hand", "tench"))
            table.add_row(name, f"{hand:,.1f}", f"{ours:,.1f}", f"{hand / ours:.2f}")
    console.print(table)


def _measure(ways: Mapping[str, Way], rounds: int) -> dict[str, list[float]]:
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for way in ways.values():
        way()
    for _ in range(rounds):
        for name, way in ways.items():
            started = time.thread_time()
            way()
            spent[name].append(time.thread_time() - started)
    return spent


def _ways(name: str) -> tuple[int, dict[str, Way]]:
    """How many images a call predicts, and the two calls."""
    torch.manual_seed(SEED)
    if name.startswith("fasterrcnn"):
        return len(SIZES), _detect(name)
    network = _build(name)
    pixels_nhwc = torch.randint(0, 256, (BATCH, EDGE, EDGE, 3), dtype=torch.uint8)
    inputs_nchw = torch.rand(BATCH, 3, EDGE, EDGE)
    ours = NetworkClassifier(copy.deepcopy(network), RECIPE, [], PLACEMENT)
    return BATCH, {"by hand": lambda: network(inputs_nchw).softmax(-1), "tench": lambda: ours.predict(pixels_nhwc)}


def _detect(name: str) -> dict[str, Way]:
    network = get_model(name, weights=None, weights_backbone=None).eval().requires_grad_(False)
    pixels = [torch.randint(0, 256, (*size, 3), dtype=torch.uint8) for size in SIZES]
    inputs = [each.permute(2, 0, 1).float() / 255 for each in pixels]
    ours = TorchvisionDetector(copy.deepcopy(network), [], PLACEMENT)
    return {"by hand": lambda: network(inputs), "tench": lambda: ours.predict(pixels, SIZES)}


def _build(name: str) -> torch.nn.Module:
    if name != "vit_base_patch16":
        network: torch.nn.Module = get_model(name, weights=None)
        return network.eval().requires_grad_(False)
    from transformers import ViTConfig, ViTForImageClassification

    class Logits(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = ViTForImageClassification(ViTConfig(num_labels=1000))

        def forward(self, pixels_nchw: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = self.network(pixel_values=pixels_nchw).logits
            return logits

    return Logits().eval().requires_grad_(False)
