"""What an image may be: `errors.max_bytes` and `errors.max_pixels`, judged here for every source and every decoder."""

from dataclasses import dataclass

from job.errors import ImageError
from job.spec.spec import ErrorsSpec


@dataclass(frozen=True)
class Limits:
    """Both limits are inclusive. Travels to every worker."""

    max_pixels: int
    max_bytes: int

    @classmethod
    def of(cls, errors: ErrorsSpec) -> "Limits":
        return cls(max_pixels=errors.max_pixels, max_bytes=errors.max_bytes)

    def check_size(self, size: int | None) -> None:
        """Raises ImageError, `empty` or `too-large`, for an image of so many bytes; None is a size not known yet."""
        if size == 0:
            raise ImageError("empty", "it has no bytes")
        if size is not None and size > self.max_bytes:
            raise ImageError("too-large", f"{size:,} bytes; at most {self.max_bytes:,} are read (errors.max_bytes)")

    def check_pixels(self, width: int, height: int) -> None:
        """Raises ImageError, `too-large`."""
        if width * height > self.max_pixels:
            text = f"{width}x{height} is {width * height:,} pixels; at most {self.max_pixels:,} are decoded"
            raise ImageError("too-large", f"{text} (errors.max_pixels)")
