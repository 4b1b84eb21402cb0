"""Resolving: which weights and files exactly a run means. The driver does it once; replicas are told.

What the hub or torchvision gives is fetched here, on the driver's node. Where replicas are on other nodes it is staged
in the runs' folder, so that none of them asks the hub again.
"""

import dataclasses
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from job.models.identity import (
    CONFIGURATION,
    Identities,
    base_of_adapter,
    digest_of,
    file_patterns,
    identify,
    is_hub_id,
    is_on_hub,
    is_read,
)
from job.models.model_files import check_model_files
from job.models.staging import stage
from job.plan.records import FrozenModel
from job.recipe import Recipe
from job.spec.spec import ModelSpec
from job.spec.spec_file import folders_of_specs
from job.spec.torchvision_names import WEIGHTS_SUFFIXES
from job.stores.storage import is_bucket

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
    bases: Mapping[str, Path] = field(default_factory=dict)  # of adapters, on this node
    staged_bases: Mapping[str, str] = field(default_factory=dict)
    module_folders: tuple[str, ...] = ()  # of a python model, where a module may lie beside the spec

    def chosen(self, recipe: Recipe, precision: str | None) -> "ResolvedModel":
        """With what was chosen for it, which every replica keeps to."""
        update = {"recipe": _changed_fields(recipe), "precision": precision}
        spec = self.spec.model_copy(update={"precision": precision}) if precision else self.spec
        return dataclasses.replace(self, spec=spec, frozen=self.frozen.model_copy(update=update))

    def stage_below(self, runs_uri: str) -> "ResolvedModel":
        """With its files in the runs' folder, where they came from a hub; others can be read by every node."""
        bases = {
            name: stage(self._read_in(folder), runs_uri, self.frozen.bases[name]) for name, folder in self.bases.items()
        }
        staged = dataclasses.replace(self, staged_bases=bases)
        if self.folder is None:
            return staged
        paths = [self.folder] if self.folder.is_file() else self._read_in(self.folder)
        key = self.frozen.revision or self.frozen.files[paths[0].name].removeprefix("sha256:")
        return dataclasses.replace(staged, staged=stage(paths, runs_uri, key))

    def _read_in(self, folder: Path) -> list[Path]:
        patterns = file_patterns(self.spec)
        return [path for path in sorted(folder.iterdir()) if is_read(path.name, patterns)]


def resolve(spec: ModelSpec, planned: FrozenModel | None) -> ResolvedModel:
    """Fetches what is not here. A model of the hub is that commit which is planned. Raises ModelError, StoreError."""
    check_model_files(spec)
    files = identify(spec)
    if spec.kind == "transformers":
        return _resolve_transformers(spec, files, planned)
    if spec.kind == "torchvision" and spec.weights != "none" and not spec.weights.endswith(WEIGHTS_SUFFIXES):
        from job.models.torchvision import fetch_weights

        path = fetch_weights(spec)
        return ResolvedModel(spec, FrozenModel(files={**files, path.name: digest_of(path)}), path)
    return ResolvedModel(spec, FrozenModel(files=files), module_folders=folders_of_specs())


def _resolve_transformers(spec: ModelSpec, files: Identities, planned: FrozenModel | None) -> ResolvedModel:
    from job.models.hub import snapshot, tell
    from job.models.weights import fetch_folder

    patterns = file_patterns(spec)
    if is_on_hub(spec):
        folder = snapshot(spec.name, planned.revision if planned else spec.revision, patterns)
        if planned and spec.revision != folder.name:
            _tell_what_is_new(spec, folder.name)
        model = ResolvedModel(
            spec.model_copy(update={"revision": folder.name}), FrozenModel(files=files, revision=folder.name), folder
        )
    else:
        folder = fetch_folder(spec.name, CONFIGURATION) if is_bucket(spec.name) else Path(spec.name).expanduser()
        model = ResolvedModel(spec, FrozenModel(files=files))
    base = base_of_adapter(folder)
    if base is None or not is_hub_id(base):
        return model
    base_folder = snapshot(base, planned.bases.get(base) if planned else None, patterns)
    tell(base, base, base_folder.name)
    frozen = model.frozen.model_copy(update={"bases": {base: base_folder.name}})
    return dataclasses.replace(model, frozen=frozen, bases={base: base_folder})


def _tell_what_is_new(spec: ModelSpec, commit: str) -> None:
    from job.models.hub import newest_commit

    newest = newest_commit(spec.name, spec.revision)
    if newest not in (None, commit):
        words = "%s: the hub's %s is %s by now; this run goes on with %s, as planned"
        log.warning(words, spec.name, spec.revision or "main", newest, commit)


def _changed_fields(recipe: Recipe) -> dict[str, str]:
    """A recipe's fields that are not as by default, as text."""
    values = {field.name: (getattr(recipe, field.name), field.default) for field in dataclasses.fields(recipe)}
    return {name: str(value) for name, (value, default) in values.items() if value != default}
