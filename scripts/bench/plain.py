"""The pipeline as the Ray Data documentation writes it, with Ray's defaults: `python -m scripts.bench.plain --help`.

After the example "Image Classification Batch Inference with PyTorch" of docs.ray.io: read_images, a row at a time
through ToTensor and the weights' transforms, an actor that predicts, the image dropped, Parquet written. Added to it:
the path of each image, so that a label can be told whose it is, and the record. Progress bars are off.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import ray
import torch
from ray.data import ActorPoolStrategy, DataContext
from torchvision import transforms

from scripts.bench.networks import build_network, published_transforms
from scripts.bench.program import Options, parse
from scripts.bench.record import batch_done

Row = dict[str, Any]
Batch = dict[str, npt.NDArray[Any]]


class Classifier:
    """The actor."""

    def __init__(self, model: str) -> None:
        self.model = build_network(model)

    def __call__(self, batch: Batch) -> Batch:
        images_nchw = torch.from_numpy(batch["transformed_image"])
        with torch.inference_mode():
            predicted = self.model(images_nchw).argmax(dim=1)
        batch_done(len(predicted))
        return {
            "path": batch["path"],
            "predicted_label": np.array([str(index) for index in predicted.tolist()]),
            "original_image": batch["original_image"],
        }


def main(options: Options) -> None:
    DataContext.get_current().enable_progress_bars = False
    transform = transforms.Compose([transforms.ToTensor(), published_transforms(options.model)])

    def preprocess_image(row: Row) -> Row:
        return {
            "path": row["path"],
            "original_image": row["image"],
            "transformed_image": transform(row["image"]),
        }

    dataset = ray.data.read_images(str(options.images), mode="RGB", include_paths=True)
    predictions = dataset.map(preprocess_image).map_batches(
        Classifier,
        fn_constructor_args=[options.model],
        compute=ActorPoolStrategy(size=1),
        batch_size=options.batch_size,
    )
    predictions.drop_columns(["original_image"]).write_parquet(str(options.output))


if __name__ == "__main__":
    main(parse(__doc__))
