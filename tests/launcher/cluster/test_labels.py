"""Labels, containers and values by which the launcher knows a run's objects are those that the chart renders."""

import yaml
from kube_server import KubeServer
from launcher.fake_cluster import needs_helm, release

from tench.launcher.cluster import labels
from tench.launcher.cluster.helm import CHART
from tench.launcher.cluster.roles import ROLES, container_of, role_of, values_of
from tench.launcher.watch.cluster_run import Run
from tench.launcher.watch.phase import phase_of
from tench.launcher.watch.status import Phase

pytestmark = needs_helm

CREATED = "2026-11-21T22:00:00Z"
EVERY_ROLE = ("kuberay.submissionMode=K8sJobMode", "decoders.replicas=1")


def pod_templates(rayjob):
    spec = rayjob["spec"]
    groups = [spec["rayClusterSpec"]["headGroupSpec"], *spec["rayClusterSpec"]["workerGroupSpecs"]]
    return [spec["submitterPodTemplate"], *(group["template"] for group in groups)]


def as_stored(document, **metadata):
    """As the API server has it."""
    return {**document, "metadata": {**document["metadata"], "creationTimestamp": CREATED, **metadata}}


def test_the_chart_writes_each_label_that_the_launcher_reads():
    rayjob = release("queue.name=team", "queue.priorityClass=batch").rayjob
    run_id = release().name
    written = rayjob["metadata"]["labels"]
    assert (written[labels.NAME], written[labels.INSTANCE], written[labels.RUN_ID]) == (labels.TENCH, run_id, run_id)
    assert (written[labels.QUEUE_NAME], written[labels.PRIORITY_CLASS]) == ("team", "batch")
    assert rayjob["metadata"]["annotations"] == {labels.OUTPUT_URI: "s3://results/runs"}
    warm = release("cluster=warm").rayjob
    assert warm["spec"]["clusterSelector"] == {labels.RAY_CLUSTER: "warm"}


def test_the_launcher_finds_the_run_and_its_pods_by_their_labels(tmp_path):
    rendered = release("queue.name=team", *EVERY_ROLE)
    pods = [as_stored(each, name=f"pod-{number}") for number, each in enumerate(pod_templates(rendered.rayjob))]
    others = {"metadata": {"name": "other", "labels": {}, "creationTimestamp": CREATED}}
    objects = {
        "/apis/ray.io/v1/namespaces/vision/rayjobs": {"items": [others, as_stored(rendered.rayjob)]},
        "/api/v1/namespaces/vision/pods": {"items": [others, *pods]},
    }
    with KubeServer(tmp_path, objects) as server:
        kube = server.connect()
        (found,) = map(Run.of, kube.rayjobs(rendered.name))
        assert [each["metadata"]["name"] for each in kube.rayjobs()] == [found.name]
        assert (found.run_id, found.release, found.paths.uri) == (
            rendered.name,
            rendered.name,
            f"s3://results/runs/{rendered.name}",
        )
        assert phase_of(Run.of({**found.document, "spec": {"suspend": True}})) is Phase.QUEUED
        assert len(kube.pods(found.release)) == len(pods) == 4
    assert Run.of(as_stored(release("cluster=warm").rayjob)).warm_cluster == "warm"


def test_each_role_is_a_label_a_container_and_a_part_of_the_values():
    defaults = yaml.safe_load((CHART / "values.yaml").read_text())
    templates = {role_of(each): each for each in pod_templates(release(*EVERY_ROLE).rayjob)}
    assert [role for role in ROLES if role in templates] == [*ROLES[:-1]], "all but pods that are none of ours"
    for role, template in templates.items():
        assert [each["name"] for each in template["spec"]["containers"]] == [container_of(role)]
        assert template["metadata"]["labels"][labels.COMPONENT] == role
        assert "memory" in defaults[values_of(role)]
    changed = {role: release(*EVERY_ROLE, f"{values_of(role)}.nodeSelector.disk={role}").rayjob for role in templates}
    for role, rayjob in changed.items():
        (template,) = (each for each in pod_templates(rayjob) if role_of(each) == role)
        assert template["spec"]["nodeSelector"] == {"disk": role}
