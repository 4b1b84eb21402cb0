"""Watching: phases, reasons, and the commands' exit codes, of a cluster's JSON as a kind cluster told it."""

import json
import signal
import subprocess
import sys
import time
from io import StringIO
from threading import Timer

import pytest
from forked_command import start_tench
from kube_server import KubeServer
from launcher.fake_cluster import ago, rayjob
from rich.console import Console
from tench_command import environment

from job.errors import PreflightError, UsageError
from job.plan.records import Plan
from tench.launcher.cluster import kube as kube_module
from tench.launcher.cluster.kube import Kube, Unreachable
from tench.launcher.watch import watcher
from tench.launcher.watch.cluster_run import Run, find_run
from tench.launcher.watch.events import reasons_of_events, reasons_of_log
from tench.launcher.watch.live_log import DriverLogReader
from tench.launcher.watch.phase import attempt_of, failure_words, phase_of
from tench.launcher.watch.pod_states import count_states, reasons_of
from tench.launcher.watch.run_folder import RunFolder
from tench.launcher.watch.screen import Screen, list_table, picture
from tench.launcher.watch.snapshot import Snapshots
from tench.launcher.watch.status import Phase, Reason, progress_words

RAYJOBS = "/apis/ray.io/v1/namespaces/vision/rayjobs"
PODS = "/api/v1/namespaces/vision/pods"
EVENTS = "/api/v1/namespaces/vision/events"
SELECTOR_WORDS = (
    "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector. no new claims to deallocate, "
    "preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."
)
PULL_WORDS = 'failed to pull and unpack image "example.invalid/x:1": dial tcp: lookup example.invalid: no such host'


def running(**more):
    return rayjob(**{"jobDeploymentStatus": "Running", "jobStatus": "RUNNING", "jobId": "pets-dnjsx"} | more)


def pod(role, name="pod-1", scheduled=None, containers=(), inits=(), ready=False, **more):
    conditions = [{"type": "Ready", "status": str(ready), "lastTransitionTime": ago(300)}]
    if scheduled:
        conditions.append({"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": scheduled})
    resources = {"requests": {"memory": "400Mi"}, "limits": {"memory": "400Mi"}}
    return {
        "metadata": {
            "name": name,
            "namespace": "vision",
            "labels": {
                "app.kubernetes.io/component": role,
                "app.kubernetes.io/instance": "pets",
                "ray.io/cluster": "pets-07169639-744zz",
            },
        },
        "spec": {
            "nodeSelector": {"gpu": "h200"},
            "containers": [{"name": f"ray-{role}", "resources": resources}],
            **({} if scheduled else {"nodeName": "node"}),
        },
        "status": {
            "phase": "Running" if ready else "Pending",
            "conditions": conditions,
            "containerStatuses": [
                {"name": f"ray-{role}", "image": "example.invalid/x:1", **each} for each in containers
            ],
            "initContainerStatuses": [{"name": "wait", "image": "example.invalid/x:1", **each} for each in inits],
            **more,
        },
    }


def waiting(reason, message=""):
    return {"ready": False, "state": {"waiting": {"reason": reason, "message": message}}}


def ended(exit_code, reason="Error", ready=False):
    return {
        "ready": ready,
        "state": {"running": {}},
        "lastState": {"terminated": {"exitCode": exit_code, "reason": reason}},
    }


def no_lines(pod, container):
    return []


@pytest.fixture
def server(tmp_path, monkeypatch):
    with KubeServer(tmp_path, {RAYJOBS: {"items": []}, PODS: {"items": []}, EVENTS: {"items": []}}) as server:
        monkeypatch.setenv("KUBECONFIG", str(server.kubeconfig))
        monkeypatch.setattr(kube_module, "WAITS_S", ())
        monkeypatch.setattr(watcher, "POLL_S", 0.02)
        yield server


@pytest.fixture
def kube(server):
    return Kube.connect(None, None)


@pytest.fixture
def runs(tmp_path):
    """The output, as a folder of this machine."""
    folder = tmp_path / "runs" / "pets-3f2a9c1e"
    folder.mkdir(parents=True)
    sizes = {"images": 400, "bytes": None, "shards": 1, "rows_per_file": 400, "parts": ()}
    plan = Plan(run_id=folder.name, fingerprint="3f2a9c1e", spec={}, versions={}, created="2026-11-21", **sizes)
    (folder / "plan.json").write_bytes(plan.to_bytes())
    return folder.parent


