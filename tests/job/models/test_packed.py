"""Networks packed for a CPU: the plain network's answers, whatever its architecture, its batches and other threads."""

import copy
import threading

import pytest
import torch
from torch import nn
from torchvision.models import get_model

from job.models.device import Placement
from job.models.packed import PackedConvolution, PackedLinear, can_pack, packed

NO_ONEDNN = pytest.mark.skipif(not can_pack(), reason="torch has no oneDNN for this processor")
pytestmark = [pytest.mark.usefixtures("one_thread"), NO_ONEDNN]

ARCHITECTURES = {
    "densenet121": 64, "efficientnet_b0": 64, "googlenet": 64, "inception_v3": 96, "mnasnet0_5": 64,
    "mobilenet_v2": 64, "mobilenet_v3_small": 64, "regnet_y_400mf": 64, "resnet18": 64, "resnet50": 64,
    "shufflenet_v2_x0_5": 64, "squeezenet1_1": 64, "swin_t": 64, "convnext_tiny": 64,
}  # fmt: skip


def with_statistics(network):
    """A network whose norms do something: fresh ones divide by 1."""
    torch.manual_seed(1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 1.5)
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.normal_(0, 0.2)
    return network.eval().requires_grad_(False)


def images(count=2, size=64):
    torch.manual_seed(2)
    return torch.rand(count, 3, size, size).to(memory_format=torch.channels_last)


def assert_alike(plain, changed, inputs):
    with torch.inference_mode():
        expected, found = plain(inputs), changed(inputs)
    assert found.shape == expected.shape
    assert (found - expected).abs().max() <= 1e-4 * expected.abs().max()


FEW = ("mobilenet_v3_small", "resnet18", "swin_t")


@pytest.mark.parametrize(
    "name", [name if name in FEW else pytest.param(name, marks=pytest.mark.slow) for name in ARCHITECTURES]
)
def test_an_architecture_answers_as_before(name):
    torch.manual_seed(0)
    extra = {"aux_logits": False, "init_weights": False} if name in ("googlenet", "inception_v3") else {}
    plain = with_statistics(get_model(name, weights=None, **extra))
    assert_alike(plain, packed(copy.deepcopy(plain)), images(size=ARCHITECTURES[name]))


def test_a_residual_network_is_left_without_norms_activations_and_sums():
    changed = packed(with_statistics(get_model("resnet18", weights=None)))
    kinds = {type(changed.get_submodule(str(n.target))) for n in changed.graph.nodes if n.op == "call_module"}
    assert kinds == {PackedConvolution, PackedLinear, nn.MaxPool2d, nn.AdaptiveAvgPool2d}
    assert not any(node.op == "call_function" and "add" in str(node.target) for node in changed.graph.nodes)


def test_batches_of_any_size_and_shape_follow_one_another():
    plain = with_statistics(get_model("resnet18", weights=None))
    changed = packed(copy.deepcopy(plain))
    for count, size in ((3, 64), (1, 64), (5, 96), (2, 33), (3, 64)):
        assert_alike(plain, changed, images(count, size))
    assert_alike(plain, changed, images().contiguous())


def test_weights_are_held_once():
    changed = packed(with_statistics(get_model("resnet18", weights=None)))
    changed(images())
    left = {
        parameter.untyped_storage().data_ptr(): parameter.untyped_storage().nbytes()
        for parameter in changed.parameters()
    }
    assert sum(left.values()) < 100_000  # biases alone, of 47 MB
    assert changed.fc.weight.shape == (1000, 512)
    assert changed.fc.weight.isnan().all()


class Shared(nn.Module):
    """A convolution that is called twice, one whose output is used twice, and a sum with what comes later."""

    def __init__(self):
        super().__init__()
        self.shared, self.norm = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3)
        self.twice, self.twice_norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)
        self.early, self.late, self.relu = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1), nn.ReLU()
        self.gate = nn.Sequential(nn.Conv2d(3, 3, 1), nn.Sigmoid())

    def forward(self, x):
        x = self.norm(self.shared(self.shared(x)))
        used = self.twice(x)
        x = self.twice_norm(used) + used
        early = self.early(x)
        later = self.late(x) * self.gate(x)
        return self.relu(early + later) + (x + x)


