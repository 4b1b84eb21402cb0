"""S3 requests through boto3, for listings and for keys that obstore cannot send. Loading it takes a third of a second.

Its own parser would take 65 µs a key of a listing; `s3_listing` takes the objects out before it runs.
"""

import os
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import boto3
import botocore.handlers
import botocore.session
import pyarrow as pa
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    ParamValidationError,
    ResponseStreamingError,
)

from job.errors import ObjectChanged, StoreError
from job.stores.folder import Entry, PassOver, quoted, same_etag
from job.stores.range_listing import list_in_ranges
from job.stores.refusals import redirected, refusal
from job.stores.retry import RetryPolicy, TransientError, retry
from job.stores.s3_listing import take_objects

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def open_session() -> boto3.Session:
    """A session of the environment as it is now; they share the loader, which saves a tenth of a second each."""
    session = botocore.session.get_session()
    session.register_component("data_loader", _loader())
    return boto3.Session(botocore_session=session)


def open_client(
    session: boto3.Session,
    policy: RetryPolicy,
    anonymous: bool = False,
    endpoint: str | None = None,
    region: str | None = None,
) -> "S3Client":
    """A client that tries once; endpoint and region are boto3's own findings where none are given."""
    config = Config(
        connect_timeout=policy.request_timeout_s,
        read_timeout=policy.request_timeout_s,
        retries={"total_max_attempts": 1},
        request_checksum_calculation="when_required",  # S3's look-alikes refuse the newer checksums
        response_checksum_validation="when_required",
        s3={"addressing_style": "path"} if endpoint else None,
        signature_version=UNSIGNED if anonymous else None,
    )
    region = region or session.region_name or "us-east-1"
    client = session.client("s3", region_name=region, endpoint_url=endpoint, config=config)
    _take_listings(client)
    if requester_pays():  # obstore reads the variable by itself
        client.meta.events.register("before-call.s3", _offer_to_pay)
    return client


@lru_cache(maxsize=1)
def _loader() -> Any:
    return botocore.session.get_session().get_component("data_loader")