def write_progress(runs, rows_done=120, updated=0.0, **more):
    document = {"rows_done": rows_done, "failed": 3, "total": 400, "images_per_second": 60.0, "eta_s": 4.7}
    document |= {"bottleneck": "decode", "updated": ago(updated), **more}
    (runs / "pets-3f2a9c1e" / "progress.json").write_text(json.dumps(document))


def write_success(runs):
    document = {"run_id": "pets-3f2a9c1e", "rows": 400, "failed": 3, "files": [], "seconds": 9.5}
    document |= {"finished": "2026-11-21T22:00:00+00:00"}
    (runs / "pets-3f2a9c1e" / "_SUCCESS").write_text(json.dumps(document))


def tench(server, *arguments):
    env = environment(KUBECONFIG=str(server.kubeconfig), COLUMNS="300")
    return start_tench(*arguments, env=env, constants={"tench.launcher.watch.watcher:POLL_S": 0.1})


def called(server, *arguments):
    process = tench(server, *arguments)
    printed, said = process.communicate(timeout=60)
    return process.returncode, printed, said


# Phases


@pytest.mark.parametrize(
    ("status", "phase"),
    [
        ({}, Phase.STARTING),
        ({"jobDeploymentStatus": "Initializing"}, Phase.STARTING),
        ({"jobDeploymentStatus": "Running", "jobStatus": "PENDING"}, Phase.STARTING),
        ({"jobDeploymentStatus": "Running", "jobStatus": "RUNNING"}, Phase.RUNNING),
        ({"jobDeploymentStatus": "Retrying", "jobStatus": "FAILED"}, Phase.RETRYING),
        ({"jobDeploymentStatus": "Suspended"}, Phase.SUSPENDED),
        ({"jobDeploymentStatus": "Complete", "jobStatus": "SUCCEEDED"}, Phase.SUCCEEDED),
        ({"jobDeploymentStatus": "Complete", "jobStatus": "STOPPED"}, Phase.STOPPED),
        ({"jobDeploymentStatus": "Complete", "jobStatus": "FAILED"}, Phase.FAILED),
        ({"jobDeploymentStatus": "Failed", "jobStatus": "FAILED"}, Phase.FAILED),
        ({"jobDeploymentStatus": "ValidationFailed"}, Phase.FAILED),
    ],
)
def test_a_phase_is_what_both_of_kuberays_states_say(status, phase):
    assert phase_of(Run.of(rayjob(**status))) is phase


def test_a_suspended_run_with_a_queue_is_queued_and_one_that_failed_twice_is_at_its_third_attempt():
    queued = rayjob(labels={"kueue.x-k8s.io/queue-name": "team"}, spec={"suspend": True})
    assert phase_of(Run.of(queued)) is Phase.QUEUED
    assert attempt_of(Run.of(running(failed=2))) == 3
    assert attempt_of(Run.of(rayjob(jobDeploymentStatus="Failed", failed=3))) == 3


def test_the_drivers_last_error_is_the_failures_words():
    said = (
        "Job entrypoint command failed with exit code 1, last available logs (truncated):\nnoise\ntench: no\n  such key"
    )
    run = Run.of(rayjob(jobDeploymentStatus="Failed", reason="AppFailed", message=said))
    assert failure_words(run) == "no\n  such key"
    late = Run.of(rayjob(jobDeploymentStatus="Failed", reason="PreRunningDeadlineExceeded", message="too late"))
    assert failure_words(late) == "its pods were not ready in time (deadlines.preRunningSeconds): too late"


# Reasons


def test_pods_that_fit_nowhere_are_told_together_with_the_schedulers_words():
    pods = [pod("worker", f"w{number}", scheduled=SELECTOR_WORDS) for number in range(2)]
    (reason,) = reasons_of([pod("head", ready=True), *pods], "vision", no_lines)
    expected = (
        "2 workers cannot be placed: 0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector."
    )
    assert reason.text == expected
    assert "workers.nodeSelector" in reason.way_out
    assert "{'gpu': 'h200'}" in reason.way_out
    assert count_states([pod("head", ready=True), *pods]) == {"pending": 2, "ready": 1}


def test_what_is_lacking_is_told_with_what_was_asked_for():
    (reason,) = reasons_of([pod("worker", scheduled="0/9 nodes are available: 9 Insufficient memory.")], "v", no_lines)
    assert "a pod asks for memory 400Mi" in reason.way_out
    (reason,) = reasons_of([pod("worker", scheduled="1 node(s) had untolerated taint(s)")], "v", no_lines)
    assert "workers.tolerations" in reason.way_out


