"""The spec: what to run, as one frozen value that the job, the launcher and the chart's schema share.

Field descriptions are the only documentation of a field: the JSON Schema and the README's table are generated from
them. Loads nothing heavier than pydantic; `spec_file` reads files into it and `problems` words what is wrong.
Numbers and flags are strict: `"8"` or `true` where a number belongs is a mistake to report, not one to repair.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)

from job.spec.columns import RESERVED
from job.spec.torchvision_names import (
    WEIGHTS_SUFFIXES,
    check_torchvision_name,
    check_torchvision_recipe,
    check_torchvision_task,
    check_torchvision_weights,
)
from job.spec.values import (
    Channels,
    Count,
    Deviations,
    Edges,
    Flag,
    Fraction,
    Gpus,
    Name,
    Uri,
    check_uri,
    check_version,
)


@dataclass(frozen=True)
class DefaultCountsAs:
    """Marks a key that came after others had run ids: with its default, it counts for the fingerprint as `value`.

    Or not at all, where `value` is None. So the run of an older spec keeps its id.
    """

    value: Any = None


# What every kind of source has.
SourceUri = Annotated[
    Uri,
    Field(
        description="Where the images are: `s3://`, `gs://`, `az://` or a path; a relative path starts from the "
        "working directory; `s3://anonymous@…` signs nothing"
    ),
]
LabelNames = Annotated[
    Uri | None,
    Field(
        description="URI or path of a JSON object or list that maps the expected label to a class name; a relative "
        "path starts from the working directory"
    ),
]
Limit = Annotated[Count | None, Field(description="Take only the first so many images")]
OrientationWish = Annotated[
    Literal["auto", "apply", "keep"],
    Field(
        description="Images stored turned (EXIF): `apply` turns them upright, `keep` leaves them as stored; `auto` is "
        "what the model's plain pipeline does: `apply` for transformers, `keep` for torchvision, but that Pillow turns "
        "TIFF; a python model's recipe says it"
    ),
    DefaultCountsAs(),
]
Depth = Annotated[
    Literal["clip", "scale"],
    Field(
        description="Grey of 16 or 32 bits, and floats: `clip` cuts values off at 255 as Pillow does, so that most are "
        "white and floats of 0 to 1 black; `scale` makes them 8 bits"
    ),
    DefaultCountsAs(),
]
_KIND = "How the images are kept: `files`, `parquet` or `webdataset`"


_FIRST_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
IMAGE_SUFFIXES = (*_FIRST_SUFFIXES, ".avif", ".jp2", ".j2k", ".jpx", ".heic", ".heif", ".jxl")


class SpecModel(BaseModel):
    """Strict on keys, so that a typing error is reported and not ignored; frozen, so that it can be a fingerprint."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    def determinants(self) -> dict[str, Any]:
        """The keys as JSON has them, and their values, that the fingerprint is made of."""
        found = self.model_dump(mode="json")
        for name, field in type(self).model_fields.items():
            for marker in field.metadata:
                if isinstance(marker, DefaultCountsAs) and getattr(self, name) == field.default:
                    found[name] = marker.value
                    if marker.value is None:
                        del found[name]
        return found


class FilesSource(SpecModel):
    """A folder or a bucket prefix of image files, nested as deep as it likes."""

    kind: Literal["files"] = Field(default="files", description=_KIND)
    uri: SourceUri
    suffixes: Annotated[tuple[str, ...], DefaultCountsAs([*_FIRST_SUFFIXES])] = Field(
        default=IMAGE_SUFFIXES,
        min_length=1,
        description="File names to take, by their ending; case is ignored",
    )
    label_from: Literal["none", "directory"] = Field(
        default="none", description="The expected label: `directory` takes the name of the folder the file is in"
    )
    label_names: LabelNames = None
    orientation: OrientationWish = "auto"
    depth: Depth = "clip"
    limit: Limit = None

    @field_validator("suffixes")
    @classmethod
    def suffixes_begin_with_a_dot(cls, suffixes: tuple[str, ...]) -> tuple[str, ...]:
        for suffix in suffixes:
            if not suffix.startswith(".") or "/" in suffix:
                raise ValueError(f"a suffix is a dot and letters, such as .jpg; {suffix!r} is not")
        return suffixes


