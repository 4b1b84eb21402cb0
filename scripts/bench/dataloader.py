"""A DataLoader loop as people write it by hand: `python -m scripts.bench.dataloader --help`.

Pillow and the weights' transforms in a worker a core, the model in the main process, one Parquet file at the end.
"""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from job.stages.machine import cores
from scripts.bench.networks import build_network, published_transforms
from scripts.bench.program import Options, parse
from scripts.bench.record import batch_done


class ImageFolder(Dataset[tuple[torch.Tensor, str]]):
    """Every JPEG of a folder, transformed, with its path."""

    def __init__(self, folder: Path, model: str) -> None:
        self.paths = sorted(folder.glob("*.jpg"))
        self.transform = published_transforms(model)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, str]:
        with Image.open(self.paths[index]) as image:
            return self.transform(image.convert("RGB")), str(self.paths[index])


def main(options: Options) -> None:
    model = build_network(options.model)
    loader = DataLoader(ImageFolder(options.images, options.model), options.batch_size, num_workers=cores())
    paths: list[str] = []
    labels: list[str] = []
    with torch.inference_mode():
        for images_nchw, batch_paths in loader:
            predicted = model(images_nchw).argmax(dim=1)
            paths += batch_paths
            labels += [str(index) for index in predicted.tolist()]
            batch_done(len(predicted))
    options.output.mkdir(parents=True)
    pq.write_table(pa.table({"path": paths, "predicted_label": labels}), options.output / "predictions.parquet")


if __name__ == "__main__":
    main(parse(__doc__))
