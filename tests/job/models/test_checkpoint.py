"""State dicts as people save them: found in every usual form, and what is none refused with what to save."""

import argparse
import collections
import enum
import logging
import pathlib

import numpy as np
import pytest
import safetensors.torch
import torch
from models import make_model_spec
from torchvision.models import get_model

from job.errors import ModelError
from job.models.checkpoint import read_state_dict
from job.models.load import load_predictor

CLASSES = 3


class AttributeDict(dict):
    """As Lightning keeps hyperparameters."""


class Mode(enum.Enum):
    BILINEAR = "bilinear"


class Schedule:
    """An object of the script's own."""

    def __init__(self):
        self.steps = [1, 2]


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(1)
    return get_model("shufflenet_v2_x0_5", weights=None, num_classes=CLASSES).eval()


@pytest.fixture(scope="module")
def state(network):
    return network.state_dict()


@pytest.fixture(scope="module")
def expected(network):
    with torch.inference_mode():
        normalised = (torch.ones(1, 3, 224, 224) * 0.5 - mean()) / std()
        return network(normalised).softmax(1)


def mean():
    return torch.tensor((0.485, 0.456, 0.406))[:, None, None]


def std():
    return torch.tensor((0.229, 0.224, 0.225))[:, None, None]


def predict(path, **fields):
    """Of an image that is grey all over."""
    predictor = load_predictor(make_model_spec(weights=str(path), recipe="IMAGENET1K_V1", **fields), "cpu", 1)
    with torch.inference_mode():
        found = predictor.predict(torch.full((1, 224, 224, 3), 128, dtype=torch.uint8))
    return found, predictor.labels


def prefixed(prefix, state):
    return {f"{prefix}{name}": tensor for name, tensor in state.items()}


def averaged(state):
    """What an AveragedModel around a model saves."""
    return {"n_averaged": torch.tensor(7), **prefixed("module.", state)}


def arguments():
    return argparse.Namespace(
        model="shufflenet", lr=0.1, data=pathlib.Path("/data"), mode=Mode.BILINEAR, more=AttributeDict(a=1)
    )


FORMS = {
    "plain.pth": lambda state: state,
    "plain.pt": lambda state: state,
    "plain.bin": lambda state: state,
    "ordered.pth": collections.OrderedDict,
    "distributed.pth": lambda state: prefixed("module.", state),
    "compiled.pt": lambda state: prefixed("_orig_mod.", state),
    "compiled-distributed.pt": lambda state: prefixed("_orig_mod.module.", state),
    "distributed-compiled.pt": lambda state: prefixed("module._orig_mod.", state),
    "lightning.ckpt": lambda state: {
        "state_dict": prefixed("model.", state),
        "pytorch-lightning_version": "2.5",
        "callbacks": {"ModelCheckpoint{'monitor': 'loss'}": {"best_model_score": torch.tensor(0.1)}},
        "hyper_parameters": AttributeDict(lr=0.1, mode=Mode.BILINEAR),
        "lr_schedulers": [Schedule()],
    },
    "torchvision.pth": lambda state: {
        "model": state,
        "optimizer": {"state": {0: {"momentum_buffer": torch.ones(2)}}, "param_groups": [{"lr": 0.1}]},
        "lr_scheduler": {"last_epoch": 3},
        "epoch": 3,
        "args": arguments(),
        "model_ema": averaged({name: torch.zeros_like(tensor) for name, tensor in state.items()}),
    },
    "imagenet-example.pth.tar": lambda state: {
        "epoch": 3,
        "arch": "shufflenet",
        "state_dict": prefixed("module.", state),
        "best_acc1": torch.tensor(71.3),
        "optimizer": {},
    },
    "timm.pth.tar": lambda state: {
        "state_dict": state,
        "args": arguments(),
        "metric": np.float64(71.3),
        "random": np.random.default_rng(0).bit_generator.state,
        "numpy": {"state": np.arange(3)},
        "state_dict_ema": prefixed("module.", state),
    },
    "tutorial.pt": lambda state: {"model_state_dict": state, "optimizer_state_dict": {}, "loss": 0.3},
    "net.pt": lambda state: {"net": prefixed("module.", state), "acc": 93.1},
    "nested.pt": lambda state: {"model": {"state_dict": state}},
    "wrapped.pt": lambda state: prefixed("net.", state),
    "defaults.pt": lambda state: {"model": state, "history": collections.defaultdict(list, {"loss": [0.1]})},
    "half.pth": lambda state: {name: each.half() if each.is_floating_point() else each for name, each in state.items()},
}


FEW = [name for place, name in enumerate(FORMS) if place % 3 == 0]


@pytest.mark.parametrize(
    "name", [name if name in FEW else pytest.param(name, marks=pytest.mark.slow) for name in FORMS]
)
def test_a_state_dict_is_found_in_what_training_scripts_save(name, state, expected, tmp_path):
    torch.save(FORMS[name](state), tmp_path / name)
    found, labels = predict(tmp_path / name)
    assert list(labels) == ["0", "1", "2"]
    assert torch.allclose(found, expected, atol=5e-3 if name == "half.pth" else 2e-3)
    assert not torch.allclose(found, torch.full((1, CLASSES), 1 / CLASSES), atol=1e-4)  # as the zeros would give


@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod."])
def test_safetensors_lose_their_prefixes_too(prefix, state, expected, tmp_path):
    safetensors.torch.save_file(prefixed(prefix, state), tmp_path / "net.safetensors")
    assert torch.allclose(predict(tmp_path / "net.safetensors")[0], expected, atol=2e-3)


