"""The names in a run's folder, which users and other versions read by."""

import pytest

from job.plan.paths import LOGS, PREDICTIONS, RAY_LOGS, RunPaths, ray_driver_log

PATHS = RunPaths("s3://bucket/runs/", "pets-3f2a9c1e")


def test_the_names_are_those_that_older_versions_gave():
    assert PATHS.uri == "s3://bucket/runs/pets-3f2a9c1e"
    assert (PATHS.plan, PATHS.progress, PATHS.success, PATHS.report) == (
        *("plan.json", "progress.json", "_SUCCESS", "report.html"),
    )
    assert PATHS.predictions(42) == "predictions/shard-00042.parquet"
    assert PATHS.predictions(1_234_567) == "predictions/shard-1234567.parquet"
    assert PATHS.log("20261121T220000Z") == "logs/driver-20261121T220000Z.log"
    assert (PREDICTIONS, LOGS) == ("predictions/", "logs/")


def test_rays_own_log_is_where_ray_keeps_it():
    assert f"{RAY_LOGS}/{ray_driver_log('pets-x7k2p')}" == "/tmp/ray/session_latest/logs/job-driver-pets-x7k2p.log"


@pytest.mark.parametrize("slashes", ["", "/", "//"])
def test_a_runs_folder_says_which_run_it_is(slashes):
    found = RunPaths.of(f"s3://bucket/a/X/RUN-X{slashes}")
    assert (found.output_uri, found.run_id, found.uri) == ("s3://bucket/a/X", "RUN-X", "s3://bucket/a/X/RUN-X")


@pytest.mark.parametrize(
    ("key", "shard"),
    [
        ("predictions/shard-00042.parquet", 42),
        ("predictions/shard-1234567.parquet", 1_234_567),
        ("predictions/shard-42.parquet", None),
        ("predictions/shard-0000042.parquet", None),
        ("predictions/shard-00042.parquet.tmp", None),
        ("predictions/deep/shard-00042.parquet", None),
        ("predictions/shard-٤٢٤٢٤.parquet", None),
        ("shard-00042.parquet", None),
        ("00042", None),
        ("_SUCCESS", None),
    ],
)
def test_a_shards_object_has_one_name(key, shard):
    assert PATHS.shard_of(key) == shard
