"""A bucket's inventory as its store writes it: S3 Inventory, and the inventory reports of Google's Storage Insights.

That is how buckets of a hundred million objects are listed. Their data files are streamed; a manifest names them.
"""

import json
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_plus

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from job.errors import SourceError
from job.sources.container_files import ContainerFile
from job.sources.left_out import LeftOutCounts
from job.sources.lists.list_formats import Csv
from job.sources.lists.text_stream import open_stream, plain_name
from job.stores.folder import LISTING, ROWS_PER_TABLE
from job.stores.range_file import RangeFile
from job.stores.storage import open_folder, split_uri

_ARN = re.compile(r"arn:[^:]*:s3:[^:]*:[^:]*:(.+)")
# The names in S3's CSV, and in its Parquet and ORC, without case and underscores; then Google's.
_NAMES = {
    "bucket": "bucket",
    "key": "key",
    "name": "key",
    "size": "size",
    "etag": "etag",
    "islatest": "is_latest",
    "isdeletemarker": "is_delete_marker",
    "timedeleted": "deleted",
}


@dataclass(frozen=True)
class Inventory:
    """Which files list which bucket's objects, and how."""

    scheme: str
    files: Sequence[ContainerFile]
    # Where a CSV has no header: its columns.
    header: Sequence[str] | None = None
    delimiter: str = ","
    # S3 encodes the keys in its CSV as a form does.
    has_encoded_keys: bool = False
    bucket: str | None = None
    anonymous: bool = field(default=False)

    def listings(self, left_out: LeftOutCounts) -> Iterator[tuple[pa.Array, pa.Table]]:
        """Tables of `LISTING`, and each row's root (`s3://BUCKET/`). Old versions are passed over and counted."""
        for file in self.files:
            try:
                for table in self._tables(file):
                    yield self._current(table, left_out)
            except (pa.ArrowException, OSError) as error:
                raise SourceError(f"{file.uri}: not an inventory that can be read: {error}") from error

    def _tables(self, file: ContainerFile) -> Iterator[pa.Table]:
        name = plain_name(file.key)
        if name.endswith(".csv"):
            csv = Csv(file, self.delimiter)
            header = self.header if self.header is not None else csv.columns()
            yield from csv.tables(_wanted(file, header), self.header)
            return
        source = RangeFile(file.folder, file.key, file.size, file.etag)
        if name.endswith(".orc"):
            from pyarrow.orc import ORCFile

            orc = ORCFile(source)
            stripes = (orc.read_stripe(number, _wanted(file, orc.schema.names)) for number in range(orc.nstripes))
            batches = (
                stripe.slice(at, ROWS_PER_TABLE) for stripe in stripes for at in range(0, len(stripe), ROWS_PER_TABLE)
            )
        else:
            parquet = pq.ParquetFile(source, pre_buffer=file.folder.is_remote)
            batches = parquet.iter_batches(ROWS_PER_TABLE, columns=_wanted(file, parquet.schema_arrow.names))
        yield from (pa.Table.from_batches([batch]) for batch in batches)

    def _current(self, table: pa.Table, left_out: LeftOutCounts) -> tuple[pa.Array, pa.Table]:
        table = table.rename_columns([_NAMES[_plain(name)] for name in table.column_names])
        for name, kind, is_current in (
            ("is_delete_marker", "delete markers", lambda values: pc.not_equal(_lower(values), "true")),
            ("is_latest", "earlier versions of objects", lambda values: pc.not_equal(_lower(values), "false")),
            ("deleted", "earlier versions of objects", pc.is_null),
        ):
            if name in table.column_names:
                mask = pc.fill_null(is_current(table[name]), True)
                passed_over = table.num_rows - int(pc.sum(mask).as_py() or 0)
                if passed_over:
                    example = table.filter(pc.invert(mask))["key"][0].as_py()
                    left_out.add(kind, passed_over, example)
                    table = table.filter(mask)
        keys = table["key"].cast(pa.string())
        keys = _decoded(keys) if self.has_encoded_keys else keys
        nothing = pa.nulls(table.num_rows, pa.string())
        size = table["size"] if "size" in table.column_names else nothing
        etag = table["etag"] if "etag" in table.column_names and self.scheme == "s3" else nothing
        buckets = table["bucket"] if "bucket" in table.column_names else pa.repeat(self.bucket, table.num_rows)
        root = f"{self.scheme}://{'anonymous@' if self.anonymous else ''}"
        roots = pc.binary_join_element_wise(root, buckets.cast(pa.string()), "/", "")
        return roots, pa.table([keys, size, etag], LISTING.names).cast(LISTING)


