"""Folders of every kind keep what they promise: odd keys, order, create-only writes, and patience."""

import os
import shutil
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import obstore
import pyarrow as pa
import pytest
from answering import answering
from flaky_proxy import FlakyProxy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from obstore.store import MemoryStore

from job.errors import CredentialsError, ObjectChanged, SourceError, StoreError
from job.stores import s3 as s3_store
from job.stores import storage
from job.stores.boto_client import open_client, open_session
from job.stores.bucket import BucketFolder
from job.stores.folder import same_etag
from job.stores.obstore_client import ObstoreObjects, is_plain
from job.stores.s3 import find_region, is_aws
from job.stores.storage import Entry, RetryPolicy, open_folder, read_uri, split_uri

ODD_NAMES = [
    "plain.jpg",
    "a b.jpg",
    "ünï/cödé é.jpg",
    "emoji😀.jpg",
    "hash#.jpg",
    "percent%.jpg",
    "percent%20x.jpg",
    "question?.jpg",
    "quote'\".jpg",
    "new\nline",
    "tab\t.jpg",
    "back\\slash.jpg",
    "a+b&c=d;e,f.jpg",
    "[x]{y}|^`<>*.jpg",
    " lead and trail ",
    "~tilde",
    ".hidden",
    "a/b/c/deep.jpg",
    "a-b",
    "a.b",
]
KEYS_ONLY_S3_HAS = ["a//b.jpg", "../up.jpg", "x/./y.jpg", "/lead.jpg", "folder.jpg/", "\x01\x7f"]
QUICK = RetryPolicy(first_delay_s=0.01, max_delay_s=0.05, deadline_s=5, request_timeout_s=0.5)

segments = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=12
).filter(lambda name: name not in (".", ".."))
local_keys = st.lists(segments, min_size=1, max_size=3).map("/".join)


@pytest.fixture(params=["local", "s3", "azurite"])
def folder(request, tmp_path):
    if request.param == "local":
        return open_folder(str(tmp_path / "in here"))
    return open_folder(f"{request.getfixturevalue(request.param).uri}/in here")


def names_for(folder):
    """Azure's client sends only plain keys, and its server takes a backslash for a slash."""
    is_azure = folder.uri.startswith("az://")
    return [name for name in ODD_NAMES if not is_azure or (is_plain(name) and "\\" not in name)]


def keys_of(folder, prefix=""):
    return [key for table in folder.list(prefix) for key in table["key"].to_pylist()]


def test_odd_names_come_back_as_they_went(folder):
    names = names_for(folder)
    for name in names:
        folder.create(name, name.encode())

    assert keys_of(folder) == sorted(names, key=str.encode)
    for name in names:
        assert folder.read(name) == name.encode()
        assert folder.read_range(name, 1, 3) == name.encode()[1:4]
        assert folder.head(name).size == len(name.encode())
        assert read_uri(f"{folder.uri}/{name}") == name.encode()


def test_keys_that_no_file_could_have_are_read_from_s3(s3):
    folder = open_folder(f"{s3.uri}/in here")
    for key in KEYS_ONLY_S3_HAS:
        s3.put(f"in here/{key}", key.encode())

    assert keys_of(folder) == sorted(KEYS_ONLY_S3_HAS, key=str.encode)
    for key in KEYS_ONLY_S3_HAS:
        assert folder.read(key) == key.encode()
        assert folder.head(key).size == len(key.encode())
        assert folder.read_range(key, 1, 2) == key.encode()[1:3]
        with pytest.raises(FileExistsError):
            folder.create(key, b"other")


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(keys=st.sets(local_keys, max_size=12))
def test_a_local_folder_lists_just_what_was_written(tmp_path_factory, keys):
    root = tmp_path_factory.mktemp("tree")
    written = set()
    for key in keys:
        path = root / key
        if len(os.fsencode(path.name)) > 255 or any(key.startswith(f"{other}/") for other in written) or path.is_dir():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(key.encode())
        written.add(key)
    folder = open_folder(str(root))

    assert keys_of(folder) == sorted(written, key=str.encode)
    assert all(folder.read(key) == key.encode() for key in written)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    keys=st.sets(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20), max_size=8)
)
def test_a_bucket_lists_just_what_was_written(s3, keys):
    prefix = f"round-{time.monotonic_ns()}"
    written = {key for key in keys if not any(character in "\r\ufffe\uffff" or character < " " for character in key)}
    folder = open_folder(f"{s3.uri}/{prefix}")
    for key in written:
        folder.put(key, key.encode())

    assert keys_of(folder) == sorted(written, key=str.encode)
    assert all(folder.read(key) == key.encode() for key in written)


