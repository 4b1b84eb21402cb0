"""Models of the user's own: found, asked for a recipe without being built, and refused with names."""

import textwrap

import pytest
import torch
from models import make_model_spec

from job.errors import ModelError
from job.models.load import load_predictor, load_recipe
from job.recipe import Exactly, Recipe

MODULE = """
import torch
from job.recipe import Exactly, Recipe

class Brightness:
    recipe = Recipe(Exactly(32, 32))
    labels = ["dark", "bright"]

    def __init__(self, spec, device):
        self.name, self.device = spec.name, device

    def predict(self, images):
        bright = images.float().mean((1, 2, 3)) / 255
        return torch.stack([1 - bright, bright], 1)

class Costly(Brightness):
    def __init__(self, spec, device):
        raise MemoryError("the driver must not build this")

def make(spec, device):
    return Brightness(spec, device)

def fail(spec, device):
    raise ValueError("no licence")

def nothing(spec, device):
    return None

class Odd(Brightness):
    recipe = "resize to 32"

class Computed(Brightness):
    @property
    def recipe(self):
        return Recipe(Exactly(32, 32))

class Loose(Brightness):
    recipe = Recipe()

answer = 42
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """The name of a module in the working folder, from where the command finds it."""
    name = f"my_models_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(textwrap.dedent(MODULE))
    (tmp_path / f"{name}_broken.py").write_text("import no_such_library")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend("nowhere")  # restores sys.path at the end
    return name


def make_spec(module, factory, **fields):
    return make_model_spec(kind="python", name=f"{module}:{factory}", **fields)


@pytest.mark.parametrize("factory", ["Brightness", "make"])
def test_a_factory_makes_the_predictor(module, factory):
    predictor = load_predictor(make_spec(module, factory), "cpu", 1)
    assert (predictor.name, predictor.device) == (f"{module}:{factory}", "cpu")
    assert predictor.predict(torch.zeros((2, 32, 32, 3), dtype=torch.uint8)).tolist() == [[1, 0], [1, 0]]


@pytest.mark.parametrize("factory", ["Brightness", "make", "Costly"])
def test_the_recipe_is_the_factorys_own_where_it_has_one(module, factory):
    assert load_recipe(make_spec(module, factory)) == Recipe(Exactly(32, 32))


@pytest.mark.parametrize(
    ("factory", "text"),
    [
        ("missing", "has no such name where a factory"),
        ("answer", "has a int where a factory"),
        ("fail", 'raised ValueError: no licence\n  File "'),
        ("nothing", "returned a NoneType without recipe, labels, predict"),
    ],
)
def test_what_is_no_factory_is_refused(module, factory, text):
    with pytest.raises(ModelError) as raised:
        load_predictor(make_spec(module, factory), "cpu", 1)
    assert text in str(raised.value)
    assert f"{module}:{factory}" in str(raised.value)


@pytest.mark.parametrize(
    ("factory", "text"),
    [("Odd", "its recipe is a str; it must be a job.recipe.Recipe"), ("Loose", "gives images of different sizes")],
)
def test_what_is_no_recipe_to_classify_with_is_refused(module, factory, text):
    with pytest.raises(ModelError, match=text):
        load_recipe(make_spec(module, factory))


def test_a_class_may_compute_its_recipe_in_a_property(module):
    assert load_recipe(make_spec(module, "Computed")) == Recipe(Exactly(32, 32))


def test_a_detectors_recipe_may_leave_sizes_as_they_are(module):
    assert load_recipe(make_spec(module, "Loose", task="detect")) == Recipe()


def test_modules_that_are_missing_or_broken_are_named(module, tmp_path):
    with pytest.raises(ModelError, match=f"there is no module no_such_module; searched {tmp_path}"):
        load_recipe(make_spec("no_such_module", "make"))
    with pytest.raises(ModelError, match=f"importing {module}_broken raised .*no_such_library") as raised:
        load_recipe(make_spec(f"{module}_broken", "make"))
    assert f'  File "{tmp_path}/{module}_broken.py", line 1, in <module>\n    import no_such_library' in str(
        raised.value
    )


def test_a_module_that_is_no_python_is_shown_where_it_is_wrong(module, tmp_path):
    (tmp_path / f"{module}_typo.py").write_text("import os\nrecipe = = 3\n")
    with pytest.raises(ModelError) as raised:
        load_recipe(make_spec(f"{module}_typo", "make"))
    assert f'SyntaxError: invalid syntax\n  File "{tmp_path}/{module}_typo.py", line 2\n    recipe = = 3' in str(
        raised.value
    )


def test_a_factory_that_fails_in_a_library_is_shown_where_it_called_it(module, tmp_path):
    (tmp_path / f"{module}_json.py").write_text("import json\ndef make(spec, device):\n    return json.loads('{')\n")
    with pytest.raises(ModelError) as raised:
        load_predictor(make_spec(f"{module}_json", "make"), "cpu", 1)
    assert str(raised.value).endswith(f"{module}_json.py\", line 3, in make\n    return json.loads('{{')")
