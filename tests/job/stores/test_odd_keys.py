"""Keys that obstore cannot take, on Azure and Google: passed over and counted, and the others are listed and read."""

import json
from urllib.parse import parse_qs, urlsplit

import pytest
from answering import answering
from colours import make_image
from run_specs import make_spec, run_here

from job.errors import CredentialsError, StoreError
from job.results.left_out_text import left_out_sentence
from job.results.preview import preview
from job.stores.obstore_client import EMPTY_FOLDERS, ODD_KEYS
from job.stores.storage import RetryPolicy, open_folder

QUICK = RetryPolicy(first_delay_s=0.01, max_delay_s=0.05, deadline_s=2, request_timeout_s=1)
ODD = ["a//b.png", "tab\t.png", "new\nline.png", "../up.png", "x/./y.txt"]
PLAIN = ["a/z é.png", "b/q?#%20.png", "zz&<>.png"]


def listed(folder, prefix=""):
    passed = []
    tables = list(folder.list(prefix, lambda kind, key: passed.append((kind, key))))
    return [key for table in tables for key in table["key"].to_pylist()], passed


@pytest.fixture
def odd(azurite):
    for key in [*ODD, *PLAIN]:
        azurite.put(f"in here/{key}", make_image("red"))
    azurite.put("in here/marker/", b"")
    return azurite


@pytest.mark.parametrize("signed", [True, False])
def test_odd_keys_of_azure_are_told_of_and_the_others_listed(odd, signed, monkeypatch):
    if not signed:
        monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_KEY")
    keys, passed = listed(open_folder(f"{odd.uri if signed else odd.anonymous_uri}/in here", QUICK))
    assert keys == PLAIN
    assert sorted(passed) == sorted(
        [(EMPTY_FOLDERS, "in here/marker/"), *((ODD_KEYS, f"in here/{key}") for key in ODD)]
    )


def test_a_slash_that_leads_a_key_is_not_lost(azurite):
    azurite.put("/lead.png", b"theirs")
    azurite.put("other.png", b"x")
    assert listed(open_folder(azurite.uri, QUICK)) == (["other.png"], [(ODD_KEYS, "/lead.png")])


def test_a_plan_and_a_run_over_odd_keys_count_them(odd):
    spec = make_spec(odd.uri, source={"uri": f"{odd.uri}/in here"}, output={"uri": f"{odd.uri}/runs"})
    found = preview(spec, None)
    counts = {each.kind: each.count for each in found.left_out}
    assert (found.images, counts[ODD_KEYS], counts[EMPTY_FOLDERS]) == (len(PLAIN), len(ODD), 1)
    result = run_here(spec)
    assert (result.rows, result.failed) == (len(PLAIN), 0)
    assert ODD_KEYS in left_out_sentence(result.success.left_out)


def test_where_the_credentials_are_not_ours_to_use_the_key_is_named(odd, monkeypatch):
    monkeypatch.setattr("job.stores.obstore_client.list_azure", lambda *_: None)
    with pytest.raises(StoreError, match=r"in here/ holds a key that cannot be listed; rename it") as caught:
        list(open_folder(f"{odd.uri}/in here", QUICK).list())
    assert "Debug" not in str(caught.value)


PAGE = "<?xml version='1.0'?><ListBucketResult xmlns='http://s3.amazonaws.com/doc/2006-03-01/'>{}{}</ListBucketResult>"
ITEM = (
    '<Contents><Key>{}</Key><Size>3</Size><ETag>"e"</ETag><LastModified>2026-01-01T00:00:00Z</LastModified></Contents>'
)


def google_pages(path):
    """Two pages, of which the second has a key that no XML can hold, written as Google and MinIO write it."""
    if parse_qs(urlsplit(path).query).get("continuation-token") == ["next"]:
        return PAGE.format(ITEM.format("b/x&#x1;.png") + ITEM.format("b/z.png"), "").encode()
    following = "<IsTruncated>true</IsTruncated><NextContinuationToken>next</NextContinuationToken>"
    return PAGE.format(ITEM.format("a/1.png") + ITEM.format("a//2.png"), following).encode()


def test_odd_keys_of_google_are_told_of_and_the_others_listed(monkeypatch):
    with answering(200, body=google_pages) as endpoint:
        monkeypatch.setenv("GOOGLE_BASE_URL", endpoint)
        keys, passed = listed(open_folder("gs://anonymous@bucket", QUICK))
    assert keys == ["a/1.png", "b/z.png"]
    assert passed == [(ODD_KEYS, "a//2.png"), (ODD_KEYS, "b/x\n.png")]


@pytest.mark.parametrize("kind", ["person", "node", "azure"])
def test_tokens_are_asked_for_where_a_library_would_and_sent(monkeypatch, tmp_path, kind):
    def answer(path):
        if "list-type" in path:
            return google_pages(path)
        if "comp=list" in path:
            return b"<EnumerationResults><Blobs><Blob><Name>x.png</Name></Blob></Blobs></EnumerationResults>"
        return json.dumps({"access_token": "the-token"}).encode()

    with answering(200, body=answer) as endpoint:
        person = {"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r"}
        (tmp_path / "adc.json").write_text(json.dumps({**person, "token_uri": f"{endpoint}/token"}))
        (tmp_path / "federated").write_text("a pod's\n")
        variables = {"GOOGLE_BASE_URL": endpoint, "AZURE_ENDPOINT": endpoint, "AZURE_AUTHORITY_HOST": endpoint}
        variables |= {"AZURE_STORAGE_ACCOUNT_NAME": "a", "AZURE_CLIENT_ID": "c", "AZURE_TENANT_ID": "t"}
        variables |= {"AZURE_FEDERATED_TOKEN_FILE": str(tmp_path / "federated"), "HOME": str(tmp_path)}
        variables |= {"GCE_METADATA_HOST": endpoint.removeprefix("http://")}
        if kind == "person":
            variables["GOOGLE_APPLICATION_CREDENTIALS"] = str(tmp_path / "adc.json")
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        keys, _ = listed(open_folder("az://container" if kind == "azure" else "gs://bucket", QUICK))
        assert keys == (["x.png"] if kind == "azure" else ["a/1.png", "b/z.png"])
        authorized = [headers["Authorization"] for _, headers in answering.requests]
        assert authorized[0] is None
        assert set(authorized[1:]) == {"Bearer the-token"}


def test_without_credentials_for_google_that_is_one_sentence(monkeypatch, tmp_path):
    with answering(404) as endpoint:
        for name, value in {"GOOGLE_BASE_URL": endpoint, "HOME": str(tmp_path)}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("GCE_METADATA_HOST", endpoint.removeprefix("http://"))
        with pytest.raises(CredentialsError, match=r"no token for the store at http://.*404"):
            list(open_folder("gs://bucket", QUICK).list())
