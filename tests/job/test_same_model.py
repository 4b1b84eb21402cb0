"""One run, one model: an attempt whose model is another is refused, or said to be accepted, and never goes unseen."""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import safetensors.numpy
import yaml
from colours import write_images
from forked_command import call_tench
from parity import WEIGHTS
from run_specs import make_spec, read_predictions, run_here
from stub_hub import REPOSITORY, StubHub
from tench_command import COMMAND, environment

from job.errors import ModelChanged, RunFailed
from job.plan import plan as planning
from job.plan.records import Origin, load_plan, load_success
from job.results.verify import verify
from job.stores.storage import open_folder

NET = WEIGHTS / "shufflenet_v2_x0_5.safetensors"


@pytest.fixture
def folder(tmp_path):
    write_images(tmp_path / "images", count=20)
    shutil.copy(NET, tmp_path / "net.safetensors")
    return tmp_path


@pytest.fixture
def spec(folder):
    model = {"kind": "torchvision", "name": "shufflenet_v2_x0_5", "weights": str(folder / "net.safetensors")}
    return make_spec(folder, model=model)


def lose_half(uri):
    """As if the run had been killed after its first shard."""
    Path(uri, "_SUCCESS").unlink()
    Path(uri, "predictions/shard-00001.parquet").unlink()


def change_weights(path):
    tensors = safetensors.numpy.load_file(path)
    tensors["fc.bias"] = tensors["fc.bias"] + np.float32(1.0)
    safetensors.numpy.save_file(tensors, path)


def origins(uri):
    files = sorted(Path(uri, "predictions").iterdir())
    return [Origin.model_validate_json(pq.read_schema(file).metadata[b"tench"]) for file in files]


def test_weights_that_were_replaced_between_two_attempts_are_refused_with_their_digests(folder, spec):
    uri = run_here(spec).uri
    lose_half(uri)
    change_weights(folder / "net.safetensors")
    before = Path(uri, "plan.json").read_bytes()
    with pytest.raises(ModelChanged, match=r"model\.weights: 'sha256:[0-9a-f]{64}' → 'sha256:") as caught:
        run_here(spec)
    assert caught.value.exit_code == 2
    assert all(way in str(caught.value) for way in ("put it back", "--run-id", "--accept-changed-model"))
    assert Path(uri, "plan.json").read_bytes() == before
    assert not Path(uri, "predictions/shard-00001.parquet").exists()
    shutil.copy(NET, folder / "net.safetensors")
    assert run_here(spec).rows == 20


def test_a_changed_model_may_be_accepted_and_everything_says_so(folder, spec):
    uri = run_here(spec).uri
    lose_half(uri)
    change_weights(folder / "net.safetensors")
    success = accept(spec).success
    plan = load_plan(open_folder(uri))
    first, second = origins(uri)
    assert (first.model, first.accepted) == (plan.model.digest, False)
    assert (second.model == plan.model.digest, second.accepted) == (False, True)
    assert [(group.model, group.accepted, group.files, group.rows) for group in success.origins] == sorted(
        [(first.model, False, 1, 10), (second.model, True, 1, 10)], key=lambda group: group[0]
    )
    assert load_success(open_folder(uri)) == success
    assert verify(uri).accepted == 1


def accept(spec):
    from rich.console import Console

    from job.run import run

    return run(spec, None, "local", Console(stderr=True), accept_changed_model=True)


def test_a_finished_run_of_another_model_is_not_said_to_be_this_ones(folder, spec):
    result = run_here(spec)
    change_weights(folder / "net.safetensors")
    with pytest.raises(ModelChanged, match=r"is complete, and it is of another model than there is now"):
        run_here(spec)
    assert accept(spec).success == result.success
    (folder / "net.safetensors").unlink()  # nobody needs it any more
    assert run_here(spec).success == result.success


def test_verify_finds_a_shard_of_another_model(folder, spec):
    uri = run_here(spec).uri
    elsewhere = spec.output.model_copy(update={"uri": str(folder / "others")})
    other = spec.model_copy(update={"output": elsewhere})
    change_weights(folder / "net.safetensors")
    stranger = Path(run_here(other).uri, "predictions/shard-00001.parquet").read_bytes()
    path = Path(uri, "predictions/shard-00001.parquet")
    path.write_bytes(stranger)
    success = json.loads(Path(uri, "_SUCCESS").read_text())
    etag = open_folder(uri).head("predictions/shard-00001.parquet").etag
    success["files"][1] |= {"bytes": len(stranger), "etag": etag}
    Path(uri, "_SUCCESS").write_text(json.dumps(success))
    with pytest.raises(RunFailed, match=r"shard-00001\.parquet is of another model \([0-9a-f]{16}\) than the plan's"):
        verify(uri)