class ParquetSource(SpecModel):
    """Rows of Parquet that hold encoded images, or their URIs."""

    kind: Literal["parquet"] = Field(description=_KIND)
    uri: SourceUri
    label_from: str = Field(default="none", min_length=1, description="The expected label: a column's name")
    label_names: LabelNames = None
    image_column: str | None = Field(
        default=None,
        min_length=1,
        description="The column of encoded bytes, or of Hugging Face's `{bytes, path}`; `image` where none is named",
    )
    uri_column: str | None = Field(
        default=None, min_length=1, description="The column of image URIs, instead of `image_column`"
    )
    keep: tuple[str, ...] = Field(default=(), description="Columns carried to the output unchanged")
    orientation: OrientationWish = "auto"
    depth: Depth = "clip"
    limit: Limit = None

    @field_validator("uri_column")
    @classmethod
    def image_column_xor_uri_column(cls, uri_column: str | None, info: ValidationInfo) -> str | None:
        if uri_column is not None and info.data.get("image_column") is not None:
            raise ValueError("exclusive with image_column; give one of the two")
        return uri_column

    @field_validator("keep")
    @classmethod
    def kept_columns_are_free_and_unique(cls, keep: tuple[str, ...]) -> tuple[str, ...]:
        for column in keep:
            if column in RESERVED:
                raise ValueError(f"{column!r} is a column that Tench writes; rename it in the source")
        if len(set(keep)) < len(keep):
            raise ValueError("names a column twice")
        return keep


class WebdatasetSource(SpecModel):
    """Tar shards whose members are grouped by their name up to the first dot."""

    kind: Literal["webdataset"] = Field(description=_KIND)
    uri: SourceUri
    label_from: str = Field(
        default="none",
        min_length=1,
        description="The expected label: a member's suffix, such as `.cls`, or `.json:KEY` for a key in it",
    )
    label_names: LabelNames = None
    orientation: OrientationWish = "auto"
    depth: Depth = "clip"
    limit: Limit = None

    @field_validator("label_from")
    @classmethod
    def label_from_is_a_suffix(cls, label_from: str) -> str:
        if label_from != "none" and not label_from.startswith("."):
            raise ValueError("a member's suffix begins with a dot, such as .cls")
        return label_from


SOURCES: Mapping[str, type[SpecModel]] = {
    "files": FilesSource,
    "parquet": ParquetSource,
    "webdataset": WebdatasetSource,
}


def _source_kind(value: Any) -> Any:
    return value.get("kind", "files") if isinstance(value, dict) else getattr(value, "kind", "files")


SourceSpec = Annotated[
    Annotated[FilesSource, Tag("files")]
    | Annotated[ParquetSource, Tag("parquet")]
    | Annotated[WebdatasetSource, Tag("webdataset")],
    Discriminator(_source_kind),
]


class RecipeSpec(SpecModel):
    """How images become the input of a classifier of torchvision's whose weights are the user's own."""

    resize: Edges = Field(description="Pixels of the shorter edge, or `[height, width]` whatever the aspect ratio")
    crop: Edges | None = Field(default=None, description="Pixels, or `[height, width]`, around the centre")
    interpolation: Literal["nearest", "bilinear", "bicubic"] = Field(default="bilinear", description="Of the resizing")
    mean: Channels = Field(
        default=(0.485, 0.456, 0.406), description="Of red, green and blue, where a pixel is 0 to 1; ImageNet's"
    )
    std: Deviations = Field(default=(0.229, 0.224, 0.225), description="Likewise; ImageNet's")

    @model_validator(mode="after")
    def images_get_one_size(self) -> "RecipeSpec":
        if self.crop is None and isinstance(self.resize, int):
            raise ValueError("needs a crop where resize is the shorter edge, so that all images get one size")
        return self


