"""The spec's `source`: where images and their expected labels come from, a section for each kind."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, ValidationInfo, field_validator

from job.spec.columns import OF_ONE_BOX, RESERVED
from job.spec.section import DefaultCountsAs, SpecModel
from job.spec.source_fields import KIND, Decode, Depth, Keep, LabelNames, Limit, OrientationWish, SourceUri
from job.spec.values import Uri

Globs = Annotated[tuple[str, ...], DefaultCountsAs()]

ANY = "any"
_FIRST_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
IMAGE_SUFFIXES = (*_FIRST_SUFFIXES, ".avif", ".jp2", ".j2k", ".jpx", ".heic", ".heif", ".jxl")


class FilesSource(SpecModel):
    """A folder or a bucket prefix of image files, nested as deep as it likes."""

    kind: Literal["files"] = Field(default="files", description=KIND)
    uri: SourceUri
    suffixes: Annotated[tuple[str, ...], DefaultCountsAs([*_FIRST_SUFFIXES])] = Field(
        default=IMAGE_SUFFIXES,
        min_length=1,
        description="File names to take, by their ending; case is ignored. `[any]` takes every name, and tells images "
        "by their first bytes where the name is not one of an image",
    )
    include: Globs = Field(
        default=(),
        description="Take only names that one of these globs matches, counted from `uri`: `*` within a name, `**` any "
        "folders, `?`, `[a-z]`, `{a,b}`; without a slash, a name in any folder; a folder means all in it",
    )
    exclude: Globs = Field(default=(), description="Pass over names that one of these globs matches, as in `include`")
    label_from: Literal["none", "directory"] = Field(
        default="none", description="The expected label: `directory` takes the name of the folder the file is in"
    )
    label_file: Annotated[Uri | None, DefaultCountsAs()] = Field(
        default=None,
        description="URI or path of a table of expected labels instead: CSV with a header, TSV, or JSON Lines such as "
        "imagefolder's `metadata.jsonl`; its names are relative to it where it lies in the source, else to `uri`",
    )
    label_column: Annotated[str, DefaultCountsAs()] = Field(
        default="label", min_length=1, description="The column of `label_file` that holds the label"
    )
    name_column: Annotated[str, DefaultCountsAs()] = Field(
        default="file_name", min_length=1, description="The column of `label_file` that names the image"
    )
    label_names: LabelNames = None
    orientation: OrientationWish = "auto"
    depth: Depth = "clip"
    decode: Decode = "exact"
    limit: Limit = None

    @field_validator("suffixes")
    @classmethod
    def suffixes_begin_with_a_dot(cls, suffixes: tuple[str, ...]) -> tuple[str, ...]:
        if ANY in suffixes and len(suffixes) > 1:
            raise ValueError(f"{ANY} stands alone: it takes every name")
        for suffix in suffixes:
            if suffix != ANY and (not suffix.startswith(".") or "/" in suffix or not suffix.strip(". ")):
                raise ValueError(
                    f"a suffix is a dot and letters, such as .jpg; {suffix!r} is not ([{ANY}] takes every name)"
                )
        return suffixes

    @field_validator("include", "exclude")
    @classmethod
    def globs_name_something(cls, globs: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in globs:
            if not pattern.strip("/"):
                raise ValueError(f"a glob is a name or a path with *, ** or ?, such as *.thumb.jpg; {pattern!r} is not")
        return globs

    @field_validator("label_file")
    @classmethod
    def label_file_xor_label_from(cls, label_file: str | None, info: ValidationInfo) -> str | None:
        if label_file is not None and info.data.get("label_from", "none") != "none":
            raise ValueError("exclusive with label_from; give one of the two")
        return label_file

    @field_validator("label_column", "name_column")
    @classmethod
    def columns_are_of_a_label_file(cls, column: str, info: ValidationInfo) -> str:
        given = info.field_name is not None and column != cls.model_fields[info.field_name].default
        if given and info.data.get("label_file", "") is None:
            raise ValueError("a column of label_file, which is not given")
        return column

    @property
    def takes_any_name(self) -> bool:
        return self.suffixes == (ANY,)

    @property
    def name_suffixes(self) -> tuple[str, ...]:
        """The suffixes by which a name alone says that it is an image's."""
        return IMAGE_SUFFIXES if self.takes_any_name else self.suffixes


class ParquetSource(SpecModel):
    """Rows of Parquet that hold encoded images, or their URIs."""

    kind: Literal["parquet"] = Field(description=KIND)
    uri: SourceUri
    label_from: str = Field(
        default="none",
        min_length=1,
        description="The expected label: a column's name, or `a.b` for a field of a struct",
    )
    label_names: LabelNames = None
    image_column: str | None = Field(
        default=None,
        min_length=1,
        description="The column of encoded bytes, or of Hugging Face's `{bytes, path}`; `image` where none is named. "
        "`a.b` is the field `b` of the struct `a`, for this key and the others that name columns",
    )
    uri_column: str | None = Field(
        default=None, min_length=1, description="The column of image URIs, instead of `image_column`"
    )
    keep: Keep = ()
    orientation: OrientationWish = "auto"
    depth: Depth = "clip"
    decode: Decode = "exact"
    limit: Limit = None

    @field_validator("uri_column")
    @classmethod
    def image_column_xor_uri_column(cls, uri_column: str | None, info: ValidationInfo) -> str | None:
        if uri_column is not None and info.data.get("image_column") is not None:
            raise ValueError("exclusive with image_column; give one of the two")
        return uri_column


