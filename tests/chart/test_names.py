"""Names: valid and short for every release that Helm takes, of one run alone, and new exactly when KubeRay needs it."""

import re
from typing import Any

import pytest
from chart.helm import RUN, Object, merged, of_kind, pod_templates, render
from hypothesis import given, settings
from hypothesis import strategies as st

DNS_1035 = r"[a-z]([-a-z0-9]*[a-z0-9])?"
LABEL_VALUE = r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
EVERYTHING: Object = {
    "serviceAccount": {"create": True},
    "networkPolicy": {"enabled": True, "operatorNamespace": "default"},
}
CLUSTER: Object = {"mode": "cluster", "workers": {"replicas": 1}, **EVERYTHING}

# Helm's own grammar: a DNS-1123 subdomain of at most 53 characters.
_PART = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,25}[a-z0-9])?", fullmatch=True)
RELEASES = st.lists(_PART, min_size=1, max_size=4).map(".".join).filter(lambda name: len(name) <= 53)
# Words that YAML takes for something else, and the longest.
HARD = ["1", "1.5", "1e5", "0x1f", "2026-11-21", "true", "null", "on", "y", "a.b", "a-b", "9" * 53, "z" * 53]
HARD += [f"{'a' * 37}--{'b' * 14}", f"{'1.' * 26}1"]


@settings(max_examples=25)
@given(RELEASES)
def test_the_names_of_a_run_are_valid_for_every_release(release: str) -> None:
    _check_run(release)


@pytest.mark.parametrize("release", HARD)
def test_the_names_of_a_run_are_valid_for_a_hard_release(release: str) -> None:
    _check_run(release)


@settings(max_examples=15)
@given(RELEASES)
def test_the_names_of_a_cluster_are_valid_for_every_release(release: str) -> None:
    _check_cluster(release)


@pytest.mark.parametrize("release", HARD)
def test_the_names_of_a_cluster_are_valid_for_a_hard_release(release: str) -> None:
    _check_cluster(release)


@pytest.mark.parametrize(
    ("one", "other"),
    [("a.b", "a-b"), ("1", "r1"), ("r1-x", "1-x"), ("z" * 53, "z" * 52), ("a" * 38 + "b", "a" * 38 + "c")],
)
def test_releases_that_shorten_to_the_same_word_keep_names_of_their_own(one: str, other: str) -> None:
    for values in (merged(RUN, EVERYTHING), CLUSTER):
        first, second = (_names(render(values, release=release)) for release in (one, other))
        assert not set(first.values()) & set(second.values())


def test_a_cluster_is_called_as_its_release_where_that_is_a_name() -> None:
    assert _names(render(CLUSTER, release="warm"))["RayCluster"] == "warm"


IMAGE = {"repository": "registry.example.com/tench"}


@pytest.fixture(scope="module")
def before() -> list[Object]:
    return render(RUN)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"retries": 5},
        {"ttlSecondsAfterFinished": 3600},
        {"deadlines": {"activeSeconds": 3600}},
        {"deadlines": {"preRunningSeconds": 600}},
        {"head": {"disruptionBudget": False}},
        {"networkPolicy": {"enabled": True, "operatorNamespace": "default"}},
    ],
    ids=str,
)
def test_an_upgrade_that_kuberay_takes_keeps_the_rayjob(before: list[Object], changes: Object) -> None:
    after = render(RUN, changes)
    assert (_names(after)["RayJob"], _run_id(after)) == (_names(before)["RayJob"], _run_id(before))
    assert _fixed(after) == _fixed(before)


@pytest.mark.parametrize(
    "changes",
    [
        {"image": {"tag": "0.2.0"}},
        {"image": IMAGE},
        {"image": {"rayVersion": "2.61.0"}},
        {"head": {"memory": "8Gi"}},
        {"workers": {"memory": "32Gi"}},
        {"workers": {"gpus": 4}},
        {"workers": {"nodeSelector": {"pool": "gpu"}}},
        {"decoders": {"replicas": 1}},
        {"storage": {"secret": "s3"}},
        {"auth": {"mode": "disabled"}},
        {"kuberay": {"submissionMode": "K8sJobMode"}},
        {"env": [{"name": "A", "value": "b"}]},
        {"labels": {"team": "vision"}},
        {"cluster": "warm"},
        {"queue": {"name": "vision"}},
        {"job": {"compute": {"concurrency": 3}}},
        {"job": {"compute": {"batch_size": 64}}},
        {"job": {"errors": {"max_fraction": 0.5}}},
        {"job": {"output": {"uri": "s3://elsewhere/"}}},
    ],
    ids=str,
)
def test_an_upgrade_of_how_it_runs_makes_a_new_rayjob_that_goes_on_with_the_run(
    before: list[Object], changes: Object
) -> None:
    after = render(RUN, changes)
    assert _names(after)["RayJob"] != _names(before)["RayJob"]
    assert _run_id(after) == _run_id(before)