def inventory_of(manifest: ContainerFile, data: Mapping[str, Any]) -> Inventory | None:
    """What a manifest names, None where it is none. Raises SourceError where what it names is not there."""
    if "fileSchema" in data and "files" in data:
        return _s3(manifest, data)
    if "report_shards_file_names" in data:
        return _google(manifest, data)
    return None


def is_google_report(columns: Sequence[str]) -> bool:
    """Whether a CSV's header is that of a shard of an inventory report, whose manifest may be elsewhere."""
    return {"bucket", "name"} <= {*columns}


def read_manifest(file: ContainerFile) -> Mapping[str, Any]:
    """The JSON object in a file. Raises SourceError."""
    try:
        with open_stream(file) as stream:
            data = json.loads(stream.read())
    except ValueError as error:
        raise SourceError(f"source.uri: {file.uri} is no JSON: {error}") from error
    return data if isinstance(data, dict) else {}


def _s3(manifest: ContainerFile, data: Mapping[str, Any]) -> Inventory:
    bucket = str(data.get("destinationBucket", ""))
    arn = _ARN.fullmatch(bucket)
    anonymous = manifest.uri.startswith("s3://anonymous@")
    root = f"s3://{'anonymous@' if anonymous else ''}{arn[1] if arn else bucket}"
    is_csv = str(data.get("fileFormat", "")).upper() == "CSV"
    return Inventory(
        scheme="s3",
        files=[_data_file(manifest, root, str(file["key"])) for file in data["files"]],
        header=[name.strip() for name in str(data["fileSchema"]).split(",")] if is_csv else None,
        has_encoded_keys=is_csv,
        anonymous=anonymous,
    )


def _google(manifest: ContainerFile, data: Mapping[str, Any]) -> Inventory:
    config = data.get("report_config") or {}
    options = config.get("csvOptions") or config.get("csv_options") or {}
    fields = config.get("objectMetadataReportOptions") or config.get("object_metadata_report_options") or {}
    has_header = options.get("headerRequired", options.get("header_required", False))
    names = fields.get("metadataFields") or fields.get("metadata_fields")
    filters = fields.get("storageFilters") or fields.get("storage_filters") or {}
    folder = manifest.uri.rpartition("/")[0]
    shards = [name.rpartition("/")[2] for name in data["report_shards_file_names"]]
    return Inventory(
        scheme="gs",
        files=[_there(f"{folder}/{name}", manifest) for name in shards],
        header=None if has_header or not names else names,
        delimiter=options.get("delimiter") or ",",
        bucket=filters.get("bucket"),
        anonymous=manifest.uri.startswith("gs://anonymous@"),
    )


def _data_file(manifest: ContainerFile, root: str, key: str) -> ContainerFile:
    """Where the manifest says; of one that was downloaded with its files, where they lie beside it."""
    if not manifest.folder.is_remote:
        folder, name = posixpath.dirname(manifest.uri), posixpath.basename(key)
        for place in (f"{folder}/{name}", f"{folder}/data/{name}", f"{posixpath.dirname(folder)}/data/{name}"):
            if (found := _look(place)) is not None:
                return found
    return _there(f"{root}/{key}", manifest)


def _there(uri: str, manifest: ContainerFile) -> ContainerFile:
    found = _look(uri)
    if found is None:
        raise SourceError(f"source.uri: {manifest.uri} names {uri}, and there is nothing")
    return found


def _look(uri: str) -> ContainerFile | None:
    root, key = split_uri(uri)
    folder = open_folder(root)
    entry = folder.head(key)
    return None if entry is None else ContainerFile(folder, key, entry.size, entry.etag)


def _wanted(file: ContainerFile, names: Sequence[str]) -> list[str]:
    wanted = [name for name in names if _plain(name) in _NAMES]
    if "key" not in {_NAMES[_plain(name)] for name in wanted}:
        raise SourceError(f"source.uri: {file.uri} has no column of keys; its columns are {', '.join(names)}")
    return wanted


def _plain(name: str) -> str:
    return name.casefold().replace("_", "")


def _lower(values: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.utf8_lower(values.cast(pa.string()))


def _decoded(keys: pa.ChunkedArray) -> pa.ChunkedArray:
    if not pc.any(pc.match_substring_regex(keys, "[%+]")).as_py():
        return keys
    return pa.chunked_array([pa.array([unquote_plus(key) for key in keys.to_pylist()], pa.string())])
