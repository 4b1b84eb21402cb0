"""Whether an attempt's model is the plan's: what is refused, what is told, and what is accepted."""

import logging
import platform
from importlib import metadata

import pytest
from builders import freeze_here, make_listing, make_spec

from job.errors import ModelChanged, UsageError
from job.plan import plan as planning
from job.plan.freeze import freeze
from job.plan.plan import check_finished_files, check_model, run_paths, versions
from job.plan.records import FrozenModel
from job.stores.storage import open_folder

MODEL = FrozenModel(files={"net.pth": "sha256:1", "labels.json": "sha256:2"}, precision="float32")
# Every release, as it is asked for.
VERSIONS = {
    "python": "3.12.1",
    **dict.fromkeys(["tench", "torch", "torchvision", "transformers", "timm", "ray", "pillow"], "1.2.3"),
    **dict.fromkeys(["simplejpeg", "pillow-heif", "pillow-jxl-plugin", "pyarrow"], "1.2.3"),
}


@pytest.fixture(autouse=True)
def installed(monkeypatch):
    """Sets which versions are installed; a version of None is of a package that is not."""

    def install(**changed):
        found = VERSIONS | {name.replace("_", "-"): version for name, version in changed.items()}
        monkeypatch.setattr(planning, "versions", lambda: {name: each for name, each in found.items() if each})

    install()
    monkeypatch.setattr("job.plan.freeze.versions", lambda: dict(VERSIONS))
    return install


@pytest.fixture
def plan(tmp_path):
    spec = make_spec(output=str(tmp_path))
    paths = run_paths(spec)
    return freeze(spec, paths, open_folder(paths.uri), make_listing([3]), lambda: MODEL)


def of_kind(plan, kind):
    return plan.model_copy(update={"spec": plan.spec | {"model": plan.spec["model"] | {"kind": kind}}})


def test_the_same_model_is_no_change_and_nothing_is_said(plan, caplog):
    with caplog.at_level(logging.WARNING):
        assert check_model(plan, MODEL) is False
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"files": {"net.pth": "sha256:9", "labels.json": "sha256:2"}}, "\n  net.pth: 'sha256:1' → 'sha256:9'"),
        ({"files": {"net.pth": "sha256:1"}}, "\n  labels.json: 'sha256:2' → None"),
        ({"revision": "abc"}, "\n  revision: None → 'abc'"),
        ({"precision": "bfloat16"}, "\n  precision: 'float32' → 'bfloat16'"),
        ({"recipe": {"crop": "(224, 224)"}}, "\n  recipe.crop: None → '(224, 224)'"),
        ({"bases": {"org/base": "c1"}}, "\n  bases.org/base: None → 'c1'"),
    ],
)
def test_another_model_is_refused_with_what_differs_or_accepted_and_told(plan, caplog, change, words):
    other = MODEL.model_copy(update=change)
    with pytest.raises(ModelChanged) as raised:
        check_model(plan, other)
    assert words in str(raised.value)
    assert f"run {plan.run_id} was planned with another model" in str(raised.value)
    with caplog.at_level(logging.WARNING):
        assert check_model(plan, other, accept=True) is True
    assert f"goes on with another model, as accepted: {words.strip()}" in caplog.text


@pytest.mark.parametrize("package", ["tench", "torch", "pillow", "simplejpeg", "pillow-heif", "pillow-jxl-plugin"])
@pytest.mark.parametrize("kind", ["torchvision", "transformers", "python"])
def test_a_minor_release_of_what_computes_is_another_model_and_a_patch_is_told(plan, installed, caplog, kind, package):
    plan = of_kind(plan, kind)
    installed(**{package: "1.3.0"})
    with pytest.raises(ModelChanged, match=rf"{package}: '1\.2' → '1\.3'"):
        check_model(plan, MODEL)
    installed(**{package: "1.2.4"})
    with caplog.at_level(logging.WARNING):
        assert check_model(plan, MODEL) is False
    assert f"goes on with another {package}: '1.2.3' → '1.2.4'; its files say so" in caplog.text


@pytest.mark.parametrize(
    ("kind", "decides"),
    [("torchvision", {"torchvision"}), ("transformers", {"torchvision", "transformers", "timm"}), ("python", set())],
)
def test_a_library_decides_for_the_models_that_are_made_with_it(plan, installed, caplog, kind, decides):
    plan = of_kind(plan, kind)
    for package in ("torchvision", "transformers", "timm", "ray", "pyarrow", "python"):
        installed(**{package: "2.0.0"})
        if package in decides:
            with pytest.raises(ModelChanged, match=rf"\n  {package}: '1\.2' → '2\.0'"):
                check_model(plan, MODEL)
        else:
            with caplog.at_level(logging.WARNING):
                assert check_model(plan, MODEL) is False
            assert f"goes on with another {package}:" in caplog.text


def test_all_that_differs_is_told_at_once(plan, installed):
    installed(torch="1.3.0", torchvision=None)
    with pytest.raises(ModelChanged) as raised:
        check_model(plan, MODEL.model_copy(update={"precision": "float16"}))
    lines = str(raised.value).splitlines()[1:]
    assert [line.split(":")[0].strip() for line in lines] == ["precision", "torch", "torchvision"]


def test_another_image_is_told(plan, monkeypatch, caplog):
    monkeypatch.setenv("TENCH_IMAGE", "registry/tench@sha256:2")
    with caplog.at_level(logging.WARNING):
        assert check_model(plan, MODEL) is False
    assert "goes on with another image: None → 'registry/tench@sha256:2'" in caplog.text


def test_a_plan_of_an_older_version_knows_no_model(tmp_path):
    _, _, plan = freeze_here(tmp_path, [3])
    assert check_model(plan, MODEL) is False
    check_finished_files(plan, MODEL.files)


def test_of_a_complete_run_the_files_that_are_there_are_compared(plan):
    check_finished_files(plan, MODEL.files)
    check_finished_files(plan, {"net.pth": "sha256:1", "new.json": "sha256:3"})
    check_finished_files(plan, {})
    with pytest.raises(
        ModelChanged, match=r"is complete, and it is of another .*\n  net\.pth: 'sha256:1' → 'sha256:9'$"
    ):
        check_finished_files(plan, {"net.pth": "sha256:9", "new.json": "sha256:3"})


def test_versions_are_those_of_what_can_change_a_prediction():
    found = versions()
    installed = {}
    for name in VERSIONS.keys() - {"python"}:
        try:
            installed[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    assert found == {"python": platform.python_version(), **installed}
    found.clear()
    assert versions()["torch"] == installed["torch"]


@pytest.mark.parametrize("run_id", [".", "..", "../x", "a/b", "/", "a\nb", "a\x1b[0m"])
def test_a_run_id_that_is_no_name_is_refused(run_id):
    with pytest.raises(UsageError, match=r"names no folder below output\.uri"):
        run_paths(make_spec(), run_id)


@pytest.mark.parametrize("run_id", ["pets-1", "a.b", "..a", "Ünï"])
def test_a_run_id_may_be_any_name(run_id):
    assert run_paths(make_spec(), run_id).run_id == run_id
