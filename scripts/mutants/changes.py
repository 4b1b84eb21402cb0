"""The small changes that a module's tests should notice, one at a time. `scripts.mutants` asks for them.

Most are mutmut's. The walk over the module is ours, because mutmut's own leaves out constants and decorated functions:
a plan's check of its manifest, or the time that a run still takes.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import libcst as cst
import libcst.matchers as m
from libcst.metadata import CodeRange, MetadataWrapper, PositionProvider, WhitespaceInclusivePositionProvider
from mutmut.mutation import mutators

Operator = Callable[[cst.CSTNode], Iterator[cst.CSTNode]]


@dataclass(frozen=True)
class Change:
    """The module with the change is `code`; `before` and `after` are the lines that differ, without indentation.

    `statement` are the numbers of the lines of the statement around it, of a compound one without its body.
    """

    file: str
    line: int
    statement: range
    before: str
    after: str
    code: str


def changes_of(file: str, source: str) -> list[Change]:
    """In the order of their lines. Docstrings, annotations, log lines and the texts of errors stay as they are."""
    wrapper = MetadataWrapper(cst.parse_module(source), unsafe_skip_copy=True)
    places = wrapper.resolve(WhitespaceInclusivePositionProvider)
    lines = wrapper.resolve(PositionProvider)
    text = source.splitlines(keepends=True)
    found: dict[str, Change] = {}
    for node, changed, statement in _walk(wrapper.module, lines, range(0)):
        code = _splice(text, places[node], wrapper.module.code_for_node(changed))
        line, before, after = _difference(source, code)
        found.setdefault(code, Change(file, line, statement, before, after, code))
    return sorted(found.values(), key=lambda change: change.line)


def _walk(
    node: cst.CSTNode, lines: Mapping[cst.CSTNode, CodeRange], statement: range
) -> Iterator[tuple[cst.CSTNode, cst.CSTNode, range]]:
    """Each node that can be changed, what it becomes, and the lines of its statement."""
    if any(m.matches(node, pattern) for pattern in _LEFT_ALONE):
        return
    body = getattr(node, "body", None)
    if isinstance(body, cst.BaseSuite):
        first = lines[node].start.line
        statement = range(first, max(first + 1, lines[body.body[0]].start.line))
    elif isinstance(node, cst.SimpleStatementLine):
        statement = range(lines[node].start.line, lines[node].end.line + 1)
    for kind, operator in _OPERATORS:
        if isinstance(node, kind):
            for changed in operator(node):
                yield node, changed, statement
    if isinstance(node, cst.If | cst.While):
        for changed in _condition(node.test):
            yield node.test, changed, statement
    for child in node.children:
        yield from _walk(child, lines, statement)


def _splice(text: list[str], place: CodeRange, new: str) -> str:
    """The text with `new` in that place; what libcst's replacement would take a second for in a module."""
    head, tail = text[place.start.line - 1], text[place.end.line - 1]
    changed = head[: place.start.column] + new + tail[place.end.column :]
    return "".join([*text[: place.start.line - 1], changed, *text[place.end.line :]])


def _difference(source: str, code: str) -> tuple[int, str, str]:
    """The number of the first line that differs, and the lines that differ in both, each as one text."""
    old, new = ([line.strip() for line in text.split("\n")] for text in (source, code))
    start = next(n for n, (before, after) in enumerate(zip(old, new, strict=False)) if before != after)
    end = 0
    while end < min(len(old), len(new)) - start and old[-1 - end] == new[-1 - end]:
        end += 1
    before, after = (" ".join(filter(None, lines[start : len(lines) - end])) for lines in (old, new))
    return start + 1, before, after


def _arguments(call: cst.Call) -> Iterator[cst.Call]:
    """None for a positional argument, nothing for a named one; the other way round ends in a TypeError."""
    if m.matches(call.func, m.Name("len") | m.Name("isinstance")):
        return
    for place, argument in enumerate(call.args):
        others = [*call.args[:place], *call.args[place + 1 :]]
        if argument.keyword:
            yield call.with_changes(args=others)
        elif not argument.star and not m.matches(argument.value, m.Name("None")):
            changed = argument.with_changes(value=cst.Name("None"))
            yield call.with_changes(args=[*call.args[:place], changed, *call.args[place + 1 :]])


def _string(node: cst.BaseString) -> Iterator[cst.BaseString]:
    yield from list(mutators.operator_string(node))[:1]  # the others change its case


def _condition(test: cst.BaseExpression) -> Iterator[cst.BaseExpression]:
    """Negated, unless it is one that mutmut changes."""
    if not isinstance(test, cst.Comparison | cst.BooleanOperation | cst.UnaryOperation):
        yield cst.UnaryOperation(cst.Not(), test.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()]))


def _call(node: cst.Expr) -> Iterator[cst.Pass]:
    """A call for its effect, left out."""
    if m.matches(node.value, m.Call(func=~_LOG)):
        yield cst.Pass()


def _extreme(node: cst.Call) -> Iterator[cst.Call]:
    for old, new in (("min", "max"), ("max", "min"), ("any", "all"), ("all", "any")):
        if m.matches(node.func, m.Name(old)):
            yield node.with_changes(func=cst.Name(new))


_LOG = m.Attribute(value=m.Name("log"))
_LEFT_ALONE = (
    m.Annotation() | m.Import() | m.ImportFrom() | m.Decorator() | m.Raise(),
    m.Call(func=_LOG),
    m.FunctionDef(name=m.Name("__repr__")),
    m.If(test=m.Name("TYPE_CHECKING")),
    m.ClassDef(bases=[m.ZeroOrMore(), m.Arg(m.Name("Protocol")), m.ZeroOrMore()]),
    m.Assign(value=m.Call(func=m.Name("TypeVar") | m.Attribute(attr=m.Name("getLogger")))),
    m.Assign(value=m.Subscript(value=m.Name("Callable") | m.Name("dict") | m.Name("Annotated"))),  # a type's name
)
_NOT_OF_MUTMUT = (mutators.operator_arg_removal, mutators.operator_string, mutators.operator_match)
_OPERATORS: list[tuple[type[cst.CSTNode], Operator]] = [
    # mypy notices a None in the place of what is annotated.
    *(
        (kind, each)
        for kind, each in mutators.mutation_operators
        if each not in _NOT_OF_MUTMUT and kind != cst.AnnAssign
    ),
    (cst.BaseString, _string),
    (cst.Call, _arguments),
    (cst.Call, _extreme),
    (cst.Expr, _call),
]
