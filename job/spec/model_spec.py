"""The spec's `model`: which one, with which weights, and what it is asked for."""

import re
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, ValidationInfo, field_validator, model_validator

from job.spec.section import DefaultCountsAs, SpecModel
from job.spec.torchvision_names import (
    WEIGHTS_SUFFIXES,
    check_torchvision_name,
    check_torchvision_recipe,
    check_torchvision_task,
    check_torchvision_weights,
)
from job.spec.values import Channels, Count, Deviations, Edges, Flag, Fraction, Uri, check_uri


class RecipeSpec(SpecModel):
    """How images become the input of a classifier of torchvision's whose weights are the user's own."""

    resize: Edges = Field(description="Pixels of the shorter edge, or `[height, width]` whatever the aspect ratio")
    crop: Edges | None = Field(default=None, description="Pixels, or `[height, width]`, around the centre")
    interpolation: Literal["nearest", "bilinear", "bicubic"] = Field(default="bilinear", description="Of the resizing")
    mean: Channels = Field(
        default=(0.485, 0.456, 0.406), description="Of red, green and blue, where a pixel is 0 to 1; ImageNet's"
    )
    std: Deviations = Field(default=(0.229, 0.224, 0.225), description="Likewise; ImageNet's")

    @model_validator(mode="after")
    def images_get_one_size(self) -> "RecipeSpec":
        if self.crop is None and isinstance(self.resize, int):
            raise ValueError("needs a crop where resize is the shorter edge, so that all images get one size")
        return self


def _recipe_form(value: Any) -> str:
    return "weights" if isinstance(value, str) else "steps"


RecipeChoice = Annotated[
    Annotated[str, Tag("weights")] | Annotated[RecipeSpec, Tag("steps")], Discriminator(_recipe_form)
]


class ModelSpec(SpecModel):
    """The model, and what it is asked for."""

    kind: Literal["torchvision", "transformers", "python"] = Field(
        description="Who makes the model: `torchvision`, `transformers` or `python`"
    )
    name: str = Field(
        min_length=1,
        description="A torchvision model; a Hugging Face id, or the path or URI of its folder; or `module:factory` "
        "returning a `Predictor`",
    )
    revision: Annotated[str | None, DefaultCountsAs()] = Field(
        default=None,
        min_length=1,
        description="transformers: the branch, tag or commit of a Hugging Face id; a run keeps to the commit that it "
        "was planned with",
    )
    task: Literal["classify", "detect"] = Field(
        default="classify", validate_default=True, description="`classify` gives top-k labels, `detect` gives boxes"
    )
    weights: str = Field(
        default="DEFAULT",
        min_length=1,
        description="torchvision: an enum's name, the URI or path of a state dict (`.safetensors`, `.pth`, `.pt`, "
        "`.ckpt`, `.bin`), or `none` for random ones; a relative path starts from the working directory",
    )
    weights_key: Annotated[str | None, DefaultCountsAs()] = Field(
        default=None,
        min_length=1,
        description="The entry of a training script's file that holds the state dict, such as `model_ema`; found by "
        "itself where it has a usual name",
    )
    recipe: Annotated[RecipeChoice | None, DefaultCountsAs()] = Field(
        default=None,
        description="How images become the input of a state dict of your own: the name of weights that the "
        "architecture has, or a mapping of `resize`, `crop`, `interpolation`, `mean`, `std`; where it is left out, "
        "that of the newest weights, with a warning",
    )
    labels: Uri | None = Field(
        default=None,
        description="URI or path of the class names, those of the weights where it is left out: a JSON list, "
        "`imagenet_class_index.json`, `id2label`, `class_to_idx`, or text with a name a line; a relative path starts "
        "from the working directory",
    )
    top_k: Count = Field(default=5, description="classify: how many labels a row keeps")
    score_threshold: Fraction = Field(default=0.9, description="detect: boxes that score less are dropped")
    precision: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        default="auto", description="`auto` is bfloat16 where the device is fast at it, else float32"
    )
    compile: Flag = Field(
        default=False,
        description="Run the model through `torch.compile`: slower to start, faster to run; needs a C++ compiler",
    )

    @field_validator("name")
    @classmethod
    def name_is_known(cls, name: str, info: ValidationInfo) -> str:
        kind = info.data.get("kind")
        if kind == "torchvision":
            check_torchvision_name(name)
        if kind == "transformers":
            return check_uri(name)
        if kind == "python" and not re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*", name):
            raise ValueError("a python model is named module:factory")
        return name

    @field_validator("revision")
    @classmethod
    def revision_is_of_a_hugging_face_id(cls, revision: str | None, info: ValidationInfo) -> str | None:
        if revision is not None and ("kind" in info.data and info.data["kind"] != "transformers"):
            raise ValueError("only a Hugging Face id has revisions; leave it out")
        if revision is not None and "://" in info.data.get("name", ""):
            raise ValueError("a folder has no revisions; leave it out, or give the Hugging Face id as model.name")
        return revision

    @field_validator("task")
    @classmethod
    def model_does_the_task(cls, task: str, info: ValidationInfo) -> str:
        if info.data.get("kind") == "torchvision" and "name" in info.data:
            check_torchvision_task(info.data["name"], task)
        return task

    @field_validator("weights")
    @classmethod
    def weights_are_known(cls, weights: str, info: ValidationInfo) -> str:
        if info.data.get("kind") == "torchvision":
            check_torchvision_weights(info.data.get("name"), weights)
            return check_uri(weights) if weights.endswith(WEIGHTS_SUFFIXES) else weights
        if "kind" in info.data and weights not in ("DEFAULT", "none"):
            raise ValueError("only torchvision models take weights apart from the name; use DEFAULT or none")
        return weights

    @field_validator("weights_key")
    @classmethod
    def weights_key_is_of_a_file(cls, weights_key: str | None, info: ValidationInfo) -> str | None:
        if weights_key is not None and not info.data.get("weights", ".pth").endswith(WEIGHTS_SUFFIXES):
            raise ValueError("is an entry of a weights file, and model.weights names none")
        return weights_key

    @field_validator("recipe")
    @classmethod
    def recipe_is_of_a_torchvision_classifier(cls, recipe: Any, info: ValidationInfo) -> Any:
        if recipe is None or "kind" not in info.data:
            return recipe
        if info.data["kind"] != "torchvision":
            raise ValueError("only torchvision's models take a recipe; the others bring their own")
        if info.data.get("task") == "detect":
            raise ValueError("torchvision's detectors resize and normalise by themselves")
        if isinstance(recipe, str) and "name" in info.data and "task" in info.data:
            check_torchvision_recipe(info.data["name"], recipe)
        return recipe
