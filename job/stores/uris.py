"""URIs as other tools write them, each in the one form that Tench keeps; what is no URI is a path.

    s3://BUCKET/KEY                                        also s3a:// and s3n://
    gs://BUCKET/KEY                                        also gcs://
    az://CONTAINER/KEY                                     also azure://, and abfs:// or abfss:// without an account
    abfss://CONTAINER@ACCOUNT.dfs.core.windows.net/KEY     also abfs://, wasb://, wasbs://, and https:// of that account
    /PATH                                                  also file:///PATH and file:/PATH

`anonymous@` may stand before the bucket or container. In the URIs of stores a percent sign is itself, as for the AWS
command line, Hadoop and fsspec: a key may hold `%20`. In `file:` and `https:` it escapes, as their standards say.

The spec's checks and `storage` both ask here.
"""

import re
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

_READ = "s3://, gs://, az://, abfss://, file:// and local paths are read"
_STORES = {"s3": "s3", "s3a": "s3", "s3n": "s3", "gs": "gs", "gcs": "gs", "az": "az", "azure": "az"}
_AZURE = ("abfs", "abfss", "wasb", "wasbs")

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
# java.net.URI and Databricks write one slash. One letter and a colon is a drive, or a folder of that name.
_ONE_SLASH = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/")
_NO_SLASH = re.compile(rf"({'|'.join([*_STORES, *_AZURE])}):", re.IGNORECASE)
_DATA = re.compile(r"data:[\w.+-]*/?[\w.+-]*[;,]", re.IGNORECASE)

_HOST = r"(?P<account>[a-z0-9-]+)\.(?:dfs|blob)\.core\.windows\.net"
_AZURE_PLACE = re.compile(rf"(?P<container>[^/@]+)@{_HOST}", re.IGNORECASE)
_AZURE_HOST = re.compile(_HOST, re.IGNORECASE)
_S3_HOST = re.compile(r"(?:(?P<bucket>[^/]+)\.)?s3[.-](?:[a-z0-9.-]+\.)?amazonaws\.com(?:\.cn)?", re.IGNORECASE)
_GOOGLE_HOST = re.compile(r"(?:(?P<bucket>[^/]+)\.)?storage\.(?:googleapis|cloud\.google)\.com", re.IGNORECASE)

_BUCKET = re.compile(
    r"(?P<root>(?P<scheme>s3|gs|az)://(?P<anonymous>anonymous@)?(?P<bucket>[^/@]+))(?:/(?P<key>.*))?", re.DOTALL
)
_ACCOUNT = re.compile(
    r"(?P<root>abfss://(?P<anonymous>anonymous@)?(?P<bucket>[^/@]+@[a-z0-9-]+)\.dfs\.core\.windows\.net)(?:/(?P<key>.*))?",
    re.DOTALL,
)


class BucketUri(NamedTuple):
    """The parts of a bucket's URI; `bucket` is `CONTAINER@ACCOUNT` where it names an account of Azure's."""

    root: str
    scheme: str
    bucket: str
    anonymous: bool
    key: str


def split_bucket(uri: str) -> BucketUri | None:
    """The parts of a bucket's URI, in the one form; None for a path. Raises ValueError as `canonical` does."""
    found = _match(uri) or _match(canonical(uri))
    if found is None:
        return None
    scheme = found.groupdict().get("scheme") or "az"
    return BucketUri(found["root"], scheme, found["bucket"], found["anonymous"] is not None, found["key"] or "")


def canonical(uri: str) -> str:
    """The one form of a URI; a path stays as it is. Raises ValueError, with the way out, for what is not read."""
    if _match(uri):
        return uri
    if scheme := _SCHEME.match(uri):
        return _from_scheme(scheme[1].lower(), uri[scheme.end() :])
    if _DATA.match(uri):
        raise ValueError("data: URIs are not read; keep the bytes in a column of their own (image_column)")
    one = _ONE_SLASH.match(uri)
    if one and one[1].lower() == "file":
        return _path(uri[one.end() - 1 :])
    if _NO_SLASH.match(uri):
        raise ValueError("a store's URI has two slashes after the colon, such as s3://bucket/folder/")
    if one:
        raise ValueError(f"unknown scheme {one[1]}:; {_READ}")
    return uri


