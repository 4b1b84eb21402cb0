"""Networks made ready for a CPU in float32: batch norms folded into convolutions, and weights laid out once.

PyTorch lays out a layer's weights anew for every batch, and writes and reads what a convolution gives for the norm,
the sum and the activation that follow. oneDNN does all of it in one pass; these are the operations that
torch.compile would call, without its compiler and its minute. Answers differ from the plain network's by rounding:
1e-6 of the largest logit. CPU time of one Zen core for an image: ResNet-50 291 ms to 239, ViT-B/16 1,239 to 1,102,
which are 34 of the core's 37 billion operations a second.
"""

import operator
import platform
import threading
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

_Activation = tuple[str, list[float]]  # oneDNN's name of it, and its scalars
_NONE: _Activation = ("none", [])
_ACTIVATIONS: dict[type[nn.Module], _Activation] = {
    nn.ReLU: ("relu", []),
    nn.ReLU6: ("hardtanh", [0.0, 6.0]),
    nn.Hardswish: ("hardswish", []),
    nn.SiLU: ("swish", []),
}
_SUMS = (operator.add, operator.iadd, torch.add)


def can_pack() -> bool:
    """Whether this build of torch has oneDNN's operations for this processor."""
    is_x86 = platform.machine().lower() in ("x86_64", "amd64")
    return is_x86 and torch._C._has_mkldnn and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def packed(network: nn.Module) -> nn.Module:
    """The network in float32, in evaluation mode, with its layers packed; it may be changed. For inference alone."""
    traced = _traced(network) if any(isinstance(module, nn.BatchNorm2d) for module in network.modules()) else None
    if traced is not None:
        _fold_norms(traced)
        _pack_convolutions(traced)
        traced.graph.lint()
        traced.recompile()
        network = traced
    return _pack_linears(network)


