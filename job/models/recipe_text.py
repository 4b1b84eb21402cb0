"""A recipe in words, for people to compare with what they trained by."""

from job.recipe import Exactly, Recipe, ShortestEdge, Within


def recipe_text(recipe: Recipe) -> str:
    """Such as `shorter edge to 232, bilinear, crop 224x224, mean 0.485 0.456 0.406, std 0.229 0.224 0.225`."""
    parts = [_resize(recipe.resize)] if recipe.resize else ["size as it is"]
    parts += [recipe.interpolation] if recipe.resize else []
    parts += [f"crop {_edges(*recipe.crop)}"] if recipe.crop else []
    if recipe.mean != (0.0, 0.0, 0.0) or recipe.std != (1.0, 1.0, 1.0):
        parts += [f"mean {_numbers(recipe.mean)}", f"std {_numbers(recipe.std)}"]
    return ", ".join(parts)


def _resize(resize: Exactly | ShortestEdge | Within) -> str:
    if isinstance(resize, ShortestEdge):
        return f"shorter edge to {resize.pixels}" + (
            f", the longer to at most {resize.longest}" if resize.longest else ""
        )
    edges = _edges(resize.height, resize.width)
    return f"resized to {edges}" if isinstance(resize, Exactly) else f"resized into {edges}"


def _edges(height: int, width: int) -> str:
    return f"{width}x{height}"


def _numbers(values: tuple[float, float, float]) -> str:
    return " ".join(f"{value:.3g}" for value in values)
