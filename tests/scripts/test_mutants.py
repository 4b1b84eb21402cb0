"""The list of accepted survivors: written as it is read, about lines that are there."""

import pytest

from scripts.mutants.accepted import ACCEPTED, Survivor, read_accepted


def test_a_reason_is_for_all_changes_above_it():
    text = "# a comment\n\nx.py:3 survived\n  - a = 1\n  + a = 2\n  + a = 3\n  = taste\n  - b\n  + c\n  = the same\n"

    assert read_accepted(text) == {
        Survivor("x.py", "a = 1", "a = 2"): "taste",
        Survivor("x.py", "a = 1", "a = 3"): "taste",
        Survivor("x.py", "b", "c"): "the same",
    }


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("x.py\n  - a\n  + b\n", 4),
        ("x.py\n  - a\n  + b\ny.py\n  - a\n  + b\n  = taste\n", 4),
        ("x.py\n  - a\n  + b\n  = \n", 4),
        ("x.py\n  + b\n  = taste\n", 2),
        ("  - a\n  + b\n  = taste\n", 1),
        ("x.py\n  a\n", 2),
    ],
)
def test_a_survivor_without_a_reason_or_a_line_is_refused(text, line):
    with pytest.raises(ValueError, match=rf"accepted\.txt, line {line}: "):
        read_accepted(text)


def test_accepted_changes_are_of_lines_that_are_there():
    lines = {}
    for survivor in read_accepted(ACCEPTED.read_text()):
        if survivor.file not in lines:
            text = (ACCEPTED.parents[2] / survivor.file).read_text()
            lines[survivor.file] = " ".join(line.strip() for line in text.splitlines())
        assert survivor.before in lines[survivor.file], str(survivor)
