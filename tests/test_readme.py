"""The README: what it quotes exists, what it shows runs, where it points is something."""

import ast
import re
import textwrap
from pathlib import Path

import pytest
import yaml
from colours import write_images
from run_specs import make_spec

import tench

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [
    ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "charts/tench/README.md", "docs/models.md")
]


def block(name):
    found = re.search(rf"<!-- {name}:begin -->\n(.*?)<!-- {name}:end -->", README, re.DOTALL)
    return textwrap.dedent(found[1])


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with images and a job.yaml, in which the README's lines are run."""
    monkeypatch.chdir(tmp_path)
    write_images(tmp_path / "images", 30)
    Path("job.yaml").write_text(yaml.safe_dump(make_spec(tmp_path).model_dump(mode="json")))
    return tmp_path


def test_the_lines_from_python_run_as_they_stand(here, capsys):
    lines = block("python")
    assert len([line for line in lines.splitlines() if line.strip()]) <= 8
    names = {}
    exec(compile(lines, "README.md", "exec"), names)
    printed = capsys.readouterr().out
    assert names["result"].rows == names["labels"].num_rows == 30
    assert names["labels"].column_names == ["uri", "label", "score"]
    assert f"{here}/runs/colours-" in printed
    assert "red      10" in printed


def test_every_way_to_read_the_results_runs_as_it_stands(here):
    import datasets
    import duckdb
    import polars

    run = tench.run("job.yaml", progress=False).uri
    names = {"tench": tench, "polars": polars, "duckdb": duckdb, "datasets": datasets, "RUN": run}
    lines = [line.partition("  # ")[0].strip() for line in block("reading").splitlines()]
    frame, lazy, relation, dataset = (eval(line, names) for line in lines)
    assert list(frame.columns) == ["uri", "label", "score"]
    assert len(frame) == len(lazy.collect()) == len(dataset) == 30
    assert sorted(relation.fetchall()) == [("blue", 10), ("green", 10), ("red", 10)]


def literals():
    """Every text of the code, with a hole for each value that is put into it."""
    for folder in ("job", "scripts/launcher"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield node.value
                if isinstance(node, ast.JoinedStr):
                    parts = (each.value if isinstance(each, ast.Constant) else "\0" for each in node.values)
                    yield "".join(parts)


def quoted_messages():
    """Of the tables of messages, our own: other programs' begin with their name."""
    for table in re.findall(r"\| message \| fix \|\n\| --- \| --- \|\n((?:\|.*\n)+)", README):
        for row in table.splitlines():
            first = row.split(" | ")[0].removeprefix("| ")
            if not first.startswith("*"):
                yield from re.findall(r"`([^`]+)`", first)


def test_every_message_that_is_quoted_is_one_that_the_code_says():
    messages, texts = list(quoted_messages()), list(literals())
    assert len(messages) >= 25
    for message in messages:
        pieces = [piece.strip(" ,;()") for piece in message.split("…")]
        for piece in pieces:
            if len(piece) >= 4:
                assert any(piece in text for text in texts), f"{message!r}: nothing says {piece!r}"


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(page):
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#\s]*)(?:#[\w-]*)?\)", text):
        if target and "://" not in target:
            assert (page.parent / target).exists(), target
    headings = {
        re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in re.findall(r"^#+ (.*)$", text, re.M)
    }
    for anchor in re.findall(r"\]\(#([\w-]*)\)", text):
        assert anchor in headings, anchor


def test_the_specs_that_are_shown_are_specs():
    shown = [text for text in re.findall(r"(?:^    .*\n|^\n)+", README, re.M) if "\n    name: " in text]
    specs = [part for text in shown for part in re.split(r"(?m)^    # \w+\.yaml.*\n", text) if "\n    name: " in part]
    assert len(specs) >= 2
    for spec in specs:
        tench.load_spec(yaml.safe_load(textwrap.dedent(spec)))
