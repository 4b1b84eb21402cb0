"""The guards: values that cannot work together are refused with what, got and what to do, and their neighbours are not.

A guard is a `fail` of the templates; each of them has its case in guards.yaml.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from chart.helm import CHART, KUBERNETES, RUN, HelmError, Object, manifest, merged

CLUSTER: Object = {"mode": "cluster", "workers": {"replicas": 2}}
GUARDS: dict[str, dict[str, Object]] = yaml.safe_load(Path(__file__).with_name("guards.yaml").read_text("utf-8"))
A_PATH = "a path of your machine; give s3://…, gs://… or az://…, or the absolute path of a volume"


@pytest.mark.parametrize("guard", GUARDS)
def test_a_guard_refuses_what_cannot_work(guard: str) -> None:
    assert _error(GUARDS[guard]["refused"]) == GUARDS[guard]["message"]


@pytest.mark.parametrize("guard", GUARDS)
def test_a_guard_lets_its_neighbour_through(guard: str) -> None:
    case = GUARDS[guard]
    assert "kind: Ray" in _manifest(case["accepted"], str(case.get("accepted_by_kubernetes", KUBERNETES)))


def test_every_guard_of_the_templates_has_a_case() -> None:
    texts = list(_texts())
    cases = {
        text: [guard for guard in GUARDS if _pattern(text).fullmatch(str(GUARDS[guard]["message"]))] for text in texts
    }
    assert {text: guards for text, guards in cases.items() if len(guards) != 1} == {}
    assert len(cases) == len(texts) == len(GUARDS)


def test_every_guard_says_what_is_wrong_and_then_what_to_do() -> None:
    assert [text for text in _texts() if not re.match(r"ERROR: [^;]+; [^;]+$", text)] == []


@pytest.mark.parametrize("key", ["source.label_names", "model.labels", "model.weights", "output.uri"])
def test_every_uri_of_the_job_is_guarded(key: str) -> None:
    section, field = key.split(".")
    assert _error({"job": {section: {field: "here/x.safetensors"}}}) == f"job.{key} is here/x.safetensors, {A_PATH}"
    volume: Object = {"name": "models", "persistentVolumeClaim": {"claimName": "models"}}
    mounted = {"volumes": [volume], "volumeMounts": [{"name": "models", "mountPath": "/models"}]}
    for uri in ("s3://b/x.safetensors", "gs://b/x.safetensors", "az://b/x.safetensors", "/models/x.safetensors"):
        assert "kind: RayJob" in _manifest({"job": {section: {field: uri}}, **mounted})


@pytest.mark.parametrize("character", ["\x7f", "\x80", "\x85", "\x9f", "\u2028", "\u2029", "\ufffe", "\uffff"])
def test_every_character_that_yaml_loses_is_refused(character: str) -> None:
    error = _error({"job": {"source": {"uri": f"s3://images/a{character}b"}}})
    assert re.fullmatch(r'job has the character "(\\x7f|\\u[0-9a-f]{4})", which YAML loses; rename what has it', error)


def test_gpus_that_the_spec_leaves_open_are_refused_like_auto() -> None:
    with pytest.raises(HelmError, match=r"job\.compute\.gpus_per_replica is auto, and "):
        manifest({"job": {**RUN["job"], "compute": {"concurrency": 8}}})


@pytest.mark.parametrize("share", [0.4, 0.6, 0.3334, 1.5])
def test_a_share_that_leaves_much_of_a_gpu_is_refused(share: float) -> None:
    error = _error({"job": {"compute": {"gpus_per_replica": share}}})
    assert error.startswith(f"workers.gpus is 1 and job.compute.gpus_per_replica is {share}; ")


@pytest.mark.parametrize("mounted", ["/result", "/results/of/others"])
def test_results_need_a_volume_at_their_own_path(mounted: str) -> None:
    volume: Object = {"name": "shared", "persistentVolumeClaim": {"claimName": "x"}}
    changes = {"volumes": [volume], "volumeMounts": [{"name": "shared", "mountPath": mounted}]}
    assert "no volume that all pods share" in _error({"job": {"output": {"uri": "/results"}}, **changes})
    assert "kind: RayJob" in _manifest({"job": {"output": {"uri": "/results"}}, "cluster": "warm"})


def test_a_large_number_of_bytes_is_a_number() -> None:
    limit = {"workers": {"memory": "48Gi", "resources": {"limits": {"memory": 68719476736}}}}
    assert 'memory: "68719476736"' in _manifest(limit)
    more = {"workers": {"resources": {"requests": {"memory": 99719476736}, "limits": {"memory": 68719476736}}}}
    assert "a request of 99719476736 memory and a limit of 68719476736;" in _error(more)


def test_no_cpu_is_kept_to_decode_where_decoders_do_it() -> None:
    assert "with 1 to decode, need 2;" in _error({"workers": {"cpus": 1}})
    assert "kind: RayJob" in _manifest({"workers": {"cpus": 1}, "decoders": {"replicas": 1}})


def test_a_pod_needs_no_cpus_for_replicas_that_the_run_has_not() -> None:
    pods = {"workers": {"gpus": 8, "cpus": 3}}
    assert "kind: RayJob" in _manifest({**pods, "job": {"compute": {"concurrency": 2}}})
    assert "need 4;" in _error({**pods, "job": {"compute": {"concurrency": 3}}})


def _manifest(changes: Object, kubernetes: str = KUBERNETES) -> str:
    return manifest(merged(CLUSTER if "mode" in changes else RUN, changes), kubernetes=kubernetes)


def _error(changes: Object) -> str:
    with pytest.raises(HelmError) as caught:
        _manifest(changes)
    found = re.search(r"ERROR: (.*)", str(caught.value))
    assert found, caught.value
    return found[1]


def _texts() -> Iterator[str]:
    """What the templates' `fail`s say, with printf's verbs."""
    for template in sorted((CHART / "templates").iterdir()):
        for text, other in re.findall(r'\bfail (?:\(printf )?"([^"]*)"|\b(fail)\b', template.read_text("utf-8")):
            assert not other, f"{template} has a `fail` whose text is no literal"
            yield text


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"%[sdv]", ".+?", re.escape(text.removeprefix("ERROR: "))))