def test_an_image_that_no_pod_can_pull_is_one_reason():
    back_off = waiting("ImagePullBackOff", f'Back-off pulling image "example.invalid/x:1": ErrImagePull: {PULL_WORDS}')
    pods = [pod("worker", inits=[back_off]), pod("head", containers=[waiting("ErrImagePull", PULL_WORDS)])]
    (reason,) = reasons_of(pods, "vision", no_lines)
    assert reason.text == f"the head and 1 worker cannot pull its image example.invalid/x:1: {PULL_WORDS}"
    assert "image.repository" in reason.way_out
    refused = pod("head", containers=[waiting("ErrImagePull", "pull access denied")])
    assert "image.pullSecrets" in reasons_of([refused], "vision", no_lines)[0].way_out


def test_a_missing_secret_is_named_and_how_to_make_it():
    head = pod("head", containers=[waiting("CreateContainerConfigError", 'secret "not-there" not found')])
    (reason,) = reasons_of([head], "vision", no_lines)
    assert (reason.kind, reason.text) == ("secret", 'the head cannot start: secret "not-there" not found')
    assert "kubectl -n vision create secret generic not-there" in reason.way_out


def test_out_of_memory_is_told_with_the_limit_even_when_the_container_is_back():
    (reason,) = reasons_of([pod("head", containers=[ended(1, "OOMKilled", ready=True)])], "vision", no_lines)
    assert reason.text == "the head ran out of memory (OOMKilled): the limit is 400Mi"
    assert reason.way_out == "raise head.memory"


def test_a_crash_loop_is_told_with_its_last_lines():
    crashed = {**ended(3), **waiting("CrashLoopBackOff", "back-off 10s")}
    (reason,) = reasons_of(
        [pod("worker", containers=[crashed])], "vision", lambda *_: ["Traceback", "ValueError: boom"]
    )
    assert reason.text == "1 worker ended with exit code 3; its last lines:\n  Traceback\n  ValueError: boom"


def test_the_last_lines_that_the_pods_status_keeps_need_no_log():
    crashed = ended(1)
    crashed["lastState"]["terminated"]["message"] = "\n".join("abcdefg")
    (reason,) = reasons_of([pod("head", containers=[crashed])], "vision", no_lines)
    assert reason.text == "the head ended with exit code 1; its last lines:\n  c\n  d\n  e\n  f\n  g"


def test_a_pod_that_runs_and_does_not_answer_is_told_once_it_had_time_to_start():
    def started(seconds):
        return {"state": {"running": {"startedAt": ago(seconds)}}, "ready": False}

    (reason,) = reasons_of([pod("worker", containers=[started(400)])], "vision", no_lines)
    assert (reason.kind, reason.text) == ("unhealthy", "1 worker runs, and Ray in it has not answered for 5 min")
    assert "raise workers.memory" in reason.way_out
    assert "kubectl -n vision describe pod pod-1" in reason.way_out
    assert reasons_of([pod("worker", containers=[started(60)])], "vision", no_lines) == []


def test_a_hundred_workers_that_crash_alike_are_one_reason_and_one_look():
    crashed, looks = {**ended(3), **waiting("CrashLoopBackOff")}, []
    pods = [pod("worker", f"w{number}", containers=[crashed]) for number in range(100)]
    (reason,) = reasons_of(pods, "vision", lambda *who: looks.append(who) or ["boom"])
    assert reason.text == "100 workers ended with exit code 3; its last lines:\n  boom"
    assert looks == [("w0", "ray-worker")]


def test_a_preempted_pod_is_told_and_one_that_is_leaving_is_not():
    disruption = {
        "type": "DisruptionTarget",
        "status": "True",
        "message": "preempting to accommodate a higher priority pod",
    }
    preempted = pod("worker")
    preempted["status"]["conditions"].append(disruption)
    (reason,) = reasons_of([preempted], "vision", no_lines)
    assert (reason.kind, "higher priority pod" in reason.text) == ("preempted", True)
    preempted["metadata"]["deletionTimestamp"] = ago(1)
    assert reasons_of([preempted], "vision", no_lines) == []
    assert count_states([preempted]) == {"leaving": 1}


