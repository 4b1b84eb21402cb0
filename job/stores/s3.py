"""An S3 bucket: obstore with the user's AWS credentials, and boto3 for what obstore cannot do.

One object with a control character in its key makes an obstore listing fail as a whole, and a slash at a key's end is
lost there; so boto3 lists, and reads and writes the keys that obstore refuses.
"""

import logging
import os
import re
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from datetime import timedelta
from email.message import Message
from functools import cached_property
from typing import TYPE_CHECKING

import pyarrow as pa

from job.errors import CredentialsError, StoreError
from job.stores.folder import Entry, PassOver
from job.stores.obstore_client import ObstoreObjects, is_plain
from job.stores.retry import RetryPolicy, TransientError, retry

if TYPE_CHECKING:
    from boto3 import Session
    from mypy_boto3_s3 import S3Client
    from obstore.store import ClientConfig, RetryConfig, S3Config, S3CredentialProvider, S3Store

    from job.stores.boto_client import BotoObjects

log = logging.getLogger(__name__)

_AWS_ENDPOINT = re.compile(r"https://s3([.-][^/]+)?\.amazonaws\.com(\.cn)?/?")
# Off AWS's network no answer may ever come, so patience for the region is short.
_REGION_PATIENCE = RetryPolicy(deadline_s=10, request_timeout_s=5)
# botocore renews credentials ten minutes before they end, so what it gives is good for that long.
_CREDENTIALS_ARE_FRESH_FOR = timedelta(minutes=5)


class S3Objects:
    """One bucket's requests, by whole key, each tried once; `anonymous` signs none of them.

    Raises CredentialsError where there are none that work: they are looked for first, and the region, for which AWS is
    asked, when they are found.
    """

    def __init__(self, bucket: str, anonymous: bool, policy: RetryPolicy) -> None:
        self._bucket = bucket
        self._anonymous = anonymous
        self._policy = policy
        self._root = f"s3://{'anonymous@' if anonymous else ''}{bucket}"
        provider = None if anonymous else self._find_credentials()
        self._endpoint, self._region = self._locate()
        self._plain = self._open_obstore(provider)

    def get(self, key: str, etag: str | None = None) -> bytes:
        return (self._plain if is_plain(key) else self._odd).get(key, etag)

    def get_range(self, key: str, start: int, length: int, etag: str | None = None) -> bytes:
        return (self._plain if is_plain(key) else self._odd).get_range(key, start, length, etag)

    def head(self, key: str) -> Entry:
        return self._plain.head(key) if is_plain(key) else self._odd.head(key)

    def put(self, key: str, data: bytes, create: bool) -> str:
        return (self._plain if is_plain(key) else self._odd).put(key, data, create)

    def list(self, prefix: str, pass_over: PassOver | None = None) -> Iterator[pa.Table]:
        return self._odd.list(prefix)

    def folders(self, prefix: str) -> Sequence[str]:
        return self._odd.folders(prefix)

    def delete(self, key: str) -> None:
        self._odd.delete(key)  # obstore POSTs even one key as a list, which not every store takes

    @cached_property
    def _odd(self) -> "BotoObjects":
        from job.stores.boto_client import BotoObjects, open_client

        client = open_client(self._session, self._policy, self._anonymous, self._endpoint, self._region)
        return BotoObjects(client, self._bucket, self._root, self._policy)

    def _locate(self) -> tuple[str | None, str]:
        """The endpoint, None for AWS itself, and the bucket's region there."""
        if self._anonymous:
            endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
            region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
            aws = f"https://s3.{region}.amazonaws.com"
        else:
            client = self._find_client()
            region = client.meta.region_name
            aws = client.meta.endpoint_url
            endpoint = None if is_aws(aws) else aws
        return endpoint, region if endpoint else find_region(aws, self._bucket, region)

    def _find_client(self) -> "S3Client":
        """boto3 looks for the endpoint and the region in the environment, the profile and the node."""
        from botocore.exceptions import BotoCoreError

        from job.stores.boto_client import open_client

        try:
            return open_client(self._session, self._policy)
        except (BotoCoreError, ValueError) as error:
            raise StoreError(f"{self._root}: {error}; check AWS_PROFILE and the AWS settings") from error

    @cached_property
    def _session(self) -> "Session":
        from job.stores.boto_client import open_session

        return open_session()

    def _open_obstore(self, provider: "S3CredentialProvider | None") -> ObstoreObjects:
        from obstore.store import S3Store

        config: S3Config = {"region": self._region, "skip_signature": self._anonymous}
        if self._endpoint:
            config["endpoint"] = self._endpoint

        def build(client: "ClientConfig", retries: "RetryConfig") -> "S3Store":
            return S3Store(
                self._bucket, config=config, client_options=client, retry_config=retries, credential_provider=provider
            )

        return ObstoreObjects(self._root, build, self._policy)

    def _find_credentials(self) -> "S3CredentialProvider":
        """Those of boto3, asked for once: what a role or a login gives comes from a server, which may refuse."""
        from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
        from obstore.auth.boto3 import Boto3CredentialProvider

        def ask() -> "S3CredentialProvider":
            try:
                provider = Boto3CredentialProvider(self._session, ttl=_CREDENTIALS_ARE_FRESH_FOR)
                provider.credentials.get_frozen_credentials()
            except HTTPClientError as error:
                raise TransientError(str(error)) from error
            except (BotoCoreError, ClientError, OSError) as error:
                said = " ".join(str(error).split())
                raise CredentialsError(f"{self._root}: {said}; check AWS_PROFILE and the AWS settings") from error
            except ValueError as error:
                ways = f"set AWS_PROFILE or AWS_ACCESS_KEY_ID, or write s3://anonymous@{self._bucket}/ if it is public"
                raise CredentialsError(f"{self._root}: there are no AWS credentials here; {ways}") from error
            return provider

        return retry(self._policy, f"the AWS credentials for {self._root}", ask)


def is_aws(endpoint: str) -> bool:
    """Whether an endpoint is AWS itself, where a bucket's region decides on the host."""
    return _AWS_ENDPOINT.fullmatch(endpoint) is not None


def find_region(endpoint: str, bucket: str, default: str, policy: RetryPolicy = _REGION_PATIENCE) -> str:
    """The region that AWS names in its answer about a bucket, even in a refusal; `default` where no answer comes."""
    request = urllib.request.Request(f"{endpoint.rstrip('/')}/{bucket}", method="HEAD")  # noqa: S310 - AWS's own

    def ask() -> Message:
        try:
            with urllib.request.urlopen(request, timeout=policy.request_timeout_s) as answer:  # noqa: S310
                headers: Message = answer.headers
        except urllib.error.HTTPError as error:
            headers = error.headers
        except OSError as error:
            raise TransientError(str(error)) from error
        return headers

    try:
        headers = retry(policy, f"the region of {bucket}", ask)
    except StoreError as error:
        log.warning("%s; taking it for %s", error, default)
        return default
    return headers.get("x-amz-bucket-region") or default
