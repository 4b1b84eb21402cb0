"""The generated files: fresh in the repository, and refreshed or named where they are not."""

import json
from pathlib import Path

import pytest

from job.spec.spec import SOURCES
from scripts import generate
from scripts.generated_table import markers

(BEGIN, END), (BEGIN_2, END_2) = markers("spec"), markers("environment")
README = f"# Title\n\nBefore.\n\n{BEGIN}\nold table\n{END}\n\nBetween.\n{BEGIN_2}\n{END_2}\n\nAfter.\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "job").mkdir()
    (tmp_path / "README.md").write_text(README)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "models.md").write_text("\n".join(markers("types")))
    chart = tmp_path / generate.CHART
    chart.mkdir(parents=True)
    (chart / "values.schema.json").write_text("{}")
    (chart / "README.md").write_text("\n".join(markers("values")))
    return tmp_path


@pytest.mark.parametrize("name", ["job/spec/torchvision.json", "job/spec.schema.json"])
def test_the_committed_file_is_fresh(name: str) -> None:
    assert (generate.ROOT / name).read_text(encoding="utf-8") == generate.GENERATED[name]("")


def test_what_was_written_is_fresh_until_it_is_changed(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert generate.main([], root) == 0
    assert generate.main(["--check"], root) == 0
    schema = root / "job" / "spec.schema.json"
    schema.write_text(schema.read_text().replace("Images given", "Pictures given"))
    capsys.readouterr()
    assert generate.main(["--check"], root) == 1
    assert capsys.readouterr().err == "job/spec.schema.json is stale; run: python -m scripts.generate\n"
    assert "Pictures given" in schema.read_text()
    assert generate.main([], root) == 0
    assert "Pictures given" not in schema.read_text()


def test_a_check_writes_nothing_and_names_every_stale_file(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert generate.main(["--check"], root) == 1
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(" ")[0] for line in lines] == list(generate.GENERATED)
    assert (root / "README.md").read_text() == README
    assert not list((root / "job").iterdir())


@pytest.mark.parametrize("text", ["# Title\n", BEGIN, END, f"{END}\n{BEGIN}\n"])
@pytest.mark.parametrize("arguments", [[], ["--check"]])
def test_a_readme_without_both_markers_is_told_where_to_put_them(
    root: Path, text: str, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "README.md").write_text(text)
    assert generate.main(arguments, root) == 1
    assert f"add the lines {BEGIN} and {END}" in capsys.readouterr().err
    assert (root / "README.md").read_text() == text


def test_the_table_has_a_row_for_every_field_and_leaves_the_rest_alone(root: Path) -> None:
    generate.main([], root)
    text = (root / "README.md").read_text()
    assert text.startswith(README.partition(BEGIN)[0])
    assert text.endswith("\n\nAfter.\n")
    assert "\n\nBetween.\n" in text
    assert "old table" not in text
    rows = [line.strip("| ").split(" | ") for line in text.partition(END)[0].splitlines() if line.startswith("| `")]
    schema = json.loads((root / "job" / "spec.schema.json").read_text())
    names = {name for part in [schema, *schema["$defs"].values()] for name in part["properties"]}
    assert {row[0].strip("`").split(".")[-1] for row in rows} == names - {
        "source",
        "model",
        "compute",
        "output",
        "errors",
        "report",
    }
    assert all(len(row) == 3 and row[2] for row in rows)


def test_the_table_keeps_the_contract_s_order_and_says_which_kind_has_a_field() -> None:
    rows = {row.split("`")[1]: row for row in generate.spec_table().splitlines()[2:]}
    assert [path.partition(".")[2] for path in rows if path.startswith("source.")] == [
        *("kind", "uri", "crops", "where", "suffixes", "include", "exclude"),
        *("label_from", "label_file", "label_column", "name_column", "label_names"),
        *("image_column", "uri_column", "keep", "orientation", "depth", "decode", "limit"),
    ]
    assert [path for path, row in rows.items() if "*required*" in row] == [
        *("name", "source.uri", "model.kind", "model.name", "model.recipe.resize", "output.uri"),
    ]
    assert "| *files:* File names" in rows["source.suffixes"]
    assert "| *parquet:* Columns carried" in rows["source.keep"]
    assert all(f"*{kind}:*" in rows["source.label_from"] for kind in SOURCES)
    assert all(f"`{kind}`" in rows["source.kind"] for kind in SOURCES)
    assert "| `files` | How the images are kept" in rows["source.kind"]


def test_every_variable_of_tench_has_a_row_with_its_default() -> None:
    rows = {row.split("`")[1]: row for row in generate.environment_table().splitlines()[2:]}
    assert rows["TENCH_RETRY_DEADLINE_S"].startswith("| `TENCH_RETRY_DEADLINE_S` | `180` | ")
    assert rows["TENCH_CACHE"].startswith("| `TENCH_CACHE` |  | ")
