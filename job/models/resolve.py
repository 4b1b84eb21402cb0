"""Resolving: which weights and files exactly a run means. The driver does it once; replicas are told.

What the hub or torchvision gives is fetched here, on the driver's node. Where replicas are on other nodes it is staged
in the runs' folder, so that none of them asks the hub again.
"""

import dataclasses
import logging
from dataclasses import dataclass
from pathlib import Path

from job.models.identity import digest_of, file_patterns, identify, is_on_hub
from job.models.staging import stage
from job.plan.records import FrozenModel
from job.recipe import Recipe
from job.spec.spec import ModelSpec
from job.spec.torchvision_names import WEIGHTS_SUFFIXES

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ResolvedModel:
    """A spec's model and what it is now. Travels to every replica.

    `spec.revision` is the commit of a model of the hub; `staged` is where replicas of other nodes find its files.
    """

    spec: ModelSpec
    frozen: FrozenModel
    folder: Path | None = None  # of this node
    staged: str | None = None

    def chosen(self, recipe: Recipe, precision: str | None) -> "ResolvedModel":
        """With what was chosen for it, which every replica keeps to."""
        update = {"recipe": described(recipe), "precision": precision}
        spec = self.spec.model_copy(update={"precision": precision}) if precision else self.spec
        return dataclasses.replace(self, spec=spec, frozen=self.frozen.model_copy(update=update))

    def stage_below(self, runs_uri: str) -> "ResolvedModel":
        """With its files in the runs' folder, where they came from a hub; others can be read by every node."""
        if self.folder is None:
            return self
        names = sorted(path.name for path in self._fetched())
        key = self.frozen.revision or self.frozen.files[names[0]].removeprefix("sha256:")
        return dataclasses.replace(self, staged=stage(self._fetched(), runs_uri, key))

    def _fetched(self) -> list[Path]:
        assert self.folder is not None
        if self.folder.is_file():
            return [self.folder]
        patterns = file_patterns(self.spec)
        return [path for path in sorted(self.folder.iterdir()) if any(path.match(pattern) for pattern in patterns)]


def resolve(spec: ModelSpec, planned: FrozenModel | None) -> ResolvedModel:
    """Fetches what is not here. A model of the hub is that commit which is planned. Raises ModelError, StoreError."""
    files = identify(spec)
    if is_on_hub(spec):
        from job.models.hub import snapshot

        folder = snapshot(spec.name, planned.revision if planned else spec.revision, file_patterns(spec))
        if planned and spec.revision != folder.name:
            _tell_what_is_new(spec, folder.name)
        pinned = spec.model_copy(update={"revision": folder.name})
        return ResolvedModel(pinned, FrozenModel(files=files, revision=folder.name), folder)
    if spec.kind == "torchvision" and spec.weights != "none" and not spec.weights.endswith(WEIGHTS_SUFFIXES):
        from job.models.torchvision import fetch_weights

        path = fetch_weights(spec)
        return ResolvedModel(spec, FrozenModel(files={**files, path.name: digest_of(path)}), path)
    return ResolvedModel(spec, FrozenModel(files=files))


def _tell_what_is_new(spec: ModelSpec, commit: str) -> None:
    from job.models.hub import newest_commit

    newest = newest_commit(spec.name, spec.revision)
    if newest not in (None, commit):
        words = "%s: the hub's %s is %s by now; this run goes on with %s, as planned"
        log.warning(words, spec.name, spec.revision or "main", newest, commit)


def described(recipe: Recipe) -> dict[str, str]:
    """A recipe's fields that are not as by default, as text."""
    values = {field.name: (getattr(recipe, field.name), field.default) for field in dataclasses.fields(recipe)}
    return {name: str(value) for name, (value, default) in values.items() if value != default}