def test_a_class_list_a_module_and_a_recipe_are_the_model_too(folder, monkeypatch):
    labels, module = folder / "labels.json", folder / "own_model.py"
    labels.write_text(json.dumps([f"class {number}" for number in range(10)]))
    module.write_text(
        "from colours import Colours\nfrom job.recipe import Exactly, Recipe\n"
        "class Own(Colours):\n    recipe = Recipe(Exactly(32, 32))\n"
    )
    monkeypatch.syspath_prepend(str(folder))
    named = make_spec(
        folder,
        model={"kind": "torchvision", "name": "shufflenet_v2_x0_5", "weights": str(NET), "labels": str(labels)},
    )
    own = make_spec(folder, model={"kind": "python", "name": "own_model:Own"})
    runs = [run_here(spec).uri for spec in (named, own)]
    for uri in runs:
        lose_half(uri)
    labels.write_text(json.dumps([f"CLASS {number}" for number in range(10)]))
    with pytest.raises(ModelChanged, match=r"model\.labels: 'sha256:"):
        run_here(named)
    module.write_text(module.read_text() + "# another line\n")
    with pytest.raises(ModelChanged, match=r"own_model\.py: 'sha256:"):
        run_here(own)
    monkeypatch.setattr("own_model.Own.recipe", __import__("job.recipe").recipe.Recipe(None, crop=(32, 32)))
    with pytest.raises(ModelChanged, match=r"recipe\.crop: None → '\(32, 32\)'"):
        run_here(own)


@pytest.mark.parametrize(
    ("package", "version", "refused"),
    [
        ("torch", "1.99.0", True),
        ("torch", "{}.999", False),
        ("pyarrow", "1.0", False),
        pytest.param("pillow", "1.0.0", True, marks=pytest.mark.slow),
    ],
)
def test_a_minor_release_of_what_computes_is_refused_and_a_patch_is_told(
    spec, monkeypatch, caplog, package, version, refused
):
    uri = run_here(spec).uri
    lose_half(uri)
    now = planning.versions()
    other = version.format(".".join(now[package].split(".")[:2]))
    for module in ("job.plan.plan", "job.run", "job.results.run_summary"):
        monkeypatch.setattr(f"{module}.versions", lambda: {**now, package: other})
    if refused:
        with pytest.raises(ModelChanged, match=rf"{package}: '[\d.]+' → '1\.\d+'"):
            run_here(spec)
        return
    success = run_here(spec).success
    assert f"goes on with another {package}: '{now[package]}' → '{other}'; its files say so" in caplog.text
    assert sorted(group.versions[package] for group in success.origins) == sorted([now[package], other])
    assert verify(uri).accepted == 0


def test_an_image_that_was_replaced_between_two_attempts_is_a_row_that_says_so(folder, spec):
    uri = run_here(spec).uri
    lose_half(uri)
    images = sorted((folder / "images").rglob("*.png"))
    images[15].write_bytes(images[0].read_bytes())
    result = run_here(spec.model_copy(update={"errors": spec.errors.model_copy(update={"max_fraction": 0.5})}))
    rows = read_predictions(result.paths).to_pylist()
    assert [row["uri"] for row in rows if row["error"]] == [str(images[15])]
    assert rows[15]["error"] == f"changed: {images[15]} was changed since it was listed"
    assert result.metrics.failed_by_kind == {"changed": 1}


# A head without CPUs and two workers, whose environment leads to no hub and no cache of one.
ON_TWO_NODES = """
import os, sys
from ray.cluster_utils import Cluster
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
for _ in range(2):
    cluster.add_node(num_cpus=2)
os.environ |= {"RAY_ADDRESS": cluster.address, "HF_ENDPOINT": sys.argv[2], "HF_HOME": sys.argv[1] + "/hf"}
from run_specs import make_spec, run_here
from stub_hub import REPOSITORY
compute = {"concurrency": 2, "gpus_per_replica": 0, "batch_size": 8}
model = {"kind": "transformers", "name": REPOSITORY}
print(run_here(make_spec(sys.argv[1], compute=compute, model=model), "ray").uri)
sys.stdout.flush()
os._exit(0)
"""


