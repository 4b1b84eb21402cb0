"""URIs as other tools write them, and what a percent sign means in each."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job.errors import StoreError
from job.stores.obstore_client import open_azure
from job.stores.retry import RetryPolicy
from job.stores.storage import is_bucket, open_folder, read_uri, split_uri
from job.stores.uris import canonical, split_bucket

ONE_FORM = {
    "s3a://b/k": "s3://b/k",
    "s3n://anonymous@b/k": "s3://anonymous@b/k",
    "S3://b": "s3://b",
    "gcs://b/k//l": "gs://b/k//l",
    "azure://c/k": "az://c/k",
    "abfs://c/k": "az://c/k",
    "abfss://anonymous@c/k": "az://anonymous@c/k",
    "abfs://c@acc.dfs.core.windows.net/k@l": "abfss://c@acc.dfs.core.windows.net/k@l",
    "abfss://anonymous@c@acc.dfs.core.windows.net/k": "abfss://anonymous@c@acc.dfs.core.windows.net/k",
    "wasbs://c@acc.blob.core.windows.net/k": "abfss://c@acc.dfs.core.windows.net/k",
    "https://acc.blob.core.windows.net/c/a%20b%25.jpg": "abfss://c@acc.dfs.core.windows.net/a b%.jpg",
    "https://anonymous@acc.blob.core.windows.net/c/k": "abfss://anonymous@c@acc.dfs.core.windows.net/k",
    "s3a://b/a%20b": "s3://b/a%20b",
    "abfss://c@acc.dfs.core.windows.net/a%20b": "abfss://c@acc.dfs.core.windows.net/a%20b",
    "file:///d/a%20b%2525.jpg": "/d/a b%25.jpg",
    "file:/d/%C3%BC": "/d/ü",
    "file://localhost/d": "/d",
    "FILE:///d/100%": "/d/100%",
    "file:///d/%ff": "/d/%ff",
    "a:b/c.jpg": "a:b/c.jpg",
    "c:/x": "c:/x",
    "file:x": "file:x",
    "data": "data",
}
REFUSED = {
    "http://h/x": "unknown scheme http://; s3://, gs://",
    "https://b.s3.eu-west-1.amazonaws.com/a%20b?X-Amz-Signature=1": "it is s3://b/a b",
    "https://s3.amazonaws.com/b/k": "it is s3://b/k",
    "https://storage.googleapis.com/b/k": "it is gs://b/k",
    "https://acc.blob.core.windows.net/c/k?sig=1": "may be a secret",
    "https://acc.blob.core.windows.net/": "names no container",
    "hf://datasets/x": "unknown scheme hf://",
    "dbfs:/mnt/x": "unknown scheme dbfs:",
    "data:image/png;base64,iVBOR": "data: URIs are not read",
    "file://d/x": "file:///PATH, with three slashes",
    "file:///d/%00": "NUL",
    "s3:/b/x": "two slashes",
    "abfss:c/x": "two slashes",
    "s3a://": "names no bucket",
    "s3a://key:secret@b/x": "only anonymous@",
    "abfss://c@host.example/x": "abfss://CONTAINER@ACCOUNT.dfs.core.windows.net/KEY",
}


@pytest.mark.parametrize("uri", ONE_FORM)
def test_each_spelling_has_one_form(uri: str) -> None:
    assert canonical(uri) == ONE_FORM[uri]
    assert canonical(ONE_FORM[uri]) == ONE_FORM[uri]
    assert is_bucket(uri) == ("://" in ONE_FORM[uri])
    assert split_uri(uri) == split_uri(ONE_FORM[uri])


@pytest.mark.parametrize("uri", REFUSED)
def test_what_no_store_reads_is_refused_with_the_way_out(uri: str) -> None:
    with pytest.raises(ValueError, match=REFUSED[uri]):
        canonical(uri)
    with pytest.raises(StoreError, match=REFUSED[uri]) as refused:
        open_folder(uri)
    assert "secret@" not in str(refused.value)
    assert not is_bucket(uri)


@given(st.from_regex(r"(s3|gs|az)://(anonymous@)?[a-z0-9.-]+", fullmatch=True), st.text())
def test_keys_of_the_one_form_are_taken_as_they_are(root: str, key: str) -> None:
    assert canonical(f"{root}/{key}") == f"{root}/{key}"
    assert split_uri(f"{root}/{key}") == (root, key)


def test_an_account_of_azure_travels_in_the_uri() -> None:
    uri = "abfss://anonymous@c@acc.dfs.core.windows.net/k/l.jpg"
    assert split_bucket(uri) == (uri[:-8], "az", "c@acc", True, "k/l.jpg")
    assert open_folder(uri).uri == uri
    store = open_azure("c@acc", True, RetryPolicy())._reader
    assert (store.config["account_name"], store.config["container_name"]) == ("acc", "c")


def test_a_percent_sign_in_a_bucket_is_itself_and_in_a_file_uri_an_escape(s3, tmp_path):
    s3.put("a%20b.jpg", b"literal")
    s3.put("a b.jpg", b"spaced")
    (tmp_path / "a b.jpg").write_bytes(b"local")
    assert read_uri(f"s3a://{s3.name}/a%20b.jpg") == b"literal"
    assert read_uri(f"{s3.uri}/a b.jpg") == b"spaced"
    assert read_uri(f"{tmp_path.as_uri()}/a%20b.jpg") == b"local"
    assert read_uri(f"file:{tmp_path}/a%20b.jpg") == b"local"
