"""The output: may it be written, and does its store refuse a second write of one key, which keeps two drivers apart."""

import secrets
from contextlib import suppress

from job.errors import StoreError
from job.stores.storage import RetryPolicy, is_bucket, open_folder
from tench.launcher.preflight.finding import Finding, error, ok, warning

PATIENCE = RetryPolicy(deadline_s=20.0, request_timeout_s=10.0)


def check_output(run_uri: str) -> Finding:
    """What a write there shows."""
    if not is_bucket(run_uri):
        return warning(
            "output", f"{run_uri} is a path in the pods: it is not looked at, and a volume must be mounted there"
        )
    try:
        problem = write_twice(run_uri)
    except StoreError as refused:
        text = f"{run_uri} cannot be written with the credentials here: {refused}"
        return error("output", f"{text}; mend that, or --force where the pods have others")
    if problem:
        return warning("output", problem)
    return ok("output", f"{run_uri} can be written, and refuses a second write of one key")


def write_twice(run_uri: str) -> str | None:
    """Writes one small object into the run's folder twice, the second time in vain, and removes it.

    What is wrong with the second write, None where it was refused as it should. Raises StoreError where the first was.
    """
    key = f".probe-{secrets.token_hex(8)}"
    folder = open_folder(run_uri, PATIENCE)
    folder.create(key, b"whether the output can be written")
    try:
        folder.create(key, b"whether a second write is refused")
    except FileExistsError:
        return None
    except StoreError as refused:
        return f"{run_uri} can be written; a second write failed otherwise than it should: {refused}"
    finally:
        with suppress(StoreError):  # where deleting is forbidden, it stays
            folder.delete(key)
    text = f"{run_uri} overwrites where it was asked to create only"
    return f"{text}: the rows are right as long as one driver at a time works on this run"
