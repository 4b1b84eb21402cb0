"""How requests of our own are signed for Azure and Google, by the settings that obstore has found.

Azure: an account's key, a SAS, a token, a workload identity or a client's secret. Google: a node's or pod's identity,
and a person's own. What else there is needs a library of the store's.
"""

import base64
import binascii
import hashlib
import hmac
import json
import os
import time
import urllib.request
from collections.abc import Callable, Mapping
from email.utils import formatdate
from functools import partial
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

from job.errors import CredentialsError, StoreError

Query = Mapping[str, str]
Headers = Mapping[str, str]
Sign = Callable[[str, Query], tuple[Query, Headers]]
"""The query and headers to send, of a URL's path and the query that is wanted."""

_AZURE = {"x-ms-version": "2021-12-02"}
_TIMEOUT_S = 30
_TOKEN_IS_FRESH_FOR_S = 300
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def sign_for_azure(account: str, anonymous: bool) -> Sign | None:
    """None where the environment has credentials of another kind."""
    key = _variable("AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_ACCESS_KEY", "AZURE_STORAGE_MASTER_KEY")
    sas = _variable("AZURE_STORAGE_SAS_KEY", "AZURE_STORAGE_SAS_TOKEN")
    token = _variable("AZURE_STORAGE_TOKEN")
    if anonymous:
        return lambda path, query: (query, _AZURE)
    if token:
        return lambda path, query: (query, {**_AZURE, **_bearer(token)})
    if key:
        return lambda path, query: (query, _shared_key(account, key, path, query))
    if _variable("AZURE_CLIENT_ID") and _variable("AZURE_FEDERATED_TOKEN_FILE", "AZURE_CLIENT_SECRET"):
        of_client = _renewed(_azure_token)
        return lambda path, query: (query, {**_AZURE, **_bearer(of_client())})
    if sas:
        return lambda path, query: ({**query, **dict(parse_qsl(sas.lstrip("?")))}, _AZURE)
    return None


def sign_for_google(anonymous: bool) -> Sign | None:
    """Likewise."""
    if anonymous:
        return lambda path, query: (query, {})
    if _variable("GOOGLE_SERVICE_ACCOUNT", "GOOGLE_SERVICE_ACCOUNT_PATH", "GOOGLE_SERVICE_ACCOUNT_KEY"):
        return None
    given = _variable("GOOGLE_APPLICATION_CREDENTIALS") or "~/.config/gcloud/application_default_credentials.json"
    found = Path(given).expanduser()
    person = json.loads(found.read_bytes()) if found.is_file() else None
    if person is not None and person.get("type") != "authorized_user":
        return None
    token = _renewed(_metadata_token if person is None else partial(_google_token, person))
    return lambda path, query: (query, _bearer(token()))


def _variable(*names: str) -> str:
    return next((value for name in names if (value := os.environ.get(name))), "")


def _renewed(ask: Callable[[], str]) -> Callable[[], str]:
    """The token, asked for anew every few minutes: it is good for longer."""
    held: list[tuple[float, str]] = []

    def token() -> str:
        if not held or time.monotonic() - held[-1][0] > _TOKEN_IS_FRESH_FOR_S:
            held[:] = [(time.monotonic(), ask())]
        return held[-1][1]

    return token


def _shared_key(account: str, key: str, path: str, query: Query) -> Headers:
    """https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key"""
    headers = {"x-ms-date": formatdate(usegmt=True), **_AZURE}
    ours = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    asked = "".join(f"\n{name}:{query[name]}" for name in sorted(query))
    signed = "GET" + "\n" * 12 + f"{ours}/{account}{path}{asked}"
    try:
        digest = hmac.new(base64.b64decode(key), signed.encode(), hashlib.sha256).digest()
    except binascii.Error as error:
        raise StoreError(f"the key of Azure's account {account} is not base64: {error}") from error
    return {**headers, "Authorization": f"SharedKey {account}:{base64.b64encode(digest).decode()}"}


def _bearer(token: str) -> Headers:
    return {"Authorization": f"Bearer {token}"}


def _azure_token() -> str:
    """https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow"""
    form = {
        "grant_type": "client_credentials",
        "client_id": _variable("AZURE_CLIENT_ID"),
        "scope": "https://storage.azure.com/.default",
    }
    if token_file := _variable("AZURE_FEDERATED_TOKEN_FILE"):
        form |= {"client_assertion": Path(token_file).read_text().strip(), "client_assertion_type": _ASSERTION}
    else:
        form["client_secret"] = _variable("AZURE_CLIENT_SECRET")
    host = (_variable("AZURE_AUTHORITY_HOST") or "https://login.microsoftonline.com").rstrip("/")
    return _ask(f"{host}/{_variable('AZURE_TENANT_ID')}/oauth2/v2.0/token", form)


def _google_token(person: Mapping[str, str]) -> str:
    names = ("client_id", "client_secret", "refresh_token")
    form = {"grant_type": "refresh_token", **{name: person[name] for name in names}}
    return _ask(person.get("token_uri") or "https://oauth2.googleapis.com/token", form)


def _metadata_token() -> str:
    host = os.environ.get("GCE_METADATA_HOST") or "metadata.google.internal"
    return _ask(f"http://{host}/computeMetadata/v1/instance/service-accounts/default/token")


def _ask(url: str, form: Mapping[str, str] | None = None) -> str:
    data = urlencode(form).encode() if form else None
    request = urllib.request.Request(url, data, {"Metadata-Flavor": "Google"})  # noqa: S310 - the identity's own server
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310
            return str(json.loads(answer.read())["access_token"])
    except (OSError, ValueError, KeyError) as error:
        raise CredentialsError(f"there is no token for the store at {url}: {error}; check its credentials") from error