def test_a_listing_has_sizes_and_the_etags_that_writing_gave(folder):
    etags = {name: folder.create(name, name.encode()) for name in ["b", "a", "c/d"]}

    (table,) = folder.list()

    assert table.schema == storage.LISTING
    assert table.to_pylist() == [{"key": name, "size": len(name), "etag": etags[name]} for name in sorted(etags)]
    assert folder.head("a") == Entry("a", 1, etags["a"])


def test_what_is_deleted_is_gone_and_nothing_else(folder):
    names = names_for(folder)
    for name in [*names, "a/b/c/too"]:
        folder.create(name, b"x")

    for name in names:
        folder.delete(name)

    assert keys_of(folder) == ["a/b/c/too"]
    folder.delete("a/b/c/too")
    folder.delete("a/b/c/too")
    folder.delete("never/there")
    assert keys_of(folder) == []
    assert folder.folders() == []


def test_folders_are_the_names_right_below(folder):
    assert folder.folders() == []
    for name in ["file", "a-b/c", "a/b/c", "a/d", "ünï é%20/x", "z/deep/er/x"]:
        folder.create(name, b"x")

    assert folder.folders() == ["a-b", "a", "z", "ünï é%20"]


def test_a_delete_outlasts_what_passes(flaky, s3):
    s3.put("x", b"x")
    flaky.fail(503, "reset", method="DELETE")

    open_folder(s3.uri, QUICK).delete("x")

    assert flaky.requests["DELETE"] == 3
    assert keys_of(open_folder(s3.uri, QUICK)) == []


def test_a_prefix_selects_whole_folders_and_parts_of_names(folder):
    for name in ["p/shard-0", "p/shard-1", "p/other", "pp/shard-0", "q"]:
        folder.put(name, b"x")

    assert keys_of(folder, "p/") == ["p/other", "p/shard-0", "p/shard-1"]
    assert keys_of(folder, "p/shard-") == ["p/shard-0", "p/shard-1"]
    assert keys_of(folder, "p") == ["p/other", "p/shard-0", "p/shard-1", "pp/shard-0"]
    assert keys_of(folder, "none/") == []


def test_what_is_not_there_is_not_found(folder):
    assert keys_of(folder) == []
    assert folder.head("nothing") is None
    with pytest.raises(FileNotFoundError, match="nothing"):
        folder.read("nothing")
    with pytest.raises(FileNotFoundError, match="nothing"):
        folder.read_range("nothing", 0, 1)


def test_a_range_ends_where_the_object_does(folder):
    folder.put("ten", b"0123456789")

    assert folder.read_range("ten", 8, 10) == b"89"
    assert folder.read_range("ten", 10, 5) == b""
    assert folder.read_range("ten", 50, 5) == b""
    assert folder.read_range("ten", 3, 0) == b""


def test_create_refuses_what_exists_and_put_replaces_it(folder):
    first = folder.create("once", b"first")

    with pytest.raises(FileExistsError, match="once"):
        folder.create("once", b"second")
    assert folder.read("once") == b"first"
    assert folder.head("once").etag == first

    second = folder.put("once", b"second, and longer")
    assert folder.read("once") == b"second, and longer"
    assert folder.head("once").etag == second != first


@pytest.mark.parametrize("key", ["plain", "new\nline"])  # of S3 two clients read
def test_a_read_with_an_etag_is_of_that_object(folder, key):
    key = key if key in ("plain", *names_for(folder)) else "of Azure"
    etag = folder.create(key, b"0123456789")
    assert folder.read(key, etag) == b"0123456789"
    assert folder.read_range(key, 8, 10, etag) == b"89"
    assert folder.read_range(key, 10, 5, etag) == b""
    assert folder.head(key, etag).etag == etag

    folder.put(key, b"9876543210")

    for read in (
        lambda: folder.read(key, etag),
        lambda: folder.read_range(key, 0, 2, etag),
        lambda: folder.head(key, etag),
    ):
        with pytest.raises(ObjectChanged, match="was changed since it was listed"):
            read()
    folder.delete(key)
    with pytest.raises(FileNotFoundError):
        folder.read(key, etag)
    assert folder.head(key, etag) is None


