"""Listings of Azure and Google in requests of our own: one key that obstore cannot take makes it refuse a whole page.

Both answer XML. The requests are signed in the ways that need no library of the store's.
"""

import os
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from urllib.parse import quote, unquote, urlencode, urlsplit
from xml.etree import ElementTree

from job.errors import StoreError
from job.stores.folder import quoted
from job.stores.http_credentials import Sign, sign_for_azure, sign_for_google
from job.stores.refusals import refusal
from job.stores.retry import RetryPolicy, TransientError, retry

Row = tuple[str, int, str]
_KEYS_A_PAGE = "5000"
# What XML cannot hold, and servers send all the same; a newline is as odd in a key, and can be parsed.
_REFERENCE = rb"&#(?:x0*(?:[0-8bcef]|1[0-9a-f])|0*(?:[0-8]|1[124-9]|2\d|3[01]));"
_UNPARSABLE = re.compile(_REFERENCE + rb"|[\x00-\x08\x0b\x0c\x0e-\x1f]", re.IGNORECASE)


class HttpListing:
    """A bucket's listing, page by page, each tried again as the policy says."""

    def __init__(
        self, root: str, url: str, sign: Sign, parse: Callable[[bytes], tuple[list[Row], str]], policy: RetryPolicy
    ) -> None:
        self._root, self._url, self._sign, self._parse, self._policy = root, url, sign, parse, policy
        self._names = ("continuation-token", "list-type") if root.startswith("gs://") else ("marker", "comp")

    def pages(self, prefix: str) -> Iterator[list[Row]]:
        """Key, size and etag of all objects whose keys begin with the prefix. Raises StoreError."""
        marker, kind = self._names
        query = {"list-type": "2"} if kind == "list-type" else {"comp": "list", "restype": "container"}
        query |= {"prefix": prefix, **({} if kind == "list-type" else {"maxresults": _KEYS_A_PAGE})}
        while True:
            body = retry(self._policy, f"listing {self._root}/{prefix}", lambda: self._get(dict(query)))
            rows, following = self._parse(_UNPARSABLE.sub(b"&#10;", body))
            yield rows
            if not following:
                return
            query[marker] = following

    def _get(self, query: Mapping[str, str]) -> bytes:
        signed, headers = self._sign(urlsplit(self._url).path, query)
        address = f"{self._url}?{urlencode(signed, quote_via=quote)}"
        request = urllib.request.Request(address, headers=dict(headers))  # noqa: S310 - the store's own endpoint
        try:
            with urllib.request.urlopen(request, timeout=self._policy.request_timeout_s) as answer:  # noqa: S310
                return bytes(answer.read())
        except urllib.error.HTTPError as error:
            text = error.read().decode(errors="replace")
            code = re.search(r"<Code>(\w+)</Code>", text)
            raise refusal(self._root, error.code, code[1] if code else "", " ".join(text.split())[:400]) from error
        except OSError as error:
            raise TransientError(str(error)) from error


def list_azure(root: str, container: str, account: str, anonymous: bool, policy: RetryPolicy) -> HttpListing | None:
    """Of a container; None where its credentials are of a kind that is not ours to use."""
    sign = sign_for_azure(account, anonymous)
    endpoint = os.environ.get("AZURE_ENDPOINT") or os.environ.get("AZURE_STORAGE_ENDPOINT")
    url = (endpoint or f"https://{account}.blob.core.windows.net").rstrip("/")
    return HttpListing(root, f"{url}/{quote(container)}", sign, _parse_azure, policy) if sign else None


def list_google(root: str, bucket: str, anonymous: bool, policy: RetryPolicy) -> HttpListing | None:
    """Likewise, of a bucket."""
    sign = sign_for_google(anonymous)
    url = (os.environ.get("GOOGLE_BASE_URL") or "https://storage.googleapis.com").rstrip("/")
    return HttpListing(root, f"{url}/{quote(bucket)}", sign, _parse_google, policy) if sign else None


def _parse_azure(body: bytes) -> tuple[list[Row], str]:
    root = _tree(body)
    rows = []
    for blob in root.iterfind("Blobs/Blob"):
        name = blob.find("Name")
        if name is None or blob.findtext("Properties/ResourceType") == "directory":
            continue
        key = unquote(name.text or "") if name.get("Encoded") == "true" else name.text or ""
        etag = quoted(blob.findtext("Properties/Etag", ""))
        rows.append((key, int(blob.findtext("Properties/Content-Length", "0")), etag))
    return rows, root.findtext("NextMarker") or ""


def _parse_google(body: bytes) -> tuple[list[Row], str]:
    root = _tree(body)
    space = root.tag[: root.tag.find("}") + 1]
    names = [space + name for name in ("Key", "Size", "ETag")]
    found = ([item.findtext(name, "") for name in names] for item in root.iterfind(f"{space}Contents"))
    rows = [(key, int(size), quoted(etag)) for key, size, etag in found]
    return rows, root.findtext(f"{space}NextContinuationToken") or ""


def _tree(body: bytes) -> ElementTree.Element:
    try:
        return ElementTree.fromstring(body)  # noqa: S314 - the store's answer; expat bounds entities
    except ElementTree.ParseError as error:
        raise StoreError(f"the store's listing is no XML: {error}") from error
