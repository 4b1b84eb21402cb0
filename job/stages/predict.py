"""The predict stage: a decoded table in, rows of predictions out. Pixels end here.

Runs where a replica's model is: engines make one `PredictStage` a replica. Knows the columns of predictions; how a
model computes is `job.models`' matter.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch

from job.errors import ModelError, RunFailed, TenchError
from job.models.batch_limit import BatchLimit
from job.models.device import use_threads
from job.models.load import load_predictor, load_resolved
from job.models.predictor import Classifier, Detection, Detector
from job.models.resolve import ResolvedModel
from job.models.user_lines import described
from job.recipe import Recipe, Size
from job.spec.columns import CARRIED, PREDICTED
from job.spec.spec import ModelSpec
from job.stages.agreement import carried_columns
from job.stages.decoded import all_pixels, failed_rows, fixed_pixels, runs_within

_STRINGS, _FLOATS, _INDICES = pa.list_(pa.string()), pa.list_(pa.float32()), pa.list_(pa.int32())
_TYPES = {
    "label": pa.string(),
    "label_index": pa.int32(),
    "score": pa.float32(),
    "top_labels": _STRINGS,
    "top_indices": _INDICES,
    "top_scores": _FLOATS,
    "boxes": pa.list_(pa.list_(pa.float32(), 4)),
    "labels": _STRINGS,
    "label_indices": _INDICES,
    "scores": _FLOATS,
}

# Of images of their own sizes, in one batch: 100 MB of bytes, and 400 MB of what networks make of them first.
BATCH_PIXELS = 1 << 25
_ROUNDING = 0.01  # of probabilities in bfloat16

Floats = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]


def prediction_fields(task: str) -> list[pa.Field]:
    """The columns that predictions have; all null where `error` is set."""
    return [pa.field(name, _TYPES[name]) for name in PREDICTED[task]]


class PredictStage:
    """One replica's model. Called by one thread at a time. Raises ModelError when made, RunFailed when called."""

    def __init__(
        self,
        spec: ModelSpec,
        batch_size: int,
        device: str,
        threads: int,
        recipe: Recipe,
        resolved: ResolvedModel | None = None,
    ) -> None:
        """`recipe` is the one that images are decoded by; `resolved` is the very model that has to be loaded."""
        self._spec, self._recipe = spec, recipe
        self._batch_size = batch_size
        self._device = torch.device(device)
        self._threads = threads
        self._limit = BatchLimit(device)
        self._predictor = (
            load_resolved(resolved, device, threads) if resolved else load_predictor(spec, device, threads)
        )
        if self._predictor.recipe != recipe:
            raise ModelError(
                f"{spec.name}: images are prepared by {recipe}, and the predictor on {device} has "
                f"{self._predictor.recipe}; give the factory and what it makes the same recipe"
            )
        self.labels = list(self._predictor.labels)
        self._labels = pa.array(self.labels, pa.string())
        self.precision: str = getattr(self._predictor, "precision", "its own")

    @property
    def memory_note(self) -> str:
        """What is to be said beside the device's name where its memory was not enough; else nothing."""
        if not self._limit.ran_out:
            return ""
        now = self._limit.images(self._batch_size)
        return f", out of memory {self._limit.ran_out} times (batches of {now} images of {self._batch_size})"

    def __call__(self, decoded: pa.Table) -> pa.Table:
        use_threads(self._threads)
        predict = self._classify if self._spec.task == "classify" else self._detect
        schema = pa.schema([decoded.schema.field(name) for name in CARRIED] + prediction_fields(self._spec.task))
        rows = []
        try:
            with torch.inference_mode():
                for batch in decoded.to_batches():
                    predicted = predict(batch)
                    carried = carried_columns(batch, self._spec.task, predicted, predict)
                    rows.append(pa.RecordBatch.from_arrays([*carried, *predicted], schema=schema))
        except torch.OutOfMemoryError as error:
            text = f"{self._spec.name} needs more than the memory of {self._device} for one image"
            raise RunFailed(f"{text}; take a GPU that has more, or model.precision: bfloat16 ({error})") from error
        return pa.Table.from_batches(rows, schema)

    def _classify(self, decoded: pa.RecordBatch) -> list[pa.Array]:
        failed = failed_rows(decoded)
        predictor = cast(Classifier, self._predictor)
        pixels = fixed_pixels(decoded, cast(Size, self._recipe.size))
        tops = [top for indices in _batches(failed, self._batch_size) for top in self._tops(predictor, pixels[indices])]
        if not tops:
            return [pa.nulls(decoded.num_rows, field.type) for field in prediction_fields("classify")]
        # The only wait for the device: every batch was queued, and one transfer fetches all results.
        scores_nk, indices_nk, extremes_n2 = (torch.cat(parts).cpu().numpy() for parts in zip(*tops, strict=True))
        self._check_scores(scores_nk)
        self._check_probabilities(extremes_n2, decoded, failed)
        return self._classify_columns(failed, scores_nk, indices_nk)

    def _tops(self, predictor: Classifier, pixels_nhwc: npt.NDArray[np.uint8]) -> list[tuple[torch.Tensor, ...]]:
        """Of one batch, or of its parts where the device has no memory for all of it."""
        return self._limit.run(len(pixels_nhwc), lambda start, stop: self._top(predictor, pixels_nhwc[start:stop]))

    def _top(self, predictor: Classifier, pixels_nhwc: npt.NDArray[np.uint8]) -> tuple[torch.Tensor, ...]:
        """Scores and indices [N, K], and each row's lowest and highest score [N, 2]."""
        count = len(pixels_nhwc)
        images = torch.from_numpy(pixels_nhwc)
        full = self._limit.images(self._batch_size)
        if self._spec.compile and count < full:
            # A compiled network is compiled anew for every size of batch; a filled one is cheaper.
            images = torch.cat([images, images.new_zeros((full - count, *images.shape[1:]))])
        probabilities = self._call(predictor.predict, self._to_device(images))
        expected = (len(images), len(self._labels))
        if not isinstance(probabilities, torch.Tensor) or probabilities.shape != expected:
            given = getattr(probabilities, "shape", type(probabilities).__name__)
            raise RunFailed(f"{self._spec.name}: predict gave {given}; a tensor {expected} of probabilities is wanted")
        scores_nc = probabilities[:count].float()
        top = scores_nc.topk(min(self._spec.top_k, len(self._labels)))
        if self._spec.kind == "python":
            return top.values, top.indices, torch.stack(torch.aminmax(scores_nc, dim=1), 1)
        return top.values, top.indices, scores_nc.new_zeros((count, 2))  # ours are probabilities, or a regression's

    def _call(self, predict: Callable[..., Any], *inputs: Any) -> Any:
        """Raises RunFailed where the model does."""
        try:
            return predict(*inputs)
        except (TenchError, torch.OutOfMemoryError):
            raise
        except Exception as error:
            raise RunFailed(f"{self._spec.name}: predict raised {described(error)}") from error

    def _to_device(self, images: torch.Tensor) -> torch.Tensor:
        if self._device.type != "cuda":
            return images
        return images.pin_memory().to(self._device, non_blocking=True)

    def _classify_columns(self, failed: Flags, scores_nk: Floats, indices_nk: npt.NDArray[np.int64]) -> list[pa.Array]:
        best, best_score = np.zeros(len(failed), np.int32), np.zeros(len(failed), np.float32)
        best[~failed], best_score[~failed] = indices_nk[:, 0], scores_nk[:, 0]
        indices = pa.array(best, pa.int32(), mask=failed)
        kept = np.where(failed, 0, scores_nk.shape[1])
        all_indices = pa.array(indices_nk.reshape(-1).astype(np.int32))
        return [
            self._labels.take(indices),
            indices,
            pa.array(best_score, mask=failed),
            _lists(kept, self._labels.take(all_indices), failed),
            _lists(kept, all_indices, failed),
            _lists(kept, pa.array(scores_nk.reshape(-1)), failed),
        ]

    def _detect(self, decoded: pa.RecordBatch) -> list[pa.Array]:
        failed = failed_rows(decoded)
        predictor = cast(Detector, self._predictor)
        images = all_pixels(decoded, self._recipe.size)
        originals = list(zip(decoded["height"].to_pylist(), decoded["width"].to_pylist(), strict=True))
        found: list[Detection] = []
        pixels = [image.shape[0] * image.shape[1] for image in images]
        for indices in _batches_of_pixels(failed, self._batch_size, pixels):
            inputs = [images[index] for index in indices]
            sizes = [originals[index] for index in indices]
            parts = self._limit.run(
                len(inputs),
                lambda start, stop: self._found(predictor, inputs[start:stop], sizes[start:stop]),  # noqa: B023
            )
            found += [detection for part in parts for detection in part]
        return self._detect_columns(failed, found)

    def _found(
        self, predictor: Detector, images: Sequence[npt.NDArray[np.uint8]], sizes: Sequence[Size]
    ) -> list[Detection]:
        inputs = [self._to_device(torch.from_numpy(image)) for image in images]
        detections = self._call(predictor.predict, inputs, sizes)
        if len(detections) != len(inputs):
            raise RunFailed(f"{self._spec.name}: predict gave {len(detections)} detections for {len(inputs)} images")
        return [Detection(*detection) for detection in detections]

    def _detect_columns(self, failed: Flags, found: Sequence[Detection]) -> list[pa.Array]:
        counts = np.array([len(detection.scores) for detection in found], np.int64)
        scores = _fetch([detection.scores for detection in found], np.float32)
        labels = _fetch([detection.labels for detection in found], np.int32)
        boxes = _fetch([detection.boxes.reshape(-1, 4) for detection in found], np.float32).reshape(-1, 4)
        image = np.repeat(np.arange(len(found)), counts)
        self._check_scores(scores)
        if len(labels) and not 0 <= labels.min() <= labels.max() < len(self._labels):
            raise RunFailed(f"{self._spec.name}: predict gave label {labels.max()}; there are {len(self._labels)}")
        # By image, the surest first.
        order = np.lexsort((-scores, image))
        order = order[scores[order] >= np.float32(self._spec.score_threshold)]
        kept = np.zeros(len(failed), np.int64)
        kept[~failed] = np.bincount(image[order], minlength=len(found))
        fours = pa.FixedSizeListArray.from_arrays(pa.array(boxes[order].reshape(-1)), 4)
        indices = pa.array(labels[order], pa.int32())
        return [
            _lists(kept, fours, failed),
            _lists(kept, self._labels.take(indices), failed),
            _lists(kept, indices, failed),
            _lists(kept, pa.array(scores[order]), failed),
        ]

    def _check_scores(self, scores: Floats) -> None:
        if np.isnan(scores).any():
            raise RunFailed(f"{self._spec.name} gave scores that are not numbers; try model.precision: float32")

    def _check_probabilities(self, extremes_n2: Floats, decoded: pa.RecordBatch, failed: Flags) -> None:
        """Logits would be sorted well and read as scores of 8.1."""
        lowest, highest = extremes_n2.T
        wrong = np.flatnonzero((lowest < -_ROUNDING) | (highest > 1 + _ROUNDING))
        if len(wrong):
            row, image = wrong[0], int(np.flatnonzero(~failed)[wrong[0]])
            raise RunFailed(
                f"{self._spec.name}: predict gave scores from {lowest[row]:.3g} to {highest[row]:.3g} for row "
                f"{decoded['row'][image]} of shard {decoded['shard'][image]}, and probabilities are wanted; return "
                "logits.softmax(-1), or logits.sigmoid() where classes are independent"
            )


