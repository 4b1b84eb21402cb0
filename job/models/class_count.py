"""How many classes a file of weights was trained for, told from its shapes."""

from collections.abc import Callable, Mapping

import torch


def count_classes(build: Callable[[int], torch.nn.Module], lengths: Mapping[str, int]) -> int | None:
    """From the first tensor whose length depends on the number of classes, whatever the architecture.

    `build` makes the network for so many classes, without memory; `lengths` are those of the file's tensors, by name.
    None where the file has no such tensor.
    """
    with torch.device("meta"):
        of_two, of_three = build(2).state_dict(), build(3).state_dict()
    for name, tensor in of_two.items():
        each = len(of_three[name]) - len(tensor) if tensor.ndim else 0
        if each and name in lengths:
            return 2 + (lengths[name] - len(tensor)) // each
    return None
