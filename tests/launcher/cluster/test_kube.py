"""The way to a cluster: contexts, a pod's own rights, lost connections and refusals, over HTTP."""

import base64
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml
from kube_server import KubeServer

from job.errors import PreflightError
from tench.launcher.cluster import kube as kube_module
from tench.launcher.cluster.kube import Kube, KubeError, Unreachable

KUBELET = "unable to retrieve container logs for containerd://2f"  # without a timestamp, as lines of the log have one
PODS = "/api/v1/namespaces/vision/pods"


@pytest.fixture
def server(tmp_path, monkeypatch):
    with KubeServer(tmp_path, {PODS: {"items": []}}) as server:
        monkeypatch.setenv("KUBECONFIG", str(server.kubeconfig))
        monkeypatch.setattr(kube_module, "WAITS_S", (0.01, 0.01))
        yield server


def test_the_namespace_is_the_contexts_unless_one_is_given(server):
    assert (Kube.connect(None, None).namespace, Kube.connect("here", "other").namespace) == ("vision", "other")
    assert Kube.connect(None, None).context == "here"


def test_an_unknown_context_is_corrected_and_no_cluster_at_all_says_what_to_set(server, tmp_path, monkeypatch):
    with pytest.raises(PreflightError, match="no context 'hre'; did you mean here"):
        Kube.connect("hre", None)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    with pytest.raises(PreflightError, match="set KUBECONFIG"):
        Kube.connect(None, None)


def test_inside_a_pod_it_is_the_pods_own_account_and_namespace(tmp_path, monkeypatch):
    from kubernetes.config import incluster_config

    for name in ("token", "ca.crt", "namespace"):
        (tmp_path / name).write_text("vision")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(tmp_path / "token"))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(tmp_path / "ca.crt"))
    monkeypatch.setattr(kube_module, "IN_CLUSTER_NAMESPACE", tmp_path / "namespace")
    kube = Kube.connect(None, None)
    assert (kube.namespace, kube.context) == ("vision", None)


def test_what_is_not_there_is_empty_and_what_is_forbidden_names_who_may_not_what(server):
    kube = Kube.connect(None, None)
    assert kube.get("/api/v1/namespaces/vision/secrets/none") == {}
    server.objects["/api/v1/nodes"] = None
    with pytest.raises(PreflightError, match='User "me" cannot get /api/v1/nodes; ask for a role'):
        kube.get("/api/v1/nodes")


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [(401, PreflightError, "log in again"), (422, KubeError, "answered 422"), (503, Unreachable, "does not answer")],
)
def test_a_refusal_is_an_error_of_its_kind(server, monkeypatch, status, error, words):
    asked = []
    monkeypatch.setattr(server, "answer", lambda *path: (asked.append(path), (status, {"message": "why"}))[1])
    with pytest.raises(error, match=words) as raised:
        Kube.connect(None, None).pods("pets")
    assert "why" in str(raised.value)
    assert len(asked) == (3 if error is Unreachable else 1)


def test_a_server_that_is_away_for_a_moment_is_asked_again(server, monkeypatch):
    answer, first = server.answer, iter([(503, {}), (429, {})])
    monkeypatch.setattr(server, "answer", lambda *call: next(first, None) or answer(*call))
    assert Kube.connect(None, None).pods("pets") == []


def test_the_token_goes_along(server, monkeypatch, tmp_path):
    config = yaml.safe_load(server.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": base64.b64encode(b"x").decode()}
    server.kubeconfig.write_text(yaml.safe_dump(config))
    assert Kube.connect(None, None)._client.configuration.api_key


@pytest.fixture
def log_server(tmp_path, monkeypatch):
    """Its first answer breaks off in the middle of the second line; later ones begin with the whole second."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            query = parse_qs(urlsplit(self.path).query)
            asked.append(query)
            first = len(asked) == 1
            lines = ["2026-11-21T22:00:01.5Z one"]
            lines = lines if first else [*lines, "2026-11-21T22:00:01.7Z two", "2026-11-21T22:00:02.0Z three", KUBELET]
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for line in lines:
                self.wfile.write(f"{len(line) + 1:x}\r\n{line}\n\r\n".encode())
            self.close_connection = first
            self.wfile.write(b"1b\r\n2026-11-21T22" if first else b"0\r\n\r\n")

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    with KubeServer(tmp_path, {}) as kubeconfig_of:
        config = yaml.safe_load(kubeconfig_of.kubeconfig.read_text())
        config["clusters"][0]["cluster"]["server"] = f"http://127.0.0.1:{server.server_port}"
        kubeconfig_of.kubeconfig.write_text(yaml.safe_dump(config))
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig_of.kubeconfig))
        monkeypatch.setattr(kube_module, "RESUME_S", 0.01)
        yield asked
    server.shutdown()
    server.server_close()


def test_a_followed_log_goes_on_after_the_last_whole_line(log_server):
    lines = list(Kube.connect(None, None).pod_log("pets-x", "ray-head", tail_lines=9, follow=True))
    assert lines == ["one", "two", "three", KUBELET]
    assert log_server[0]["tailLines"] == ["9"]
    assert log_server[1]["sinceTime"] == ["2026-11-21T22:00:01.5Z"]
    assert "tailLines" not in log_server[1]


def test_a_log_that_is_not_followed_and_breaks_off_is_an_error(log_server):
    with pytest.raises(Unreachable, match="was lost"):
        list(Kube.connect(None, None).pod_log("pets-x", "ray-head"))
