"""The driver's log: from the head while it is there, else as the run's folder keeps it.

In a Ray job it is a file of the head and not its pod's output. It is read by a command in the pod: that needs the right
to `pods/exec`. The dashboard's API would need the token's Secret, a way past the chart's network policy, and the whole
log for every look. Who may not exec reads the run's folder, half a minute late.
"""

import time
from collections.abc import Callable, Iterator

from job.errors import PreflightError, StoreError, UsageError
from tench.launcher.cluster.kube import Kube, KubeError, Unreachable
from tench.launcher.cluster.roles import container_of, role_of
from tench.launcher.watch.cluster_run import Run, look_again
from tench.launcher.watch.phase import phase_of
from tench.launcher.watch.pod_states import state_of
from tench.launcher.watch.run_folder import RunFolder

POLL_S = 2.0
KEPT_POLL_S = 15.0
SILENT_S = 60.0
OVERLAP = 200


class DriverLogReader:
    """Of one run; `say` takes what is not the log's."""

    def __init__(self, kube: Kube | None, run: Run, say: Callable[[str], None]) -> None:
        self._kube, self._run, self._say = kube, run, say
        self._folder = RunFolder(run.paths)
        self._file = ""
        self._read_bytes = 0
        self._end = b""
        self._may_exec = True
        self._waits = False

    def once(self) -> Iterator[bytes]:
        """As it is. Raises UsageError where there is none yet."""
        try:
            if head := self._head():
                yield from self._new(*head, follow=False)
                return
        except (PreflightError, KubeError) as error:
            self._say(f"{error}; this is what the run's folder has")
        kept = self._folder.driver_log()
        if kept is None:
            raise UsageError(f"{self._run.run_id} has no driver log yet; why: tench status {self._run.run_id}")
        self._end = kept.encode()[-OVERLAP:]
        yield kept.encode()

    def follow(self) -> Iterator[bytes]:
        """Until the run has ended, across attempts and lost connections."""
        ended = False
        while not ended:
            try:
                ended = self._ended()
                if head := self._head():
                    yield from self._new(*head, follow=not ended)
                elif not ended:
                    self._wait_aloud()
            except Unreachable as error:
                self._say(f"{error}; trying again")
            except KubeError:
                pass  # the pod or its file is not there yet, or not any more: look again
            except PreflightError as error:
                self._say(f"{error}; following the run's folder, half a minute late")
                self._may_exec = False
            if ended or not self._may_exec:
                yield from self._kept()
            if not ended:
                time.sleep(POLL_S if self._may_exec else KEPT_POLL_S)

    def _new(self, kube: Kube, head: str, follow: bool) -> Iterator[bytes]:
        """What is not read yet; following ends when the run does, or the pod, or nothing came for a while."""
        if self._run.driver_log != self._file:
            self._file, self._read_bytes, self._end = self._run.driver_log, 0, b""
        tail = ["tail", "-c", f"+{self._read_bytes + 1}", *(["-F"] if follow else []), self._file]
        last = time.monotonic()
        for data in kube.run_in(head, container_of("head"), tail):
            if data:
                last, self._read_bytes = time.monotonic(), self._read_bytes + len(data)
                self._end = (self._end + data)[-OVERLAP:]
                yield data
            elif self._ended() or time.monotonic() - last > SILENT_S:
                return

    def _kept(self) -> Iterator[bytes]:
        """What the run's folder has beyond what was shown."""
        try:
            kept = (self._folder.driver_log() or "").encode()
        except (StoreError, FileNotFoundError) as error:
            self._say(f"the run's folder cannot be read here: {error}")
            return
        shown = kept.rfind(self._end)
        if shown < 0 and self._may_exec:
            return  # all but the end of it was shown, and the end is not kept yet
        rest = kept[shown + len(self._end) :] if shown >= 0 and self._end else kept
        if rest:
            self._end = kept[-OVERLAP:]
            yield rest

    def _wait_aloud(self) -> None:
        if not self._waits:
            self._say(f"waiting for the driver to start; why it does not: tench status {self._run.run_id}")
        self._waits = True

    def _head(self) -> tuple[Kube, str] | None:
        """The pod that has the log, where there is one and it may be asked."""
        if not (self._kube and self._may_exec and self._run.driver_log):
            return None
        pods = self._kube.cluster_pods(self._run.raycluster)
        heads = [pod for pod in pods if role_of(pod) == "head" and state_of(pod) in ("ready", "starting")]
        return (self._kube, heads[0]["metadata"]["name"]) if heads else None

    def _ended(self) -> bool:
        """Looks at the run again; one whose RayJob is gone has ended."""
        if not self._kube:
            return True
        current = look_again(self._kube, self._run)
        self._run = current or self._run
        return current is None or phase_of(current).ended
