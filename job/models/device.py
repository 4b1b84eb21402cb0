"""Devices: the precision each is fast at, models placed on them, and pixels made into their input."""

from dataclasses import dataclass
from functools import cache

import torch
from torch.nn.modules.batchnorm import _BatchNorm

from job.models.packed import can_pack, packed
from job.recipe import Recipe
from job.spec.spec import ModelSpec

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def use_threads(threads: int) -> None:
    """Lets torch use so many threads for what this thread computes on the CPU.

    Set for each thread that computes: Ray sets one for an actor without CPUs, and decoding threads set one.
    """
    # A thread's first operation takes over the last number that any thread has set; asking counts as the first.
    torch.get_num_threads()
    torch.set_num_threads(threads)


def choose_dtype(spec: ModelSpec, device: str) -> torch.dtype:
    """The precision to compute in; `auto` is bfloat16 where it is fast, for what it does not harm.

    CUDA from compute capability 8 on, and CPUs with bfloat16 instructions. Measured on one core with AMX, images a
    second in float32 and bfloat16: ShuffleNetV2 x0.5 215 and 302, MobileNetV3 small 310 and 329, MobileNetV2 35 and
    66, ResNet-18 32 and 96, ViT-B/16 3.5 and 13; no model was slower. Boxes are coordinates, which bfloat16 knows to
    1 in 256: torchvision's detectors use it on CUDA, for all but the boxes; transformers' stay in float32.
    """
    if spec.precision != "auto":
        return DTYPES[spec.precision]
    if torch.device(device).type == "cuda":
        harmless = spec.task == "classify" or spec.kind == "torchvision"
        fast = harmless and torch.cuda.get_device_capability(device) >= (8, 0)
    else:
        fast = spec.task == "classify" and cpu_is_fast_at_bfloat16()
    return torch.bfloat16 if fast else torch.float32


@cache
def device_name(device: str) -> str:
    """What a GPU's maker calls it; `cpu`."""
    return torch.cuda.get_device_name(device) if torch.device(device).type == "cuda" else "cpu"


def cpu_is_fast_at_bfloat16() -> bool:
    features = torch.cpu.get_capabilities()
    return bool(features.get("amx_bf16") or features.get("avx512_bf16"))


@dataclass(frozen=True)
class Placement:
    """Where and how a model computes."""

    device: str
    dtype: torch.dtype
    compile: bool

    @classmethod
    def of(cls, spec: ModelSpec, device: str) -> "Placement":
        return cls(device, choose_dtype(spec, device), spec.compile)

    @property
    def precision(self) -> str:
        return str(self.dtype).removeprefix("torch.")

    def place(self, model: torch.nn.Module) -> torch.nn.Module:
        """The model, for inference, in its precision; channels last, in which convolutions are fastest."""
        model = model.eval().requires_grad_(False).to(self.device).to(memory_format=torch.channels_last)
        norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
        statistics = [{key: value.clone() for key, value in norm.state_dict().items()} for norm in norms]
        model = model.to(self.dtype)
        # Statistics of a batch norm rounded to 8 bits shift every channel; kept in float32 they cost nothing.
        for norm, state in zip(norms, statistics, strict=True):
            norm.float().load_state_dict(state)
        return self.compiled(self.packed(model))

    def packed(self, model: torch.nn.Module) -> torch.nn.Module:
        """Ready for a CPU in float32; the model itself for other devices and precisions, and for a compiler."""
        is_float32_on_cpu = torch.device(self.device).type == "cpu" and self.dtype == torch.float32
        return packed(model) if is_float32_on_cpu and not self.compile and can_pack() else model

    def compiled(self, model: torch.nn.Module, dynamic: bool = False) -> torch.nn.Module:
        if not self.compile:
            return model
        model.compile(dynamic=dynamic)
        return model


class ToInput:
    """uint8 pixels to a model's input: `(pixel * scale - mean) / std` in float32, then the placement's precision."""

    def __init__(self, recipe: Recipe, device: str, dtype: torch.dtype) -> None:
        std = torch.tensor(recipe.std)
        self._factor_c = (recipe.scale / std).to(device)
        self._offset_c = (-torch.tensor(recipe.mean) / std).to(device)
        self._flip = recipe.channels == "BGR"
        self._dtype = dtype
        self._buffer = torch.empty(0, dtype=dtype)

    def __call__(self, images_nhwc: torch.Tensor) -> torch.Tensor:
        """[N, h, w, 3] uint8 to [N, 3, h, w], channels last. On a CPU the next call overwrites the result."""
        if self._flip:
            images_nhwc = images_nhwc.flip(-1)
        if images_nhwc.device.type == "cpu":
            return self._on_cpu(images_nhwc)
        floats_nhwc = images_nhwc.float().mul_(self._factor_c).add_(self._offset_c)
        return floats_nhwc.to(self._dtype).permute(0, 3, 1, 2)

    def _on_cpu(self, images_nhwc: torch.Tensor) -> torch.Tensor:
        # A third of a MobileNet's time in the obvious way. Rows of w * 3 values vectorise, an image fits into the
        # cache, and a buffer that stays needs no fresh pages: 0.12 ms for 224x224 instead of 0.68.
        count, height, width, _ = images_nhwc.shape
        if self._buffer.shape[1:] != images_nhwc.shape[1:] or len(self._buffer) < count:
            self._buffer = torch.empty(images_nhwc.shape, dtype=self._dtype)
        factors, offsets = self._factor_c.repeat(width), self._offset_c.repeat(width)
        rows = images_nhwc.reshape(count, height, width * 3)
        inputs = self._buffer[:count].view(rows.shape)
        for index in range(count):
            inputs[index] = rows[index].float().mul_(factors).add_(offsets)
        return self._buffer[:count].permute(0, 3, 1, 2)


class Autocast(torch.nn.Module):
    """A part of a model computed in a lower precision that takes and gives float32."""

    def __init__(self, part: torch.nn.Module, placement: Placement) -> None:
        super().__init__()
        self.part = part
        self._device_type = torch.device(placement.device).type
        self._dtype = placement.dtype

    def forward(self, *inputs: object) -> object:
        with torch.autocast(self._device_type, self._dtype):
            outputs = self.part(*inputs)
        return _to_float32(outputs)


def _to_float32(value: object) -> object:
    if isinstance(value, torch.Tensor):
        return value.float() if value.is_floating_point() else value
    if isinstance(value, dict):
        return type(value)((key, _to_float32(item)) for key, item in value.items())
    if isinstance(value, list | tuple):
        return type(value)(_to_float32(item) for item in value)
    return value
