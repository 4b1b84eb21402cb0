"""One namespace of a cluster, read as JSON: the only place that talks to the Kubernetes API.

`kubernetes` is imported inside functions: it takes half a second, and `tench --help` must not wait for it.
"""

import json
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from job.errors import PreflightError, TenchError
from job.terminal.spelling import did_you_mean
from tench.launcher.cluster.labels import INSTANCE, NAME, RAY_CLUSTER, RUN_ID, TENCH, selector
from tench.launcher.cluster.pod_exec import KubeError, Unreachable, output

__all__ = ["Kube", "KubeError", "Object", "Unreachable"]

T = TypeVar("T")
Object = Mapping[str, Any]  # one of Kubernetes, as JSON

WAITS_S = (0.5, 1.0, 2.0, 4.0)
RESUME_S = 2.0
TIMEOUT_S = (5.0, 30.0)  # to connect, and between two reads
IN_CLUSTER_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
KUBECONFIG = "~/.kube/config"
RAY = "/apis/ray.io/v1"
UID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TRANSIENT = (429, 500, 502, 503, 504)


class Kube:
    """One namespace of one cluster."""

    def __init__(self, client: Any, namespace: str, context: str | None) -> None:
        self.namespace = namespace
        self.context = context
        self._client = client

    @classmethod
    def connect(cls, context: str | None, namespace: str | None) -> "Kube":
        """By the kubeconfig, else from inside a pod; sends nothing yet. Raises PreflightError where neither is."""
        from kubernetes import client, config  # type: ignore[import-untyped]

        configuration = type.__call__(client.Configuration)
        configuration.retries = 0  # `_tried` tries again
        file = os.environ.get("KUBECONFIG") or KUBECONFIG
        try:
            contexts, active = config.list_kube_config_contexts(file)
        except (config.ConfigException, TypeError) as error:  # TypeError: an empty kubeconfig
            if context:
                raise PreflightError(f"the context {context!r} is in no kubeconfig: {error}; see KUBECONFIG") from None
            return cls._in_cluster(configuration, namespace)
        found = next((each for each in contexts if each["name"] == context), None) if context else active
        if found is None:
            names = [each["name"] for each in contexts]
            hint = did_you_mean(context or "", names) or f"; there are {', '.join(names)}"
            raise PreflightError(f"the kubeconfig has no context {context!r}{hint}")
        config.load_kube_config(file, context=found["name"], client_configuration=configuration)
        own = (found.get("context") or {}).get("namespace")
        return cls(client.ApiClient(configuration), namespace or own or "default", found["name"])

    @classmethod
    def _in_cluster(cls, configuration: Any, namespace: str | None) -> "Kube":
        from kubernetes import client, config

        try:
            config.load_incluster_config(client_configuration=configuration)
        except config.ConfigException:
            raise PreflightError(
                "no cluster: there is no kubeconfig and this is not a pod; set KUBECONFIG, or make ~/.kube/config"
            ) from None
        own = IN_CLUSTER_NAMESPACE.read_text().strip() if IN_CLUSTER_NAMESPACE.exists() else "default"
        return cls(client.ApiClient(configuration), namespace or own, None)

    def get(self, path: str, **query: str) -> dict[str, Any]:
        """The JSON at an API path; {} where nothing is. Raises Unreachable after several tries, and PreflightError."""
        body = self._tried(lambda: self._call("GET", path, query).data)
        answer: dict[str, Any] = json.loads(body) if body else {}
        return answer

    def items(self, path: str, **query: str) -> list[dict[str, Any]]:
        """The objects that a list at an API path has; [] where there is no such list. Raises as `get` does."""
        items: list[dict[str, Any]] = self.get(path, **query).get("items") or []
        return items

    def delete(self, path: str) -> None:
        """What an object owns goes after it. One that is gone already is no error."""
        self._tried(lambda: self._call("DELETE", path, {"propagationPolicy": "Background"}).data)

    def rayjobs(self, run_id: str | None = None) -> list[dict[str, Any]]:
        """The namespace's runs, or the RayJobs of one; the newest first."""
        wanted = selector({NAME: TENCH} | ({RUN_ID: run_id} if run_id else {}))
        items = self.items(f"{RAY}/namespaces/{self.namespace}/rayjobs", labelSelector=wanted)
        return sorted(items, key=lambda item: item["metadata"]["creationTimestamp"], reverse=True)

    def raycluster(self, name: str) -> dict[str, Any]:
        """{} where it is gone."""
        return self.get(f"{RAY}/namespaces/{self.namespace}/rayclusters/{name}")

    def pods(self, release: str) -> list[dict[str, Any]]:
        """A release's pods, also those of a cluster that KubeRay has given up."""
        return self._pods({INSTANCE: release})

    def cluster_pods(self, raycluster: str) -> list[dict[str, Any]]:
        """A Ray cluster's pods: those of one attempt, or of a warm cluster."""
        return self._pods({RAY_CLUSTER: raycluster})

    def _pods(self, labels: dict[str, str]) -> list[dict[str, Any]]:
        return self.items(f"/api/v1/namespaces/{self.namespace}/pods", labelSelector=selector(labels))

    def events(self, uid_or_name: str) -> list[dict[str, Any]]:
        """About one object, the newest last."""
        field = "uid" if UID.fullmatch(uid_or_name) else "name"
        about = f"involvedObject.{field}={uid_or_name}"
        items = self.items(f"/api/v1/namespaces/{self.namespace}/events", fieldSelector=about)
        return sorted(items, key=last_seen)

    def events_of(self, prefix: str) -> list[dict[str, Any]]:
        """About the objects whose names begin so, also those that are gone (for an hour); the newest last."""
        items = self.items(f"/api/v1/namespaces/{self.namespace}/events")
        return sorted(
            (item for item in items if item["involvedObject"].get("name", "").startswith(prefix)), key=last_seen
        )

    def pod_log(
        self, pod: str, container: str, tail_lines: int | None = None, follow: bool = False, previous: bool = False
    ) -> Iterator[str]:
        """Lines as they come. A follower whose connection is lost goes on after the last line it has."""
        path = f"/api/v1/namespaces/{self.namespace}/pods/{quote(pod)}/log"
        query = {"container": container, "timestamps": "true", "follow": str(follow).lower()}
        query |= {"tailLines": str(tail_lines)} if tail_lines is not None else {}
        query |= {"previous": "true"} if previous else {}
        last = ""
        while True:
            ended = False
            lines = self._lines(path, query)
            try:
                for line in lines:
                    time_written, _, text = line.partition(" ")
                    if not time_written[:1].isdigit():  # the kubelet's own words
                        yield line
                    elif time_written > last:  # `sinceTime` has whole seconds
                        last = time_written
                        yield text
                ended = True
            except Unreachable:
                if not follow:
                    raise
                time.sleep(RESUME_S)
            if ended:
                return
            query = {key: value for key, value in query.items() if key != "tailLines"}
            query |= {"sinceTime": last} if last else {}

    def _lines(self, path: str, query: dict[str, str]) -> Iterator[str]:
        from urllib3.exceptions import HTTPError

        response = self._tried(lambda: self._call("GET", path, query, read_s=None))
        if response is None:
            return
        rest = b""
        try:
            for chunk in response.stream(1 << 16):
                *lines, rest = (rest + chunk).split(b"\n")
                yield from (line.decode(errors="replace") for line in lines)
        except HTTPError as error:
            raise Unreachable(f"the connection to {self._host} was lost: {error}") from None
        finally:
            response.close()
        if rest:
            yield rest.decode(errors="replace")

    def run_in(self, pod: str, container: str, command: list[str]) -> Iterator[bytes]:
        """What a command in a container prints, as it comes; b"" when it is silent for a while.

        Raises PreflightError where `pods/exec` is forbidden, Unreachable, and KubeError where the command fails.
        """
        path = f"/api/v1/namespaces/{self.namespace}/pods/{quote(pod)}/exec"
        yield from output(self._client, path, container, command)

    def _tried(self, call: Callable[[], T]) -> T | None:
        """Of `call`; None where nothing is. A lost connection and a busy server are tried again."""
        from kubernetes.client.exceptions import ApiException  # type: ignore[import-untyped]
        from urllib3.exceptions import HTTPError

        for wait_s in (*WAITS_S, None):
            try:
                return call()
            except HTTPError as error:
                said = str(error)
            except ApiException as error:
                if error.status == 404:
                    return None
                if error.status not in TRANSIENT:
                    raise _refusal(error) from None
                said = _message(error)
            if wait_s is not None:
                time.sleep(wait_s)
        raise Unreachable(f"{self._host} does not answer ({said}); is the cluster there, and the network?")

    def _call(self, method: str, path: str, query: dict[str, str], read_s: float | None = TIMEOUT_S[1]) -> Any:
        options = {"auth_settings": ["BearerToken"], "header_params": {"Accept": "application/json, */*"}}
        wait = {"_preload_content": False, "_request_timeout": (TIMEOUT_S[0], read_s)}
        return self._client.call_api(path, method, query_params=query, **options, **wait)

    @property
    def _host(self) -> str:
        return f"the API server {self._client.configuration.host}"


def _refusal(error: Any) -> TenchError:
    said = _message(error)
    if error.status == 403:
        return PreflightError(f"not allowed: {said}; ask for a role that may")
    if error.status == 401:
        return PreflightError(f"the cluster does not know you: {said}; log in again")
    return KubeError(f"the API server answered {error.status}: {said}")


def _message(error: Any) -> str:
    """What a Status object says: `pods is forbidden: User "x" cannot list resource "pods" …`."""
    try:
        return str(json.loads(error.body)["message"])
    except (ValueError, KeyError, TypeError):
        return str(error.reason)


def last_seen(event: dict[str, Any]) -> str:
    series = event.get("series") or {}
    return str(series.get("lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime") or "")
