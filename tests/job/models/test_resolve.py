"""Which files a model means, by kind; what the driver fetches, and what nodes that have none of it load."""

import json
import shutil
from importlib import metadata

import pytest
import torch
from huggingface_hub import constants
from models import make_decoded, make_model_spec, make_photo
from parity import WEIGHTS
from peft import LoraConfig, get_peft_model
from stub_hub import REPOSITORY, StubHub
from transformers import AutoModelForImageClassification

from job.errors import ModelError
from job.models import hub as hub_of_job
from job.models import identity
from job.models.identity import digest_of, identify
from job.models.load import load_predictor, load_recipe, load_resolved
from job.models.resolve import resolve
from job.stages.predict import PredictStage
from job.stores.storage import open_folder

NET, VIT = WEIGHTS / "shufflenet_v2_x0_5.safetensors", WEIGHTS / "vit"


def test_a_torchvision_model_is_its_weights_and_its_names(s3, tmp_path):
    labels = s3.put("labels.json", b'["a"]')
    here = make_model_spec(weights=str(NET), labels=labels)
    found = identify(here)
    assert found["model.weights"] == digest_of(NET)
    assert found["model.labels"].startswith("etag:")
    assert found["model.labels"].endswith("(5 bytes)")
    there = make_model_spec(weights=s3.put("net.pth", b"12345678"))
    before = identify(there)
    assert before["model.weights"].endswith("(8 bytes)")
    s3.put("net.pth", b"87654321")
    assert identify(there) != before
    assert identify(make_model_spec(weights="none")) == identify(make_model_spec()) == {}
    assert identify(make_model_spec(weights=str(tmp_path / "none.pth"))) == {}


def test_a_folder_is_the_files_that_are_read_of_it(s3, tmp_path):
    folder = shutil.copytree(VIT, tmp_path / "vit")
    (folder / "README.md").write_text("read by nobody")
    names = {"config.json", "model.safetensors", "preprocessor_config.json"}
    assert identify(make_model_spec(kind="transformers", name=str(folder))).keys() == names
    config_alone = identify(make_model_spec(kind="transformers", name=str(folder), weights="none"))
    assert config_alone.keys() == names - {"model.safetensors"}
    for path in folder.iterdir():
        s3.put(f"vit/{path.name}", path.read_bytes())
    s3.put("vit/onnx/model.safetensors", b"another")
    in_bucket = identify(make_model_spec(kind="transformers", name=f"{s3.uri}/vit"))
    assert in_bucket.keys() == names
    assert identify(make_model_spec(kind="transformers", name="google/vit-base-patch16-224")) == {}


def test_a_module_is_its_source_and_an_installed_package_its_version(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "one_file_model.py").write_text("a = 1")
    package = tmp_path / "package_model"
    (package / "inner").mkdir(parents=True)
    for name in ("__init__.py", "nets.py", "inner/__init__.py"):
        (package / name).write_text("")
    spec = make_model_spec(kind="python", name="one_file_model:make")
    before = identify(spec)
    assert before == {"one_file_model.py": digest_of(tmp_path / "one_file_model.py")}
    (tmp_path / "one_file_model.py").write_text("a = 2")
    assert identify(spec) != before
    of_package = identify(make_model_spec(kind="python", name="package_model.nets:make"))
    assert of_package.keys() == {f"package_model/{name}" for name in ("__init__.py", "nets.py", "inner/__init__.py")}
    installed = identify(make_model_spec(kind="python", name="safetensors.torch:load"))
    assert installed == {"safetensors": metadata.version("safetensors")}
    own = identify(make_model_spec(kind="python", name="job.recipe:Recipe"))  # installed, and edited at any time
    assert "job/recipe.py" in own
    assert identify(make_model_spec(kind="python", name="nowhere_at_all:make")) == {}


@pytest.fixture
def hub(tmp_path, monkeypatch):
    hub = StubHub()
    hub.push(VIT)
    monkeypatch.setattr(constants, "ENDPOINT", hub.endpoint)
    template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace("https://huggingface.co", hub.endpoint)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("TENCH_CACHE", str(tmp_path / "cache"))
    yield hub
    hub.stop()
    hub_of_job._told.clear()


def scores_of(predictor):
    stage_input = make_decoded(predictor.recipe, [make_photo(70, 90)])
    pixels = torch.frombuffer(bytearray(stage_input["image"][0].as_buffer()), dtype=torch.uint8)
    return predictor.predict(pixels.reshape(1, *predictor.recipe.size, 3))


@pytest.mark.slow
def test_nodes_without_the_hub_load_what_the_driver_has_staged(hub, tmp_path, monkeypatch):
    spec = make_model_spec(kind="transformers", name=REPOSITORY)
    model = resolve(spec, None).stage_below(str(tmp_path / "runs"))
    model = model.chosen(load_recipe(model.spec), "float32")
    expected = scores_of(load_resolved(model, "cpu", 1))
    staged = open_folder(str(tmp_path / "runs/.models"))
    assert model.staged == f"{staged.uri}/{hub.main}"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "another node"))
    hub.closed = True
    assert torch.equal(scores_of(load_resolved(model, "cpu", 1)), expected)
    with pytest.raises(ModelError, match="the hub does not give it at revision"):
        load_predictor(model.spec, "cpu", 1)