def event(reason, message, name="pets-07169639-744zz-head-x", uid="1", seconds=10):
    return {
        "reason": reason,
        "message": message,
        "involvedObject": {"name": name, "uid": uid},
        "lastTimestamp": ago(seconds),
    }


def test_events_tell_of_pods_that_are_gone_but_not_of_one_that_was_placed_in_the_end():
    placed = [
        event("FailedScheduling", "no room", uid="1", seconds=30),
        event("Scheduled", "assigned", uid="1", seconds=20),
    ]
    assert reasons_of_events(placed) == []
    failed = [*placed, event("Failed", "Failed to pull image x: no such host"), event("Failed", "Error: ErrImagePull")]
    assert [reason.kind for reason in reasons_of_events(failed)] == ["image"]
    refused = event("FailedToCreateWorkerPod", 'pods "x" is forbidden: exceeded quota: team')
    assert "exceeded quota: team" in reasons_of_events([refused])[0].text


def test_rays_own_kills_are_told_from_the_drivers_log():
    line = "(raylet) 5 Workers (tasks / actors) killed due to memory pressure (OOM), 0 Workers crashed\n"
    (reason,) = reasons_of_log(f"noise\n{line}noise")
    assert "5 Workers (tasks / actors) killed" in reason.text
    assert "workers.memory" in reason.way_out
    assert reasons_of_log("12 of 400 images") == []


# Snapshots: the cluster and the folder together


def full(kube, document):
    run = Run.of(document)
    return Snapshots(kube).full(run, RunFolder(run.paths))


def test_progress_is_read_from_the_runs_folder_and_a_rate_only_from_this_attempt(kube, runs):
    write_progress(runs)
    status = full(kube, running(output_uri=runs))
    assert progress_words(status.progress) == "120 of 400 images, 3 failed, 60 images/s, 4.7 s left"
    write_progress(runs, updated=3600)
    assert progress_words(full(kube, running(output_uri=runs)).progress) == "120 of 400 images, 3 failed"


def workload(name, created, queue="team", priority=0, kind="QuotaReserved", status="False", message="", uid="x"):
    return {
        "metadata": {"name": name, "creationTimestamp": ago(created), "ownerReferences": [{"uid": uid}]},
        "spec": {"queueName": queue, "priority": priority},
        "status": {"conditions": [{"type": kind, "status": status, "message": message}]},
    }


def test_a_queued_run_is_told_with_its_place_and_kueues_words(server, kube):
    document = rayjob(labels={"kueue.x-k8s.io/queue-name": "team"}, jobDeploymentStatus="Suspended")
    words = (
        "couldn't assign flavors to pod set head: insufficient unused quota for cpu in flavor default, 1 more needed"
    )
    own = workload("pets", 50, message=words, uid=document["metadata"]["uid"])
    others = [
        workload("earlier", 60),
        workload("later", 40),
        workload("later-and-more-urgent", 30, priority=100),
        workload("elsewhere", 60, queue="other"),
        workload("admitted", 60, status="True"),
        workload("ended", 60, kind="Finished", status="True"),
    ]
    server.objects["/apis/kueue.x-k8s.io/v1beta1/namespaces/vision/workloads"] = {"items": [own, *others]}
    (reason,) = full(kube, document).reasons
    assert reason.text == f"waits in the queue team, place 3: {words}"
    server.objects["/apis/kueue.x-k8s.io/v1beta1/namespaces/vision/workloads"] = {"items": []}
    assert "has not taken it up" in full(kube, document).reasons[0].text


def test_a_node_that_is_on_its_way_is_told(server, kube):
    server.objects[PODS] = {"items": [pod("worker", "w", scheduled=SELECTOR_WORDS)]}
    server.objects[EVENTS] = {"items": [event("TriggeredScaleUp", "pod triggered scale-up: gpu 0->1", name="w")]}
    status = full(kube, rayjob(jobDeploymentStatus="Initializing"))
    assert status.notes == ["a node is on its way: pod triggered scale-up: gpu 0->1"]


def test_a_failed_run_whose_pods_are_gone_is_explained_by_their_events(server, kube):
    server.objects[EVENTS] = {"items": [event("FailedScheduling", SELECTOR_WORDS), event("Evicted", "x", name="other")]}
    status = full(kube, rayjob(jobDeploymentStatus="Failed", reason="PreRunningDeadlineExceeded", message="too late"))
    assert [reason.kind for reason in status.reasons] == ["unschedulable"]
    assert status.exit_code == 1


