"""The specs of the reference workloads, as far as they can be checked without their images and weights."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml
from torchvision import datasets
from torchvision.models import get_model_weights, get_weight

from job.spec.spec import JobSpec
from job.spec.spec_file import load_spec

ROOT = Path(__file__).parents[2]
JOBS = ROOT / "manifests" / "jobs"
SCHEMA = json.loads((ROOT / "job" / "spec.schema.json").read_text(encoding="utf-8"))
IMAGENETTE = "s3://anonymous@air-example-data-2/imagenette2/val/"
WORDNET_IDS = datasets.Imagenette._WNID_TO_CLASS


def test_these_are_the_workloads_and_each_is_tested_here() -> None:
    assert sorted(path.stem for path in JOBS.glob("*.yaml")) == [
        "fasterrcnn-voc",
        "resnet152-imagenette",
        "vit-imagenette",
    ]


@pytest.mark.parametrize("path", sorted(JOBS.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_workload_is_a_spec_with_its_command_at_the_top(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    load_spec(str(path))
    jsonschema.validate(yaml.safe_load(text), SCHEMA, cls=jsonschema.Draft202012Validator)
    assert text.startswith("# ")
    assert f"tench run {path.relative_to(ROOT)} " in text


def test_resnet152_labels_imagenette_on_four_gpus() -> None:
    spec = _load("resnet152-imagenette")
    assert (spec.source.kind, spec.source.uri, spec.source.label_from) == ("files", IMAGENETTE, "directory")
    assert (spec.model.kind, spec.model.name, spec.model.task) == ("torchvision", "resnet152", "classify")
    assert (spec.compute.concurrency, spec.compute.gpus_per_replica, spec.compute.batch_size) == (4, 1, 720)
    weights = get_weight(f"ResNet152_Weights.{spec.model.weights}")
    assert weights.name == "IMAGENET1K_V1"
    labels = _labels(spec)
    assert labels.keys() == WORDNET_IDS.keys()
    assert set(labels.values()) <= set(weights.meta["categories"])
    assert all(label in WORDNET_IDS[key] for key, label in labels.items())


def test_vit_labels_the_same_images_on_four_gpus() -> None:
    spec = _load("vit-imagenette")
    assert (spec.source.kind, spec.source.uri, spec.source.label_from) == ("files", IMAGENETTE, "directory")
    assert (spec.model.kind, spec.model.name, spec.model.task) == (
        "transformers",
        "google/vit-base-patch16-224",
        "classify",
    )
    assert (spec.compute.concurrency, spec.compute.gpus_per_replica, spec.compute.batch_size) == (4, 1, 1024)
    # The model's id2label spells a class as ImageNet's list of synsets does: all synonyms, in WordNet's order.
    assert _labels(spec) == {key: ", ".join(synonyms) for key, synonyms in WORDNET_IDS.items()}


def test_faster_rcnn_finds_objects_in_pascal_voc() -> None:
    spec = _load("fasterrcnn-voc")
    assert (spec.source.kind, spec.source.uri, spec.source.label_from) == ("files", "data/VOC2007/JPEGImages/", "none")
    assert (spec.model.kind, spec.model.name, spec.model.task) == (
        "torchvision",
        "fasterrcnn_resnet50_fpn_v2",
        "detect",
    )
    assert (spec.model.score_threshold, spec.compute.batch_size) == (0.9, 4)
    weights = get_model_weights(spec.model.name)[spec.model.weights]
    # VOC's classes that COCO names alike; the others (aeroplane, motorbike, sofa) have COCO's names in the output.
    assert {"person", "car", "bicycle", "dog", "chair", "bottle"} <= set(weights.meta["categories"])


def _load(name: str) -> JobSpec:
    return load_spec(str(JOBS / f"{name}.yaml"))


def _labels(spec: JobSpec) -> dict[str, str]:
    """The label map, by its path from the root of the repository."""
    assert spec.source.label_names is not None
    labels: dict[str, str] = json.loads((ROOT / spec.source.label_names).read_text(encoding="utf-8"))
    return labels
