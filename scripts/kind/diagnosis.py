"""What a cluster can tell after a failure: printed in short, and left whole in a folder."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from scripts.kind.commands import environment

KINDS = "rayjobs,rayclusters,pods,events"
SHOWN_LINES = 40


def diagnose(folder: Path) -> Path:
    """Of every namespace that a test made and that is still there; the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    listed = json.loads(_say("kubectl", "get", "pods,rayjobs", "--all-namespaces", "--output=json") or '{"items": []}')
    for namespace in sorted({item["metadata"]["namespace"] for item in listed["items"]}):
        described = _say("kubectl", "describe", KINDS, "--namespace", namespace)
        (folder / f"{namespace}.txt").write_text(described, encoding="utf-8")
    for item in listed["items"]:
        if item["kind"] == "Pod":
            _keep_logs(folder, item["metadata"])
        elif item.get("status", {}).get("jobDeploymentStatus") != "Complete":
            _print_rayjob(item)
    return folder


def _keep_logs(folder: Path, pod: dict[str, Any]) -> None:
    name = (f"--namespace={pod['namespace']}", pod["name"])
    logs = _say("kubectl", "logs", *name, "--all-containers", "--tail=2000")
    if pod.get("labels", {}).get("ray.io/node-type") == "head":
        driver = "tail -n 2000 /tmp/ray/session_latest/logs/job-driver-*.log"
        logs += _say("kubectl", "exec", *name, "--container=ray-head", "--", "bash", "-c", driver)
    (folder / f"{pod['namespace']}-{pod['name']}.log").write_text(logs, encoding="utf-8")


def _print_rayjob(rayjob: dict[str, Any]) -> None:
    status = rayjob.get("status", {})
    print(f"-- RayJob {rayjob['metadata']['namespace']}/{rayjob['metadata']['name']}", file=sys.stderr)
    text = json.dumps(
        {key: status.get(key) for key in ("jobDeploymentStatus", "jobStatus", "reason", "message")}, indent=1
    )
    print("\n".join(text.splitlines()[-SHOWN_LINES:]), file=sys.stderr)


def _say(*command: str) -> str:
    """What a command says, right or wrong: a diagnosis does not fail."""
    done = subprocess.run(command, text=True, capture_output=True, env=environment())
    return done.stdout + done.stderr if done.returncode else done.stdout