def test_pods_that_are_up_and_a_driver_that_does_not_start_or_does_not_write_is_told(server, kube, runs):
    server.objects[PODS] = {
        "items": [pod("head", "h", ready=True), *(pod("worker", f"w{n}", ready=True) for n in (1, 2))]
    }
    (reason,) = full(kube, rayjob(jobDeploymentStatus="Running")).reasons
    assert (reason.kind, "tench logs pets-3f2a9c1e --worker h" in reason.way_out) == ("driver", True)
    write_progress(runs, updated=500)
    silent = running(output_uri=runs, startTime=ago(900))
    assert [reason.kind for reason in full(kube, silent).reasons] == ["stalled"]
    write_progress(runs, updated=5)
    assert full(kube, silent).reasons == []
    write_progress(runs, updated=5, images_per_second=0.0)
    started = {"startTime": ago(900), "rayJobInfo": {"startTime": ago(400)}}
    (reason,) = full(kube, running(output_uri=runs, **started)).reasons
    assert (reason.kind, reason.text) == ("stalled", "no image has come out in the 6 min since the driver started")
    again = {"startTime": ago(900), "rayJobInfo": {"startTime": ago(20)}}
    assert full(kube, running(output_uri=runs, **again)).reasons == []


def test_what_may_not_be_read_is_a_note(server, kube):
    server.objects[EVENTS] = None
    status = full(kube, rayjob(jobDeploymentStatus="Initializing"))
    assert "not allowed" in " ".join(status.notes)
    server.objects[PODS] = None
    with pytest.raises(PreflightError, match="ask for a role"):
        full(kube, rayjob())


def test_a_warm_cluster_that_is_not_there_is_named(kube):
    (reason,) = full(
        kube, rayjob(spec={"clusterSelector": {"ray.io/cluster": "warm"}}, jobDeploymentStatus="Waiting")
    ).reasons
    assert "the cluster warm is not in the namespace vision" in reason.text


def test_a_failed_run_whose_result_is_complete_says_so(kube, runs):
    write_success(runs)
    status = full(kube, rayjob(output_uri=runs, jobDeploymentStatus="Failed", reason="AppFailed", message="x"))
    assert status.notes == ["its result is complete since 2026-11-21T22:00:00+00:00 all the same"]
    assert (status.exit_code, status.complete) == (1, True)


def test_the_screen_shows_no_escape_of_the_clusters_words(kube):
    status = full(kube, rayjob(jobDeploymentStatus="Failed", reason="AppFailed", message="\x1b[2J[red]tench[/red]"))
    console = Console(file=StringIO(), width=200, force_terminal=False)
    console.print(picture(status), list_table([status]))
    assert "\\x1b[2J[red]tench[/red]" in console.file.getvalue()


def test_a_reason_comes_with_a_fix_on_the_screen_and_a_way_out_in_json(kube):
    reason = Reason(kind="image", text="no image", way_out="correct its name")
    status = full(kube, running()).model_copy(update={"reasons": [reason]})
    console = Console(file=StringIO(), width=200)
    console.print(picture(status))
    lines = [line.strip().split(maxsplit=1) for line in console.file.getvalue().splitlines()]
    assert [line for line in lines if line[0] in ("why", "fix")] == [["why", "no image"], ["fix", "correct its name"]]
    assert json.loads(status.model_dump_json())["reasons"] == [
        {"kind": "image", "text": "no image", "way_out": "correct its name"}
    ]


# Names


def test_a_run_has_three_names_and_a_wrong_one_is_corrected(server, kube):
    server.objects[RAYJOBS] = {"items": [rayjob(), rayjob(run_id="other-11111111", release="other")]}
    for word in ("pets-3f2a9c1e", "pets", "pets-07169639"):
        assert find_run(kube, word).name == "pets-07169639"
    with pytest.raises(UsageError, match="did you mean other"):
        find_run(kube, "othr")
    server.objects[RAYJOBS] = {"items": []}
    with pytest.raises(UsageError, match="is it the right one"):
        find_run(kube, "pets")


# The commands


