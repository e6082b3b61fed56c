"""Two texts beside one another, line by line, with the words that changed."""

from collections.abc import Iterator
from difflib import SequenceMatcher
from re import findall
from typing import Any, Final

from dash import html

MOST_LINES: Final = 600


def text_diff(old: str, new: str) -> Any:
    """Return the lines of both texts: those left as they were, taken out and put in."""
    before, after = old.splitlines()[:MOST_LINES], new.splitlines()[:MOST_LINES]
    matcher = SequenceMatcher(a=before, b=after, autojunk=False)
    lines: list[Any] = []
    for kind, a0, a1, b0, b1 in matcher.get_opcodes():
        lines += _lines(kind, before[a0:a1], after[b0:b1])
    return html.Div(lines, className="diff")


def _lines(kind: str, gone: list[str], come: list[str]) -> Iterator[Any]:
    if kind == "equal":
        yield from (_line("", [line]) for line in gone)
    elif kind == "replace" and len(gone) == len(come):
        for old, new in zip(gone, come, strict=True):
            left, right = changed_words(old, new)
            yield _line("gone", left)
            yield _line("come", right)
    else:
        yield from (_line("gone", [line]) for line in gone)
        yield from (_line("come", [line]) for line in come)


def changed_words(old: str, new: str) -> tuple[list[Any], list[Any]]:
    """Return both lines in pieces; the pieces that differ are marked."""
    before, after = (findall(r"\s+|\w+|[^\w\s]", text) for text in (old, new))
    left: list[Any] = []
    right: list[Any] = []
    for kind, a0, a1, b0, b1 in SequenceMatcher(a=before, b=after, autojunk=False).get_opcodes():
        gone, come = "".join(before[a0:a1]), "".join(after[b0:b1])
        if kind == "equal":
            left.append(gone)
            right.append(come)
        else:
            left += [html.Del(gone)] if gone else []
            right += [html.Ins(come)] if come else []
    return left, right


def _line(kind: str, pieces: list[Any]) -> Any:
    sign = {"gone": "−", "come": "+"}.get(kind, " ")
    return html.Div(
        [html.Span(sign, className="diff-sign"), html.Span(pieces, className="diff-text")],
        className=f"diff-line{f' diff-{kind}' if kind else ''}",
    )
