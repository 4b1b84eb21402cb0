"""What every section of a spec is: strict, frozen, and a part of the fingerprint."""

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict


@dataclass(frozen=True)
class DefaultCountsAs:
    """Marks a key that came after others had run ids: with its default, it counts for the fingerprint as `value`.

    Or not at all, where `value` is None. So the run of an older spec keeps its id.
    """

    value: Any = None


class SpecModel(BaseModel):
    """Strict on keys, so that a typing error is reported and not ignored; frozen, so that it can be a fingerprint."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    def determinants(self) -> dict[str, Any]:
        """The keys as JSON has them, and their values, that the fingerprint is made of."""
        found = self.model_dump(mode="json")
        for name, field in type(self).model_fields.items():
            for marker in field.metadata:
                if isinstance(marker, DefaultCountsAs) and getattr(self, name) == field.default:
                    found[name] = marker.value
                    if marker.value is None:
                        del found[name]
        return found
