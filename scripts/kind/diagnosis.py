"""What a namespace can tell after a failure: printed in short, and left whole in a folder."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from job.plan.paths import RAY_LOGS, ray_driver_log
from scripts.kind.commands import environment

KINDS = "rayjobs,rayclusters,pods"
SHOWN_LINES = 25
PATIENCE_S = 30.0
DRIVER_LOG = f"tail -n 2000 {RAY_LOGS}/{ray_driver_log('*')}"


def diagnose(namespace: str, folder: Path) -> None:
    """Events, logs of every container and of the driver, and the RayJobs' status; never fails."""
    folder.mkdir(parents=True, exist_ok=True)
    where = f"--namespace={namespace}"
    _tell(folder / "events.txt", _say("kubectl", "get", "events", where, "--sort-by=.lastTimestamp"))
    (folder / "objects.txt").write_text(_say("kubectl", "describe", KINDS, where), encoding="utf-8")
    for item in _items(where):
        path = folder / f"{item['kind']}-{item['metadata']['name']}.txt".lower()
        _tell(path, _logs(where, item["metadata"]) if item["kind"] == "Pod" else _status(item))
    print(f"-- all of it is in {folder}", file=sys.stderr)


def _items(where: str) -> list[dict[str, Any]]:
    said = _say("kubectl", "get", "pods,rayjobs", where, "--output=json")
    try:
        items: list[dict[str, Any]] = json.loads(said)["items"]
    except ValueError:  # an API server that is away says something else
        print(f"-- no pods and RayJobs: {said.strip()}", file=sys.stderr)
        return []
    return items


def _tell(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    print(f"-- the end of {path}", *text.splitlines()[-SHOWN_LINES:], sep="\n", file=sys.stderr)


def _logs(where: str, pod: dict[str, Any]) -> str:
    logs = _say("kubectl", "logs", where, pod["name"], "--all-containers", "--tail=2000")
    if pod.get("labels", {}).get("ray.io/node-type") == "head":
        logs += _say("kubectl", "exec", where, pod["name"], "--container=ray-head", "--", "bash", "-c", DRIVER_LOG)
    return logs


def _status(rayjob: dict[str, Any]) -> str:
    status = rayjob.get("status", {})
    told = {key: status.get(key) for key in ("jobDeploymentStatus", "jobStatus", "reason", "message")}
    return json.dumps(told, indent=1).replace("\\n", "\n")


def _say(*command: str) -> str:
    """What a command says, right or wrong."""
    try:
        done = subprocess.run(command, text=True, capture_output=True, env=environment(), timeout=PATIENCE_S)
    except subprocess.TimeoutExpired as error:
        return f"{error}\n"
    return done.stdout + done.stderr if done.returncode else done.stdout
