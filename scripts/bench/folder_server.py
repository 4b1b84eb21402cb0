"""A folder of this machine as an S3 bucket over real HTTP, for reading: `python -m scripts.bench.folder_server FOLDER`.

Prints its endpoint and serves until its input ends. Each subfolder is a bucket. `LATENCY_S` is how long every answer
takes at least; a store across a network takes 0.01 to 0.03.
"""

import hashlib
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

_KEYS_A_PAGE = 1000
_OBJECT = (
    "<Contents><Key>{}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>&quot;{}&quot;</ETag>"
    "<Size>{}</Size><StorageClass>STANDARD</StorageClass></Contents>"
)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    root: Path
    latency_s: float

    def do_GET(self) -> None:
        time.sleep(self.latency_s)
        url = urlsplit(self.path)
        bucket, _, key = unquote(url.path).lstrip("/").partition("/")
        if not key:
            self._list(self.root / bucket, {name: values[0] for name, values in parse_qs(url.query).items()})
            return
        path = self.root / bucket / key
        if not path.is_file():
            self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
            return
        size = path.stat().st_size
        first, _, last = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
        start, stop = int(first), min(size, int(last) + 1 if last else size)
        with path.open("rb") as file:
            file.seek(start)
            data = file.read(stop - start) if self.command == "GET" else b""
        headers = {"ETag": f'"{_etag(path)}"', "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}
        if "Range" in self.headers:
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
        self._answer(206 if "Range" in self.headers else 200, data, headers, stop - start)

    do_HEAD = do_GET  # noqa: N815 - http.server's name

    def _list(self, folder: Path, query: dict[str, str]) -> None:
        prefix, after = query.get("prefix", ""), query.get("continuation-token") or query.get("start-after", "")
        keys = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
        found = [key for key in keys if key.startswith(prefix) and key > after]
        page = found[:_KEYS_A_PAGE]
        objects = "".join(
            _OBJECT.format(escape(key), _etag(folder / key), (folder / key).stat().st_size) for key in page
        )
        more = f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if len(found) > len(page) else ""
        state = f"<IsTruncated>{str(bool(more)).lower()}</IsTruncated><KeyCount>{len(page)}</KeyCount>{more}"
        namespace = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
        self._answer(200, f"<ListBucketResult {namespace}>{state}{objects}</ListBucketResult>".encode())

    def _answer(self, status: int, data: bytes, headers: dict[str, str] | None = None, size: int | None = None) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(data) if size is None else size)}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    def log_message(self, *_arguments: object) -> None:
        """Nothing: a line a request would be most of the work."""


def _etag(path: Path) -> str:
    status = path.stat()
    return hashlib.md5(f"{status.st_mtime_ns}-{status.st_size}".encode(), usedforsecurity=False).hexdigest()


def main() -> None:
    _Handler.root = Path(sys.argv[1])
    _Handler.latency_s = float(os.environ.get("LATENCY_S", "0"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