def test_a_file_of_torch_before_1_6_is_read_with_its_arguments(state, tmp_path):
    content = {"model": state, "args": argparse.Namespace(lr=0.1)}
    torch.save(content, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    found = read_state_dict(tmp_path / "old.pth")
    assert set(found) == set(state)


def test_an_average_is_taken_where_it_is_asked_for_by_name(state, expected, tmp_path, caplog):
    nothing = {name: torch.zeros_like(tensor) for name, tensor in state.items()}
    torch.save({"model": nothing, "model_ema": averaged(state), "args": arguments()}, tmp_path / "net.pth")
    assert torch.allclose(predict(tmp_path / "net.pth", weights_key="model_ema")[0], expected, atol=2e-3)
    with caplog.at_level(logging.INFO, "job"):
        read_state_dict(tmp_path / "net.pth")
    assert "has model_ema beside model, which is taken; model.weights_key names another" in caplog.text


def test_what_is_beside_the_network_is_left_out_and_named(state, tmp_path, caplog):
    torch.save({"state_dict": {**prefixed("model.", state), "criterion.weight": torch.ones(3)}}, tmp_path / "net.ckpt")
    assert set(read_state_dict(tmp_path / "net.ckpt")) == set(state)
    assert "left out criterion.weight, beside the network's own model.…" in caplog.text


@pytest.mark.slow
def test_no_part_of_a_network_of_torchvision_is_named_as_a_prefix():
    from torchvision.models import list_models

    small = [
        name for name in list_models(module=torch_models()) if not name.startswith(("regnet", "vit_h", "convnext_l"))
    ]
    with torch.device("meta"):
        for name in small[::6]:
            parts = {part for part, _ in get_model(name, weights=None).named_children()}
            assert not parts & {"module", "_orig_mod", "model", "net", "network"}, name


def torch_models():
    import torchvision

    return torchvision.models


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (self.path, "w"))


def refusal(path, key=None):
    with pytest.raises(ModelError) as raised:
        read_state_dict(path, key)
    text = str(raised.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize("place", ["top", "model", "state_dict", "weight"])
def test_a_whole_model_is_refused_with_what_to_save_and_none_of_its_code_is_run(place, network, tmp_path):
    content = {"top": network, "weight": {"fc.weight": network}}.get(place, {place: network, "epoch": 3})
    torch.save(content, tmp_path / "net.pth")
    text = refusal(tmp_path / "net.pth")
    assert "save model.state_dict()" in text
    if place != "weight":
        assert "a pickled torchvision.models.shufflenetv2.ShuffleNetV2, not its tensors" in text


@pytest.mark.parametrize("place", [[], ["args"], ["fc.weight"]])
def test_nothing_in_a_file_is_executed(place, state, tmp_path):
    evil = Evil(str(tmp_path / "evil"))
    content = evil if not place else {"model": {**state, place[0]: evil}} if "." in place[0] else {"args": evil}
    torch.save(content, tmp_path / "net.pth")
    assert "save model.state_dict()" in refusal(tmp_path / "net.pth")
    torch.save({"model": state, "args": evil}, tmp_path / "net.pth")
    assert set(read_state_dict(tmp_path / "net.pth")) == set(state)
    assert not (tmp_path / "evil").exists()


def test_torchscript_is_refused_with_what_to_save(tmp_path):
    torch.jit.script(torch.nn.Linear(2, 2)).save(tmp_path / "net.pt")
    assert "is a TorchScript program; save model.state_dict()" in refusal(tmp_path / "net.pt")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ([torch.ones(2)], "holds a list"),
        (torch.ones(2), "holds a Tensor"),
        ({"epoch": 3, "loss": 0.1}, "is no state dict: it holds epoch, loss, no tensor"),
        ({"model": {}, "epoch": 3}, "is no state dict: it holds model, epoch, no tensor"),
        ({}, "is no state dict: it holds nothing"),
        ({"generator": {"w": torch.ones(2)}, "critic": {"w": torch.ones(2)}},
         "has its tensors in generator, critic; name one as model.weights_key"),
        ({"fc.weight": torch.ones(2), "fc.bias": 3}, "is no state dict: it holds fc.bias, no tensor"),
    ],
)  # fmt: skip
def test_what_is_no_state_dict_is_refused_with_what_it_has(content, text, tmp_path):
    torch.save(content, tmp_path / "net.pth")
    assert text in refusal(tmp_path / "net.pth")


def test_an_entry_that_is_not_there_is_refused_with_those_that_are(state, tmp_path):
    torch.save({"model": state, "epoch": 3}, tmp_path / "net.pth")
    assert "model.weights_key: " in refusal(tmp_path / "net.pth", "ema")
    assert "has no 'ema'; it has model, epoch" in refusal(tmp_path / "net.pth", "ema")


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 cut off", b"no tensors", bytes(range(256)) * 200])
def test_a_file_that_is_damaged_is_refused(damage, tmp_path):
    for name in ("net.pth", "net.safetensors"):
        (tmp_path / name).write_bytes(damage)
        assert "is no state dict that can be read safely" in refusal(tmp_path / name)


def test_a_distributed_file_of_another_architecture_names_the_tensors_and_not_a_number_of_classes(state, tmp_path):
    torch.save(prefixed("module.", state), tmp_path / "net.pth")
    (tmp_path / "labels.json").write_text('["a", "b", "c"]')
    with pytest.raises(ModelError, match=r"does not fit resnet18: it lacks conv1.weight, .* and it has conv1.0.weight"):
        predict(tmp_path / "net.pth", name="resnet18", labels=str(tmp_path / "labels.json"))
