"""The survivors that may survive, each with its reason: `accepted.txt`, which is written by hand."""

from dataclasses import dataclass
from pathlib import Path

ACCEPTED = Path(__file__).with_suffix(".txt")


@dataclass(frozen=True)
class Survivor:
    """A change by its lines, for their numbers move."""

    file: str
    before: str
    after: str

    def __str__(self) -> str:
        return f"  - {self.before}\n  + {self.after}"


def read_accepted(text: str) -> dict[Survivor, str]:
    """Survivor → reason. Raises ValueError with the number of a line that is written otherwise."""
    found: dict[Survivor, str] = {}
    waiting: list[Survivor] = []
    file = before = ""
    for number, line in enumerate([*text.splitlines(), "end"], 1):
        mark, content = line[:4], line[4:].strip()
        if not line.strip() or line.startswith("#"):
            continue
        if not line.startswith(" ") and not waiting:
            file, before = line.split(":")[0].strip(), ""
        elif mark == "  - " and file:
            before = content
        elif mark == "  + " and before:
            waiting.append(Survivor(file, before, content))
        elif mark == "  = " and content:
            found.update(dict.fromkeys(waiting, content))
            waiting = []
        else:
            wanted = "a file, then lines with `  - `, `  + ` and a reason after `  = `"
            raise ValueError(f"{ACCEPTED.name}, line {number}: {line!r} where there should be {wanted}")
    return found
