"""`tench render`: the manifests of a run, for Git."""

import sys
from pathlib import Path

from job.errors import UsageError
from job.spec.spec_file import load_spec
from tench.launcher.cluster.helm import Helm
from tench.launcher.cluster.release import render_release
from tench.launcher.cluster.target import Target


def run(spec_path: str, run_id: str | None, target: Target, to: str | None) -> None:
    """Prints the objects, or writes them to a file and prints its path; no cluster is asked."""
    helm = Helm(target.context, target.namespace)
    release = render_release(helm, load_spec(spec_path), run_id, target.values())
    if to is None:
        print(release.manifest, end="")
        return
    path = Path(to) if to.endswith((".yaml", ".yml")) else Path(to) / f"{release.name}.yaml"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(release.manifest, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"--to {to}: {error.strerror or error}") from error
    print(f"{len(release.objects)} objects of run {release.name}", file=sys.stderr)
    print(path)
