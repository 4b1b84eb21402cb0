"""The command line that the contenders' programs share: `IMAGES OUTPUT --model NAME --batch-size N`."""

import argparse
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Options:
    """What a contender is asked for."""

    images: Path
    output: Path
    model: str
    batch_size: int

    def arguments(self) -> list[str]:
        """As `parse` reads them."""
        return [str(self.images), str(self.output), "--model", self.model, "--batch-size", str(self.batch_size)]


def parse(description: str | None) -> Options:
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path, help="folder of JPEGs")
    parser.add_argument("output", type=Path, help="folder to make, for Parquet")
    parser.add_argument("--model", default="stub", help="stub, or a classification model of torchvision (stub)")
    parser.add_argument("--batch-size", type=int, default=256, help="images given to the model at once (256)")
    return Options(**vars(parser.parse_args()))
