import pytest

from job.terminal import wording


@pytest.mark.parametrize(
    ("fraction", "text"),
    [
        (0.9321, "93.2 %"),
        (1, "100.0 %"),
        (0, "0.0 %"),
        (0.99996, "99.996 %"),
        (0.00001, "0.001 %"),
        (0.9999, "99.99 %"),
    ],
)
def test_a_percentage_is_never_rounded_to_all_or_nothing(fraction: float, text: str) -> None:
    assert wording.percent(fraction) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (3.21, "3.2 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 00 s"),
        (245, "4 min 05 s"),
        (7620, "2 h 07 min"),
        (3599.7, "1 h 00 min"),
    ],
)
def test_a_duration_has_the_unit_that_fits(seconds: float, text: str) -> None:
    assert wording.duration(seconds) == text


@pytest.mark.parametrize(
    ("number", "noun", "text"),
    [(1, "image", "1 image"), (1200, "image", "1,200 images"), (0, "box", "0 boxes"), (2, "class", "2 classes")],
)
def test_a_count_agrees_with_its_noun(number: int, noun: str, text: str) -> None:
    assert wording.counted(number, noun) == text


def test_a_rate_has_three_digits() -> None:
    assert [wording.rate(value) for value in (1234.5, 99.94, 24.19, 0.4217)] == ["1,234", "99.9", "24.2", "0.422"]


def test_invisible_marks_are_spelled_out_and_letters_of_any_script_stay() -> None:
    assert wording.printable("café 猫.jpg") == "café 猫.jpg"
    assert wording.printable("a\nb\x1b[0m\u202ex") == "a\\nb\\x1b[0m\\u202ex"


def test_a_long_text_keeps_both_ends() -> None:
    uri = "s3://bucket/" + "deep/" * 40 + "picture-000123.jpg"
    short = wording.shorten(uri, 40)
    assert len(short) == 40
    assert short.startswith("s3://")
    assert short.endswith("picture-000123.jpg")
    assert wording.shorten("short", 5) == "short"
