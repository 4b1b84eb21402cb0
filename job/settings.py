"""Settings: the environment variables that Tench reads, each with its default and its meaning. Read when asked for.

`VARIABLES` and `OTHERS` make the README's table. Whatever else is set is in the spec or in the chart's values.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from job.errors import UsageError

T = TypeVar("T")


@dataclass(frozen=True)
class Variable(Generic[T]):
    """An environment variable of Tench's own."""

    name: str
    default: T
    what: str
    parse: Callable[[str], T]
    wants: str = "a number of seconds"

    def value(self) -> T:
        """Of this moment; empty is as good as unset. Raises UsageError."""
        text = os.environ.get(self.name)
        if not text:
            return self.default
        try:
            return self.parse(text)
        except ValueError:
            raise UsageError(
                f"the variable {self.name} is {text!r} and must be {self.wants}; mend or unset it"
            ) from None


def _bytes(text: str) -> int | None:
    size = int(text)
    if size < 1:
        raise ValueError(text)
    return size


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds < float("inf"):
        raise ValueError(text)
    return seconds


CACHE: Variable[str | None] = Variable(
    "TENCH_CACHE", None, "Where fetched weights are kept; else the user's cache folder, else a temporary one", str
)
CAPACITY_TIMEOUT_S = Variable(
    "TENCH_CAPACITY_TIMEOUT_S", 600.0, "How long a driver waits for a Ray cluster's workers, in seconds", _seconds
)
DECODE_BYTES: Variable[int | None] = Variable(
    "TENCH_DECODE_BYTES",
    None,
    "Bytes that the pictures being decoded may take at once in one process; else a quarter of the container's memory, "
    "shared by its processes that decode",
    _bytes,
    "a number of bytes",
)
IMAGE: Variable[str | None] = Variable(
    "TENCH_IMAGE", None, "The container's image, as the run's plan and files name it; the chart sets it", str
)
PROFILE: Variable[str | None] = Variable(
    "TENCH_PROFILE", None, "The file of chart values that `plan`, `submit` and `render` use where no `-f` is given", str
)
RAY_START_TIMEOUT_S = Variable(
    "TENCH_RAY_START_TIMEOUT_S", 120.0, "How long Ray may take to start, or to be connected to, in seconds", _seconds
)
RETRY_DEADLINE_S = Variable(
    "TENCH_RETRY_DEADLINE_S", 180.0, "How long a read or write of a store is tried again, in seconds", _seconds
)

VARIABLES: tuple[Variable[str | None] | Variable[float] | Variable[int | None], ...] = (
    CACHE,
    CAPACITY_TIMEOUT_S,
    DECODE_BYTES,
    IMAGE,
    PROFILE,
    RAY_START_TIMEOUT_S,
    RETRY_DEADLINE_S,
)

# Read by the libraries that Tench uses.
OTHERS = {
    "AWS_PROFILE, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, …": "AWS credentials, as boto3 finds them",
    "AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_S3, AWS_REGION": "Another S3 server than AWS, and the region",
    "AWS_REQUEST_PAYER": "`requester`: pay for what is read of buckets whose owners do not (requester pays)",
    "GOOGLE_APPLICATION_CREDENTIALS": "Google's credentials, for `gs://`",
    "GOOGLE_BASE_URL": "Another server than Google's, such as a private endpoint: `https://host`",
    "AZURE_STORAGE_ACCOUNT_NAME, AZURE_STORAGE_ACCOUNT_KEY, …": "Azure's account and credentials, for `az://`",
    "AZURE_ENDPOINT": "Another server than Azure's, with the account where it is part of the path: `http://host:10000/account`",
    "HF_HOME, HF_TOKEN, HF_HUB_OFFLINE": "Hugging Face's cache, token, and whether the hub is asked",
    "TORCH_HOME": "Where torchvision's weights are kept",
    "RAY_ADDRESS": "A Ray cluster to run on; `tench run` then uses the engine `ray`",
    "KUBECONFIG": "Which clusters there are",
}
