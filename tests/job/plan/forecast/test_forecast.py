"""The forecast: what limits a run, what it takes and costs, and what of that was assumed."""

import pytest
from run_specs import make_spec

from job.plan.forecast.forecast import Machines, forecast
from job.plan.forecast.rates import decode_seconds
from job.spec.spec import JobSpec

KB = 1000


def spec_of(tmp_path, source="s3://photos/all/", kind="files", **model):
    made = make_spec(tmp_path, model={"kind": "torchvision", "name": "resnet50", "weights": "none", **model})
    dumped = made.model_dump(mode="json")
    source_spec = {"kind": kind, "uri": source}
    return JobSpec.model_validate({**dumped, "source": source_spec})


def test_a_measured_replica_is_believed_and_an_unknown_network_is_not_guessed(tmp_path):
    unknown = spec_of(tmp_path, kind="files", name="resnet50")
    unknown = unknown.model_copy(update={"model": unknown.model.model_copy(update={"kind": "python", "name": "my:M"})})
    machines = Machines(replicas=2, replica_cores=1, decode_cores=64, gpu="H200", is_cluster=True)
    assert forecast(unknown, 10_000_000, None, machines) is None
    found = forecast(unknown, 10_000_000, 10_000_000 * 110 * KB, machines, images_per_second=500)
    assert found.images_per_second == pytest.approx(1000, rel=0.01)
    assert found.bottleneck.startswith("predict (")
    assert found.assumed == []


def test_a_fast_gpu_waits_for_what_feeds_it(tmp_path):
    machines = Machines(replicas=1, replica_cores=1, decode_cores=8, gpu="H200", is_cluster=True)
    found = forecast(spec_of(tmp_path), 1_000_000, 1_000_000 * 110 * KB, machines)
    assert found.bottleneck.startswith("read (")
    assert found.cores_to_feed_a_replica == pytest.approx(22_000 * decode_seconds(110 * KB), rel=0.01)
    assert found.assumed == ["a model on H200"]


def test_many_gpus_come_to_the_limit_of_one_prefix_and_tars_do_not(tmp_path):
    machines = Machines(replicas=16, replica_cores=1, decode_cores=1000, gpu="H200", is_cluster=True)
    loose = forecast(spec_of(tmp_path), 10**7, None, machines)
    assert loose.bottleneck.startswith("store (")
    assert loose.images_per_second == pytest.approx(5500, rel=0.05)
    packed = forecast(spec_of(tmp_path, "s3://photos/all.tar", "webdataset"), 10**7, None, machines)
    assert packed.images_per_second > 10 * loose.images_per_second


def test_the_price_is_that_of_all_pods_for_all_of_the_time(tmp_path):
    machines = Machines(replicas=4, replica_cores=1, decode_cores=64, gpu="T4", is_cluster=True, price_an_hour=3.0)
    found = forecast(spec_of(tmp_path), 10**7, None, machines)
    assert found.price == pytest.approx(3.0 * found.seconds / 3600, abs=0.01)
    assert found.pod_hours == pytest.approx(4 * found.seconds / 3600, rel=0.05)
    assert f"price {found.price:,.2f}; limited by predict" in found.line()
    assert "images of 110 KB" in found.line()


def test_a_model_on_a_cpu_shares_its_cores_with_decoding(tmp_path):
    machines = Machines(replicas=1, replica_cores=2, decode_cores=2)
    found = forecast(spec_of(tmp_path, source=str(tmp_path)), 10_000, 10_000 * 110 * KB, machines)
    alone = 2 * 34 / 8.178  # images a second of two cores
    assert 0.95 * alone < found.images_per_second < alone
    assert found.bottleneck.startswith("predict")
