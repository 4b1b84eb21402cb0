"""A server of HTTP that answers as a store would, where no real one can be made to."""

from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread


@contextmanager
def answering(status, headers=(), body=b""):
    """A server that answers everything alike, at a URL; `answering.requests` are the (method, headers) it got last.

    `body` may be a function of the path.
    """
    answering.requests = []

    class Answer(BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            answering.requests.append((self.command, self.headers))
            content = body(self.path) if callable(body) else body
            self.send_response(status)
            for name, value in [*headers, ("Content-Length", str(len(content)))]:
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(b"" if self.command == "HEAD" else content)

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD  # noqa: N815 - the names that http.server calls

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Answer)
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
