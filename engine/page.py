"""A document of headings, sentences, tables and pictures: one HTML file to mail, Markdown, or text for the terminal."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal


@dataclass(frozen=True)
class Heading:
    text: str
    level: Literal[1, 2, 3] = 2


@dataclass(frozen=True)
class Text:
    text: str
    kind: Literal["", "lead", "note"] = ""
    """lead: what has to be read if nothing else is."""


@dataclass(frozen=True)
class Table:
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    right: frozenset[int] = frozenset()
    """Numbers of the columns that hold numbers."""
    shade: Sequence[Sequence[float | None]] | None = None
    """Of each cell from -1, bad, to 1, good; its text says the same in print."""


@dataclass(frozen=True)
class Picture:
    svg: str
    caption: str


@dataclass(frozen=True)
class Code:
    text: str


Part = Heading | Text | Table | Picture | Code

STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #1b1b1b; background: #fff; max-width: 70rem; margin: 0 auto;
  padding: 1rem; }
h1 { font-size: 1.6rem; line-height: 1.2; }
h2 { font-size: 1.25rem; margin-top: 2.2rem; border-bottom: 1px solid #bbb; }
h3 { font-size: 1.05rem; }
.lead { font-size: 1.1rem; border-left: 4px solid #0072b2; padding: .2rem 0 .2rem .8rem; }
.note { color: #444; font-size: .92rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .88rem; margin: .6rem 0; width: max-content; max-width: none; }
th, td { padding: .25rem .6rem; border-bottom: 1px solid #ddd; text-align: left; vertical-align: top; max-width: 22rem;
  overflow-wrap: break-word; }
th { border-bottom: 2px solid #888; white-space: nowrap; }
.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
figure { margin: 1rem 0; } figure svg { width: 100%; height: auto; max-width: 56rem; display: block; }
figcaption { color: #444; font-size: .9rem; }
pre { background: #f4f4f4; padding: .7rem; font-size: .85rem; white-space: pre-wrap; overflow-wrap: anywhere; }
@media (max-width: 40rem) { body { padding: .7rem; } table { font-size: .82rem; } td { max-width: 14rem; }
  figure { overflow-x: auto; } figure svg { width: 40rem; } }
@media print { body { font-size: 10pt; max-width: none; padding: 0; } .wide { overflow: visible; }
  table { font-size: 7.5pt; width: auto; max-width: 100%; }
  th { white-space: normal; } tr, figure, pre { break-inside: avoid; }
  h2, h3 { break-after: avoid; } * { -webkit-print-color-adjust: exact; print-color-adjust: exact; } }
"""


def html(title: str, parts: Sequence[Part]) -> str:
    """One file without a link to anything outside it."""
    body = "\n".join(map(_html, _numbered(parts)))
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>{STYLE}</style></head><body>\n{body}\n</body></html>\n"
    )


def markdown(parts: Sequence[Part]) -> str:
    """The same without pictures: their captions stay and say where they are."""
    return "\n\n".join(map(_markdown, parts)) + "\n"


def terminal(parts: Sequence[Part]) -> str:
    """The same as plain text, without pictures."""
    from tabulate import tabulate  # 80 ms

    out: list[str] = []
    for part in parts:
        match part:
            case Heading():
                out.append(part.text if part.level > 1 else f"{part.text}\n{'=' * len(part.text)}")
            case Text() | Code():
                out.append(part.text)
            case Table():
                align = ["right" if i in part.right else "left" for i in range(len(part.heads))]
                out.append(tabulate(part.rows, part.heads, "simple", colalign=align, disable_numparse=True))
            case Picture():
                pass
    return "\n\n".join(out)


def _numbered(parts: Sequence[Part]) -> list[Part]:
    """Give every picture ids of its own: in one document two may not be alike."""
    out: list[Part] = []
    for i, part in enumerate(parts):
        if isinstance(part, Picture):
            svg = re.sub(r'\bid="', f'id="p{i}-', part.svg)
            svg = re.sub(r'(url\(|href=")#', rf"\1#p{i}-", svg)
            part = Picture(svg, part.caption)
        out.append(part)
    return out


def _html(part: Part) -> str:
    match part:
        case Heading():
            return f"<h{part.level}>{escape(part.text)}</h{part.level}>"
        case Text():
            return f"<p{f' class={part.kind}' if part.kind else ''}>{escape(part.text)}</p>"
        case Code():
            return f"<pre>{escape(part.text)}</pre>"
        case Picture():
            return f"<figure>{part.svg}<figcaption>{escape(part.caption)}</figcaption></figure>"
        case Table():
            head = "".join(f"<th{_class(part, i)}>{escape(text)}</th>" for i, text in enumerate(part.heads))
            rows = "\n".join(
                "<tr>" + "".join(_cell(part, r, c, text) for c, text in enumerate(row)) + "</tr>"
                for r, row in enumerate(part.rows)
            )
            return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>\n{rows}\n</tbody></table></div>'


def _class(table: Table, column: int) -> str:
    return ' class="n"' if column in table.right else ""


def _cell(table: Table, row: int, column: int, text: str) -> str:
    shade = table.shade[row][column] if table.shade is not None else None
    style = f' style="background:{_colour(shade)}"' if shade is not None else ""
    return f"<td{_class(table, column)}{style}>{escape(text)}</td>"


def _colour(shade: float) -> str:
    """Blue for good and orange for bad, which also the colour-blind tell apart."""
    strength = min(1.0, abs(shade)) * 0.75
    return f"rgba(0,114,178,{strength:.2f})" if shade >= 0 else f"rgba(230,159,0,{strength:.2f})"


def _markdown(part: Part) -> str:
    match part:
        case Heading():
            return f"{'#' * part.level} {part.text}"
        case Text():
            return f"**{part.text}**" if part.kind == "lead" else part.text
        case Code():
            return f"```\n{part.text}\n```"
        case Picture():
            return f"*{part.caption} (the picture is in the HTML report)*"
        case Table():
            rows = [[_plain(text) for text in row] for row in (part.heads, *part.rows)]
            rule = ["---:" if i in part.right else "---" for i in range(len(part.heads))]
            return "\n".join(f"| {' | '.join(row)} |" for row in (rows[0], rule, *rows[1:]))


def _plain(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