def anonymous_root(uri: str) -> str | None:
    """The bucket of a URI, with `anonymous@`; None where the URI has no `anonymous@`. Raises ValueError."""
    bucket = split_bucket(uri)
    return bucket.root if bucket and bucket.anonymous else None


def named_plainly(uri: str) -> str:
    """A bucket's URI without `anonymous@`; a path as it is."""
    return uri.replace("://anonymous@", "://", 1)


def unescaped(key: str) -> str:
    """A key or a path with its percent escapes resolved; as it is where they are none, or no text."""
    try:
        return unquote_to_bytes(key).decode()
    except UnicodeDecodeError:
        return key


def _match(uri: str) -> re.Match[str] | None:
    return _BUCKET.fullmatch(uri) or _ACCOUNT.fullmatch(uri)


def _from_scheme(scheme: str, rest: str) -> str:
    if scheme == "file":
        return _file(rest)
    user, at, place = rest.partition("/")[0].rpartition("@")
    if scheme == "https" and _AZURE_HOST.fullmatch(place) and user in ("", "anonymous"):
        return _azure_https(f"{user}{at}", rest.removeprefix(f"{user}{at}"))
    if scheme in _AZURE and at and user not in ("", "anonymous"):
        return _azure_hosted(rest)
    known = "az" if scheme in _AZURE else _STORES.get(scheme)
    if known is None:
        raise ValueError(f"unknown scheme {scheme}://; {_READ}{_store_of(scheme, rest)}")
    if at and user != "anonymous":
        raise ValueError("only anonymous@ may stand before the bucket; credentials come from the environment")
    if not place:
        raise ValueError("names no bucket")
    return f"{known}://{rest}"


def _file(rest: str) -> str:
    host, slash, path = rest.partition("/")
    if not slash or host.lower() not in ("", "localhost"):
        raise ValueError(f"names the host {host!r}; a file of this machine is file:///PATH, with three slashes")
    return _path(slash + path)


def _path(escaped: str) -> str:
    path = unescaped(escaped)
    if "\0" in path:
        raise ValueError("has a NUL character, which neither a path nor a URI can have")
    return path


def _azure_hosted(rest: str) -> str:
    """`[anonymous@]CONTAINER@ACCOUNT.dfs.core.windows.net/KEY`."""
    place, slash, key = rest.partition("/")
    anonymous = "anonymous@" if place.startswith("anonymous@") and place.count("@") == 2 else ""
    found = _AZURE_PLACE.fullmatch(place.removeprefix(anonymous))
    if found is None:
        raise ValueError("the URI of a container is abfss://CONTAINER@ACCOUNT.dfs.core.windows.net/KEY")
    return f"{_azure_root(anonymous, found['container'], found['account'])}{slash}{key}"


def _azure_https(anonymous: str, rest: str) -> str:
    """`ACCOUNT.blob.core.windows.net/CONTAINER/KEY`, escaped."""
    host, _, path = rest.partition("/")
    if "?" in path:
        raise ValueError("what stands after ? may be a secret; leave it out, credentials come from the environment")
    container, slash, key = path.partition("/")
    account = _AZURE_HOST.fullmatch(host)
    if not container or account is None:
        raise ValueError("names no container")
    return f"{_azure_root(anonymous, container, account['account'])}{slash}{unescaped(key)}"


def _azure_root(anonymous: str, container: str, account: str) -> str:
    return f"abfss://{anonymous}{container}@{account.lower()}.dfs.core.windows.net"


def _store_of(scheme: str, rest: str) -> str:
    """How to name an object of S3 or Google that is given by its address on the web."""
    host, _, path = rest.partition("/")
    for store, pattern in (("s3", _S3_HOST), ("gs", _GOOGLE_HOST)):
        found = pattern.fullmatch(host) if scheme in ("http", "https") else None
        if found:
            place = path if found["bucket"] is None else f"{found['bucket']}/{path}"
            return f"; it is {store}://{unescaped(place.partition('?')[0])}"
    return ""
