"""A real Azure server for tests: Azurite, Microsoft's own, in a process beside this one.

npm installs it into build/azurite once; nothing is asked of the network after that.
"""

import base64
import hashlib
import hmac
import json
import os
import re
import shutil
import subprocess
import urllib.request
import uuid
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path
from urllib.parse import quote

import pytest
from filelock import FileLock

AZURITE = "azurite@3.37.0"
HOME = Path(__file__).parents[1] / "build" / "azurite"
_MAIN = HOME / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
_OPTIONS = ("--blobHost", "127.0.0.1", "--blobPort", "0", "--silent", "--disableTelemetry", "--skipApiVersionCheck")
# Every Azurite's, as its documentation has them.
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
_VERSION = "2021-08-06"


def start_server():
    """A server on a free port, in this process's care, and its endpoint. Skips where there is no npm."""
    _install()
    command = ["node", str(_MAIN), *_OPTIONS, "--inMemoryPersistence"]
    server = subprocess.Popen(command, cwd=HOME, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    for line in server.stdout:
        if found := re.search(r"successfully listens on (http://\S+)", line):
            return server, f"{found[1]}/{ACCOUNT}"
    raise RuntimeError(f"Azurite ended with {server.wait()}")


def environment(endpoint):
    """What a user sets to work with a server of their own."""
    return {"AZURE_STORAGE_ACCOUNT_NAME": ACCOUNT, "AZURE_STORAGE_ACCOUNT_KEY": KEY, "AZURE_ENDPOINT": endpoint}


def _install():
    if not (shutil.which("node") and shutil.which("npm")):
        _do_without("node and npm are not on PATH; install Node.js: https://nodejs.org")
    HOME.mkdir(parents=True, exist_ok=True)
    with FileLock(HOME / ".lock"):
        if _is_installed():
            return
        command = ["npm", "install", "--prefix", str(HOME), "--no-audit", "--no-fund", "--silent", AZURITE]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if not _is_installed():
            _do_without(f"npm could not install {AZURITE}: {' '.join((done.stderr or done.stdout).split())[:300]}")


def _is_installed():
    package = _MAIN.parents[3] / "package.json"
    return _MAIN.exists() and f"azurite@{json.loads(package.read_text())['version']}" == AZURITE


def _do_without(why):
    if "azurite" in os.environ.get("TENCH_TESTS_REQUIRE", "").split():
        pytest.fail(f"{why}, and TENCH_TESTS_REQUIRE names azurite", pytrace=False)
    pytest.skip(f"no Azure server for the tests: {why}")


@dataclass
class Container:
    """A new container, spoken to in HTTP of our own: its keys can be any that Azure has."""

    endpoint: str
    name: str = field(default_factory=lambda: f"test-{uuid.uuid4().hex[:12]}")

    def __post_init__(self):
        self._ask("PUT", f"/{ACCOUNT}/{self.name}", {"x-ms-blob-public-access": "container"}, query="restype:container")

    @property
    def uri(self):
        return f"az://{self.name}"

    @property
    def anonymous_uri(self):
        return f"az://anonymous@{self.name}"

    def put(self, key, data):
        self._ask("PUT", self._path(key), {"x-ms-blob-type": "BlockBlob"}, data)
        return f"{self.uri}/{key}"

    def put_folder(self, folder, prefix):
        """The files below a local folder; the URI of where they are."""
        for path in sorted(Path(folder).rglob("*")):
            if path.is_file():
                self.put(f"{prefix}/{path.relative_to(folder).as_posix()}", path.read_bytes())
        return f"{self.uri}/{prefix}"

    def archive(self, key):
        self._ask("PUT", self._path(key), {"x-ms-access-tier": "Archive"}, query="comp:tier")

    def get(self, key):
        return self._ask("GET", self._path(key), {})

    def _path(self, key):
        return f"/{ACCOUNT}/{self.name}/{quote(key, safe='')}"

    def _ask(self, method, path, headers, data=b"", query=""):
        """https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key"""
        headers = {**headers, "x-ms-date": formatdate(usegmt=True), "x-ms-version": _VERSION}
        ours = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
        kind = "application/octet-stream"
        signed = f"{method}\n\n\n{len(data) or ''}\n\n{kind}\n\n\n\n\n\n\n{ours}/{ACCOUNT}{path}" + f"\n{query}" * bool(
            query
        )
        digest = hmac.new(base64.b64decode(KEY), signed.encode(), hashlib.sha256).digest()
        headers |= {"Content-Type": kind, "Authorization": f"SharedKey {ACCOUNT}:{base64.b64encode(digest).decode()}"}
        url = self.endpoint.removesuffix(f"/{ACCOUNT}") + path + f"?{query.replace(':', '=')}" * bool(query)
        request = urllib.request.Request(url, data if method == "PUT" else None, headers, method=method)
        with urllib.request.urlopen(request) as answer:
            return answer.read()
