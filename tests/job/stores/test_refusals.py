"""What a store refuses: at once where it never passes, in words that say what to do, and again where it may pass."""

from contextlib import suppress

import pytest
from answering import answering
from forked_command import call_tench
from run_specs import make_spec

from job.errors import StoreError
from job.stores.storage import RetryPolicy, open_folder

QUICK = RetryPolicy(first_delay_s=0.01, max_delay_s=0.05, deadline_s=30, request_timeout_s=1)
STORES = [
    ("s3://bucket", "plain"),
    ("s3://bucket", "odd\n"),
    ("az://bucket", "plain"),
    ("gs://anonymous@bucket", "plain"),
]
GLACIER = b"<Error><Code>InvalidObjectState</Code><StorageClass>DEEP_ARCHIVE</StorageClass></Error>"


def error(code):
    return f"<Error><Code>{code}</Code></Error>".encode()


@pytest.fixture
def lead(monkeypatch):
    """Leads all stores to an endpoint."""

    def lead(endpoint):
        for name in ("AWS_ENDPOINT_URL", "AZURE_ENDPOINT", "GOOGLE_BASE_URL"):
            monkeypatch.setenv(name, endpoint)

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AZURE_STORAGE_ACCOUNT_NAME"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "a2V5")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    return lead


@pytest.mark.parametrize(("root", "key"), STORES)
@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (501, error("NotImplemented"), "NotImplemented|501"),
        (505, error("Other"), "505|Other"),
        (301, error("PermanentRedirect"), "it is elsewhere; check the region and the endpoint"),
        (307, error("TemporaryRedirect"), "it is elsewhere; check the region and the endpoint"),
        (409, error("BlobArchived"), r"is archived \(BlobArchived\); restore it"),
        (409, error("BlobBeingRehydrated"), r"is archived \(BlobBeingRehydrated\); restore it"),
        (409, error("PublicAccessNotPermitted"), "access denied"),
        (403, GLACIER, r"is archived \(DEEP_ARCHIVE\); restore it"),
    ],
)
def test_what_never_passes_is_not_waited_for(lead, root, key, status, body, words):
    with answering(status, body=body) as endpoint:
        lead(endpoint)
        with pytest.raises(StoreError, match=rf"{root}/(?s:{key}).*({words})") as raised:
            open_folder(root, QUICK).read(key)
        assert "gave up" not in str(raised.value)
        if key == "plain":  # for the others boto3 looks for the bucket's region after each redirect
            assert len(answering.requests) == 1


@pytest.mark.parametrize(("root", "key"), STORES)
@pytest.mark.parametrize(("status", "code"), [(400, "RequestTimeout"), (409, "OperationAborted"), (503, "SlowDown")])
def test_what_may_pass_is_tried_again(lead, root, key, status, code):
    with answering(status, body=error(code)) as endpoint:
        lead(endpoint)
        with pytest.raises(StoreError, match=r"gave up after \d+ tries"):
            open_folder(root, RetryPolicy(first_delay_s=0.01, max_delay_s=0.05, deadline_s=0.3)).read(key)
        assert len(answering.requests) > 2


def test_an_archived_blob_of_azure_s_own_is_named_at_once(azurite):
    azurite.put("old.jpg", b"data")
    azurite.archive("old.jpg")
    with pytest.raises(StoreError, match=rf"{azurite.uri}/old\.jpg is archived \(BlobArchived\); restore it"):
        open_folder(azurite.uri).read("old.jpg")


@pytest.mark.parametrize("value", ["requester", "true", None])
@pytest.mark.parametrize("key", ["plain", "odd\n"])
def test_who_offers_to_pay_says_so_in_every_request(lead, monkeypatch, key, value):
    monkeypatch.setenv("AWS_REQUEST_PAYER", value) if value else monkeypatch.delenv("AWS_REQUEST_PAYER", False)
    with answering(404, body=error("NoSuchKey")) as endpoint:
        lead(endpoint)
        folder = open_folder("s3://bucket", QUICK)
        for call in (folder.read, folder.head, lambda key: list(folder.list())):
            with suppress(FileNotFoundError, StoreError):
                call(key)
        said = {headers["x-amz-request-payer"] for _, headers in answering.requests}
        assert (len(answering.requests) >= 3, said) == (True, {"requester" if value else None})


@pytest.mark.parametrize("store", ["s3", "azurite"])
def test_a_bucket_that_is_not_there_is_one_sentence_for_every_command(request, tmp_path, store):
    there = request.getfixturevalue(store)
    scheme, _, _ = there.uri.partition("://")
    gone, run = f"{scheme}://there-is-none", f"{scheme}://there-is-none/runs/mine-12345678"
    from_it = make_spec(gone, source={"uri": f"{gone}/images"}, output={"uri": f"{there.uri}/runs"})
    into_it = make_spec(gone, source={"uri": f"{there.uri}/images"}, output={"uri": f"{gone}/runs"})
    (tmp_path / "from.json").write_text(from_it.model_dump_json())
    (tmp_path / "into.json").write_text(into_it.model_dump_json())
    calls = [[command, spec] for command in ("plan", "run") for spec in ("from.json", "into.json")]
    for call in [*calls, *([command, run] for command in ("status", "verify", "collect", "logs"))]:
        done = call_tench(*call, cwd=tmp_path)
        assert done.returncode in (1, 2, 3), call
        assert "there is no such bucket" in done.stderr, (call, done.stderr)
        assert "Traceback" not in done.stderr
