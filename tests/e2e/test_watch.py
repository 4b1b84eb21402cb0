"""A run that has too little memory, and Ctrl-C: `tench watch` says why nothing moves, and how to come back."""

import json
import signal

from e2e_jobs import CLASSIFY
from e2e_kube import merge, wait_for

LITTLE = {
    "job": merge(CLASSIFY, {"name": "little", "compute": {"concurrency": 1}, "source": {"limit": 400}}),
    "workers": {"memory": "700Mi", "sharedMemory": "128Mi"},
}


def test_ctrl_c_leaves_it_and_says_how_to_come_back_and_too_little_memory_for_ray_is_told(shared_namespace, tench):
    release = shared_namespace.install("little", LITTLE)
    watching = tench.start("watch", "little")

    def told():
        status = json.loads(tench("status", "little", "-o", "json").stdout)
        # Ray ends a task, the kernel the container, or, and then nobody says so, one of Ray's own processes.
        # On a slow machine the head may be late to answer, too; that is another reason, with its own way out.
        found = [each for each in status["reasons"] if each["kind"] in ("memory", "unhealthy")]
        return [each for each in found if "raise workers.memory" in each["way_out"]]

    (reason,) = wait_for("the reason", told, timeout_s=420, poll_s=5)
    assert any(words in reason["text"] for words in ("lack of memory", "OOMKilled", "has not answered"))
    said = ""
    while f"why: {reason['text'][:30]}" not in said:
        line = watching.stderr.readline()
        assert line, said
        said += line
    watching.send_signal(signal.SIGINT)
    said += watching.communicate(timeout=30)[1]
    assert watching.returncode == 130
    assert f"tench watch {release.run_id()} -n {shared_namespace.name}" in said
    assert f"tench cancel {release.run_id()} -n {shared_namespace.name}" in said
