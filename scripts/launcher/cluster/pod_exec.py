"""A command in a pod's container, over a websocket, and what can be wrong with the way there."""

import json
from collections.abc import Iterator
from typing import Any

from job.errors import PreflightError, TenchError

IDLE_S = 5.0
STDOUT, ENDED = 1, 3  # channels: https://kubernetes.io/docs/reference/using-api/websockets


class Unreachable(PreflightError):
    """The API server did not answer, several times, or the connection to it was lost."""


class KubeError(TenchError):
    """The API server answered, and not with what was asked for."""


def output(client: Any, path: str, container: str, command: list[str]) -> Iterator[bytes]:
    """As `Kube.run_in` says. `kubernetes.stream` would miss what is in the TLS buffer, and lose an error's words."""
    from websocket import ABNF, WebSocketException, WebSocketTimeoutException

    socket = _open(client, path, container, command)
    socket.settimeout(IDLE_S)
    try:
        while True:
            try:
                opcode, frame = socket.recv_data_frame(True)
            except WebSocketTimeoutException:
                yield b""
                continue
            if opcode == ABNF.OPCODE_CLOSE:
                return
            channel, data = (frame.data[0], frame.data[1:]) if frame.data else (None, b"")
            if channel == STDOUT and data:
                yield data
            elif channel == ENDED:
                _check(json.loads(data), command)
    except (WebSocketException, OSError) as error:
        raise Unreachable(f"the connection to a command in {container} was lost: {error}") from None
    finally:
        socket.close()


def _open(client: Any, path: str, container: str, command: list[str]) -> Any:
    from kubernetes.stream.ws_client import create_websocket, get_websocket_url  # type: ignore[import-untyped]
    from websocket import WebSocketBadStatusException, WebSocketException

    query = [("container", container), ("command", command), ("stdout", "true"), ("stderr", "false")]
    headers: dict[str, str] = {}
    client.update_params_for_auth(headers, query, ["BearerToken"])
    url = get_websocket_url(client.configuration.host + path, query)
    try:
        return create_websocket(client.configuration, url, headers)
    except WebSocketBadStatusException as error:
        if error.status_code == 403:
            raise PreflightError(f"not allowed: create pods/exec, {path}; ask for a role that may") from None
        raise KubeError(f"no command can run in {container}: the API server answered {error.status_code}") from None
    except (WebSocketException, OSError) as error:
        raise Unreachable(f"no command can run in {container}: {error}") from None


def _check(status: dict[str, Any], command: list[str]) -> None:
    if status.get("status") != "Success":
        raise KubeError(f"{command[0]} in the container failed: {status.get('message')}")
