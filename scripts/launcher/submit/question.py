"""A question before something is done: asked on a terminal alone, a script has said what it wants."""

import sys


def is_confirmed(question: str, yes: bool, default: bool) -> bool:
    """`default` is what an empty answer means. Without a terminal nobody is asked, and `default` it is."""
    if yes:
        return True
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return default
    print(f"{question} [{'Y/n' if default else 'y/N'}] ", end="", file=sys.stderr, flush=True)
    answer = sys.stdin.readline().strip().lower()
    return default if not answer else answer in ("y", "yes")