def _recipe_form(value: Any) -> str:
    return "weights" if isinstance(value, str) else "steps"


RecipeChoice = Annotated[
    Annotated[str, Tag("weights")] | Annotated[RecipeSpec, Tag("steps")], Discriminator(_recipe_form)
]


class ModelSpec(SpecModel):
    """The model, and what it is asked for."""

    kind: Literal["torchvision", "transformers", "python"] = Field(
        description="Who makes the model: `torchvision`, `transformers` or `python`"
    )
    name: str = Field(
        min_length=1,
        description="A torchvision model; a Hugging Face id, or the path or URI of its folder; or `module:factory` "
        "returning a `Predictor`",
    )
    revision: Annotated[str | None, DefaultCountsAs()] = Field(
        default=None,
        min_length=1,
        description="transformers: the branch, tag or commit of a Hugging Face id; a run keeps to the commit that it "
        "was planned with",
    )
    task: Literal["classify", "detect"] = Field(
        default="classify", validate_default=True, description="`classify` gives top-k labels, `detect` gives boxes"
    )
    weights: str = Field(
        default="DEFAULT",
        min_length=1,
        description="torchvision: an enum's name, the URI or path of a state dict (`.safetensors`, `.pth`, `.pt`, "
        "`.ckpt`, `.bin`), or `none` for random ones; a relative path starts from the working directory",
    )
    weights_key: Annotated[str | None, DefaultCountsAs()] = Field(
        default=None,
        min_length=1,
        description="The entry of a training script's file that holds the state dict, such as `model_ema`; found by "
        "itself where it has a usual name",
    )
    recipe: Annotated[RecipeChoice | None, DefaultCountsAs()] = Field(
        default=None,
        description="How images become the input of a state dict of your own: the name of weights that the "
        "architecture has, or a mapping of `resize`, `crop`, `interpolation`, `mean`, `std`; where it is left out, "
        "that of the newest weights, with a warning",
    )
    labels: Uri | None = Field(
        default=None,
        description="URI or path of the class names, those of the weights where it is left out: a JSON list, "
        "`imagenet_class_index.json`, `id2label`, `class_to_idx`, or text with a name a line; a relative path starts "
        "from the working directory",
    )
    top_k: Count = Field(default=5, description="classify: how many labels a row keeps")
    score_threshold: Fraction = Field(default=0.9, description="detect: boxes that score less are dropped")
    precision: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        default="auto", description="`auto` is bfloat16 where the device is fast at it, else float32"
    )
    compile: Flag = Field(
        default=False,
        description="Run the model through `torch.compile`: slower to start, faster to run; needs a C++ compiler",
    )

    @field_validator("name")
    @classmethod
    def name_is_known(cls, name: str, info: ValidationInfo) -> str:
        kind = info.data.get("kind")
        if kind == "torchvision":
            check_torchvision_name(name)
        if kind == "transformers":
            check_uri(name)
        if kind == "python" and not re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*", name):
            raise ValueError("a python model is named module:factory")
        return name

    @field_validator("revision")
    @classmethod
    def revision_is_of_a_hugging_face_id(cls, revision: str | None, info: ValidationInfo) -> str | None:
        if revision is not None and ("kind" in info.data and info.data["kind"] != "transformers"):
            raise ValueError("only a Hugging Face id has revisions; leave it out")
        if revision is not None and "://" in info.data.get("name", ""):
            raise ValueError("a folder has no revisions; leave it out, or give the Hugging Face id as model.name")
        return revision

    @field_validator("task")
    @classmethod
    def model_does_the_task(cls, task: str, info: ValidationInfo) -> str:
        if info.data.get("kind") == "torchvision" and "name" in info.data:
            check_torchvision_task(info.data["name"], task)
        return task

    @field_validator("weights")
    @classmethod
    def weights_are_known(cls, weights: str, info: ValidationInfo) -> str:
        if info.data.get("kind") == "torchvision":
            check_torchvision_weights(info.data.get("name"), weights)
            return check_uri(weights) if weights.endswith(WEIGHTS_SUFFIXES) else weights
        if "kind" in info.data and weights not in ("DEFAULT", "none"):
            raise ValueError("only torchvision models take weights apart from the name; use DEFAULT or none")
        return weights

    @field_validator("weights_key")
    @classmethod
    def weights_key_is_of_a_file(cls, weights_key: str | None, info: ValidationInfo) -> str | None:
        if weights_key is not None and not info.data.get("weights", ".pth").endswith(WEIGHTS_SUFFIXES):
            raise ValueError("is an entry of a weights file, and model.weights names none")
        return weights_key

    @field_validator("recipe")
    @classmethod
    def recipe_is_of_a_torchvision_classifier(cls, recipe: Any, info: ValidationInfo) -> Any:
        if recipe is None or "kind" not in info.data:
            return recipe
        if info.data["kind"] != "torchvision":
            raise ValueError("only torchvision's models take a recipe; the others bring their own")
        if info.data.get("task") == "detect":
            raise ValueError("torchvision's detectors resize and normalise by themselves")
        if isinstance(recipe, str) and "name" in info.data and "task" in info.data:
            check_torchvision_recipe(info.data["name"], recipe)
        return recipe