def test_a_local_file_that_is_written_in_its_place_is_another(tmp_path):
    folder = open_folder(str(tmp_path))
    etag = folder.put("x", b"old")
    (tmp_path / "copy").write_bytes(b"old")
    shutil.copystat(tmp_path / "x", tmp_path / "copy")
    assert folder.read("copy", etag) == b"old"  # as on another node: another inode
    os.truncate(tmp_path / "x", 2)
    with pytest.raises(ObjectChanged):
        folder.read("x", etag)


def test_a_store_that_heeds_no_condition_is_caught_and_one_that_lists_other_etags_is_believed():
    class Heedless(ObstoreObjects):
        """Answers whatever the condition, and writes etags in listings as in no other answer."""

        listed = None

        def _get(self, key, etag, options):
            data = super()._get(key, None, options)
            if etag and not same_etag(etag, obstore.head(self._reader, key)["e_tag"]):
                raise ObjectChanged(key)
            return data

        def list(self, prefix, pass_over=None):
            for table in super().list(prefix):
                yield table.set_column(2, "etag", pa.array([self.listed] * len(table), pa.string()))

    store = MemoryStore()
    objects = Heedless("gs://b", lambda *_: store, QUICK)
    folder = BucketFolder("gs://b", "", objects, QUICK)
    folder.create("x", b"data")
    folder.create("x2", b"other")
    objects.listed = "of the listing"
    assert folder.read("x", "of the listing") == b"data"
    assert folder.read_range("x", 1, 2, "of the listing") == b"at"
    assert folder.head("x", "of the listing").size == 4
    with pytest.raises(ObjectChanged):
        folder.read("x", "of another time")


def test_of_many_creators_one_wins(folder):
    def create(number):
        try:
            folder.create("contested", str(number).encode())
            return number
        except FileExistsError:
            return None

    with ThreadPoolExecutor(8) as pool:
        winners = [number for number in pool.map(create, range(24)) if number is not None]

    assert [str(number).encode() for number in winners] == [folder.read("contested")]


def test_local_writes_leave_nothing_else_behind(tmp_path):
    folder = open_folder(str(tmp_path))
    folder.create("a/b", b"x")
    folder.put("a/b", b"y")
    with pytest.raises(FileExistsError):
        folder.create("a/b", b"z")

    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]


def test_links_are_followed_but_not_round_in_circles(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "x.jpg").write_bytes(b"x")
    (tmp_path / "linked").symlink_to("real")
    (tmp_path / "file.jpg").symlink_to("real/x.jpg")
    (tmp_path / "real" / "up").symlink_to("..")
    (tmp_path / "self").symlink_to("self")
    (tmp_path / "gone.jpg").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe.jpg")
    folder = open_folder(str(tmp_path))

    (table,) = folder.list()

    sizes = dict(zip(table["key"].to_pylist(), table["size"].to_pylist(), strict=True))
    assert sizes.pop("gone.jpg") is None
    assert sizes.pop("self") is None
    assert "pipe.jpg" not in sizes
    assert set(sizes) >= {"file.jpg", "linked/x.jpg", "real/x.jpg"}
    assert set(sizes.values()) == {1}
    assert len(sizes) < 10


def test_a_name_that_is_not_utf8_is_named(tmp_path):
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.jpg")).write_bytes(b"x")

    with pytest.raises(SourceError, match=r"caf\\xe9\.jpg.*rename it"):
        list(open_folder(str(tmp_path)).list())


def test_a_large_folder_is_listed_in_bounded_tables_in_order(tmp_path):
    for number in range(25_000):
        (tmp_path / f"{number:05d}").touch()

    tables = list(open_folder(str(tmp_path)).list())

    assert [table.num_rows for table in tables] == [10_000, 10_000, 5_000]
    assert [key for table in tables for key in table["key"].to_pylist()] == [
        f"{number:05d}" for number in range(25_000)
    ]


@pytest.mark.slow
def test_a_longer_listing_holds_no_more_python_objects(tmp_path):
    peaks = []
    for start, stop in [(0, 10_000), (10_000, 30_000)]:
        for number in range(start, stop):
            (tmp_path / f"{number:05d}").touch()
        tracemalloc.start()
        listed = sum(table.num_rows for table in open_folder(str(tmp_path)).list())
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert listed == stop

    assert peaks[1] < 1.5 * peaks[0]


