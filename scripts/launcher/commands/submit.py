"""`tench submit`: a run on a cluster: plan, confirm, `helm install`."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console

from job.spec.spec_file import load_spec
from job.terminal.console import print_lines
from tench.launcher.cluster.release import differing
from tench.launcher.cluster.target import Target
from tench.launcher.commands.watch import to_end
from tench.launcher.submit.proposal import Draft, draft, propose
from tench.launcher.submit.question import is_confirmed
from tench.launcher.submit.removal import remove, wait_until_gone
from tench.launcher.watch.cluster_run import Run, runs_of
from tench.launcher.watch.phase import phase_of


@dataclass(frozen=True)
class SubmitOptions:
    """What the options say, but for the target."""

    images_per_second: float | None
    yes: bool
    force: bool
    dry_run: bool
    upgrade: bool
    watch: bool
    as_json: bool


def run(spec_path: str, run_id: str | None, target: Target, options: SubmitOptions) -> None:
    """Prints the run id on stdout, and watches the run where that is wished.

    Raises UsageError, PreflightError, and nothing is started then; as a watcher, RunFailed and Interrupted.
    """
    console = Console(stderr=True)
    drafted = draft(load_spec(spec_path), run_id, target)
    if options.dry_run:
        print(drafted.release.manifest, end="")
    elif _submit(drafted, options, console) and options.watch:
        to_end(drafted.kube, drafted.release.name)


def _submit(drafted: Draft, options: SubmitOptions, console: Console) -> bool:
    """Whether there is something to watch."""
    there = _under_way(drafted)
    if there and not options.upgrade:
        print_lines(console, *_there_already(drafted, there))
        _print(drafted, "there already", options)
        return True
    if drafted.is_complete:
        uri = drafted.release.paths.uri
        print_lines(console, f"{drafted.release.name} is complete, and there is nothing to do: tench collect {uri}")
        _print(drafted, "complete", options)
        return False
    proposal = propose(drafted, options.images_per_second, console)
    proposal.show(console)
    proposal.check(options.force)
    if not is_confirmed(f"submit {drafted.release.name}?", options.yes, default=True):
        print_lines(console, "nothing was started")
        return False
    state = _upgrade(drafted) if there else _install(drafted)
    print_lines(console, *_how_to_come_back(drafted))
    _print(drafted, state, options)
    return True


def _under_way(drafted: Draft) -> Run | None:
    """The RayJob of this run that has not ended, whoever made it."""
    runs = runs_of(drafted.kube, drafted.release.name)
    return next((each for each in runs if not phase_of(each).ended), None)


def _there_already(drafted: Draft, there: Run) -> Sequence[str]:
    """It goes on as it is; what an upgrade would change is said."""
    name = drafted.release.name
    lines = [f"{name} is there already, {phase_of(there)}, as RayJob {there.name}"]
    if there.release != name:
        return [*lines, f"it belongs to the release {there.release}, made with helm itself"]
    if kinds := differing(drafted.release, drafted.helm.manifest(name)):
        lines.append(
            f"these values would change its {', '.join(kinds)}; --upgrade does, and the run goes on from there"
        )
    return lines


def _install(drafted: Draft) -> str:
    """What ended goes first, as does half an install; its rows stay, and the new RayJob goes on from them."""
    name, kube, helm = drafted.release.name, drafted.kube, drafted.helm
    ended = runs_of(kube, name)
    for each in ended:
        remove(kube, helm, each)
        wait_until_gone(kube, each)  # the new one may have its name
    if helm.status(name) is not None:
        helm.uninstall(name)
    helm.install(name, drafted.release.values)
    return "submitted again" if ended else "submitted"


def _upgrade(drafted: Draft) -> str:
    drafted.helm.upgrade(drafted.release.name, drafted.release.values)
    return "upgraded"


def _how_to_come_back(drafted: Draft) -> list[str]:
    name, where = drafted.release.name, f" -n {drafted.kube.namespace}"
    return [f"watch it: tench watch {name}{where}", f"stop it: tench cancel {name}{where}"]


def _print(drafted: Draft, state: str, options: SubmitOptions) -> None:
    name, uri = drafted.release.name, drafted.release.paths.uri
    found = {"run_id": name, "run_uri": uri, "namespace": drafted.kube.namespace, "state": state}
    print(json.dumps(found) if options.as_json else name, flush=True)
