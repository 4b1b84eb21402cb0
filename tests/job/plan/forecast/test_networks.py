"""The work of torchvision's networks is what its own weights say."""

import pytest
import torchvision
from models import make_model_spec
from torchvision.models import get_model_weights, list_models

from job.plan.forecast.networks import TORCHVISION_GMAC, gflop_of

NAMES = [*list_models(module=torchvision.models), *list_models(module=torchvision.models.detection)]


@pytest.mark.parametrize("name", NAMES)
def test_the_work_of_a_network_is_torchvisions_figure(name):
    weights = get_model_weights(name)
    figure = getattr(weights, "DEFAULT", None) or next(iter(weights))
    assert pytest.approx(figure.meta["_ops"], abs=0.001) == TORCHVISION_GMAC[name]


def test_two_operations_are_a_multiplication_and_an_addition():
    assert gflop_of(make_model_spec(name="resnet50")) == pytest.approx(8.178, abs=0.01)
    assert gflop_of(make_model_spec(kind="python", name="my:Model")) is None
