"""The spec: what to run, as one frozen value that the job, the launcher and the chart's schema share.

Field descriptions are the only documentation of a field: the JSON Schema and the README's table are generated from
them. Loads nothing heavier than pydantic; `spec_file` reads files into it and `problems` words what is wrong.
Numbers and flags are strict: `"8"` or `true` where a number belongs is a mistake to report, not one to repair.
"""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from job.spec.model_spec import ModelSpec, RecipeSpec
from job.spec.section import DefaultCountsAs, SpecModel
from job.spec.source_spec import (
    IMAGE_SUFFIXES,
    SOURCES,
    FilesSource,
    ListSource,
    ParquetSource,
    RunSource,
    SourceSpec,
    WebdatasetSource,
)
from job.spec.values import Count, Flag, Fraction, Gpus, Name, Uri, check_version

__all__ = [
    "IMAGE_SUFFIXES",
    "SOURCES",
    "ComputeSpec",
    "DefaultCountsAs",
    "ErrorsSpec",
    "FilesSource",
    "JobSpec",
    "ListSource",
    "ModelSpec",
    "OutputSpec",
    "ParquetSource",
    "RecipeSpec",
    "ReportSpec",
    "RunSource",
    "SourceSpec",
    "SpecModel",
    "WebdatasetSource",
]


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
    max_pixels: Annotated[Count, DefaultCountsAs()] = Field(
        default=89_478_485, description="An image of more pixels is `too-large`"
    )
    max_bytes: Annotated[Count, DefaultCountsAs()] = Field(
        default=67_108_864, description="A file of more bytes is `too-large` and is not read"
    )


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
