"""The run's hash: what determines the result is in it, by absolute paths, and nothing else is."""

import os

import pytest
from builders import make_spec

from job.plan.fingerprint import earlier_fingerprint, fingerprint, with_absolute_paths
from job.plan.plan import run_paths
from job.spec.spec import JobSpec


def changed(spec, section, **fields):
    written = spec.model_dump(mode="json")
    return JobSpec.model_validate({**written, section: {**written[section], **fields}})


@pytest.fixture
def in_folder(tmp_path, monkeypatch):
    """Calls something in a folder of its own."""

    def call(name, function, *arguments):
        (tmp_path / name).mkdir(exist_ok=True)
        monkeypatch.chdir(tmp_path / name)
        return function(*arguments)

    return call


def test_the_id_of_an_older_spec_stays_where_no_path_is_relative():
    # As 0.1 made them.
    assert earlier_fingerprint(make_spec())[:8] == "88808f14"
    assert fingerprint(changed(make_spec(), "source", uri="s3://bucket/images"))[:8] == "98b6ed91"
    assert fingerprint(changed(make_spec(), "source", uri="/data/images"))[:8] == "f35cfd56"


MODELS = {
    "labels": {"kind": "torchvision", "name": "resnet18", "labels": "labels.json"},
    "weights": {"kind": "torchvision", "name": "resnet18", "weights": "best.pth"},
}
SOURCES = {
    "uri": {"uri": "images"},
    "home": {"uri": "~/images"},
    "glob": {"kind": "parquet", "uri": "shards/*.parquet"},
    "label_names": {"uri": "/data", "label_from": "directory", "label_names": "names.json"},
}


@pytest.mark.parametrize("case", [*MODELS, *SOURCES])
def test_the_same_relative_path_in_two_folders_is_two_runs(case, in_folder, monkeypatch):
    fields = {
        "source": SOURCES.get(case, {"uri": "/data"}),
        "model": MODELS.get(case, MODELS["labels"] | {"labels": None}),
    }
    spec = JobSpec.model_validate({**make_spec().model_dump(mode="json"), **fields})

    def run_id(home):
        monkeypatch.setenv("HOME", home)
        return run_paths(spec).run_id

    mine, theirs = in_folder("mine", run_id, "/home/me"), in_folder("theirs", run_id, "/home/them")
    assert mine != theirs
    assert in_folder("mine", run_id, "/home/me") == mine


@pytest.mark.parametrize("uri", ["images", "images/", "./images", "../mine/images"])
def test_a_relative_path_counts_as_the_absolute_one(uri, in_folder, tmp_path):
    relative = changed(make_spec(), "source", uri=uri)
    absolute = changed(make_spec(), "source", uri=f"{tmp_path}/mine/images")
    assert in_folder("mine", fingerprint, relative) == in_folder("theirs", fingerprint, absolute)


@pytest.mark.parametrize(
    ("section", "fields"),
    [
        ("source", {"uri": "s3://bucket/images"}),
        ("source", {"uri": "/data//images/../x/"}),
        ("model", {"kind": "transformers", "name": "google/vit-base-patch16-224"}),
        ("model", {"kind": "transformers", "name": "./model"}),
        ("model", {"kind": "python", "name": "my_models:make"}),
        ("model", {"weights": "IMAGENET1K_V1"}),
    ],
)
def test_what_is_no_relative_path_stays_as_it_is_written(section, fields):
    spec = changed(changed(make_spec(), "source", uri="gs://b/x"), section, **fields)
    assert with_absolute_paths(spec) == spec
    assert fingerprint(spec) == earlier_fingerprint(spec)


def test_limits_on_images_count_where_they_are_not_the_defaults():
    spec = make_spec()
    limits = [{}, {"max_pixels": 10**9}, {"max_bytes": 10**9}, {"max_pixels": 10**9, "max_bytes": 10**9}]
    assert len({fingerprint(changed(spec, "errors", **limit)) for limit in limits}) == 4
    assert fingerprint(changed(spec, "errors", max_pixels=89_478_485, max_bytes=67_108_864)) == fingerprint(spec)
    assert fingerprint(changed(spec, "errors", max_fraction=0.5)) == fingerprint(spec)


def test_the_plan_has_absolute_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    here = with_absolute_paths(changed(make_spec(), "model", labels="labels.txt"))
    assert (here.source.uri, here.model.labels) == (f"{os.getcwd()}/images", f"{os.getcwd()}/labels.txt")
    assert here.output.uri == "out"
