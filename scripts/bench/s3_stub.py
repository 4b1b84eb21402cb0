"""An S3 bucket that answers quickly over real HTTP: any number of keys, each the same small image. Reads alone.

`python -m scripts.bench.s3_stub KEYS` prints its endpoint and serves until its input ends. Keys are
`photos/0000/000000000000.png`, a thousand a folder; `SLOW_S` is how long an answer to a listing takes.
"""

import os
import sys
import threading
import time
from bisect import bisect_right
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from urllib.parse import parse_qs, urlsplit

from PIL import Image

KEYS_A_PAGE = 1000
KEYS_A_FOLDER = 1000
_HEAD = "<?xml version='1.0' encoding='UTF-8'?><ListBucketResult xmlns='http://s3.amazonaws.com/doc/2006-03-01/'>"
_OBJECT = (
    "<Contents><Key>{}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
    "<ETag>&quot;0123456789abcdef0123456789abcdef&quot;</ETag><Size>{}</Size><StorageClass>STANDARD</StorageClass>"
    "</Contents>"
)


def key_of(number: int) -> str:
    return f"photos/{number // KEYS_A_FOLDER:06d}/{number:012d}.png"


class _Keys:
    """All keys, as a sequence that is not stored."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, number: int) -> str:
        return key_of(number)


def png() -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (64, 48), (200, 30, 30)).save(buffer, "PNG")
    return buffer.getvalue()


class Handler(BaseHTTPRequestHandler):
    """Lists, and answers each key with the same image."""

    protocol_version = "HTTP/1.1"
    count = 0
    slow_s = 0.0
    image = b""

    def do_GET(self) -> None:
        query = {name: each[0] for name, each in parse_qs(urlsplit(self.path).query, keep_blank_values=True).items()}
        if "list-type" not in query:
            self._answer(self.image, "image/png")
            return
        time.sleep(self.slow_s)
        prefix = query.get("prefix", "")
        after = query.get("continuation-token") or query.get("start-after", "")
        at = bisect_right(_Keys(self.count), max(after, prefix[:-1]))
        page = self._folders(prefix, at) if "delimiter" in query else self._objects(prefix, at)
        self._answer(page.encode(), "application/xml")

    def do_HEAD(self) -> None:
        self._answer(self.image, "image/png", with_body=False)

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, body: bytes, kind: str, with_body: bool = True) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", '"0123456789abcdef0123456789abcdef"')
        self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        self.end_headers()
        self.wfile.write(body if with_body else b"")

    def _objects(self, prefix: str, at: int) -> str:
        stop = min(at + KEYS_A_PAGE, self.count)
        found = [key for key in map(key_of, range(at, stop)) if key.startswith(prefix)]
        objects = "".join(_OBJECT.format(key, len(self.image)) for key in found)
        is_more = found and stop < self.count and key_of(stop).startswith(prefix)
        return self._result(objects, found[-1] if is_more else None)

    def _folders(self, prefix: str, at: int) -> str:
        found: list[str] = []
        keys = _Keys(self.count)
        while at < self.count and len(found) < KEYS_A_PAGE and keys[at].startswith(prefix):
            found.append(prefix + keys[at][len(prefix) :].partition("/")[0] + "/")
            at = bisect_right(keys, found[-1] + "\U0010ffff", lo=at)
        is_more = at < self.count and keys[at].startswith(prefix)
        inner = "".join(f"<CommonPrefixes><Prefix>{name}</Prefix></CommonPrefixes>" for name in found)
        return self._result(inner, found[-1] + "\U0010ffff" if is_more else None)

    def _result(self, inner: str, token: str | None) -> str:
        following = f"<NextContinuationToken>{token}</NextContinuationToken>" if token else ""
        more = "true" if token else "false"
        return f"{_HEAD}<Name>b</Name><IsTruncated>{more}</IsTruncated>{following}{inner}</ListBucketResult>"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


if __name__ == "__main__":
    Handler.count, Handler.slow_s, Handler.image = int(sys.argv[1]), float(os.environ.get("SLOW_S", "0")), png()
    server = _Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    sys.stdin.read()
