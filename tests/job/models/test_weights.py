"""Weights files: fetched once a node, whole or not at all, and kept where they can be."""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest
import safetensors.torch
import torch
from models import make_model_spec
from torchvision.models import get_model

from job.errors import ModelError
from job.models import weights
from job.models.load import load_predictor
from job.models.weights import cache_folder, fetch

CONTENT = bytes(range(256)) * 200


@pytest.fixture
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv("TENCH_CACHE", str(folder))
    return folder


def kept(cache):
    return sorted(path for path in cache.iterdir() if not path.name.startswith("."))


def test_a_local_file_is_used_where_it_lies(tmp_path, cache):
    path = tmp_path / "net.pth"
    path.write_bytes(CONTENT)
    assert fetch(str(path)) == path
    assert not cache.exists()


def test_an_object_is_fetched_once(s3, cache, monkeypatch):
    uri = s3.put("nets/my net.pth", CONTENT)
    path = fetch(uri)
    assert path.read_bytes() == CONTENT
    assert path.name.endswith("-my net.pth")
    fetched = path.stat().st_mtime_ns
    assert fetch(uri) == path
    assert path.stat().st_mtime_ns == fetched
    assert kept(cache) == [path]


def test_all_who_ask_at_once_share_one_fetch(s3, cache, monkeypatch):
    uri = s3.put("net.pth", CONTENT)
    downloads = []
    monkeypatch.setattr(weights, "_download", lambda *args, old=weights._download: downloads.append(1) or old(*args))
    with ThreadPoolExecutor(8) as pool:
        paths = set(pool.map(fetch, [uri] * 8))
    assert len(downloads) == 1
    assert [path.read_bytes() for path in paths] == [CONTENT]


def test_an_object_that_changed_is_another_file(s3, cache):
    first = fetch(s3.put("net.pth", CONTENT))
    second = fetch(s3.put("net.pth", CONTENT[::-1]))
    assert second.read_bytes() == CONTENT[::-1]
    assert kept(cache) == sorted([first, second])


@pytest.mark.parametrize("damage", [CONTENT[:100], CONTENT[:-1] + b"?", b""])
def test_a_file_that_was_damaged_is_fetched_again(s3, cache, damage):
    uri = s3.put("net.pth", CONTENT)
    fetch(uri).write_bytes(damage)
    assert fetch(uri).read_bytes() == CONTENT


def test_an_interrupted_fetch_leaves_nothing_behind(s3, cache, monkeypatch):
    uri = s3.put("net.pth", CONTENT)

    def parts(folder, entry):
        yield CONTENT[:100]
        raise KeyboardInterrupt

    monkeypatch.setattr(weights, "_parts", parts)
    with pytest.raises(KeyboardInterrupt):
        fetch(uri)
    assert kept(cache) == []
    assert not [path for path in cache.iterdir() if path.stat().st_size == 100]


def test_an_object_shorter_than_it_says_is_refused(s3, cache, monkeypatch):
    uri = s3.put("net.pth", CONTENT)
    monkeypatch.setattr(weights, "_parts", lambda folder, entry: iter([CONTENT[:100]]))
    with pytest.raises(ModelError, match=f"100 bytes came of {len(CONTENT)}"):
        fetch(uri)
    assert kept(cache) == []


def test_what_is_not_there_is_named(s3, cache, tmp_path):
    with pytest.raises(ModelError, match=f"there is nothing at {s3.uri}/no.pth"):
        fetch(f"{s3.uri}/no.pth")
    with pytest.raises(ModelError, match=f"there is no file {tmp_path}/no.pth"):
        fetch(f"{tmp_path}/no.pth")


def test_the_cache_is_where_it_is_told_to_be_or_where_it_can(tmp_path, monkeypatch):
    monkeypatch.setenv("TENCH_CACHE", f"{tmp_path}/told")
    assert cache_folder() == tmp_path / "told"
    monkeypatch.delenv("TENCH_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", f"{tmp_path}/user")
    assert cache_folder() == tmp_path / "user" / "tench"
    (tmp_path / "a file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", f"{tmp_path}/a file")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert cache_folder() == tmp_path / f"tench-{os.getuid()}"
    monkeypatch.setenv("TENCH_CACHE", f"{tmp_path}/a file/told")
    with pytest.raises(ModelError, match="set TENCH_CACHE"):
        cache_folder()


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_network_is_loaded_from_a_bucket(s3, cache, tmp_path, suffix):
    state = get_model("shufflenet_v2_x0_5", num_classes=4).state_dict()
    save = safetensors.torch.save_file if suffix == ".safetensors" else torch.save
    save(state, tmp_path / f"net{suffix}")
    uri = s3.put(f"net{suffix}", (tmp_path / f"net{suffix}").read_bytes())
    assert len(load_predictor(make_model_spec(weights=uri), "cpu", 1).labels) == 4


def test_large_files_come_in_parts(s3, cache, monkeypatch):
    monkeypatch.setattr(weights, "_PART_BYTES", 1000)
    assert fetch(s3.put("net.pth", CONTENT)).read_bytes() == CONTENT
