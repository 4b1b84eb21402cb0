"""The console: log lines on stderr, and the one place where an error becomes text and an exit code."""

import atexit
import logging
import os
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

from rich.console import Console
from rich.logging import RichHandler

from job.errors import Interrupted, TenchError


def log_to_stderr(verbose: bool) -> Console:
    """Lines in colour on a terminal, plain ones with the time elsewhere. The console is for what a person reads."""
    console = Console(stderr=True)
    plain = logging.StreamHandler()
    plain.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"))
    on_terminal = RichHandler(console=console, show_path=False, log_time_format="%H:%M:%S")
    on_terminal.setFormatter(logging.Formatter("%(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[on_terminal if console.is_terminal else plain])
    logging.getLogger("job").setLevel(logging.DEBUG if verbose else logging.INFO)
    return console


def print_lines(console: Console, *lines: str) -> None:
    """Each as it is, in one piece: nothing in it is markup, coloured, or broken at the console's width."""
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def end_with(call: Callable[[], None], verbose: bool) -> NoReturn:
    """Ends the process with the exit code of `call`.

    Everybody's own clean-up is done, but Python is not taken apart: after torch that takes a second, and a thread still
    inside torch would abort the process.
    """
    code: list[int] = []
    atexit.register(_leave, code)  # the first to be registered is the last to be called
    code.append(exit_code(call, verbose))
    sys.exit(code[0])


def _leave(code: list[int]) -> None:
    if code:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code[0])


def exit_code(call: Callable[[], None], verbose: bool) -> int:
    """Of what `call` ends with; the error's text goes to stderr, and with `verbose` its traceback."""
    try:
        call()
    except TenchError as error:
        if verbose:
            traceback.print_exception(error)
        print(f"tench: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("tench: interrupted; what is committed stays, run it again to resume", file=sys.stderr)
        return Interrupted.exit_code
    return 0