class ComputeSpec(SpecModel):
    """How much runs at once."""

    concurrency: Count = Field(
        default=1, description="Model replicas; on a cluster, that many actors, no more and no fewer"
    )
    gpus_per_replica: Literal["auto"] | Gpus = Field(
        default="auto", description="`auto` is 1 where this process sees CUDA, else 0; a chart wants a number"
    )
    cpu_fallback: Flag = Field(
        default=False, description="Let a replica that was promised a GPU and finds none run on the CPU, and say so"
    )
    cpus_per_replica: Count = Field(
        default=1, description="Cores of a replica, and the threads of a model that runs on the CPU"
    )
    batch_size: Count = Field(default=256, description="Images given to the model at once")


class OutputSpec(SpecModel):
    """Where the result goes."""

    uri: Uri = Field(
        description="The folder of runs; this one writes to `<uri>/<run id>/`. A relative path starts from the working "
        "directory"
    )
    rows_per_file: Count = Field(default=10_000, description="Rows of an output file: the unit of commit and of resume")


class ErrorsSpec(SpecModel):
    """What an image may be, and how many may be bad."""

    max_fraction: Fraction = Field(
        default=0.01,
        description="A larger share of failed images fails the run, after everything readable is committed",
    )
    max_pixels: Count = Field(default=89_478_485, description="An image of more pixels is `too-large`")
    max_bytes: Count = Field(default=67_108_864, description="A file of more bytes is `too-large` and is not read")


class ReportSpec(SpecModel):
    """The page at the end."""

    samples: int = Field(
        default=24, strict=True, ge=0, le=500, description="Pictures in each of the report's galleries"
    )


class JobSpec(SpecModel):
    """One batch: these images, through this model, into this folder."""

    version: Annotated[Literal[1], BeforeValidator(check_version)] = Field(
        default=1, description="The spec's version; this Tench reads 1"
    )
    name: Name = Field(
        description="Begins the run id: lower-case letters, digits and `-`, a letter first, at most 30 characters"
    )
    source: SourceSpec = Field(description="Where the images and their expected labels come from")
    model: ModelSpec = Field(description="The model, and what it is asked for")
    compute: ComputeSpec = Field(default=ComputeSpec(), description="How much runs at once")
    output: OutputSpec = Field(description="Where the result goes")
    errors: ErrorsSpec = Field(default=ErrorsSpec(), description="What an image may be, and how many may be bad")
    report: ReportSpec = Field(default=ReportSpec(), description="The page at the end")
