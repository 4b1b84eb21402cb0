"""A Hugging Face hub on this machine: one repository whose branch can move, and a count of what was asked."""

import hashlib
import json
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urlsplit

REPOSITORY = "someone/vit"


class StubHub:
    """Answers with 429 once `closed`; `main` is the newest of the commits that `push` adds."""

    def __init__(self):
        self.commits, self.requests, self.closed = {}, Counter(), False
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                hub._answer(self, body=True)

            def do_HEAD(self):
                hub._answer(self, body=False)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def push(self, folder, **changed):
        """A new commit of the folder's files, with the bytes of some of them changed."""
        files = {path.name: path.read_bytes() for path in Path(folder).iterdir()} | changed
        commit = hashlib.sha1(repr(sorted(files.items())).encode(), usedforsecurity=False).hexdigest()
        self.commits[commit] = files
        self.main = commit
        return commit

    def stop(self):
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, request, body):
        path = unquote(urlsplit(request.path).path)
        self.requests[f"{request.command} {path.replace(self.main, 'MAIN')}"] += 1
        status, headers, data = (429, {}, b"too many requests") if self.closed else self._find(path)
        request.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            request.send_header(name, value)
        request.end_headers()
        if body:
            request.wfile.write(data)

    def _find(self, path):
        parts = path.strip("/").split("/")
        if parts[:1] == ["api"]:  # /api/models/OWNER/NAME[/revision/REVISION] or /tree/REVISION
            commit = self._commit(parts[5] if len(parts) > 5 else "main")
            if "/".join(parts[2:4]) == REPOSITORY and commit:
                if parts[4:5] == ["tree"]:
                    files = self.commits[commit].items()
                    tree = [{"type": "file", "path": name, "oid": "0" * 40, "size": len(data)} for name, data in files]
                    return 200, {}, json.dumps(tree).encode()
                siblings = [{"rfilename": name} for name in self.commits[commit]]
                return 200, {}, json.dumps({"id": REPOSITORY, "sha": commit, "siblings": siblings}).encode()
        elif "/".join(parts[:2]) == REPOSITORY and parts[2] == "resolve":
            commit = self._commit(parts[3])
            data = self.commits.get(commit, {}).get("/".join(parts[4:]))
            if data is not None:
                etag = hashlib.sha256(data).hexdigest()
                return 200, {"ETag": f'"{etag}"', "X-Repo-Commit": commit}, data
        return 404, {"X-Error-Code": "RepoNotFound"}, b"{}"

    def _commit(self, revision):
        return self.main if revision == "main" else revision if revision in self.commits else None
