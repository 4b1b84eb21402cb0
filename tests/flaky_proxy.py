"""A proxy that stands before a store and fails as networks and stores do. Real sockets, real HTTP."""

import http.client
import socket
import struct
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


class FlakyProxy(ThreadingHTTPServer):
    """Forwards to `target`. Each request takes the next of `faults` that `when` lets through; None means none.

    Faults: an HTTP status; "reset" (no answer), "cut" (half a body, then a reset), "stall" (half a body, then silence),
    "lost" (the store does as it is asked, its answer never comes). `requests` counts them by method, `sent` the bytes.
    """

    daemon_threads = True

    def __init__(self, target):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.target = urlsplit(target).netloc
        self.endpoint = f"http://127.0.0.1:{self.server_port}"
        self.faults = []
        self.requests = Counter()
        self.sent = 0
        self._lock = threading.Lock()
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def fail(self, *faults, method=None):
        """The next requests (of that method) meet these, one each."""
        self.faults = [(fault, method) for fault in faults]

    def next_fault(self, method):
        with self._lock:
            self.requests[method] += 1
            if self.faults and self.faults[0][1] in (None, method):
                return self.faults.pop(0)[0]
            return None

    def handle_error(self, request, client_address):
        """A client that goes away is what these tests are about."""

    def stop(self):
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_any(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        fault = self.server.next_fault(self.command)
        if isinstance(fault, int):
            self.answer(fault, {}, b"<Error><Code>Injected</Code></Error>")
        elif fault == "reset":
            self.reset()
        else:
            status, headers, data = self.forward(body)
            if fault == "lost":
                self.reset()
            elif fault in ("cut", "stall"):
                self.answer(status, headers, data, whole=False)
                if fault == "stall":
                    time.sleep(3)
                self.reset()
            else:
                self.answer(status, headers, data)

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = handle_any  # noqa: N815 - the names that http.server calls

    def forward(self, body):
        connection = http.client.HTTPConnection(self.server.target)
        connection.request(self.command, self.path, body, dict(self.headers))
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        return answer.status, dict(answer.getheaders()), data

    def answer(self, status, headers, data, whole=True):
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() not in ("content-length", "connection", "transfer-encoding"):
                self.send_header(name, value)
        length = headers.get("Content-Length") if self.command == "HEAD" else None
        self.send_header("Content-Length", length or str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data if whole else data[: len(data) // 2])
            self.server.sent += len(data)
        self.wfile.flush()

    def reset(self):
        """Ends the connection with a TCP reset."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def log_message(self, *_):
        pass
