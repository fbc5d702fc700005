"""The text of a query into a tree: `family:toto val_pct_mae<1 lr>=1e-4 -tag:base or "out of memory"`.

    query  = all ("or" all)*           or binds weaker than what stands side by side, which must all be so
    all    = one+
    one    = ("-" | "not") one | "(" query ")" | test | word
    test   = field (":" | "=" | "!=" | "<" | "<=" | ">" | ">=") value ("," value)*

What a field is and which values it takes is the matter of query_fields; a word is looked for in all texts of a run.
Quotes keep spaces and signs together; inside them, a backslash takes the next quote or backslash as it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from dataclasses import field as part_of

from engine.errors import BadFilter

OPERATORS = ("!=", "<=", ">=", ":", "=", "<", ">")
LONGEST = 2000
"""Characters of a query."""
DEEPEST = 40
"""Parentheses and negations in one another."""
_NAME = re.compile(r"[A-Za-z_][\w.-]*")
_QUOTES = "\"'"


@dataclass(frozen=True)
class Word:
    text: str
    at: int = part_of(default=0, compare=False)


@dataclass(frozen=True)
class Value:
    text: str
    quoted: bool
    at: int = part_of(default=0, compare=False)


@dataclass(frozen=True)
class Test:
    __test__ = False  # no test of pytest's

    field: str
    operator: str
    values: tuple[Value, ...]
    at: int = part_of(default=0, compare=False)


@dataclass(frozen=True)
class Not:
    one: Node


@dataclass(frozen=True)
class All:
    parts: tuple[Node, ...]


@dataclass(frozen=True)
class Either:
    parts: tuple[Node, ...]


Node = Word | Test | Not | All | Either


def parse(text: str) -> Node | None:
    """Read a query; None is the empty one, which every run fits. Raises BadFilter."""
    if len(text) > LONGEST:
        raise BadFilter(f"The query is too long: at most {LONGEST} characters", LONGEST)
    parser = _Parser(text)
    node = parser.query()
    if parser.at < len(text):
        raise BadFilter("This ) closes nothing", parser.at)
    return node


class _Parser:
    """Goes through the text from left to right."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.depth = 0

    def query(self) -> Node | None:
        parts: list[Node] = []
        while True:
            begin = self.at
            part = self.all()
            orphan = self.keyword("or")
            if part is not None:
                parts.append(part)
            elif orphan or parts:
                self.space()
                raise BadFilter("Something has to stand on both sides of `or`", begin if orphan else self.at)
            if not orphan:
                break
        return None if not parts else parts[0] if len(parts) == 1 else Either(tuple(parts))

    def all(self) -> Node | None:
        parts: list[Node] = []
        while (one := self.one()) is not None:
            parts.append(one)
        return None if not parts else parts[0] if len(parts) == 1 else All(tuple(parts))

    def one(self) -> Node | None:
        self.space()
        begin = self.at
        if begin >= len(self.text) or self.peek(")") or self.sees("or"):
            return None
        if self.peek("(") or self.peek("-") or self.sees("not"):
            self.depth += 1
            if self.depth > DEEPEST:
                raise BadFilter(f"More than {DEEPEST} parentheses or negations in one another", begin)
            found = self.group() if self.peek("(") else self.negated()
            self.depth -= 1
            return found
        if self.text[begin] in _QUOTES:
            return Word(self.quoted(), begin)
        if (name := _NAME.match(self.text, begin)) is not None:
            self.at = name.end()
            if (operator := self.operator()) is not None:
                return Test(name[0], operator, self.values(name[0] + operator), begin)
            self.at = begin
        elif self.operator() is not None:
            raise BadFilter(f"{self.text[begin : self.at]!r} needs the name of a field before it", begin)
        return Word(self.bare("()"), begin)

    def group(self) -> Node:
        begin = self.at
        self.at += 1
        inside = self.query()
        self.space()
        if not self.peek(")"):
            raise BadFilter("This ( is not closed", begin)
        if inside is None:
            raise BadFilter("Nothing stands between these parentheses", begin)
        self.at += 1
        return inside

    def negated(self) -> Not:
        begin, dash = self.at, self.peek("-")
        self.at += 1 if dash else 3
        apart = self.text[self.at : self.at + 1].isspace()
        one = None if dash and apart else self.one()
        if one is None:
            said = "`-`" if dash else "`not`"
            raise BadFilter(f"{said} needs something after it that is not to be so", begin)
        return Not(one)

    # -- pieces ------------------------------------------------------------------------------------------------

    def values(self, before: str) -> tuple[Value, ...]:
        found: list[Value] = []
        while True:
            self.space()
            begin = self.at
            if begin >= len(self.text) or self.peek(")"):
                raise BadFilter(f"{before} needs a value", begin)
            quoted = self.text[begin] in _QUOTES
            text = self.quoted() if quoted else self.bare("(),")
            if not quoted and not text:
                raise BadFilter(f"{before} needs a value", begin)
            found.append(Value(text, quoted, begin))
            if not self.peek(","):
                return tuple(found)
            self.at += 1

    def operator(self) -> str | None:
        """The operator that comes next, with or without a space before it; the place stays when there is none."""
        begin = self.at
        self.space()
        for operator in OPERATORS:
            if self.text.startswith(operator, self.at):
                self.at += len(operator)
                return operator
        self.at = begin
        return None

    def quoted(self) -> str:
        begin, quote = self.at, self.text[self.at]
        found: list[str] = []
        self.at += 1
        while self.at < len(self.text):
            sign = self.text[self.at]
            self.at += 1
            if sign == quote:
                return "".join(found)
            if sign == "\\" and self.text[self.at : self.at + 1] in (quote, "\\"):
                sign = self.text[self.at]
                self.at += 1
            found.append(sign)
        raise BadFilter("This quote is not closed", begin)

    def bare(self, ends: str) -> str:
        begin = self.at
        while self.at < len(self.text) and not self.text[self.at].isspace() and self.text[self.at] not in ends:
            self.at += 1
        return self.text[begin : self.at]

    def space(self) -> None:
        while self.at < len(self.text) and self.text[self.at].isspace():
            self.at += 1

    def peek(self, sign: str) -> bool:
        return self.text.startswith(sign, self.at)

    def sees(self, word: str) -> bool:
        """Whether a word of the language comes next, whole and in whatever case."""
        end = self.at + len(word)
        return self.text[self.at : end].lower() == word and (
            end == len(self.text) or self.text[end].isspace() or self.text[end] in "()"
        )

    def keyword(self, word: str) -> bool:
        self.space()
        if not self.sees(word):
            return False
        self.at += len(word)
        return True


def quoted(text: str) -> str:
    """Write a text so that it is read as one word or value."""
    plain = re.fullmatch(r"[^\s()\"',:=<>!-][^\s()\"',:=<>!]*", text)
    if plain and text.lower() not in ("or", "not"):
        return text
    return _in_quotes(text)


def _in_quotes(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def written(node: Node | None) -> str:
    """Write a tree as a query that is read as the same tree."""
    if node is None:
        return ""
    if isinstance(node, Word):
        return quoted(node.text)
    if isinstance(node, Test):
        values = ",".join(_in_quotes(value.text) if value.quoted else value.text for value in node.values)
        return f"{node.field}{node.operator}{values}"
    if isinstance(node, Not):
        return f"-{_inside(node.one)}"
    joint = " " if isinstance(node, All) else " or "
    return joint.join(_inside(part) if type(part) in (Either, type(node)) else written(part) for part in node.parts)


def _inside(node: Node) -> str:
    return f"({written(node)})" if isinstance(node, All | Either) else written(node)
