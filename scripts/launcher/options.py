"""Options and arguments of the commands: their types, names and words."""

from enum import StrEnum
from typing import Annotated

import typer


class OutputFormat(StrEnum):
    """What standard output gets."""

    TEXT = "text"
    JSON = "json"


class FileFormat(StrEnum):
    """What predictions are collected as."""

    PARQUET = "parquet"
    CSV = "csv"
    JSONL = "jsonl"


class EngineName(StrEnum):
    """How the stages run."""

    LOCAL = "local"
    RAY = "ray"


SpecPath = Annotated[str, typer.Argument(metavar="SPEC", help="The spec, YAML or JSON; `-` reads standard input.")]
RunId = Annotated[
    str | None,
    typer.Option("--run-id", help="Name the run; by default the name and a hash of what determines the result."),
]
Output = Annotated[OutputFormat, typer.Option("--output", "-o", help="What standard output gets.")]
Engine = Annotated[
    EngineName | None,
    typer.Option(
        "--engine",
        help="Threads in this process, or Ray. Default: ray inside a Ray job or with RAY_ADDRESS, else local.",
    ),
]
AcceptChangedModel = Annotated[
    bool,
    typer.Option(
        "--accept-changed-model",
        help="Go on with another model than the run was planned with; its files, and _SUCCESS, say so.",
    ),
]
To = Annotated[str | None, typer.Option("--to", metavar="FOLDER", help="Default: a folder of the run's name, here.")]
Format = Annotated[FileFormat, typer.Option("--format", help="What the predictions become.")]
Merge = Annotated[
    int | None,
    typer.Option("--merge", metavar="[N]", min=1, help="Make one file, or N, of the run's many."),
]
Where = Annotated[
    str | None,
    typer.Option("--where", metavar="CONDITION", help='Keep the rows of which this SQL is true: "error is null".'),
]
Partial = Annotated[
    bool, typer.Option("--partial", help="Take what is there of an unfinished run; say what is missing.")
]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show debug messages, and the traceback of an error.")]
Context = Annotated[
    str | None, typer.Option("--context", help="The kubeconfig's context. Default: its current one, or this pod's own.")
]
Namespace = Annotated[str | None, typer.Option("--namespace", "-n", help="Default: the context's, or this pod's own.")]
Files = Annotated[
    list[str] | None,
    typer.Option(
        "--values",
        "-f",
        metavar="FILE",
        help="Values of the chart, for helm, in its order. Default: TENCH_PROFILE, or ~/.config/tench/profile.yaml.",
    ),
]
Sets = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A value of the chart, for helm.")]
Chart = Annotated[
    str | None, typer.Option("--chart", metavar="PATH_OR_OCI", help="Default: the chart of this checkout.")
]
ImagesPerSecond = Annotated[
    float | None,
    typer.Option(
        "--images-per-second",
        min=0.001,
        help="Of one replica, to estimate GPU-hours. Default: what an earlier run of the model measured.",
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Go on where something would make the run hang or fail.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print just what would be applied, and apply nothing.")]
Upgrade = Annotated[
    bool, typer.Option("--upgrade", help="Change a run that is there already (helm upgrade); it goes on from its rows.")
]
Watch = Annotated[bool, typer.Option("--watch", help="Watch the run until it ends; Ctrl-C leaves it running.")]
RunName = Annotated[str, typer.Argument(metavar="RUN", help="A run id; or the release's or the RayJob's name.")]
ManifestTo = Annotated[
    str | None,
    typer.Option("--to", metavar="PATH", help="A file, or a folder for RUN_ID.yaml. Default: standard output."),
]
OlderThan = Annotated[
    str, typer.Option("--older-than", metavar="AGE", help="Ended, or untouched, for so long: 12h, 7d.")
]
Data = Annotated[
    str | None,
    typer.Option("--data", metavar="URI", help="Remove abandoned run folders under this output, too."),
]
DryGc = Annotated[bool, typer.Option("--dry-run", help="Show what would be removed, and remove nothing.")]
RunOrFolder = Annotated[
    str,
    typer.Argument(
        metavar="RUN",
        help="A run id; the release's or the RayJob's name; or the run's folder, which has a slash: ./RUN.",
    ),
]
Timeout = Annotated[
    float | None, typer.Option("--timeout", metavar="SECONDS", min=0, help="Wait no longer. Default: until it ends.")
]
Pods = Annotated[
    list[str] | None, typer.Option("--worker", metavar="POD", help="The log of this pod of the run; may be repeated.")
]
Workers = Annotated[bool, typer.Option("--workers", help="The logs of all its workers.")]
Follow = Annotated[bool, typer.Option("--follow", "-f", help="Print what comes, until the run ends.")]
Tail = Annotated[int | None, typer.Option("--tail", metavar="LINES", min=0, help="Only the last so many lines.")]
