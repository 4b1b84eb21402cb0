"""`tench verify`: does a finished run hold every image once."""

import sys

from job.results.verify import verify
from tench.launcher.cluster.target import Target
from tench.launcher.watch.run_lookup import look_up


def run(target: Target, word: str, as_json: bool) -> None:
    """Prints the run's folder on stdout, or with `as_json` the counts. Raises RunFailed."""
    found = verify(look_up(target, word).folder_uri)
    print(
        f"{found.rows:,} rows in {found.files:,} files, each once and in order; {found.failed:,} failed",
        file=sys.stderr,
    )
    print(found.model_dump_json() if as_json else found.uri)
