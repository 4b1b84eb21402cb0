"""Models of the Hugging Face hub: a snapshot in its cache on this machine, of one commit.

The driver resolves an id once. Whoever is given the commit looks into the cache first and asks the hub for nothing
that is there.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import huggingface_hub
from huggingface_hub.errors import LocalEntryNotFoundError

from job.errors import ModelError

_COMMIT = re.compile(r"[0-9a-f]{40}")


_told: dict[str, tuple[str, str | None]] = {}


def tell(name: str, place: str, commit: str | None) -> None:
    """Where this process finds a base model that an adapter names: its id at that commit, or where it is staged."""
    _told[name] = place, commit


def told_of(name: str) -> tuple[str, str | None]:
    return _told.get(name, (name, None))


def snapshot(name: str, revision: str | None, patterns: Sequence[str]) -> Path:
    """The folder of the files that match; its name is the commit. Raises ModelError.

    `revision` is a branch, a tag or a commit; None is the main branch.
    """
    if revision and is_commit(revision):
        try:
            return _download(name, revision, patterns, local_files_only=True)
        except LocalEntryNotFoundError:
            pass
    try:
        return _download(name, revision, patterns)
    except Exception as error:
        at = f" at revision {revision}" if revision else ""
        raise ModelError(
            f"model.name: {name} is no folder here, and the hub does not give it{at} ({type(error).__name__}: {error});"
            " give a local folder, or HF_HOME with the model in its cache"
        ) from error


def newest_commit(name: str, revision: str | None) -> str | None:
    """Of a branch on the hub; None where it does not answer."""
    try:
        return huggingface_hub.HfApi().model_info(name, revision=revision, timeout=10).sha
    except Exception:
        return None


def is_commit(revision: str) -> bool:
    return _COMMIT.fullmatch(revision) is not None


def _download(name: str, revision: str | None, patterns: Sequence[str], local_files_only: bool = False) -> Path:
    return Path(
        huggingface_hub.snapshot_download(
            name, revision=revision, allow_patterns=[*patterns], local_files_only=local_files_only
        )
    )