def test_a_bucket_is_listed_page_after_page(s3):
    names = [f"{number:04d}" for number in range(2_100)]
    s3.put_many(f"many/{name}" for name in names)

    assert keys_of(open_folder(f"{s3.uri}/many")) == names


def test_uris_are_as_a_user_writes_them(s3, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    assert open_folder("~/images/").uri == f"{tmp_path}/images"
    assert open_folder("images/../x").uri == f"{tmp_path}/x"
    assert open_folder(f"{s3.anonymous_uri}/a b//").uri == f"{s3.anonymous_uri}/a b"
    assert open_folder(s3.uri).uri == s3.uri
    assert split_uri("s3://anonymous@b/k x.jpg") == ("s3://anonymous@b", "k x.jpg")
    assert split_uri("gs://b/k#?%20\n/") == ("gs://b", "k#?%20\n/")
    assert split_uri("az://b") == ("az://b", "")
    assert split_uri("~/k x.jpg") == (str(tmp_path), "k x.jpg")


@pytest.mark.parametrize("uri", ["https://host/x", "ftp://host/x", "s3://", "s3://user:secret@bucket/x", "S3://b/x"])
def test_other_uris_are_refused_with_the_way_out(uri):
    with pytest.raises(StoreError, match="s3://"):
        open_folder(uri)


def test_anonymous_reads_sign_nothing(s3, monkeypatch):
    s3.put("public.txt", b"for all")
    s3.put("private.txt", b"for some", public=False)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")

    folder = open_folder(s3.anonymous_uri)

    assert folder.read("public.txt") == b"for all"
    assert keys_of(folder) == ["private.txt", "public.txt"]
    with pytest.raises(StoreError, match="not public"):
        folder.read("private.txt")


def test_without_credentials_the_ways_out_are_named(s3, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")

    with pytest.raises(CredentialsError, match=f"no AWS credentials.*AWS_PROFILE.*s3://anonymous@{s3.name}"):
        open_folder(s3.uri)


def test_without_credentials_aws_is_not_asked_for_the_region(s3, monkeypatch):
    """Off its network that takes ten seconds, for nothing."""
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    asked = []
    monkeypatch.setattr(s3_store, "find_region", lambda *found: asked.append(found) or "us-east-1")

    with pytest.raises(CredentialsError, match="no AWS credentials"):
        open_folder(s3.uri)
    assert asked == []
    assert open_folder(s3.anonymous_uri).uri == s3.anonymous_uri
    assert len(asked) == 1


@pytest.fixture
def profile(tmp_path, monkeypatch):
    """Makes a profile the one that is used, and leaves no other credentials."""

    def use(text):
        config = tmp_path / "config"
        config.write_text(f"[profile mine]\nregion = us-east-1\n{text}")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name)
        monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
        monkeypatch.setenv("AWS_PROFILE", "mine")

    return use


def test_credentials_that_a_program_refuses_are_found_before_the_first_request(s3, profile):
    profile("credential_process = sh -c 'echo the login is over >&2; exit 1'\n")

    with pytest.raises(CredentialsError, match=r"the login is over.*AWS_PROFILE"):
        open_folder(s3.uri)


def test_credentials_of_a_program_are_used(s3, profile):
    s3.put("x", b"found", public=False)
    keys = '{"Version": 1, "AccessKeyId": "test", "SecretAccessKey": "test"}'
    profile(f"credential_process = echo '{keys}'\n")

    assert read_uri(f"{s3.uri}/x") == b"found"


def test_credentials_of_a_web_identity_are_asked_for_and_used(s3, tmp_path, monkeypatch):
    s3.put("x", b"found", public=False)
    (tmp_path / "token").write_text("a token of the cluster's")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/reader")

    assert read_uri(f"{s3.uri}/x") == b"found"

    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "none"))
    with pytest.raises(CredentialsError, match=r"none.*AWS_PROFILE"):
        open_folder(s3.uri)


