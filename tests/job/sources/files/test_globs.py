"""Globs mean what they mean to git and to a shell, read by Arrow and by Python alike."""

import re

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from job.sources.files.globs import any_of


def matches(pattern, key):
    """As Arrow finds it, and Python no differently."""
    found = pc.match_substring_regex(pa.array([key]), any_of([pattern]))[0].as_py()
    assert found == (re.match(any_of([pattern]), key) is not None)
    return found


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("*.jpg", ["a.jpg", "d/e/a.jpg", ".jpg", "x.jpg/y"], ["a.jpgx", "a.JPG"]),
        ("thumbs", ["thumbs", "thumbs/a", "d/thumbs/e/a"], ["thumbs2/a", "mythumbs"]),
        ("thumbs/", ["thumbs/a", "d/thumbs/a"], ["thumbs", "d/thumbs"]),
        ("/a/*.jpg", ["a/1.jpg"], ["b/a/1.jpg", "a/b/1.jpg"]),
        ("a/*", ["a/1.jpg", "a/b/1.jpg"], ["b/a/1.jpg"]),
        ("a/**/x?.png", ["a/x1.png", "a/b/c/xy.png"], ["a/x.png", "a/x/.png"]),
        ("**/b/**", ["b/c", "a/b/c/d"], ["b", "ab/c"]),
        ("[a-c]?.[!p]*", ["b1.jpg"], ["d1.jpg", "b1.png", "b/.jpg"]),
        ("{train,val}/*.{jpg,p*g}", ["train/a.jpg", "val/a.png"], ["test/a.jpg", "train/a.gif"]),
        ("a+(b)|c^$.jpg", ["a+(b)|c^$.jpg"], ["aab|c"]),
        ("[x", ["[x"], ["x"]),
        ("{x}", ["{x}"], ["x"]),
        ("n\n*", ["n\n", "d/n\nx"], ["n"]),
        ("ü é?", ["ü éx", "d/ü é😀"], ["ü é"]),
    ],
)
def test_a_pattern_means_these_names(pattern, yes, no):
    assert [matches(pattern, key) for key in yes] == [True] * len(yes)
    assert [matches(pattern, key) for key in no] == [False] * len(no)


@given(st.text(st.characters(codec="utf-8", exclude_characters="/*?[]{}\0"), min_size=1))
def test_a_name_without_wildcards_means_itself(name):
    assert matches(name, name)
    assert matches(name, f"d/{name}")
    assert not matches(name, f"{name}x") or f"{name}x" == name


@given(st.text(min_size=1).filter(lambda text: text.strip("/")), st.text(max_size=20))
def test_any_text_is_a_pattern(pattern, key):
    matches(pattern, key)
