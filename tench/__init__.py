"""Tench: batch image inference for Kubernetes. One YAML file in, every image out exactly once.

    import tench

    result = tench.run("job.yaml")                      # or a dict; resumes where it stopped
    run = tench.open_run(result.uri)                    # a folder or a bucket's, finished or not
    labels = run.predictions(columns=["uri", "label", "score"])

Nothing is loaded before it is asked for: `import tench` takes a millisecond.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from job.errors import (
        CredentialsError,
        ImageError,
        Interrupted,
        ModelChanged,
        ModelError,
        NoSuchRun,
        OutputError,
        PlanChanged,
        PreflightError,
        RunFailed,
        SourceError,
        SpecError,
        StillRunning,
        StoreError,
        TenchError,
        UsageError,
    )
    from job.models.predictor import Classifier, Detection, Detector, Predictor
    from job.plan.records import Metrics, Plan, Progress, Success
    from job.recipe import Exactly, Recipe, ShortestEdge, Within
    from job.results.preview import Preview
    from job.results.verify import Verified
    from job.run import Result
    from job.spec.spec import JobSpec
    from tench.api import load_spec, open_run, plan, run
    from tench.stored_run import StoredRun

_HOMES = {
    "job.errors": (
        *("TenchError", "RunFailed", "StoreError", "SpecError", "UsageError", "PlanChanged", "PreflightError"),
        *("SourceError", "ModelError", "OutputError", "StillRunning", "Interrupted", "ImageError"),
        *("CredentialsError", "ModelChanged", "NoSuchRun"),
    ),
    "job.models.predictor": ("Classifier", "Detection", "Detector", "Predictor"),
    "job.plan.records": ("Metrics", "Plan", "Progress", "Success"),
    "job.results.preview": ("Preview",),
    "job.recipe": ("Exactly", "Recipe", "ShortestEdge", "Within"),
    "job.results.verify": ("Verified",),
    "job.run": ("Result",),
    "job.spec.spec": ("JobSpec",),
    "tench.api": ("load_spec", "open_run", "plan", "run"),
    "tench.stored_run": ("StoredRun",),
}
_MODULE_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "Classifier",
    "CredentialsError",
    "Detection",
    "Detector",
    "Exactly",
    "ImageError",
    "Interrupted",
    "JobSpec",
    "Metrics",
    "ModelChanged",
    "ModelError",
    "NoSuchRun",
    "OutputError",
    "Plan",
    "PlanChanged",
    "Predictor",
    "PreflightError",
    "Preview",
    "Progress",
    "Recipe",
    "Result",
    "RunFailed",
    "ShortestEdge",
    "SourceError",
    "SpecError",
    "StillRunning",
    "StoreError",
    "StoredRun",
    "Success",
    "TenchError",
    "UsageError",
    "Verified",
    "Within",
    "load_spec",
    "open_run",
    "plan",
    "run",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"tench has no {name!r}")
    value = globals()[name] = getattr(import_module(_MODULE_OF[name]), name)
    return value


def __dir__() -> list[str]:
    return __all__