def play(server, *answers):
    """What is told of the RayJobs, a request after the other; the last stays. A number is an HTTP error."""
    answer, rest = server.answer, list(answers)

    def next_one(path, query):
        if path != RAYJOBS:
            return answer(path, query)
        now = rest.pop(0) if len(rest) > 1 else rest[0]
        if isinstance(now, int):
            return now, {"message": "etcd is away"}
        return 200, {"items": [now] if now else []}

    server.answer = next_one


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        ({"jobDeploymentStatus": "Complete", "jobStatus": "SUCCEEDED"}, 0, "succeeded: 120 of 400 images"),
        ({"jobDeploymentStatus": "Complete", "jobStatus": "STOPPED"}, 1, "was stopped"),
        ({"jobDeploymentStatus": "ValidationFailed", "reason": "ValidationFailed", "message": "a label"}, 1, "a label"),
        (
            {"jobDeploymentStatus": "Failed", "reason": "AppFailed", "message": "tench: no"},
            1,
            "pets-3f2a9c1e failed: no",
        ),
        (None, 1, "its RayJob was deleted"),
    ],
)
def test_watch_ends_with_the_runs_exit_code(server, runs, status, code, words):
    write_progress(runs)
    play(server, *[running(output_uri=runs)] * 2, status and rayjob(output_uri=runs, **status))
    exit_code, printed, said = called(server, "watch", "pets")
    assert exit_code == code, said
    assert words in said
    assert "running: 0 of 3 pods ready; 120 of 400 images, 3 failed, 60 images/s" in said
    assert printed == (f"{runs}/pets-3f2a9c1e\n" if code == 0 else "")


def test_watch_leaves_a_run_alone_after_its_time_and_at_ctrl_c(server):
    server.objects[RAYJOBS] = {"items": [running()]}
    code, _, said = called(server, "watch", "pets", "--timeout", "0")
    assert code == 4
    assert "tench watch pets-3f2a9c1e -n vision --context here" in said
    process = tench(server, "watch", "pets")
    assert "running" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "tench cancel pets-3f2a9c1e -n vision --context here" in said


def test_a_lost_connection_is_shown_and_survived(server, kube, monkeypatch):
    shown = []
    monkeypatch.setattr(watcher.Screen, "show", lambda self, status: shown.append(status))
    done = rayjob(jobDeploymentStatus="Complete", jobStatus="SUCCEEDED")
    play(server, running(), running(), 503, 503, running(), done)
    status = watcher.watch(kube, find_run(kube, "pets"), 30, Console(file=StringIO()))
    assert status.phase is Phase.SUCCEEDED
    lost = ["etcd is away" in " ".join(each.notes) for each in shown]
    assert lost == [False, True, True, False, False]
    assert [each.phase for each in shown] == [Phase.RUNNING] * 4 + [Phase.SUCCEEDED]


def test_an_api_server_that_never_answered_is_an_error(server, kube, monkeypatch):
    run = Run.of(running())
    monkeypatch.setattr(server, "answer", lambda *_: (503, {"message": "etcd is away"}))
    with pytest.raises(Unreachable, match="etcd is away"):
        watcher.watch(kube, run, 30, Console(file=StringIO()))


def test_status_and_list_in_json(server, runs):
    write_success(runs)
    done = rayjob(output_uri=runs, jobDeploymentStatus="Complete", jobStatus="SUCCEEDED", endTime=ago(10))
    waits = rayjob(run_id="late-11111111", release="late", jobDeploymentStatus="Initializing", output_uri=runs)
    server.objects[RAYJOBS] = {"items": [done, waits]}
    code, printed, _ = called(server, "list", "-o", "json")
    found = {each["run_id"]: each for each in json.loads(printed)}
    assert code == 0
    assert found["pets-3f2a9c1e"]["phase"] == "succeeded"
    assert found["pets-3f2a9c1e"]["progress"]["rows_done"] == 400
    assert (found["late-11111111"]["phase"], found["late-11111111"]["complete"]) == ("starting", False)
    assert "pets-3f2a9c1e  pets" in called(server, "list")[1]
    code, printed, _ = called(server, "status", f"{runs}/pets-3f2a9c1e", "-o", "json")
    assert json.loads(printed)["phase"] == "succeeded"
    (runs / "pets-3f2a9c1e" / "_SUCCESS").unlink()
    code, printed, _ = called(server, "status", f"{runs}/pets-3f2a9c1e")
    assert "unfinished" in printed
    assert "there is no _SUCCESS yet" in printed