@pytest.mark.parametrize(
    "job",
    [
        {"model": {"name": "resnet50"}},
        {"model": {"top_k": 3}},
        {"source": {"uri": "s3://images/others/"}},
        {"source": {"limit": 10}},
        {"output": {"rows_per_file": 500}},
    ],
    ids=str,
)
def test_an_upgrade_of_what_it_finds_is_another_run(before: list[Object], job: Object) -> None:
    after = render(RUN, {"job": job})
    assert _names(after)["RayJob"] != _names(before)["RayJob"]
    assert _names(after)["ConfigMap"] != _names(before)["ConfigMap"]
    assert _run_id(after) != _run_id(before)


def test_a_new_job_is_a_new_configmap_because_it_is_immutable(before: list[Object]) -> None:
    text = of_kind(before, "ConfigMap")["data"]
    after = render(RUN, {"job": {"compute": {"concurrency": 3}}})
    assert of_kind(after, "ConfigMap")["data"] != text
    assert _names(after)["ConfigMap"] != _names(before)["ConfigMap"]
    assert _names(render(RUN, {"image": IMAGE}))["ConfigMap"] == _names(before)["ConfigMap"]


def test_a_given_run_id_is_the_run_s() -> None:
    after = render(RUN, {"runId": "2026-11-21"})
    assert _run_id(after) == "2026-11-21"
    assert of_kind(after, "RayJob")["metadata"]["labels"]["tench/run-id"] == "2026-11-21"


def test_a_new_chart_alone_keeps_the_rayjob(before: list[Object]) -> None:
    labels = [pod["metadata"]["labels"] for _, pod in pod_templates(before)]
    assert all("helm.sh/chart" not in each and "app.kubernetes.io/managed-by" not in each for each in labels)
    assert "helm.sh/chart" in of_kind(before, "RayJob")["metadata"]["labels"]


def _check_run(release: str) -> None:
    objects = render(RUN, EVERYTHING, release=release)
    names = _names(objects)
    assert re.fullmatch(DNS_1035, names["RayJob"])
    assert len(names["RayJob"]) <= 47
    assert re.fullmatch(LABEL_VALUE, _run_id(objects))
    assert _run_id(objects).startswith(f"{release}-")
    _check_objects(objects, release)


def _check_cluster(release: str) -> None:
    objects = render(CLUSTER, release=release)
    assert re.fullmatch(DNS_1035, _names(objects)["RayCluster"])
    assert len(_names(objects)["RayCluster"]) <= 53
    _check_objects(objects, release)


def _check_objects(objects: list[Object], release: str) -> None:
    assert all(
        isinstance(name, str) and re.fullmatch(DNS_1035, name) and len(name) <= 63 for name in _names(objects).values()
    )
    pods = [pod for _, pod in pod_templates(objects)]
    for each in [*objects, *pods]:
        labels = each["metadata"]["labels"]
        assert all(isinstance(value, str) and re.fullmatch(LABEL_VALUE, value) for value in labels.values())
        assert labels["app.kubernetes.io/instance"] == release
    selectors = [
        of_kind(objects, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
        of_kind(objects, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
    ]
    for selector, selected in zip(selectors, (2, 1), strict=True):
        assert sum(selector.items() <= pod["metadata"]["labels"].items() for pod in pods) == selected
    account = _names(objects)["ServiceAccount"]
    assert [pod["spec"]["serviceAccountName"] for pod in pods] == [account] * 2


def _names(objects: list[Object]) -> dict[str, Any]:
    return {each["kind"]: each["metadata"]["name"] for each in objects}


def _run_id(objects: list[Object]) -> str:
    run_id: str = of_kind(objects, "RayJob")["spec"]["entrypoint"].split()[-1]
    return run_id


def _fixed(objects: list[Object]) -> Object:
    """What KubeRay ignores an edit of."""
    spec = of_kind(objects, "RayJob")["spec"]
    adjustable = {"backoffLimit", "ttlSecondsAfterFinished", "activeDeadlineSeconds", "preRunningDeadlineSeconds"}
    return {key: value for key, value in spec.items() if key not in adjustable}