def test_a_profile_gives_endpoint_and_credentials(s3, tmp_path, monkeypatch):
    s3.put("x", b"found", public=False)
    config = tmp_path / "config"
    config.write_text(
        f"[profile mine]\nregion = us-east-1\nendpoint_url = {s3.endpoint}\n"
        "aws_access_key_id = test\naws_secret_access_key = test\n"
    )
    for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_PROFILE", "mine")

    assert read_uri(f"{s3.uri}/x") == b"found"


def test_a_profile_that_is_not_there_is_named(s3, monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "nobody")

    with pytest.raises(StoreError, match=r"nobody.*AWS_PROFILE"):
        open_folder(s3.uri)


@pytest.mark.parametrize("region", ["us-east-1", "us-west-2", "cn-north-1", "us-gov-west-1"])
def test_the_endpoints_of_aws_are_known(monkeypatch, region):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")

    assert is_aws(open_client(open_session(), QUICK, region=region).meta.endpoint_url)
    assert not is_aws("http://127.0.0.1:9000")
    assert not is_aws("https://s3.example.com")


@pytest.mark.parametrize("key", ["plain.jpg", "odd\n.jpg"])
def test_a_bucket_that_is_not_there_is_named(s3, key):
    folder = open_folder("s3://there-is-none")
    for call in (
        lambda: list(folder.list()),
        folder.folders,
        lambda: folder.read(key),
        lambda: folder.read_range(key, 0, 1),
        lambda: folder.create(key, b"x"),
        lambda: folder.put(key, b"x"),
    ):
        with pytest.raises(StoreError, match=r"(?s)s3://there-is-none.*: there is no such bucket"):
            call()


@pytest.mark.parametrize("place", ["file", "file/below", "file/below/that"])
def test_a_file_in_the_way_of_a_folder_is_named(tmp_path, place):
    (tmp_path / "file").write_text("")
    for write in ("create", "put"):
        with pytest.raises(StoreError, match=f"{place}/x cannot be written: one of the folders .* is a file"):
            getattr(open_folder(f"{tmp_path}/{place}"), write)("x", b"")


@pytest.mark.parametrize("path", ["nul\0byte", "half\ud800", os.fsdecode(b"latin-\xe9")])
def test_what_no_uri_can_be_is_refused_in_words(path):
    for call in (open_folder, split_uri, read_uri):
        with pytest.raises(StoreError, match=r"NUL character|not UTF-8, so it has no URI"):
            call(path)


@pytest.mark.parametrize("fault", [500, 503, 429, 409, "reset", "cut", "stall"])
@pytest.mark.parametrize("key", ["plain.jpg", "odd\n.jpg"])
def test_a_read_outlasts_what_passes(flaky, s3, fault, key):
    s3.put(key, b"x" * 100_000)
    folder = open_folder(s3.uri, QUICK)
    flaky.fail(fault, fault, method="GET")

    assert folder.read(key) == b"x" * 100_000
    assert flaky.requests["GET"] == 3

    flaky.fail(fault, method="GET")
    assert folder.read_range(key, 10, 50_000) == b"x" * 50_000


@pytest.mark.parametrize("fault", [500, 503, "reset", "cut", "stall"])
def test_a_listing_outlasts_what_passes(flaky, s3, fault):
    s3.put("a", b"")
    flaky.fail(fault, fault)

    assert keys_of(open_folder(s3.uri, QUICK)) == ["a"]


def test_a_store_that_stays_down_is_given_up_with_its_name(flaky, s3):
    s3.put("x", b"x")
    policy = RetryPolicy(first_delay_s=0.01, max_delay_s=0.02, deadline_s=0.2, request_timeout_s=1)
    flaky.fail(*[503] * 1_000)

    with pytest.raises(StoreError, match=rf"{s3.uri}/x: gave up after \d+ tries.*503"):
        open_folder(s3.uri, policy).read("x")
    assert 3 < flaky.requests["GET"] < 100


def test_the_deadline_can_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("TENCH_RETRY_DEADLINE_S", "7.5")

    assert RetryPolicy.from_environment().deadline_s == 7.5


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_is_not_repeated(flaky, s3, status):
    folder = open_folder(s3.uri, QUICK)
    flaky.fail(*[status] * 10)

    with pytest.raises(StoreError, match=f"{s3.uri}/x: access denied; check the credentials, or write s3://anonymous@"):
        folder.read("x")
    assert flaky.requests["GET"] == 1


