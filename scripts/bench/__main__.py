"""`python -m scripts.bench`: Tench against the pipelines people write today. `make bench` calls it."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from scripts.bench.contenders import CONTENDERS
from scripts.bench.process import ContenderError

DESCRIPTION = """\
Without a command: the plain Ray Data pipeline, a DataLoader loop, Tench on both engines and a bare decode-and-resize
loop, each in a process of its own on the same JPEGs of 500x375; the result is build/bench/result.json too."""


def main(arguments: Sequence[str]) -> int:
    options = _parser().parse_args(arguments)
    console = Console()
    try:
        if options.command == "plan":
            from scripts.bench.plan_memory import print_plan_memory

            return print_plan_memory(console, options.rows)
        if options.command == "startup":
            from scripts.bench.startup import print_startup

            print_startup(console)
            return 0
        if options.command == "decoding":
            from scripts.bench.decoding import print_decoding

            print_decoding(console, options.folder, options.against, options.decoding_rounds)
            return 0
        if options.command == "reading":
            from scripts.bench.reading import print_reading

            print_reading(console, options.folder, options.images, options.against, options.rounds, options.small)
            return 0
        if options.command == "forecast":
            from scripts.bench.forecast_check import print_forecast_check

            print_forecast_check(console, options.folder, options.rounds)
            return 0
        if options.command == "networks":
            from scripts.bench.cpu_networks import print_cpu_networks

            print_cpu_networks(console, options.rounds)
            return 0
        _compare(options, console)
    except ContenderError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _compare(options: argparse.Namespace, console: Console) -> None:
    from scripts.bench import result, table
    from scripts.bench.compare import Comparison, compare
    from scripts.bench.images import ImageSet

    comparison = Comparison(
        images=ImageSet(options.images),
        models=options.models,
        contenders=options.contenders,
        rounds=options.rounds,
        batch_size=options.batch_size,
        folder=options.folder,
    )
    table.print_results(console, result.medians(compare(comparison, console)))


def _parser() -> argparse.ArgumentParser:
    from scripts.bench.compare import MODELS

    parser = argparse.ArgumentParser("python -m scripts.bench", description=DESCRIPTION)
    parser.add_argument("--images", type=int, default=10_000, metavar="N", help="how many images (10000)")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS, help="models to run (both)")
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=CONTENDERS, help="who runs (all)")
    parser.add_argument("--rounds", type=int, default=1, metavar="N", help="interleaved rounds; medians are shown (1)")
    parser.add_argument("--batch-size", type=int, default=256, metavar="N", help="images to the model at once (256)")
    parser.add_argument("--folder", type=Path, default=Path("build/bench"), help="for all files (build/bench)")
    commands = parser.add_subparsers(
        dest="command", metavar="[plan | startup | decoding | reading | forecast | networks]"
    )
    plan = commands.add_parser("plan", help="peak memory of planning a listing of a million rows")
    plan.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000], help="rows of each listing")
    commands.add_parser("startup", help="where the seconds before the first image go")
    decoding = commands.add_parser("decoding", help="CPU that decoding takes an image, this build and another")
    decoding.add_argument("--against", metavar="REV", help="another build, by its git revision")
    decoding.add_argument("--rounds", dest="decoding_rounds", type=int, default=5, metavar="N", help="rounds (5)")
    reading = commands.add_parser("reading", help="loose files, tars and Parquet from a folder and a bucket")
    reading.add_argument("--against", metavar="REV", help="another build, by its git revision")
    reading.add_argument("--small", action="store_true", help="thumbnails of 5 KB, where reading is most of the work")
    commands.add_parser("forecast", help="runs of three sizes beside what the simulation says of them")
    commands.add_parser("networks", help="CPU time of networks as Tench runs them and as written by hand")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