def _batches(failed: Flags, batch_size: int) -> Iterator[slice | npt.NDArray[np.int64]]:
    """The rows that did not fail, so many at once: a slice, which copies nothing, where none between them did."""
    decoded = np.flatnonzero(~failed)
    for start in range(0, len(decoded), batch_size):
        rows = decoded[start : start + batch_size]
        first, last = int(rows[0]), int(rows[-1])
        yield slice(first, last + 1) if last - first + 1 == len(rows) else rows


def _batches_of_pixels(failed: Flags, batch_size: int, pixels: Sequence[int]) -> Iterator[list[int]]:
    """The rows that did not fail, in order, so many at once and no more than `BATCH_PIXELS`, or one that is larger."""
    rows: list[int] = np.flatnonzero(~failed).tolist()
    return (rows[run] for run in runs_within(BATCH_PIXELS, [pixels[row] for row in rows], batch_size))


def _fetch(parts: Sequence[torch.Tensor], dtype: type[np.generic]) -> npt.NDArray[Any]:
    if not parts:
        return np.empty(0, dtype)
    return torch.cat([part.float() if part.is_floating_point() else part for part in parts]).cpu().numpy().astype(dtype)


def _lists(counts: npt.NDArray[np.int64], values: pa.Array, failed: Flags) -> pa.Array:
    """A list of `counts[i]` values a row, null for a failed one."""
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), values, mask=pa.array(failed))
