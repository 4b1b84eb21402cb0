"""What a store's refusal means, whichever client met it: whether it passes, and what to do where it does not."""

from job.errors import StoreError
from job.stores.retry import TransientError

# S3's 403 and Azure's 409 for an object that has to be brought back before it can be read; that takes hours.
_ARCHIVED = ("InvalidObjectState", "BlobArchived", "BlobBeingRehydrated")
_NOT_PUBLIC = ("PublicAccessNotPermitted",)  # Azure's 409
_NEVER_PASS = ("InvalidBlobType", "InvalidBucketState", "FeatureVersionMismatch")  # other 409s
_PASS = ("RequestTimeout",)  # S3's 400 for a body that came too slowly


def refusal(uri: str, status: int | None, code: str, detail: str, storage_class: str = "") -> Exception:
    """A StoreError, or a TransientError for what may pass.

    `status` is HTTP's, None where no answer came; `code` the store's own word and `detail` the client's text.
    """
    if code in _ARCHIVED:
        way_out = "restore it to a class that can be read, or leave it out"
        return StoreError(f"{uri} is archived ({storage_class or code}); {way_out}")
    if code in _NOT_PUBLIC or status in (401, 403):
        return access_denied(uri, detail)
    if status is not None and 300 <= status < 400:
        return redirected(uri, detail)
    if code in _PASS or status is None or (status >= 500 and status not in (501, 505)):
        return TransientError(detail)
    if status in (408, 409, 429) and code not in _NEVER_PASS:
        return TransientError(detail)
    return StoreError(f"{uri}: {detail}")


def access_denied(uri: str, detail: str) -> StoreError:
    """What a 401 or 403 becomes: it is not retried, since it does not pass by itself."""
    scheme, _, rest = uri.partition("://")
    public = f"{scheme}://anonymous@{rest.removeprefix('anonymous@')}"
    signed = f"check the credentials, or write {public} if it is public"
    way_out = "it is not public" if rest.startswith("anonymous@") else signed
    return StoreError(f"{uri}: access denied; {way_out} ({detail})")


def redirected(uri: str, detail: str) -> StoreError:
    """What a redirect becomes that says not where to: S3 sends one for a bucket of another region."""
    return StoreError(f"{uri}: the store says that it is elsewhere; check the region and the endpoint ({detail})")
