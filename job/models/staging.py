"""Staging: files that the driver fetched, put where every node reads them: below the runs' folder, in `.models/`.

Runs of one folder share them. A node fetches each file once, through `job.models.weights`.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

from job.errors import ModelError
from job.stores.storage import open_folder

log = logging.getLogger(__name__)

FOLDER = ".models"
MAX_BYTES = 5 << 30  # of one write, as S3 has it


def stage(paths: Sequence[Path], runs_uri: str, key: str) -> str:
    """The URI of the folder that has the files; each is written once, whole. Raises ModelError, StoreError."""
    folder = open_folder(f"{runs_uri.rstrip('/')}/{FOLDER}/{key}")
    for path in paths:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise ModelError(
                f"{path.name} has {size:,} bytes, and a store takes {MAX_BYTES:,} at once; put the model's folder into "
                "a bucket and give its URI as model.name"
            )
        there = folder.head(path.name)
        if there and there.size == size:
            continue
        log.info("staging %s (%.1f MB) in %s, for the workers", path.name, size / 1e6, folder.uri)
        folder.put(path.name, path.read_bytes())
    return folder.uri
