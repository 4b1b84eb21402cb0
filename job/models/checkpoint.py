"""Checkpoints: the state dict in a weights file, in the forms that training scripts save it in.

Nothing in a file is executed. What is not a tensor or a plain value (arguments, schedulers, a whole model) is read as a
stand-in that knows only the name of its class, so that a state dict beside it can be reached.
"""

import logging
import pickle
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch

from job.errors import ModelError

log = logging.getLogger(__name__)

StateDict = Mapping[str, torch.Tensor]

# Under these, scripts keep the network beside the optimizer: timm, Lightning and PyTorch's ImageNet example;
# torchvision's references; PyTorch's tutorial; others. Averages are taken only by name: they are another model.
_NETWORKS = ("state_dict", "model_state_dict", "model", "model_state", "net", "network", "weights")
_AVERAGES = ("model_ema", "state_dict_ema", "ema_state_dict", "model_ema_state_dict", "ema")
# Put before every name by DistributedDataParallel, by torch.compile, and by a class that holds the network.
_PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "network.")
_COUNTERS = ("n_averaged",)  # of torch.optim.swa_utils.AveragedModel

# What torch and safetensors raise for files that are no checkpoint, are cut off or hold what cannot be stood in for.
_UNREADABLE = (safetensors.SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, ValueError, TypeError)
_CLASS = "stands in for"  # the attribute in which a stand-in keeps the name
_lock = threading.Lock()  # torch keeps its list of known classes for the whole process


def read_state_dict(path: Path, key: str | None = None) -> StateDict:
    """The tensors of a weights file, on the CPU; `key` names the entry of a checkpoint that holds them.

    Without it the network's usual names are looked for. Prefixes of wrappers are taken off. Raises ModelError.
    """
    content = _network(path, _load(path), key)
    others = [name for name, value in content.items() if not isinstance(value, torch.Tensor)]
    if others or not content:
        has = f"{_some(others)}, no tensor" if others else "nothing"
        raise ModelError(f"model.weights: {path} is no state dict: it holds {has}; save model.state_dict()")
    return _without_prefixes(path, content)


def _load(path: Path) -> Any:
    try:
        if path.name.endswith(".safetensors"):
            return safetensors.torch.load_file(path)
        with _lock, torch.serialization.safe_globals(_stand_ins(path)):
            return torch.load(path, map_location="cpu", weights_only=True)
    except _UNREADABLE as error:
        if "torchscript" in str(error).lower():
            raise ModelError(f"model.weights: {path} is a TorchScript program; save model.state_dict()") from error
        reason = str(error).strip().partition("\n")[0]
        raise ModelError(
            f"model.weights: {path} is no state dict that can be read safely ({reason}); save model.state_dict()"
        ) from error


def _stand_ins(path: Path) -> list[Any]:
    """A stand-in for every class that torch does not know as harmless."""
    try:
        names = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except ValueError as error:
        if "torchscript" in str(error):
            raise
        names = ["argparse.Namespace"]  # a file as torch wrote it before 1.6, which cannot be looked into
    return [(_stand_in(name), name) for name in names]


def _stand_in(name: str) -> type:
    if name.startswith("numpy."):  # a metric or the state of a generator, with attributes of its own form
        return type("StandIn", (), {"__new__": lambda cls, *_: object.__new__(cls), "__setstate__": lambda *_: None})

    class StandIn:
        # torch fills an OrderedDict's items and attributes, whatever is pickled as a mapping or as an object.
        def __new__(cls, *_: object, **__: object) -> Any:
            found: OrderedDict[Any, Any] = OrderedDict()
            found.__dict__[_CLASS] = name
            return found

    return StandIn


def _class_of(value: object) -> str | None:
    """The class that a stand-in stands in for."""
    return getattr(value, "__dict__", {}).get(_CLASS) if isinstance(value, OrderedDict) else None


def _network(path: Path, content: Any, key: str | None) -> Mapping[str, Any]:
    """The entry that holds the network, however deep."""
    if key is not None:
        if not isinstance(content, Mapping) or key not in content:
            has = _some([str(name) for name in content]) if isinstance(content, Mapping) else type(content).__name__
            raise ModelError(f"model.weights_key: {path} has no {key!r}; it has {has}")
        content = content[key]
    while True:
        if name := _class_of(content):
            raise ModelError(
                f"model.weights: {path} holds a pickled {name}, not its tensors, and only its code could load it; "
                "where that is, save model.state_dict()"
            )
        if not isinstance(content, Mapping):
            raise ModelError(f"model.weights: {path} holds a {type(content).__name__}; save model.state_dict()")
        inner = next((name for name in _NETWORKS if _holds_tensors(content.get(name))), None)
        if inner is None:
            break
        averages = [name for name in _AVERAGES if name in content]
        if averages:
            log.info("%s has %s beside %s, which is taken; model.weights_key names another", path, averages[0], inner)
        content = content[inner]
    tensors = [str(name) for name, value in content.items() if not _class_of(value) and _holds_tensors(value)]
    if tensors and not any(isinstance(value, torch.Tensor) for value in content.values()):
        raise ModelError(f"model.weights: {path} has its tensors in {_some(tensors)}; name one as model.weights_key")
    return content


def _holds_tensors(value: object) -> bool:
    if _class_of(value):
        return True  # a whole model, to be refused by name
    return isinstance(value, Mapping) and any(
        isinstance(each, torch.Tensor) or (isinstance(each, Mapping) and _holds_tensors(each))
        for each in value.values()
    )


def _without_prefixes(path: Path, state: StateDict) -> StateDict:
    """Names as the network has them. No network of torchvision has a part that is named as a prefix."""
    while True:
        counts = {prefix: sum(name.startswith(prefix) for name in state) for prefix in _PREFIXES}
        prefix = max(counts, key=lambda each: counts[each])
        if not counts[prefix]:
            return state
        left_out = [name for name in state if not name.startswith(prefix) and name not in _COUNTERS]
        if left_out:
            log.warning("%s: left out %s, beside the network's own %s…", path, _some(left_out), prefix)
        state = {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more