class PackedLinear(nn.Module):
    """A linear layer. Its weights are laid out when it is first called, for as many rows as it is then given."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.weight, self.bias = linear.weight, linear.bias
        self._packed: torch.Tensor | None = None

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        if not inputs.numel():
            return inputs.new_empty((*inputs.shape[:-1], self.out_features))
        if self._packed is None:
            rows = inputs.numel() // self.in_features
            self._packed = torch.ops.mkldnn._reorder_linear_weight(self.weight.detach(), rows)
            self.weight = _hollow(self.weight)
        outputs = torch.ops.mkldnn._linear_pointwise(inputs, self._packed, self.bias, "none", [], "")
        return cast(torch.Tensor, outputs)


class PackedConvolution(nn.Module):
    """A convolution the sum with another tensor, where it is called with one, and the activation after it.

    With `overwrites` the result is written over the other tensor: memory that is new costs more than the sum.
    """

    def __init__(self, convolution: nn.Conv2d, activation: _Activation = _NONE, overwrites: bool = False) -> None:
        super().__init__()
        self.weight, self.bias = convolution.weight, convolution.bias
        self._geometry = (
            [int(edge) for edge in convolution.padding],
            list(convolution.stride),
            list(convolution.dilation),
            convolution.groups,
        )
        self._activation, self._overwrites = activation, overwrites
        self._packed: torch.Tensor | None = None

    def forward(self, inputs: torch.Tensor, other: torch.Tensor | None = None) -> torch.Tensor:
        if self._packed is None:
            # Without the inputs' shape it takes a layout that is slower than none.
            shape = list(inputs.shape)
            self._packed = torch.ops.mkldnn._reorder_convolution_weight(self.weight.detach(), *self._geometry, shape)
            self.weight = _hollow(self.weight)
        layer = (inputs, self._packed, self.bias, *self._geometry)
        if other is None:
            outputs = torch.ops.mkldnn._convolution_pointwise(*layer, *self._activation, "")
        elif other.shape != self._shape(inputs):  # spread over the convolution's: oneDNN adds like to like
            outputs = other + torch.ops.mkldnn._convolution_pointwise(*layer, *_NONE, "")
            outputs = outputs if self._activation == _NONE else outputs.relu_()
        else:
            after: tuple[Any, ...] = (None if self._activation == _NONE else self._activation[0], [], "")
            if self._overwrites:
                outputs = torch.ops.mkldnn._convolution_pointwise_.binary(other, *layer, "add", 1.0, *after)
            else:
                outputs = torch.ops.mkldnn._convolution_pointwise.binary(inputs, other, *layer[1:], "add", 1.0, *after)
        return cast(torch.Tensor, outputs)

    def _shape(self, inputs: torch.Tensor) -> tuple[int, ...]:
        """Of what the convolution gives."""
        padding, stride, dilation, _ = self._geometry
        edges = [
            (edge + 2 * padding[axis] - dilation[axis] * (self.weight.shape[axis + 2] - 1) - 1) // stride[axis] + 1
            for axis, edge in enumerate(inputs.shape[2:])
        ]
        return len(inputs), self.weight.shape[0], *edges


def _hollow(weight: torch.Tensor) -> nn.Parameter:
    """A parameter of the same shape and type that takes no memory. Who computes with it gets what is no number."""
    return nn.Parameter(torch.full((), float("nan"), dtype=weight.dtype).expand(weight.shape), requires_grad=False)


def _traced(network: nn.Module) -> fx.GraphModule | None:
    """None of a network whose way depends on its numbers, or that takes more than images."""
    with _ONE_TRACE:
        tracer = _Tracer()
        try:
            graph = tracer.trace(network)
            return fx.GraphModule(tracer.root, graph)
        except Exception:  # whatever a network's code raises at a tensor that has no numbers
            return None


_ONE_TRACE = threading.Lock()  # tracing replaces `Module.__call__` of the whole process, and puts it back


class _Tracer(fx.Tracer):
    """Leaves alone what other threads call meanwhile: a replica that predicts while another one loads."""

    def __init__(self) -> None:
        super().__init__()
        self._thread = threading.get_ident()

    def call_module(
        self, m: nn.Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if threading.get_ident() != self._thread:
            return forward(*args, **kwargs)
        return super().call_module(m, forward, args, kwargs)

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, Any]) -> Any:
        if threading.get_ident() != self._thread:
            return attr_val
        return super().getattr(attr, attr_val, parameter_proxy_cache)


def _fold_norms(network: fx.GraphModule) -> None:
    for node in list(network.graph.nodes):
        norm = _module(network, node)
        if type(norm) is not nn.BatchNorm2d or norm.running_mean is None:
            continue
        before = node.args[0]
        convolution = _module(network, before)
        if type(convolution) is nn.Conv2d and len(before.users) == 1 and _is_called_once(network, before):
            _replace(network, before, fuse_conv_bn_eval(convolution, norm))
            _skip(network, node, before)


def _pack_convolutions(network: fx.GraphModule) -> None:
    for node in list(network.graph.nodes):
        convolution = _module(network, node)
        if not _can_be_packed(convolution) or not _is_called_once(network, node):
            continue
        assert isinstance(convolution, nn.Conv2d)
        other = _summand(node)
        if other is not None:
            _pack_with_sum(network, node, convolution, other)
            continue
        activation = _activation_after(network, node)
        if activation:
            _skip(network, next(iter(node.users)), node)
        _replace(network, node, PackedConvolution(convolution, activation or _NONE))


def _pack_with_sum(network: fx.GraphModule, node: fx.Node, convolution: nn.Conv2d, other: fx.Node) -> None:
    (total,) = node.users
    rectifier = _ACTIVATIONS[nn.ReLU]
    is_rectified = _activation_after(network, total) == rectifier
    fused = PackedConvolution(
        convolution, rectifier if is_rectified else _NONE, overwrites=_is_done_with(network, other, total)
    )
    # At the place of the sum: what is added may be computed after the convolution.
    with network.graph.inserting_before(total):
        call = network.graph.call_module(str(node.target), (node.args[0], other))
    _replace(network, call, fused)
    if is_rectified:
        _skip(network, next(iter(total.users)), total)
    _skip(network, total, call)
    network.graph.erase_node(node)


def _is_done_with(network: fx.GraphModule, other: fx.Node, total: fx.Node) -> bool:
    """Whether a convolution made `other`, and nobody sees it from `total` on, by another name or as a part either."""
    layers = (nn.Conv2d, PackedConvolution)
    users = [user for user in other.users if user is not total]
    return isinstance(_module(network, other), layers) and all(
        isinstance(_module(network, user), layers) and user < total and other not in user.args[1:] for user in users
    )


def _can_be_packed(module: nn.Module | None) -> bool:
    return type(module) is nn.Conv2d and module.padding_mode == "zeros" and not isinstance(module.padding, str)


def _summand(node: fx.Node) -> fx.Node | None:
    """What is added to what `node` gives, where nothing else is done with that."""
    if len(node.users) != 1:
        return None
    (total,) = node.users
    is_sum = total.op == "call_function" and total.target in _SUMS
    if not is_sum or total.kwargs or len(total.args) != 2:
        return None
    others = [arg for arg in total.args if arg is not node]
    return others[0] if len(others) == 1 and isinstance(others[0], fx.Node) else None


def _activation_after(network: fx.GraphModule, node: fx.Node) -> _Activation | None:
    if len(node.users) != 1:
        return None
    (after,) = node.users
    module = _module(network, after)
    return None if module is None else _ACTIVATIONS.get(type(module))


def _pack_linears(network: nn.Module) -> nn.Module:
    if type(network) is nn.Linear:
        return PackedLinear(network)
    for name, child in network.named_children():
        if type(child) is nn.Linear:
            setattr(network, name, PackedLinear(child))
        else:
            _pack_linears(child)
    return network


def _module(network: fx.GraphModule, node: Any) -> nn.Module | None:
    is_call = isinstance(node, fx.Node) and node.op == "call_module"
    return network.get_submodule(str(node.target)) if is_call else None


def _is_called_once(network: fx.GraphModule, node: fx.Node) -> bool:
    calls = [each for each in network.graph.nodes if each.op == "call_module" and each.target == node.target]
    return len(calls) == 1


def _replace(network: fx.GraphModule, node: fx.Node, module: nn.Module) -> None:
    parent, _, name = str(node.target).rpartition(".")
    setattr(network.get_submodule(parent), name, module)


def _skip(network: fx.GraphModule, node: fx.Node, instead: fx.Node) -> None:
    node.replace_all_uses_with(instead)
    network.graph.erase_node(node)
