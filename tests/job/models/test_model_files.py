"""What a spec's model names and is not there: told before anything is loaded, by a plan and by a run in one voice."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from models import make_model_spec

from job.errors import ModelError
from job.models.load import load_recipe
from job.models.model_files import missing_model_files

ROOT = Path(__file__).parents[3]


def problems(in_buckets=False, **fields):
    return [str(problem) for problem in missing_model_files(make_model_spec(**fields), in_buckets)]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend("nowhere")  # restores sys.path at the end
    return tmp_path


def test_what_is_there_is_no_problem(here, s3):
    (here / "w.pth").write_bytes(b"not read")
    (here / "names.json").write_text('["cat", "dog"]')
    (here / "vit").mkdir()
    (here / "vit" / "config.json").write_text("{}")
    (here / "my_package").mkdir()
    (here / "my_package" / "models.py").write_text("raise MemoryError('not imported')")
    s3.put("vit/config.json", b"{}")
    s3.put("w.safetensors", b"not read")
    names = s3.put("names.json", json.dumps(["cat"]).encode())
    for fields in (
        {},
        {"weights": "none"},
        {"weights": "w.pth", "labels": "names.json"},
        {"weights": f"{s3.uri}/w.safetensors", "labels": names},
        {"kind": "transformers", "name": "vit"},
        {"kind": "transformers", "name": f"{s3.uri}/vit/"},
        {"kind": "transformers", "name": "google/vit-base-patch16-224"},  # the hub's, which is not asked
        {"kind": "transformers", "name": "gpt2"},
        {"kind": "python", "name": "my_package.models:make"},
        {"kind": "python", "name": "json.decoder:JSONDecoder"},
        {"kind": "python", "name": "sys:exit"},
        {"kind": "python", "name": "os.path:join"},
    ):
        assert problems(**fields) == []


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"weights": "w.pth"}, "model.weights: there is no file {here}/w.pth"),
        ({"weights": "~nobody-here/w.pth"}, "model.weights: there is no file {here}/~nobody-here/w.pth"),
        ({"weights": "{s3}/w.pth"}, "model.weights: there is nothing at {s3}/w.pth"),
        ({"labels": "names.json"}, "model.labels: there is nothing at names.json"),
        ({"labels": "three.json"}, "model.labels: three.json must hold class names: a JSON list such as"),
        ({"labels": "s3://there-is-none/names.json"}, "model.labels: s3://there-is-none: there is no such bucket"),
        ({"kind": "transformers", "name": "./vit"}, "model.name: there is no folder {here}/vit"),
        ({"kind": "transformers", "name": ".vit"}, "model.name: there is no folder {here}/.vit"),
        ({"kind": "transformers", "name": "/models/vit"}, "model.name: there is no folder /models/vit"),
        ({"kind": "transformers", "name": "../vit"}, "model.name: there is no folder {here.parent}/vit"),
        (
            {"kind": "transformers", "name": "~no-one/vit"},
            "model.name: there is no folder {here}/~no-one/vit",
        ),
        ({"kind": "transformers", "name": "a/b/c"}, "model.name: there is no folder {here}/a/b/c"),
        ({"kind": "transformers", "name": "my vit"}, "model.name: there is no folder {here}/my vit"),
        ({"kind": "transformers", "name": "bare"}, "model.name: the folder {here}/bare has no config.json"),
        ({"kind": "transformers", "name": "three.json"}, "model.name: {here}/three.json is a file; name the folder"),
        ({"kind": "transformers", "name": "{s3}/vit"}, "model.name: there is no config.json at {s3}/vit"),
        ({"kind": "python", "name": "no_such_one:make"}, "model.name: there is no module no_such_one; searched {here}"),
        ({"kind": "python", "name": "json.none:make"}, "model.name: there is no module json.none; searched {here}"),
        ({"kind": "python", "name": "sys.none:make"}, "model.name: there is no module sys.none; searched {here}"),
    ],
)
def test_what_is_missing_is_named_and_a_run_says_the_same(here, s3, fields, said):
    (here / "three.json").write_text("3")
    (here / "bare").mkdir()
    fields = {key: value.format(s3=s3.uri) for key, value in fields.items()}
    (problem,) = problems(**fields)
    assert said.format(here=here, s3=s3.uri) in problem
    with pytest.raises(ModelError) as caught:
        load_recipe(make_model_spec(**fields))
    assert str(caught.value) == problem


def test_everything_that_is_missing_is_told_at_once(here):
    assert [line.split(": ")[0] for line in problems(weights="w.pth", labels="n.json")] == [
        "model.weights",
        "model.labels",
    ]


def test_from_afar_only_buckets_are_looked_at(here, s3):
    assert problems(True, weights="w.pth", labels="n.json") == []
    assert problems(True, weights="w.pth", labels=f"{s3.uri}/n.json") == [
        f"model.labels: there is nothing at {s3.uri}/n.json"
    ]


def test_looking_loads_no_model_library():
    code = "import sys, job.models.model_files; print({'torch', 'transformers', 'boto3'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout == "set()\n"
