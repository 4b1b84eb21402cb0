"""NOTES.txt: the commands that watch and collect this very run.

`helm template` prints no notes and `helm install` wants a cluster, so they are rendered as an object of a copied chart.
"""

import re
import shutil
from pathlib import Path

import pytest
from chart.helm import CASES, CHART, RUN, Object, case, of_kind, render

OBJECT = """apiVersion: v1
kind: Notes
metadata: { name: notes }
text: {{ include "notes" . | quote }}
"""


@pytest.fixture(scope="module")
def chart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    chart = tmp_path_factory.mktemp("notes") / "tench"
    shutil.copytree(CHART, chart)
    notes = (chart / "templates" / "NOTES.txt").read_text(encoding="utf-8")
    (chart / "templates" / "_notes.tpl").write_text(f'{{{{ define "notes" }}}}{notes}{{{{ end }}}}', encoding="utf-8")
    (chart / "templates" / "notes.yaml").write_text(OBJECT, encoding="utf-8")
    return chart


@pytest.mark.parametrize("name", [name for name in CASES if name != "warm-cluster"])
def test_a_run_s_notes_name_it_and_its_rayjob_and_its_namespace(chart: Path, name: str) -> None:
    rayjob = of_kind(case(name), "RayJob")["metadata"]
    notes = of_kind(render(name, chart=chart), "Notes")["text"]
    run = rayjob["labels"]["tench/run-id"]
    assert notes.startswith(f"Run {run}, as RayJob {rayjob['name']} ")
    assert f"kubectl -n vision get rayjob {rayjob['name']} --watch" in notes
    folder = f"{rayjob['annotations']['tench/output-uri'].rstrip('/')}/{run}"
    assert f"{folder}/_SUCCESS" in notes
    assert f"{folder}/report.html" in notes
    assert "helm uninstall imagenette -n vision" in notes
    assert all(line == line.rstrip() for line in notes.splitlines())


def test_a_cluster_s_notes_say_how_to_run_on_it(chart: Path) -> None:
    notes = of_kind(render("warm-cluster", chart=chart), "Notes")["text"]
    assert "Ray cluster imagenette of 2 worker pods" in notes
    assert "helm install NAME charts/tench -n vision --set cluster=imagenette -f my-run.yaml" in notes


@pytest.mark.parametrize(
    ("changes", "command"),
    [
        ({}, "aws s3 cp --recursive s3://results/runs/RUN/ RUN/"),
        (
            {"storage": {"endpoint": "http://ceph:7480"}},
            "aws s3 cp --recursive --endpoint-url http://ceph:7480 s3://results/runs/RUN/ RUN/",
        ),
        ({"job": {"output": {"uri": "s3://results//"}}}, "aws s3 cp --recursive s3://results/RUN/ RUN/"),
        ({"job": {"output": {"uri": "gs://results/runs"}}}, "gcloud storage cp --recursive gs://results/runs/RUN ."),
    ],
)
def test_the_result_is_fetched_with_the_store_s_own_command(chart: Path, changes: Object, command: str) -> None:
    objects = render(RUN, changes, chart=chart)
    run = of_kind(objects, "RayJob")["metadata"]["labels"]["tench/run-id"]
    assert command.replace("RUN", run) in of_kind(objects, "Notes")["text"]


@pytest.mark.parametrize(
    ("changes", "selector"),
    [({}, "app.kubernetes.io/instance=imagenette"), ({"cluster": "warm"}, "ray.io/cluster=warm")],
)
def test_the_pods_to_watch_are_those_that_the_run_is_in(chart: Path, changes: Object, selector: str) -> None:
    notes = of_kind(render(RUN, changes, chart=chart), "Notes")["text"]
    assert re.search(rf"get pods -l {re.escape(selector)}$", notes, re.MULTILINE)