def test_what_is_gone_is_not_asked_for_again(flaky, s3):
    folder = open_folder(s3.uri, QUICK)

    with pytest.raises(FileNotFoundError):
        folder.read("gone")
    assert flaky.requests["GET"] == 1


@pytest.mark.parametrize("fault", [503, 409, "reset", "lost"])
@pytest.mark.parametrize("key", ["plain", "odd\n"])
def test_a_create_outlasts_what_passes(flaky, s3, fault, key):
    folder = open_folder(s3.uri, QUICK)
    flaky.fail(fault, fault, method="PUT")

    etag = folder.create(key, b"data")

    assert s3.get(key) == b"data"
    assert folder.head(key).etag == etag


def test_a_create_after_a_lost_answer_still_sees_another_writer(flaky, s3):
    folder = open_folder(s3.uri, QUICK)
    s3.put("taken", b"theirs")
    flaky.fail("reset", method="PUT")

    with pytest.raises(FileExistsError):
        folder.create("taken", b"ours!!")
    assert s3.get("taken") == b"theirs"


def test_the_region_is_what_the_answer_says():
    with answering(403, [("x-amz-bucket-region", "eu-west-3")]) as endpoint:
        assert find_region(endpoint, "bucket", "us-east-1") == "eu-west-3"
    with answering(404) as endpoint:
        assert find_region(endpoint, "bucket", "us-east-1") == "us-east-1"
    assert find_region(endpoint, "bucket", "us-west-2", RetryPolicy(deadline_s=0)) == "us-west-2"


def test_the_region_is_asked_for_again_when_no_answer_comes():
    with answering(403, [("x-amz-bucket-region", "eu-west-3")]) as endpoint:
        proxy = FlakyProxy(endpoint)
        proxy.fail("reset", "reset")
        assert find_region(proxy.endpoint, "bucket", "us-east-1", QUICK) == "eu-west-3"
        proxy.stop()


@pytest.fixture
def azure(monkeypatch):
    """A container, and a function that leads to a server that answers for it."""
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "account")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "a2V5")

    def open_container(endpoint):
        monkeypatch.setenv("AZURE_ENDPOINT", endpoint)
        return open_folder("az://container/in here", QUICK)

    return open_container


def test_azure_says_409_of_a_blob_that_exists(azure):
    body = b"<Error><Code>BlobAlreadyExists</Code></Error>"
    with (
        answering(409, [("x-ms-error-code", "BlobAlreadyExists")], body) as endpoint,
        pytest.raises(FileExistsError, match="az://container/in here/x exists already"),
    ):
        azure(endpoint).create("x", b"")


def test_a_container_that_is_not_there_is_named(azure):
    with (
        answering(404, body=b"<Error><Code>ContainerNotFound</Code></Error>") as endpoint,
        pytest.raises(StoreError, match="az://container: there is no such bucket"),
    ):
        list(azure(endpoint).list())


def test_stores_without_a_client_of_ours_keep_the_same_promises():
    store = MemoryStore()
    folder = BucketFolder("gs://b", "in here", ObstoreObjects("gs://b", lambda *_: store, QUICK), QUICK)
    names = [name for name in ODD_NAMES if is_plain(name)]
    for name in names:
        folder.create(name, name.encode())

    assert set(keys_of(folder)) == set(names)
    assert keys_of(folder, "a/b/") == keys_of(folder, "a/b/c/de") == ["a/b/c/deep.jpg"]
    for name in names:
        assert folder.read(name) == name.encode()
        assert folder.read_range(name, 1, 3) == name.encode()[1:4]
        assert folder.head(name).size == len(name.encode())
    assert folder.read_range("a-b", 3, 5) == b""
    assert folder.head("none") is None
    with pytest.raises(FileExistsError):
        folder.create("a-b", b"")
    with pytest.raises(FileNotFoundError):
        folder.read("none")
    for key in ["new\nline.jpg", "a//b", "folder/"]:
        with pytest.raises(StoreError, match="is not read from this store; rename it"):
            folder.read(key)
    folder.delete("a-b")
    assert set(keys_of(folder)) == {*names} - {"a-b"}
    assert folder.folders() == ["a", "ünï"]


def test_a_secret_in_a_uri_is_not_repeated():
    with pytest.raises(StoreError, match="s3://…@bucket/key: only anonymous@ may stand") as caught:
        open_folder("s3://AKIA:hush@bucket/key")
    assert "hush" not in str(caught.value)