def test_a_line_every_ten_seconds_and_at_once_what_is_new(kube, caplog):
    caplog.set_level("INFO", "tench.launcher.watch.screen")
    status = full(kube, running())
    screen = Screen(Console(file=StringIO()))
    for _ in range(3):
        screen.show(status)
    assert [record.message for record in caplog.records] == ["running: 0 of 3 pods ready"]
    reason = Reason(kind="image", text="no image", way_out="another one")
    screen.show(status.model_copy(update={"reasons": [reason]}))
    assert [record.message for record in caplog.records][1:] == [
        "running: 0 of 3 pods ready; why: no image",
        "fix: another one",
    ]
    screen._lined_at -= 10
    screen.show(status.model_copy(update={"reasons": [reason]}))
    assert len(caplog.records) == 4


def test_a_terminal_gets_one_screen_and_no_lines(kube, caplog):
    caplog.set_level("INFO", "tench.launcher.watch.screen")
    console = Console(file=StringIO(), force_terminal=True, width=100, no_color=True)
    with Screen(console) as screen:
        screen.show(full(kube, running()))
    assert "pets-3f2a9c1e in vision" in console.file.getvalue()
    assert "\x1b[3" not in console.file.getvalue()
    assert not caplog.records


# Logs


def keep(runs, text, attempt="20261121T220000Z"):
    (runs / "pets-3f2a9c1e" / "logs").mkdir(exist_ok=True)
    (runs / "pets-3f2a9c1e" / "logs" / f"driver-{attempt}.log").write_text(text)


def test_logs_of_a_run_whose_pods_are_gone_are_the_newest_attempts(server, runs):
    keep(runs, "old\n", "20261121T210000Z")
    keep(runs, "one\ntwo\n")
    server.objects[RAYJOBS] = {"items": [rayjob(output_uri=runs, jobDeploymentStatus="Failed")]}
    assert called(server, "logs", "pets")[:2] == (0, "one\ntwo\n")
    assert called(server, "logs", "pets", "-f")[:2] == (0, "one\ntwo\n")
    assert called(server, "logs", f"{runs}/pets-3f2a9c1e", "--tail", "1")[:2] == (0, "two\n")


def test_logs_without_any_say_where_to_look(server, runs):
    server.objects[RAYJOBS] = {"items": [rayjob(output_uri=runs)]}
    code, _, said = called(server, "logs", "pets")
    assert (code, "tench status pets-3f2a9c1e" in said) == (2, True)


def test_who_may_not_exec_follows_the_runs_folder(server, kube, runs, monkeypatch):
    monkeypatch.setattr("tench.launcher.watch.live_log.KEPT_POLL_S", 0.05)
    done = rayjob(output_uri=runs, jobDeploymentStatus="Complete", jobStatus="SUCCEEDED")
    play(server, *[running(output_uri=runs)] * 40, done)
    server.objects[PODS] = {"items": [pod("head", "h", ready=True)]}
    server.objects[f"{PODS}/h/exec"] = None
    keep(runs, "one\n")
    Timer(0.5, lambda: keep(runs, "one\ntwo\n")).start()
    said = []
    log = DriverLogReader(kube, find_run(kube, "pets"), said.append)
    assert b"".join(log.follow()) == b"one\ntwo\n"
    assert any("pods/exec" in each for each in said)


def test_a_pods_log_by_name_and_a_wrong_name_is_corrected(server, runs):
    server.objects[RAYJOBS] = {"items": [running(output_uri=runs)]}
    server.objects[PODS] = {
        "items": [pod("worker", "pets-worker-x", ready=True), pod("worker", "pets-worker-y", ready=True)]
    }
    for name in "xy":
        server.objects[f"{PODS}/pets-worker-{name}/log"] = f"2026-11-21T22:00:00.1Z hello from {name}"
    code, printed, _ = called(server, "logs", "pets", "--worker", "pets-worker-x")
    assert (code, printed) == (0, "hello from x\n")
    assert "pets-worker-y hello from y" in called(server, "logs", "pets", "--workers")[1]
    code, _, said = called(server, "logs", "pets", "--worker", "pets-worker-")
    assert code == 2
    assert "did you mean pets-worker-" in said


def test_watching_loads_no_model_library_and_help_no_client(server):
    code = """
import sys
from tench.launcher.cli import main
try:
    main(sys.argv[1:])
except SystemExit:
    print(sorted(sys.modules))
"""
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code, "watch", "--help"], capture_output=True, text=True, check=True)
    assert time.monotonic() - started < 20
    assert not [name for name in ("kubernetes", "pyarrow", "obstore") if f"'{name}'" in done.stdout]
