#!/usr/bin/env bash
# obstore's read timeout ends an upload that is going well.
#
# Software   obstore 0.12.1 (Rust's reqwest inside).
# Expected   The reference of ClientConfig says of `read_timeout` that it holds for each read, starts anew after each
#            that succeeds, and finds connections that stand still. So an upload that never stands still, in which
#            there is nothing to read yet, should not meet it.
# Happens    For a GET that is so: an answer that trickles for 3 s passes a read timeout of 1 s. In a PUT the clock runs
#            from the request's start until the answer begins: a server that takes the body without a pause, but for
#            longer than the timeout, is left after 1 s. Retries, on by default, send the body again, to the same end.
# Matters    A timeout short enough to notice a dead store makes large objects impossible to write over a slow line. The
#            error says "error sending request", and that it timed out only in its debugging text.
# Tench      writes with a client of its own, which has no read timeout and ten minutes for all of a request
#            (job/stores/obstore_client.py).
#
# Seen       GET, read_timeout 1 s: ok after 3.0 s
#            PUT, no read_timeout: ok after 3.0 s, longest pause of the server's reading 0.1 s
#            PUT, read_timeout 1 s: GenericError after 1.0 s, longest pause of the server's reading 0.1 s
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"${PYTHON:-python3}" -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check 'obstore==0.12.1'
venv/bin/python - <<'PYTHON'
import sys
import threading
import time
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import obstore
from obstore.store import S3Store

MB, PIECES = 1 << 20, 30
pauses_s = []


class Slow(BaseHTTPRequestHandler):
    """Takes and gives 1 MB each tenth of a second, without a pause."""

    def do_PUT(self):
        start = time.monotonic()
        while len(pauses_s) < PIECES and self.rfile.read(MB):
            time.sleep(0.1)
            pauses_s.append(time.monotonic() - start - sum(pauses_s))
        self.answer(0)

    def do_GET(self):
        self.answer(PIECES)
        for _ in range(PIECES):
            time.sleep(0.1)
            self.wfile.write(bytes(MB))

    def answer(self, pieces):
        self.send_response(200)
        when = "Thu, 01 Jan 2026 00:00:00 GMT"
        for header in {"ETag": '"1"', "Last-Modified": when, "Content-Length": str(pieces * MB)}.items():
            self.send_header(*header)
        self.end_headers()

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Slow)
server.handle_error = lambda *_: None  # the client hung up
threading.Thread(target=server.serve_forever, daemon=True).start()
config = {"endpoint": f"http://127.0.0.1:{server.server_port}", "skip_signature": True, "region": "us-east-1"}
timeout, seen = {"read_timeout": timedelta(seconds=1)}, []
for name, options in (
    ("GET, read_timeout 1 s", timeout),
    ("PUT, no read_timeout", {}),
    ("PUT, read_timeout 1 s", timeout),
):
    store = S3Store("b", config=config, client_options={"allow_http": True, **options}, retry_config={"max_retries": 0})
    pauses_s.clear()
    start, outcome = time.monotonic(), "ok"
    try:
        if name.startswith("GET"):
            obstore.get(store, "large").bytes()
        else:
            obstore.put(store, "large", bytes(PIECES * MB), use_multipart=False)
    except Exception as error:
        outcome = type(error).__name__
    pause = f", longest pause of the server's reading {max(pauses_s):.1f} s" if pauses_s else ""
    print(f"{name}: {outcome} after {time.monotonic() - start:.1f} s{pause}")
    seen.append(outcome)
if seen != ["ok", "ok", "GenericError"]:
    sys.exit("changed: a read timeout no longer ends an upload, or ends more than that")
PYTHON
