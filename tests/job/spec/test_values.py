"""The values of a spec, each by itself."""

import pytest

from job.spec.values import check_gpus, check_name, check_uri


@pytest.mark.parametrize(
    "uri",
    [
        "s3://bucket",
        "s3://bucket/folder/",
        "s3://anonymous@bucket/folder/",
        "s3://bucket/a@b c#d?e.jpg",
        "gs://bucket/x",
        "az://container/x",
        "abfss://container@account.dfs.core.windows.net/x",
        "s3://bucket/100%/a%20b.jpg",
        "/data/images",
        "images",
        "../images/ünï",
        "~/images",
        "a:b/c.jpg",
    ],
)
def test_stores_and_paths_are_taken_as_they_are_written(uri: str) -> None:
    assert check_uri(uri) == uri


@pytest.mark.parametrize(
    ("uri", "text"),
    [
        ("", "must not be empty"),
        ("  ", "must not be empty"),
        ("http://host/x", "unknown scheme http://; s3://, gs://, az://, abfss://, file:// and local paths are read"),
        ("file://host/x", "file:///PATH"),
        ("hdfs:/x", "unknown scheme hdfs:"),
        ("s3:/bucket", "two slashes"),
        ("gs:bucket/x", "two slashes"),
        ("s3://", "names no bucket"),
        ("s3:///x", "names no bucket"),
        ("s3://anonymous@/x", "names no bucket"),
        ("s3://key:secret@bucket/x", "only anonymous@"),
    ],
)
def test_other_uris_are_refused_with_a_reason(uri: str, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        check_uri(uri)


def test_a_spec_holds_uris_in_their_one_form() -> None:
    assert check_uri("s3a://bucket/a%20b/") == "s3://bucket/a%20b/"
    assert check_uri("file:///data/a%20b/") == "/data/a b/"


@pytest.mark.parametrize("name", ["a", "imagenette-resnet152", "a--b", "x" * 30])
def test_a_name_is_a_label_of_dns(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["", "A", "1a", "-a", "a-", "a_b", "a.b", "ä", "a\n", "x" * 31])
def test_another_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="must be lower-case letters, digits and -"):
        check_name(name)


def test_one_gpu_can_be_shared_but_not_one_and_a_half() -> None:
    assert [check_gpus(gpus) for gpus in (0.0, 0.25, 1.0, 2.0)] == [0.0, 0.25, 1.0, 2.0]
    with pytest.raises(ValueError, match="whole number"):
        check_gpus(1.5)


def test_a_share_is_what_ray_can_count() -> None:
    assert check_gpus(0.0001) == 0.0001
    with pytest.raises(ValueError, match=r"must be 0 or at least 0\.0001"):
        check_gpus(0.00001)