def test_what_cannot_be_folded_is_left():
    plain = with_statistics(Shared())
    assert_alike(plain, packed(copy.deepcopy(plain)), images())


class Summing(nn.Module):
    """Sums whose other part is wanted afterwards, by its name or by another, is smaller, or is the input."""

    def __init__(self, way):
        super().__init__()
        self.way, self.first, self.relu = way, nn.Conv2d(3, 3, 1), nn.ReLU()
        self.second, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

    def forward(self, x):
        first = self.first(x)
        other = {
            "input": lambda: x,
            "mean": lambda: first.mean((2, 3), keepdim=True),
            "row": lambda: first[:, :, :1],
        }.get(self.way, lambda: first)()
        view = first.flatten(2) if self.way == "view" else None
        total = self.relu(self.norm(self.second(first)) + other)
        total = total * first.mean() if self.way == "later" else total
        return total if view is None else total * view.mean()


@pytest.mark.parametrize("way", ["plain", "input", "mean", "row", "later", "view"])
def test_a_sum_writes_over_nothing_that_is_wanted(way):
    plain = with_statistics(Summing(way))
    changed = packed(copy.deepcopy(plain))
    inputs = images()
    kept = inputs.clone()
    assert_alike(plain, changed, inputs)
    assert torch.equal(inputs, kept)
    assert changed.second._overwrites is (way == "plain")


class Choosing(nn.Module):
    """Its way depends on its numbers, so that it cannot be traced."""

    def __init__(self):
        super().__init__()
        self.convolution, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        features = self.norm(self.convolution(x)).mean((2, 3))
        return self.head(features if features.sum() > 0 else -features)


def test_a_network_that_cannot_be_traced_has_its_linear_layers_packed_alone():
    plain = with_statistics(Choosing())
    changed = packed(copy.deepcopy(plain))
    assert type(changed.head) is PackedLinear
    assert type(changed.convolution) is nn.Conv2d
    assert_alike(plain, changed, images())


def test_linear_layers_take_rows_of_any_shape_and_none():
    plain = nn.Sequential(nn.Linear(6, 5, bias=False)).eval().requires_grad_(False)
    changed = packed(copy.deepcopy(plain))
    rows = torch.rand(2, 7, 4, 6)
    for inputs in (rows, rows[0, 0, 0], rows.transpose(0, 1), rows[:, :, ::2], rows[:1, :1, :1].expand(3, 2, 4, 6)):
        assert_alike(plain, changed, inputs)
    assert changed(rows[:0]).shape == (0, 7, 4, 5)


class Waiting(nn.Module):
    """Goes on with its forward when another thread is done."""

    def __init__(self):
        super().__init__()
        self.convolution, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)
        self.begun, self.done = threading.Event(), threading.Event()

    def forward(self, x):
        self.begun.set()
        self.done.wait(60)
        return self.norm(self.convolution(x))


def test_other_threads_may_predict_while_a_network_is_packed():
    waiting, other = with_statistics(Waiting()), with_statistics(get_model("mobilenet_v3_small", weights=None))
    expected, found = other(images()), []

    def predict():
        waiting.begun.wait(60)
        try:
            found.append(other(images()))
        finally:
            waiting.done.set()

    thread = threading.Thread(target=predict)
    thread.start()
    changed = packed(waiting)
    thread.join()
    assert torch.equal(found[0], expected)
    assert type(changed.convolution) is PackedConvolution


@pytest.mark.parametrize(
    ("placement", "is_packed"),
    [
        (Placement("cpu", torch.float32, compile=False), True),
        (Placement("cpu", torch.bfloat16, compile=False), False),
        (Placement("cpu", torch.float32, compile=True), False),
        (Placement("cuda:0", torch.float32, compile=False), False),
    ],
)
def test_only_float32_on_a_cpu_is_packed(placement, is_packed):
    found = placement.packed(nn.Sequential(nn.Linear(2, 2)))
    assert isinstance(found[0], PackedLinear) is is_packed
