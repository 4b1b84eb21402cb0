"""Quantities of Kubernetes: `500m`, `24Gi`, `1e3`. https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity"""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

Resources = dict[str, Decimal]

_BINARY = {f"{letter}i": Decimal(1024) ** power for power, letter in enumerate("KMGTPE", 1)}
_DECIMAL = {
    letter: Decimal(10) ** power for power, letter in zip((-9, -6, -3, 3, 6, 9, 12, 15, 18), "numkMGTPE", strict=True)
}
_UNITS = {"": Decimal(1), **_BINARY, **_DECIMAL}
_QUANTITY = re.compile(r"([+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)([A-Za-z]*)")


def parse(text: Any) -> Decimal:
    """Raises ValueError."""
    found = _QUANTITY.fullmatch(str(text))
    if found is None or found[2] not in _UNITS:
        raise ValueError(f"{text!r} is no quantity")
    return Decimal(found[1]) * _UNITS[found[2]]


def parse_all(resources: Mapping[str, Any] | None) -> Resources:
    return {name: parse(text) for name, text in (resources or {}).items()}


def show(name: str, amount: Decimal) -> str:
    """Bytes in the largest unit that leaves a whole number or one digit, the rest as a plain number."""
    if "memory" in name or "storage" in name:
        unit = next((unit for unit, size in reversed(_BINARY.items()) if abs(amount) >= size), "")
        amount /= _UNITS[unit]
        return f"{amount:.1f}".removesuffix(".0") + unit
    return f"{amount:.2f}".rstrip("0").rstrip(".")


def show_all(resources: Resources) -> str:
    """Such as `nvidia.com/gpu 1, cpu 8, memory 24Gi`, GPUs first."""
    order = sorted(resources, key=lambda name: ("/" not in name, name))
    return ", ".join(f"{name} {show(name, resources[name])}" for name in order if resources[name])


def add(*many: Resources) -> Resources:
    total: Resources = {}
    for each in many:
        total.update({name: total.get(name, Decimal(0)) + amount for name, amount in each.items()})
    return total


def times(resources: Resources, number: int) -> Resources:
    return {name: amount * number for name, amount in resources.items()}
