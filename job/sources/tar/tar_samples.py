"""Samples of a webdataset: members that stand together and share a name up to its first dot. Used while listing."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from job.sources.left_out import LeftOutCounts
from job.sources.tar.tar_labels import LARGEST_LABEL, FoundLabel, LabelFrom
from job.sources.tar.tar_members import Member, escape_member, member_uri
from job.spec.spec import IMAGE_SUFFIXES
from job.terminal.wording import counted, printable

HIDDEN_MEMBERS = "members whose name begins with a dot"
WITHOUT_SUFFIX = "members without a suffix"
_IMAGE_SUFFIXES = frozenset(suffix.removeprefix(".") for suffix in IMAGE_SUFFIXES)


@dataclass(slots=True)
class Sample:
    """One group of members. Of several images the first counts, and a plain `.jpg` before a `.seg.png`."""

    name: str
    part: int
    image: Member | None = None
    plain: int = 0
    others: int = 0
    label: FoundLabel | None = None
    suffixes: set[str] = field(default_factory=set)

    def takes(self, name: str, suffix: str, part: int) -> bool:
        """Whether a member is of this sample. A name that comes again begins another one of its own."""
        return self.name == name and self.part == part and suffix not in self.suffixes

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
    members: Iterator[Member],
    label_from: LabelFrom | None,
    read: Callable[[Member], bytes],
    uri: str,
    left_out: LeftOutCounts,
) -> Iterator[Sample]:
    """Samples in their order. A label is read when its member comes, since going back would fetch a window anew.

    Members without a dot in their name, or with nothing before it, belong to none, as in the webdataset library; they
    are counted. Raises ValueError for a label that cannot be understood.
    """
    sample: Sample | None = None
    for member in members:
        folder, slash, file = member.name.rpartition("/")
        stem, _, suffix = file.partition(".")
        if not stem or not suffix:
            left_out.add(WITHOUT_SUFFIX if stem else HIDDEN_MEMBERS, example=member_uri(uri, member.name))
            continue
        name, suffix = f"{folder}{slash}{stem}", suffix.lower()
        if sample is None or not sample.takes(name, suffix, member.part):
            if sample is not None:
                yield sample
            sample = Sample(name, member.part)
        sample.suffixes.add(suffix)
        _add(sample, member, suffix, label_from, read)
    if sample is not None:
        yield sample


def _add(
    sample: Sample, member: Member, suffix: str, label_from: LabelFrom | None, read: Callable[[Member], bytes]
) -> None:
    if label_from is not None and suffix == label_from.suffix:
        if member.size > LARGEST_LABEL:
            raise ValueError(f"{escape_member(member.name)}: {member.size:,} bytes are too many for a label")
        try:
            sample.label = label_from.label(read(member))
        except ValueError as error:
            raise ValueError(f"source.label_from: {escape_member(member.name)}: {error}") from error
    elif suffix.rpartition(".")[2] in _IMAGE_SUFFIXES:
        sample.add_image(member, is_plain="." not in suffix)


@dataclass(slots=True)
class LabelCounts:
    """Images and labels of many samples, to say where the labels are when no image has one."""

    images: int = 0
    labelled: int = 0
    members: int = 0  # that hold labels
    beside_images: int = 0
    keys: tuple[str, ...] = ()  # of the first object that has not the key

    def add(self, sample: Sample) -> None:
        self.images += sample.image is not None
        if sample.label is not None:
            self.members += 1
            self.beside_images += sample.image is not None
            self.labelled += sample.image is not None and sample.label.text is not None
            self.keys = self.keys or sample.label.keys

    def add_counts(self, other: "LabelCounts") -> None:
        self.images += other.images
        self.labelled += other.labelled
        self.members += other.members
        self.beside_images += other.beside_images
        self.keys = self.keys or other.keys

    def problem(self, label_from: LabelFrom) -> str | None:
        """Why no image has a label; None where one has."""
        if self.labelled:
            return None
        if not self.members:
            return f"no member ends with .{label_from.suffix}"
        if not self.beside_images:
            return (
                f"none of {counted(self.images, 'image')} has a label: what ends with .{label_from.suffix} "
                f"({counted(self.members, 'member')}) stands in other samples; a label stands beside its image, under "
                "the same name up to the first dot: `tar --sort=name` packs them so"
            )
        if self.keys:
            return f"no .{label_from.suffix} has the key {label_from.key!r}; one has {printable(', '.join(self.keys))}"
        return f"each .{label_from.suffix} is empty, or null"
