"""Samples of a webdataset: members that stand together and share a name up to its first dot. Used while listing."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from job.sources.tar import Member
from job.spec.spec import IMAGE_SUFFIXES

_IMAGE_SUFFIXES = frozenset(suffix.removeprefix(".") for suffix in IMAGE_SUFFIXES)
_LARGEST_LABEL = 1 << 20


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

    def label(self, data: bytes) -> str | None:
        """The label in a member's bytes. Raises ValueError where there is none to be understood."""
        text = data.decode()
        if self.suffix.rpartition(".")[2] != "json":
            return text.strip()
        value = json.loads(text)
        if self.key is not None:
            if not isinstance(value, dict):
                raise ValueError(f"it holds no JSON object to take {self.key!r} from")
            value = value.get(self.key)
        if isinstance(value, dict | list):
            key = "one of its keys" if self.key is None else "another key"
            raise ValueError(f"a label is a text or a number; name {key} as .json:KEY")
        return value if value is None or isinstance(value, str) else json.dumps(value)


@dataclass(slots=True)
class Sample:
    """One group of members. Of several images the first counts, and a plain `.jpg` before a `.seg.png`."""

    name: str
    image: Member | None = None
    plain: int = 0
    others: int = 0
    label: str | None = None
    has_label: bool = False

    def add_image(self, member: Member, is_plain: bool) -> None:
        if self.image is None or (is_plain and not self.plain):
            self.image = member
        self.plain += is_plain
        self.others += not is_plain

    @property
    def further_images(self) -> int:
        """How many were passed over that may have been meant as one."""
        return max(0, (self.plain or self.others) - 1)


def group_members(
    members: Iterator[Member], label_from: LabelFrom | None, read: Callable[[Member], bytes]
) -> Iterator[Sample]:
    """Samples in their order. A label is read when its member comes, since going back would fetch a window anew.

    Members without a dot in their name, or with nothing before it, belong to none, as in the webdataset library.
    Raises ValueError for a label that cannot be understood.
    """
    sample: Sample | None = None
    for member in members:
        folder, slash, file = member.name.rpartition("/")
        stem, _, suffix = file.partition(".")
        if not stem or not suffix:
            continue
        name = f"{folder}{slash}{stem}"
        if sample is None or sample.name != name:
            if sample is not None:
                yield sample
            sample = Sample(name)
        _add(sample, member, suffix.lower(), label_from, read)
    if sample is not None:
        yield sample


def _add(
    sample: Sample, member: Member, suffix: str, label_from: LabelFrom | None, read: Callable[[Member], bytes]
) -> None:
    if label_from is not None and suffix == label_from.suffix:
        if member.size > _LARGEST_LABEL:
            raise ValueError(f"{member.name}: {member.size:,} bytes are too many for a label")
        try:
            sample.label, sample.has_label = label_from.label(read(member)), True
        except ValueError as error:
            raise ValueError(f"source.label_from: {member.name}: {error}") from error
    elif suffix.rpartition(".")[2] in _IMAGE_SUFFIXES:
        sample.add_image(member, is_plain="." not in suffix)
