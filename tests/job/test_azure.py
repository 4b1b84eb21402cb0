"""A whole run on a real Azure server: each kind of source, the output there, resumed, verified and collected."""

import io
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from colours import CHANNELS, make_image
from forked_command import call_tench
from run_specs import make_spec, read_predictions, run_here

from job.errors import ObjectChanged
from job.plan import manifest
from job.results.verify import verify
from job.stores.storage import open_folder

COUNT = 30
NAMES = [f"{list(CHANNELS)[number % 3]}/{number:02d} é.png" for number in range(COUNT)]
IMAGES = {name: make_image(name.split("/")[0], number) for number, name in enumerate(NAMES)}


def files(azurite):
    for name, data in IMAGES.items():
        azurite.put(f"images/{name}", data)
    return {"uri": f"{azurite.uri}/images", "label_from": "directory"}


def parquet(azurite):
    labels = [name.split("/")[0] for name in NAMES]
    for part in range(2):
        taken = slice(part * COUNT // 2, (part + 1) * COUNT // 2)
        sink = pa.BufferOutputStream()
        pq.write_table(pa.table({"image": list(IMAGES.values())[taken], "label": labels[taken]}), sink)
        azurite.put(f"tables/{part}.parquet", sink.getvalue().to_pybytes())
    return {"kind": "parquet", "uri": f"{azurite.uri}/tables", "label_from": "label"}


def webdataset(azurite):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for number, (name, data) in enumerate(IMAGES.items()):
            for suffix, content in ((".png", data), (".cls", name.split("/")[0].encode())):
                info = tarfile.TarInfo(f"{number:02d}{suffix}")
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    azurite.put("tars/0.tar", buffer.getvalue())
    return {"kind": "webdataset", "uri": f"{azurite.uri}/tars", "label_from": ".cls"}


@pytest.mark.parametrize("kind", [files, parquet, webdataset])
def test_a_run_from_azure_to_azure_is_whole_resumes_verifies_and_collects(azurite, tmp_path, kind, monkeypatch):
    spec = make_spec(azurite.uri, source=kind(azurite), output={"uri": f"{azurite.uri}/runs", "rows_per_file": 10})
    result = run_here(spec)
    assert (result.rows, result.failed, result.metrics.top1) == (COUNT, 0, 1.0)
    folder = open_folder(result.uri)
    folder.delete("_SUCCESS")
    folder.delete("predictions/shard-00001.parquet")
    resumed = run_here(spec)
    assert (resumed.uri, resumed.rows, resumed.failed) == (result.uri, COUNT, 0)
    predicted = read_predictions(resumed.paths)
    assert predicted["label"].to_pylist() == predicted["expected"].to_pylist()
    monkeypatch.setattr(manifest, "hashlib", None)  # an etag that is the plan's tells; the bytes are not read
    manifest._open_part.cache_clear()
    assert verify(result.uri).rows == COUNT


@pytest.mark.slow
def test_the_commands_take_a_run_in_azure(azurite, tmp_path):
    spec = make_spec(azurite.uri, source=files(azurite), output={"uri": f"{azurite.uri}/runs", "rows_per_file": 10})
    run = run_here(spec).uri
    (tmp_path / "job.yaml").write_text(spec.model_dump_json())
    for command in (["plan", "job.yaml"], ["verify", run], ["status", run], ["collect", run, "--to", "here"]):
        done = call_tench(*command, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    assert len(list(Path(tmp_path, "here", "predictions").iterdir())) == 3
    assert call_tench("collect", run, "--to", "here", cwd=tmp_path).returncode == 0


def test_an_image_that_was_replaced_is_changed_and_one_that_is_gone_is_missing(azurite):
    files(azurite)
    folder = open_folder(f"{azurite.uri}/images")
    etags = {row["key"]: row["etag"] for table in folder.list() for row in table.to_pylist()}
    assert all(folder.read(name, etag) == IMAGES[name] for name, etag in etags.items())
    azurite.put(f"images/{NAMES[0]}", make_image("blue", 99))
    folder.delete(NAMES[1])
    with pytest.raises(ObjectChanged, match="was changed since it was listed"):
        folder.read(NAMES[0], etags[NAMES[0]])
    with pytest.raises(FileNotFoundError):
        folder.read(NAMES[1], etags[NAMES[1]])