class BotoObjects:
    """One bucket's requests, by whole key, each tried once; `list` and `folders` alone have their own retries."""

    def __init__(self, client: "S3Client", bucket: str, root: str, policy: RetryPolicy) -> None:
        self._client = client
        self._bucket = bucket
        self._root = root
        self._policy = policy

    def get(self, key: str, etag: str | None = None) -> bytes:
        try:
            return self._get(key, etag, {})
        except Exception as error:
            raise self._translate(error, key) from error

    def get_range(self, key: str, start: int, length: int, etag: str | None = None) -> bytes:
        try:
            return self._get(key, etag, {"Range": f"bytes={start}-{start + length - 1}"})
        except Exception as error:
            if isinstance(error, ClientError) and _status(error) == 416:
                return b""
            raise self._translate(error, key) from error

    def _get(self, key: str, etag: str | None, options: dict[str, Any]) -> bytes:
        changed = ObjectChanged(f"{self._root}/{key} was changed since it was listed")
        if etag:
            options = {**options, "IfMatch": quoted(etag)}
        try:
            answer = self._client.get_object(Bucket=self._bucket, Key=key, **options)
        except ClientError as error:
            if _status(error) == 412:
                raise changed from error
            raise
        if etag and not same_etag(etag, answer["ETag"]):  # the store did not heed the condition
            raise changed
        return answer["Body"].read()

    def head(self, key: str) -> Entry:
        try:
            answer = self._client.head_object(Bucket=self._bucket, Key=key)
        except Exception as error:
            raise self._translate(error, key) from error
        return Entry(key, answer["ContentLength"], answer["ETag"])

    def put(self, key: str, data: bytes, create: bool) -> str:
        try:
            if create:
                return self._client.put_object(Bucket=self._bucket, Key=key, Body=data, IfNoneMatch="*")["ETag"]
            return self._client.put_object(Bucket=self._bucket, Key=key, Body=data)["ETag"]
        except Exception as error:
            raise self._translate(error, key) from error

    def list(self, prefix: str, pass_over: PassOver | None = None) -> Iterator[pa.Table]:
        def pages(after: str) -> Iterator[pa.Table]:
            found = (answer["Rows"] for answer in self._pages(prefix, {"StartAfter": after} if after else {}))
            return (table for table in found if table.num_rows)

        return list_in_ranges(pages)

    def folders(self, prefix: str) -> Sequence[str]:
        pages = self._pages(prefix, {"Delimiter": "/"})
        return [each["Prefix"] for page in pages for each in page.get("CommonPrefixes", [])]

    def delete(self, key: str) -> None:
        try:
            self._client.delete_object(Bucket=self._bucket, Key=key)
        except Exception as error:
            raise self._translate(error, key) from error

    def _pages(self, prefix: str, options: dict[str, Any]) -> Iterator[dict[str, Any]]:
        query = {"Bucket": self._bucket, "Prefix": prefix, **options}
        while True:
            answer = retry(self._policy, f"listing {self._root}/{prefix}", lambda: self._list_page(prefix, query))
            yield answer
            if not answer.get("IsTruncated"):
                return
            query["ContinuationToken"] = answer["NextContinuationToken"]

    def _list_page(self, prefix: str, query: dict[str, Any]) -> dict[str, Any]:
        try:
            return dict(self._client.list_objects_v2(**query))
        except Exception as error:
            translated = self._translate(error, prefix)
            raise translated if isinstance(translated, TransientError) else StoreError(str(translated)) from error

    def _translate(self, error: Exception, key: str) -> Exception:
        uri = f"{self._root}/{key}"
        if isinstance(error, ObjectChanged):
            return error
        if isinstance(error, RecursionError):  # botocore follows what says not where to
            return redirected(uri, "a redirect without a location")
        if isinstance(error, ClientError):
            return _translate_answer(error, uri)
        if isinstance(error, (HTTPClientError, ResponseStreamingError)):
            return TransientError(str(error))
        if isinstance(error, BotoCoreError) and not isinstance(error, ParamValidationError):
            return StoreError(f"{uri}: {error}; check the credentials and the endpoint")
        return StoreError(f"{uri}: {error}")


def _translate_answer(error: ClientError, uri: str) -> Exception:
    status = _status(error)
    code = error.response.get("Error", {}).get("Code", "")
    if code == "NoSuchBucket":
        return StoreError(f"{uri}: there is no such bucket")
    if status == 404:
        return FileNotFoundError(f"{uri}: no such object")
    if status == 412:
        return FileExistsError(f"{uri} exists already")
    return refusal(uri, status, code, str(error), str(error.response.get("Error", {}).get("StorageClass", "")))


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500))


def requester_pays() -> bool:
    """Whether the user offers to pay for what is read of buckets whose owners do not, as obstore and GDAL are told."""
    return os.environ.get("AWS_REQUEST_PAYER", "").lower() in ("requester", "true")


def _offer_to_pay(params: dict[str, Any], **_: Any) -> None:
    params["headers"]["x-amz-request-payer"] = "requester"


def _take_listings(client: "S3Client") -> None:
    """Has a listing's objects taken out before botocore looks for an error in its body, which parses all of it."""
    events, of_all = client.meta.events, "before-parse.s3.*"
    events.register_first(of_all, _parse_listing)
    look_for_error = getattr(botocore.handlers, "_handle_200_error", None)
    if look_for_error:
        events.unregister(of_all, look_for_error)
        events.register(of_all, look_for_error)


def _parse_listing(
    operation_model: Any, response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: Any
) -> None:
    """Take the objects out of a listing's XML before botocore parses it, and hand them over as a table, `Rows`."""
    if operation_model.name == "ListObjectsV2" and response_dict["status_code"] == 200:
        customized_response_dict["Rows"], response_dict["body"] = take_objects(response_dict["body"])
