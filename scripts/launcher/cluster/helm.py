"""The user's `helm`, which alone renders the chart and installs it: argument lists, no shell, and its errors in words.

What the chart itself says of wrong values, its `ERROR: …` and its schema's findings, is shown as it is.
"""

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from job.errors import PreflightError, TenchError, UsageError

OLDEST = (3, 8)  # the first that takes a chart from oci://
INSTALL = "https://helm.sh/docs/intro/install"
CHART = Path(__file__).resolve().parents[3] / "charts" / "tench"

_WRONG_VALUES = (
    "execution error at",
    "values don't meet the specifications",
    "failed parsing --set",
    "failed to parse",
    "error converting YAML",
    "no such file",
    "YAML parse error",
    "Chart.yaml file is missing",
    "path not found",
    "path_to_chart",
    "failed to download",
)
_NO_CLUSTER = (
    "cluster unreachable",
    "connection refused",
    "no configuration has been provided",
    "context was not found",
)


@dataclass(frozen=True)
class ChartValues:
    """What the chart is given, in helm's order: `defaults`, the files, `own`, and what `--set` says."""

    chart: str
    files: tuple[str, ...]
    sets: tuple[str, ...]
    defaults: Mapping[str, Any]
    own: Mapping[str, Any]


class Helm:
    """Releases in one namespace of one cluster; None is what the kubeconfig says."""

    def __init__(self, context: str | None, namespace: str | None) -> None:
        """Raises PreflightError where helm is not installed, or too old."""
        found = shutil.which("helm")
        if found is None:
            raise PreflightError(f"helm is not installed, and it is what renders the chart: {INSTALL}")
        self._program = found
        self._where = [*_option("--kube-context", context), *_option("--namespace", namespace)]
        major = self._check_version()
        # Helm 4 would apply on the server, and refuse to take back what Kueue or the operator has written since.
        self._applies = ["--server-side=false"] if major >= 4 else []

    def template(self, release: str, values: ChartValues) -> str:
        """The manifest that an install would apply; no cluster is asked. Raises UsageError for wrong values."""
        return self._with_values("template", release, values)

    def install(self, release: str, values: ChartValues) -> None:
        """Leaves no half of a release. Raises UsageError, PreflightError."""
        try:
            self._with_values("install", release, values, *self._applies)
        except TenchError:
            if self.status(release) == "failed":
                self.uninstall(release)
            raise

    def upgrade(self, release: str, values: ChartValues) -> None:
        self._with_values("upgrade", release, values, *self._applies)

    def uninstall(self, release: str) -> None:
        """The RayJob's finalizer stops the job."""
        self._run("uninstall", release)

    def status(self, release: str) -> str | None:
        """Such as `deployed` or `failed`; None where helm knows no such release."""
        done = self._call("status", release, "--output", "json")
        if done.returncode and "not found" in done.stderr:
            return None
        return str(json.loads(_output("status", done))["info"]["status"])

    def manifest(self, release: str) -> str:
        """What is installed."""
        return self._run("get", "manifest", release)

    def _with_values(self, command: str, release: str, values: ChartValues, *options: str) -> str:
        with tempfile.TemporaryDirectory(prefix="tench-") as folder:
            first, last = Path(folder, "defaults.json"), Path(folder, "job.json")
            first.write_text(to_helm_yaml(values.defaults), encoding="utf-8")
            last.write_text(to_helm_yaml(values.own), encoding="utf-8")
            files = [each for file in (str(first), *values.files, str(last)) for each in ("--values", file)]
            sets = [each for text in values.sets for each in ("--set", text)]
            return self._run(command, release, values.chart, *options, *files, *sets)

    def _run(self, *command: str) -> str:
        return _output(command[0], self._call(*command))

    def _call(self, *command: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run([self._program, *command, *self._where], capture_output=True, text=True)

    def _check_version(self) -> int:
        """The major version."""
        done = subprocess.run([self._program, "version", "--short"], capture_output=True, text=True)
        found = re.search(r"v(\d+)\.(\d+)", done.stdout)
        if found is None:
            raise PreflightError(f"{self._program} does not tell its version ({done.stderr.strip()}); see {INSTALL}")
        if (int(found[1]), int(found[2])) < OLDEST:
            oldest = ".".join(map(str, OLDEST))
            raise PreflightError(f"{self._program} is {found[0]}, and {oldest} is the oldest that will do: {INSTALL}")
        return int(found[1])


def chart_path(given: str | None) -> str:
    """The chart that is named, else the one of this checkout. Raises UsageError where there is none."""
    if given is not None:
        return given
    if not (CHART / "Chart.yaml").is_file():
        raise UsageError("the chart does not come with this installation; name it: --chart PATH, or --chart oci://…")
    return str(CHART)


def to_helm_yaml(values: Mapping[str, Any]) -> str:
    """JSON without what helm's YAML reads otherwise: surrogate pairs, and line ends that only YAML has."""
    text = json.dumps(values, ensure_ascii=False)
    return re.sub(r"[\x7f-\xa0\u2028\u2029\ufeff\ufffe\uffff]", lambda match: f"\\u{ord(match[0]):04x}", text)


def _option(name: str, value: str | None) -> list[str]:
    return [] if value is None else [name, value]


def _output(command: str, done: "subprocess.CompletedProcess[str]") -> str:
    if done.returncode:
        raise _explain(command, done.stderr or done.stdout)
    return done.stdout


def _explain(command: str, said: str) -> TenchError:
    """helm's warnings of a kubeconfig that others can read come first, and are none of ours."""
    lines = [line for line in said.splitlines() if line.strip() and not line.startswith("WARNING:")]
    text = "\n".join(lines).strip().removeprefix("Error: ")
    if guard := re.search(r"ERROR: .*", text):
        return UsageError(f"the values do not fit: {guard[0]}")
    if any(each in text for each in _WRONG_VALUES):
        return UsageError(f"helm {command}: {text}")
    if any(each in text.lower() for each in _NO_CLUSTER):
        return PreflightError(f"helm {command} does not reach the cluster: {text}; see KUBECONFIG and --context")
    if "forbidden" in text:
        return PreflightError(f"helm {command} may not: {text}; ask for a role that may")
    return PreflightError(f"helm {command}: {text}")