def test_what_is_staged_is_written_once_and_read_from_a_bucket(hub, s3, tmp_path):
    spec = make_model_spec(kind="transformers", name=REPOSITORY)
    model = resolve(spec, None).stage_below(f"{s3.uri}/runs")
    folder = open_folder(model.staged)
    before = [row for table in folder.list() for row in table.to_pylist()]
    assert {row["key"] for row in before} == {"config.json", "model.safetensors", "preprocessor_config.json"}
    assert resolve(spec, model.frozen).stage_below(f"{s3.uri}/runs").staged == model.staged
    assert [row for table in folder.list() for row in table.to_pylist()] == before
    model = model.chosen(load_recipe(model.spec), "float32")
    assert load_resolved(model, "cpu", 1).labels[:1] == [json.loads((VIT / "config.json").read_text())["id2label"]["0"]]


def test_the_base_of_an_adapter_is_frozen_and_staged_too(hub, tmp_path, monkeypatch):
    adapter, base = tmp_path / "adapter", VIT
    network = AutoModelForImageClassification.from_pretrained(base)
    targets = ["q_proj", "v_proj", "query", "value"]
    adapted = get_peft_model(network, LoraConfig(target_modules=targets, r=2, init_lora_weights=False))
    adapted.save_pretrained(adapter)
    config = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps(config | {"base_model_name_or_path": REPOSITORY}))
    spec = make_model_spec(kind="transformers", name=str(adapter))
    first = hub.main
    model = resolve(spec, None).stage_below(str(tmp_path / "runs"))
    assert model.frozen.bases == {REPOSITORY: first}
    assert model.frozen.files.keys() == {"adapter_config.json", "adapter_model.safetensors"}
    model = model.chosen(load_recipe(model.spec), "float32")
    expected = scores_of(load_resolved(model, "cpu", 1))
    hub.push(VIT, **{"model.safetensors": b"another"})
    assert resolve(spec, model.frozen).frozen.bases == {REPOSITORY: first}
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "another node"))
    hub.closed = True
    assert torch.equal(scores_of(load_resolved(model, "cpu", 1)), expected)


def test_torchvisions_own_weights_are_staged_and_the_enum_keeps_its_recipe_and_names(tmp_path, monkeypatch):
    monkeypatch.setenv("TENCH_CACHE", str(tmp_path / "cache"))
    spec = make_model_spec(name="mobilenet_v3_small", weights="IMAGENET1K_V1")
    from torchvision.models import get_model, get_model_weights

    weights = get_model_weights(spec.name)["IMAGENET1K_V1"]
    cached = tmp_path / "driver/checkpoints" / weights.url.rpartition("/")[2]
    cached.parent.mkdir(parents=True)
    torch.save(get_model(spec.name, weights=None).state_dict(), cached)
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "driver"))
    model = resolve(spec, None)
    assert model.frozen.files == {cached.name: digest_of(cached)}
    model = model.stage_below(str(tmp_path / "runs")).chosen(load_recipe(model.spec), "float32")
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "worker"))
    monkeypatch.setattr(torch.hub, "download_url_to_file", None)  # nobody may ask torchvision again
    predictor = load_resolved(model, "cpu", 1)
    assert predictor.labels[0] == "tench"
    assert digest_of(tmp_path / "worker/checkpoints" / cached.name) == digest_of(cached)


def test_a_replica_whose_file_is_another_than_the_drivers_says_so(tmp_path):
    net = shutil.copy(NET, tmp_path / "net.safetensors")
    spec = make_model_spec(weights=str(net))
    model = resolve(spec, None)
    recipe = load_recipe(spec)
    model = model.chosen(recipe, "float32")
    assert PredictStage(spec, 4, "cpu", 1, recipe, model).precision == "float32"
    with (tmp_path / "net.safetensors").open("ab") as file:
        file.truncate(NET.stat().st_size - 4)
        file.write(b"\0\0\0\0")
    with pytest.raises(ModelError, match=r"model\.weights on .* is another than the driver has; give every node"):
        PredictStage(spec, 4, "cpu", 1, recipe, model)


def test_every_replica_computes_in_the_precision_that_was_chosen(tmp_path):
    spec = make_model_spec(weights=str(NET), precision="auto")
    recipe = load_recipe(spec)
    for precision in ("float32", "bfloat16"):
        model = resolve(spec, None).chosen(recipe, precision)
        assert PredictStage(model.spec, 4, "cpu", 1, recipe, model).precision == precision


def test_patterns_take_no_second_copy_of_the_weights():
    spec = make_model_spec(kind="transformers", name="someone/vit")
    assert "model.safetensors" in identity.file_patterns(spec)
    assert "*.safetensors" not in identity.file_patterns(spec)  # model.fp16.safetensors is another answer