class WebdatasetSource(SpecModel):
    """Tar shards whose members are grouped by their name up to the first dot."""

    kind: Literal["webdataset"] = Field(description=KIND)
    uri: SourceUri
    label_from: str = Field(
        default="none",
        min_length=1,
        description="The expected label: a member's suffix, such as `.cls`, or `.json:KEY` for a key in it",
    )
    label_names: LabelNames = None
    orientation: OrientationWish = "auto"
    depth: Depth = "clip"
    decode: Decode = "exact"
    limit: Limit = None

    @field_validator("label_from")
    @classmethod
    def label_from_is_a_suffix(cls, label_from: str) -> str:
        suffix, colon, key = label_from.partition(":")
        if label_from != "none" and (not suffix.startswith(".") or not suffix.strip(". ")):
            raise ValueError("a member's suffix is a dot and letters, such as .cls")
        if colon and not key:
            raise ValueError("the key is missing behind the colon; .json alone takes all of the member")
        return label_from


class ListSource(SpecModel):
    """A list of image URIs: a line each, a CSV or JSON Lines with columns, or the inventory of a bucket."""

    kind: Literal["list"] = Field(description=KIND)
    uri: SourceUri
    uri_column: str | None = Field(
        default=None,
        min_length=1,
        description="The column of image URIs, which may be relative to the list; `file_name`, `uri`, `url` or `path` "
        "where none is named, or the only one",
    )
    label_from: str = Field(
        default="none",
        min_length=1,
        description="The expected label: a column's name; `directory` takes the name of the folder the image is in",
    )
    label_names: LabelNames = None
    keep: Keep = ()
    suffixes: tuple[str, ...] | None = Field(
        default=None,
        min_length=1,
        description="URIs to take, by their ending; of an inventory images alone where none is named, of others all",
    )
    orientation: OrientationWish = "auto"
    depth: Depth = "clip"
    decode: Decode = "exact"
    limit: Limit = None

    @field_validator("suffixes")
    @classmethod
    def suffixes_are_those_of_files(cls, suffixes: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if suffixes and ANY in suffixes:
            raise ValueError("leave suffixes out to take every URI")
        return None if suffixes is None else FilesSource.suffixes_begin_with_a_dot(suffixes)


class RunSource(SpecModel):
    """Images of a complete run, or the boxes that it found in them, chosen by what it found."""

    kind: Literal["run"] = Field(description=KIND)
    uri: Annotated[Uri, Field(description="The folder of the run, which must be complete")]
    crops: Annotated[bool, DefaultCountsAs()] = Field(
        default=False,
        description="Take each box of a detection as an image of its own: its `uri` is `URI#xywh=X,Y,WIDTH,HEIGHT`, "
        "and `label`, `label_index`, `score` and `box` are columns for `where`, `keep` and `label_from`",
    )
    where: str | None = Field(
        default=None,
        min_length=1,
        description="Take only the rows of which this SQL over the columns of its predictions is true, such as "
        "`label = 'car' and score > 0.5`; needs the extra `where`",
    )
    label_from: str = Field(
        default="none", min_length=1, description="The expected label: a column of its predictions, such as `expected`"
    )
    label_names: LabelNames = None
    keep: tuple[str, ...] = Field(
        default=(),
        description="Columns of its predictions carried to the output; those whose names this run needs are called "
        "`source_label`, `source_score` and so on",
    )
    orientation: OrientationWish = "auto"
    depth: Depth = "clip"
    decode: Decode = "exact"
    limit: Limit = None

    @field_validator("keep")
    @classmethod
    def kept_columns_have_names_of_their_own(cls, keep: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        names = [kept_as(column, info.data.get("crops", False)) for column in keep]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"would write two columns {name!r}")
        return keep

    @field_validator("orientation")
    @classmethod
    def crops_are_as_their_boxes_were_found(cls, orientation: str, info: ValidationInfo) -> str:
        if info.data.get("crops") and orientation != "auto":
            raise ValueError("leave it out: crops are cut from the image the way up that the earlier run read it")
        return orientation


def kept_as(column: str, crops: bool = False) -> str:
    """What a column of an earlier run's predictions is called in the next one's."""
    is_taken = column in RESERVED or (crops and column in OF_ONE_BOX.values())
    return f"source_{column}" if is_taken else column


SOURCES: Mapping[str, type[SpecModel]] = {
    "files": FilesSource,
    "parquet": ParquetSource,
    "webdataset": WebdatasetSource,
    "list": ListSource,
    "run": RunSource,
}


def _source_kind(value: Any) -> Any:
    return value.get("kind", "files") if isinstance(value, dict) else getattr(value, "kind", "files")


SourceSpec = Annotated[
    Annotated[FilesSource, Tag("files")]
    | Annotated[ParquetSource, Tag("parquet")]
    | Annotated[WebdatasetSource, Tag("webdataset")]
    | Annotated[ListSource, Tag("list")]
    | Annotated[RunSource, Tag("run")],
    Discriminator(_source_kind),
]
