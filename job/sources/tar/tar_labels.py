"""Labels of a webdataset's samples: which member holds them, and what its bytes say. Used while listing."""

import json
from dataclasses import dataclass

from job.sources.label_values import json_label, text_label

LARGEST_LABEL = 1 << 20
_LISTED_KEYS = 10


@dataclass(frozen=True)
class FoundLabel:
    """`text` is None where the member says of no label; `keys` are then those of its object, some of them."""

    text: str | None
    keys: tuple[str, ...] = ()


@dataclass(frozen=True)
class LabelFrom:
    """Which member holds the label: `.cls`, or `.json:KEY` for a key of its object."""

    suffix: str
    key: str | None

    @classmethod
    def parse(cls, text: str) -> "LabelFrom | None":
        if text == "none":
            return None
        suffix, colon, key = text.removeprefix(".").partition(":")
        return cls(suffix.lower(), key if colon else None)

    def label(self, data: bytes) -> FoundLabel:
        """The label in a member's bytes. Raises ValueError where there is none to be understood."""
        text = data.decode("utf-8-sig")
        if self.suffix.rpartition(".")[2] != "json" or not text.strip():
            return FoundLabel(text_label(text))
        try:
            value = json.loads(text)
        except RecursionError:
            raise ValueError("its JSON is nested too deep") from None
        if self.key is not None:
            if not isinstance(value, dict):
                raise ValueError(f"it holds no JSON object to take {self.key!r} from")
            if self.key not in value:
                return FoundLabel(None, tuple(value)[:_LISTED_KEYS])
            value = value[self.key]
        if isinstance(value, dict | list):
            key = "one of its keys" if self.key is None else "another key"
            raise ValueError(f"a label is a text or a number; name {key} as .json:KEY")
        return FoundLabel(json_label(value))