@pytest.fixture
def hub():
    hub = StubHub()
    hub.push(WEIGHTS / "vit")
    yield hub
    hub.stop()


def call(folder, hub, engine="local"):
    env = environment(HF_ENDPOINT=hub.endpoint, HF_HOME=str(folder / "hf"))
    arguments = ("run", "job.yaml", "--engine", engine)
    if engine == "local":
        return call_tench(*arguments, cwd=folder, env=env)
    return subprocess.run([*COMMAND, *arguments], cwd=folder, env=env, capture_output=True, text=True, check=False)


def write_hub_spec(folder, **model):
    spec = make_spec(folder, model={"kind": "transformers", "name": REPOSITORY, **model})
    (folder / "job.yaml").write_text(yaml.safe_dump(spec.model_dump(mode="json")))


def test_a_branch_that_moved_between_two_attempts_changes_nothing_and_is_told(folder, hub):
    write_hub_spec(folder)
    first = hub.main
    done = call(folder, hub)
    assert done.returncode == 0, done.stderr
    uri = done.stdout.strip()
    assert load_plan(open_folder(uri)).model.revision == first
    lose_half(uri)
    second = hub.push(WEIGHTS / "vit", **{"README.md": b"a new commit"})
    done = call(folder, hub)
    assert done.returncode == 0, done.stderr
    words = " ".join(done.stderr.split())
    assert f"{REPOSITORY}: the hub's main is {second} by now; this run goes on with {first}, as planned" in words
    assert len(load_success(open_folder(uri)).origins) == 1
    # A node without the cache gets the planned commit, too.
    lose_half(uri)
    shutil.rmtree(folder / "hf")
    assert call(folder, hub).returncode == 0
    assert [path.name for path in (folder / "hf/hub").glob("models--*/snapshots/*")] == [first]


@pytest.mark.slow
def test_a_revision_is_loaded_and_one_that_is_not_there_is_named(folder, hub):
    first = hub.main
    hub.push(WEIGHTS / "vit", **{"README.md": b"a new commit"})
    write_hub_spec(folder, revision=first)
    done = call(folder, hub)
    assert done.returncode == 0, done.stderr
    assert load_plan(open_folder(done.stdout.strip())).model.revision == first
    write_hub_spec(folder, revision="v9")
    done = call(folder, hub)
    assert done.returncode == 3
    words = f"{REPOSITORY} is no folder here, and the hub does not give it at revision v9"
    assert words in " ".join(done.stderr.split())


@pytest.mark.slow
def test_the_hub_is_asked_by_the_driver_alone(folder, hub):
    write_hub_spec(folder)
    done = call(folder, hub, "ray")
    assert done.returncode == 0, done.stderr
    asked = {path: count for path, count in hub.requests.items() if not path.startswith("HEAD")}
    assert max(asked.values()) == 1, asked
    assert asked[f"GET /api/models/{REPOSITORY}/revision/main"] == 1
    hub.closed = True  # a second run of the same commit, its files here: 429 stops nothing
    write_hub_spec(folder, revision=hub.main, top_k=1)
    done = call(folder, hub, "ray")
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_workers_on_other_nodes_load_what_the_driver_staged_in_the_precision_that_one_of_them_chose(folder, hub):
    with tempfile.TemporaryDirectory(prefix="ray") as short:
        elsewhere = {"HF_HOME": "/nowhere", "HF_ENDPOINT": "http://127.0.0.1:9", "TENCH_CACHE": str(folder / "cache")}
        done = subprocess.run(
            [sys.executable, "-c", ON_TWO_NODES, str(folder), hub.endpoint],
            env=environment(**elsewhere, RAY_TMPDIR=short, RAY_AUTH_MODE="disabled"),
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    plan = load_plan(open_folder(done.stdout.split()[-1]))
    assert plan.model.revision == hub.main
    assert plan.model.precision in ("float32", "bfloat16")
    assert (folder / "runs/.models" / hub.main / "model.safetensors").is_file()
    assert hub.requests[f"GET /api/models/{REPOSITORY}/revision/main"] == 1
    success = load_success(open_folder(done.stdout.split()[-1]))
    assert [group.precisions for group in success.origins] == [(plan.model.precision,)]
    assert (success.rows, success.failed) == (20, 0)
