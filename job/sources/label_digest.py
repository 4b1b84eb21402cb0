"""What expected labels hang on beside the source itself: the files that the spec names for them, by their content."""

import hashlib
import io
from typing import Any, cast

from job.errors import SourceError, StoreError
from job.spec.spec import SourceSpec
from job.stores.range_file import RangeFile
from job.stores.storage import open_folder, split_uri

_BUFFER_BYTES = 4 << 20


def labels_digest(spec: SourceSpec) -> str | None:
    """sha256 in hex; None where labels are of no file, or one is not there: the listing says so. Raises SourceError."""
    uris = [uri for uri in (getattr(spec, "label_file", None), spec.label_names) if uri is not None]
    if not uris:
        return None
    digest = hashlib.sha256()
    try:
        for uri in uris:
            root, key = split_uri(uri)
            with io.BufferedReader(cast(Any, RangeFile(open_folder(root), key)), _BUFFER_BYTES) as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    except FileNotFoundError:
        return None
    except StoreError as error:
        raise SourceError(str(error)) from error
    return digest.hexdigest()
