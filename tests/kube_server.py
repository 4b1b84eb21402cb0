"""A real API server's place taken by a real HTTP server: it answers with the JSON it is given, by path.

What a pair of tests needs of Kubernetes: a kubeconfig that leads to it, 404 for what is not there, 403 for what is
forbidden. Queries are ignored but for label selectors of one or more `key=value`.
"""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, urlsplit

import yaml
from kubernetes import client

from tench.launcher.cluster.kube import Kube


class KubeServer:
    """A context; `objects` maps a path to what is there, `None` to what is forbidden."""

    def __init__(self, folder, objects):
        self.objects = objects
        self.deleted = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.kubeconfig = folder / "kubeconfig"
        self.kubeconfig.write_text(yaml.safe_dump(self._config()))

    def __enter__(self):
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()

    def connect(self):
        """In this process, where the client reads the kubeconfig's place once and for all."""
        configuration = client.Configuration()
        configuration.host, configuration.retries = f"http://127.0.0.1:{self._server.server_port}", 0
        return Kube(client.ApiClient(configuration), "vision", "here")

    def _config(self):
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "here",
            "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u", "namespace": "vision"}}],
            "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{self._server.server_port}"}}],
            "users": [{"name": "u", "user": {}}],
        }

    def answer(self, path, query):
        """Status and document."""
        if path not in self.objects:
            return 404, {"kind": "Status", "message": f"{path} not found"}
        document = self.objects[path]
        if document is None:
            return 403, {"kind": "Status", "message": f'forbidden: User "me" cannot get {path}'}
        if "labelSelector" in query and "items" in document:
            wanted = [
                pair.split("=") for pair in query["labelSelector"][0].split(",") if " in " not in pair and "=" in pair
            ]
            items = [item for item in document["items"] if all(_label(item, key) == value for key, value in wanted)]
            document = {**document, "items": items}
        return 200, document


def _label(item, key):
    return item["metadata"].get("labels", {}).get(key)


def _handler(server):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            url = urlsplit(self.path)
            self._send(*server.answer(url.path, parse_qs(url.query)))

        def do_DELETE(self):
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            path = urlsplit(self.path).path
            server.deleted.append(path)
            collection, _, name = path.rpartition("/")
            items = server.objects.get(collection, {}).get("items", [])
            items[:] = [item for item in items if item["metadata"]["name"] != name]
            self._send(200, {"kind": "Status", "status": "Success"})

        def _send(self, status, document):
            body = (document if isinstance(document, str) else json.dumps(document)).encode()  # a log is plain text
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    return Handler
