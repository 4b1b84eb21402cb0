"""Fields that several kinds of source have, as they are described once. Used by `source_spec`."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from job.spec.columns import RESERVED
from job.spec.section import DefaultCountsAs
from job.spec.values import Count, Uri

KIND = "How the images are kept: `files`, `parquet`, `webdataset` or `list`; `run` takes those of an earlier run"
SourceUri = Annotated[
    Uri,
    Field(
        description="Where the images are: `s3://`, `gs://`, `az://`, `abfss://` or a path; a relative path starts "
        "from the working directory; `s3://anonymous@…` signs nothing"
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

Decode = Annotated[
    Literal["exact", "scaled"],
    Field(
        description="JPEGs much larger than the model takes: `exact` decodes every pixel that counts; `scaled` lets "
        "the decoder reduce them to a half, a quarter or an eighth first, never below the size that the model's resize "
        "gives, in less than half the time; pixels differ a little, and the run tells the share of equal labels"
    ),
    DefaultCountsAs(),
]


def check_keep(keep: tuple[str, ...]) -> tuple[str, ...]:
    for column in keep:
        if column in RESERVED:
            raise ValueError(f"{column!r} is a column that Tench writes; rename it in the source")
    if len(set(keep)) < len(keep):
        raise ValueError("names a column twice")
    return keep


Keep = Annotated[
    tuple[str, ...],
    AfterValidator(check_keep),
    Field(description="Columns carried to the output; their values stay as they are"),
]
