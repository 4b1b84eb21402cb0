"""The schema of the values: a typing error fails the install with the field's name, and null never breaks a pod."""

import functools
import operator
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from chart.helm import CHART, RUN, HelmError, Object, manifest

PARQUET = {"kind": "parquet", "uri": "s3://images/products.parquet"}
WEBDATASET = {"kind": "webdataset", "uri": "s3://images/shards/"}
LIST = {"kind": "list", "uri": "s3://images/all.csv"}
DEFAULTS: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"jobs": {}}, "at '': additional properties 'jobs' not allowed"),
        ({"job": {"modle": {}}}, "at '/job': additional properties 'modle' not allowed"),
        ({"job": {"name": "Not DNS"}}, "at '/job/name': 'Not DNS' does not match pattern"),
        ({"job": {"model": {"topk": 3}}}, "at '/job/model': additional properties 'topk' not allowed"),
        ({"job": {"model": {"top_k": "3"}}}, "at '/job/model/top_k': got string, want integer"),
        ({"job": {"compute": {"gpu": 1}}}, "at '/job/compute': additional properties 'gpu' not allowed"),
        ({"job": {"output": {"rows": 1}}}, "at '/job/output': additional properties 'rows' not allowed"),
        ({"job": {"errors": {"max_pixel": 1}}}, "at '/job/errors': additional properties 'max_pixel' not allowed"),
        ({"job": {"report": {"sample": 1}}}, "at '/job/report': additional properties 'sample' not allowed"),
        ({"job": {"source": {"suffix": []}}}, "at '/job/source': additional properties 'suffix' not allowed"),
        ({"job": {"source": {"keep": []}}}, "at '/job/source': additional properties 'keep' not allowed"),
        ({"job": {"source": PARQUET | {"kept": []}}}, "at '/job/source': additional properties 'kept' not allowed"),
        ({"job": {"source": WEBDATASET | {"keep": []}}}, "at '/job/source': additional properties 'keep' not allowed"),
        ({"job": {"source": LIST | {"keeps": []}}}, "at '/job/source': additional properties 'keeps' not allowed"),
        (
            {"job": {"source": {"kind": "run", "uri": "s3://r/x", "suffixes": []}}},
            "at '/job/source': additional properties 'suffixes' not allowed",
        ),
        (
            {"job": {"source": {"kind": "parket"}}},
            "at '/job/source/kind': value must be one of 'files', 'parquet', 'web",
        ),
        ({"image": {"tags": "1"}}, "at '/image': additional properties 'tags' not allowed"),
        ({"image": {"tag": 1.0}}, "at '/image/tag': got number, want string"),
        ({"image": {"tag": "a b"}}, "at '/image/tag': 'a b' does not match pattern"),
        ({"image": {"repository": "r.io/tench:1"}}, "at '/image/repository': 'r.io/tench:1' does not match pattern"),
        ({"image": {"repository": "r.io/Tench"}}, "at '/image/repository': 'r.io/Tench' does not match pattern"),
        ({"image": {"digest": "0123"}}, "at '/image/digest': '0123' does not match pattern"),
        ({"head": {"gpus": 1}}, "at '/head': additional properties 'gpus' not allowed"),
        ({"head": {"memory": "6 GB"}}, "at '/head/memory': '6 GB' does not match pattern"),
        ({"workers": {"gpu": 4}}, "at '/workers': additional properties 'gpu' not allowed"),
        ({"workers": {"cpus": "500m"}}, "at '/workers/cpus': got string, want integer"),
        ({"workers": {"memory": "24e9"}}, "at '/workers/memory': '24e9' does not match pattern"),
        ({"workers": {"memory": 25769803776}}, "at '/workers/memory': got number, want string"),
        (
            {"workers": {"resources": {"limit": {}}}},
            "at '/workers/resources': additional properties 'limit' not allowed",
        ),
        (
            {"workers": {"resources": {"requests": {"cpu": 0.5}}}},
            "at '/workers/resources/requests/cpu': got number, want",
        ),
        ({"workers": {"nodeSelector": {"gpu": True}}}, "at '/workers/nodeSelector/gpu': got boolean, want string"),
        (
            {"workers": {"tolerations": [{"keys": "x"}]}},
            "at '/workers/tolerations/0': additional properties 'keys' not",
        ),
        ({"workers": {"affinity": {"node": {}}}}, "at '/workers/affinity': additional properties 'node' not allowed"),
        ({"decoders": {"pods": 4}}, "at '/decoders': additional properties 'pods' not allowed"),
        ({"storage": {"endpoint": "ceph:7480"}}, "at '/storage/endpoint': 'ceph:7480' does not match pattern"),
        ({"serviceAccount": {"annotations": {"a": 1}}}, "at '/serviceAccount/annotations/a': got number, want string"),
        ({"retries": -1}, "at '/retries': minimum: got -1, want 0"),
        ({"deadlines": {"activeSeconds": 0}}, "at '/deadlines/activeSeconds': minimum: got 0, want 1"),
        ({"ttlSecondsAfterFinished": "1h"}, "at '/ttlSecondsAfterFinished': got string, want integer"),
        ({"queue": {"queue": "x"}}, "at '/queue': additional properties 'queue' not allowed"),
        ({"auth": {"mode": "none"}}, "at '/auth/mode': value must be one of 'token', 'disabled'"),
        ({"networkPolicy": {"enable": True}}, "at '/networkPolicy': additional properties 'enable' not allowed"),
        ({"kuberay": {"version": 1.6}}, "at '/kuberay/version': value must be one of '1.4', '1.5', '1.6', '1.7'"),
        (
            {"kuberay": {"submissionMode": "SidecarMode"}},
            "at '/kuberay/submissionMode': value must be one of 'HTTPMode'",
        ),
        ({"cluster": "Warm"}, "at '/cluster': 'Warm' does not match pattern"),
        ({"runId": "a/b"}, "at '/runId': 'a/b' does not match pattern"),
        ({"env": [{"name": "THREADS", "value": 4}]}, "at '/env/0/value': got number, want string"),
        ({"env": [{"name": "A", "value": "b", "valueFrom": {}}]}, "at '/env/0': 'not' failed"),
        ({"volumes": [{"emptyDir": {}}]}, "at '/volumes/0': missing property 'name'"),
        ({"volumeMounts": [{"name": "x", "path": "/x"}]}, "at '/volumeMounts/0': missing property 'mountPath'"),
        ({"labels": {"team": "a b"}}, "at '/labels/team': 'a b' does not match pattern"),
        ({"podAnnotations": {"a": True}}, "at '/podAnnotations/a': got boolean, want string"),
    ],
)
def test_a_typing_error_is_named_with_its_path(changes: Object, error: str) -> None:
    assert error in _error(changes)


def test_a_run_without_a_job_is_told_what_a_job_has() -> None:
    with pytest.raises(HelmError, match="at '/job': missing properties 'name', 'source', 'model', 'output'"):
        manifest({})


def _paths(values: Object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in values.items():
        yield (*path, key)
        if isinstance(value, dict):
            yield from _paths(value, (*path, key))


@pytest.mark.slow
@pytest.mark.parametrize("path", list(_paths(DEFAULTS)), ids=".".join)
def test_null_means_the_same_as_empty_and_is_refused_where_a_value_is_needed(path: tuple[str, ...]) -> None:
    default = functools.reduce(operator.getitem, path, DEFAULTS)
    changes = functools.reduce(lambda inner, key: {key: inner}, reversed(path), None)
    if default or path == ("job",):
        assert f"missing property '{path[-1]}'" in _error(changes)
    else:
        assert manifest(RUN, changes) == manifest(RUN)


def _error(changes: Object) -> str:
    with pytest.raises(HelmError) as caught:
        manifest(RUN, changes)
    return str(caught.value)
