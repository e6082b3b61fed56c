"""Reads what our Markdown pages hold: code blocks, tables, links. Knows no more Markdown than they use."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
README = ROOT / "README.md"

_FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^(#+) +(.+?) *$")
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)|<img[^>]+src=\"([^\"]+)\"|srcset=\"([^\"]+)\"")
_CELL_BORDER = re.compile(r"(?<!\\)\|")


@dataclass(frozen=True)
class Block:
    """A fenced code block.

    Attributes:
        language: the word after the fence
        line: where its text begins
    """

    page: Path
    language: str
    text: str
    line: int

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def pages() -> list[Path]:
    """Return every page that is for people: the ones at the top, and everything in docs/ and deploy/."""
    return sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *(ROOT / "deploy").rglob("*.md")])


def guides() -> list[Path]:
    """Return the pages for users: README and the guides, without the decision records."""
    return [README, *sorted(DOCS.glob("*.md")), *sorted((ROOT / "deploy").rglob("*.md"))]


def blocks(page: Path, *languages: str) -> list[Block]:
    """Return the code blocks of a page in these languages."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(page, match[1], match[2], text.count("\n", 0, match.start(2)) + 1)
        for match in _FENCE.finditer(text)
        if match[1] in languages
    ]


def table(page: Path, heading: str) -> list[dict[str, str]]:
    """Return the rows of the first table below a heading, by column title; cells without backticks."""
    lines = iter(section(page, heading).splitlines())
    header = next(line for line in lines if line.startswith("|"))
    titles = cells(header)
    next(lines)
    rows = []
    for line in lines:
        if not line.startswith("|"):
            break
        rows.append(dict(zip(titles, cells(line), strict=True)))
    return rows


def cells(line: str) -> list[str]:
    """Return the cells of a table's line."""
    parts = _CELL_BORDER.split(line.strip().strip("|"))
    return [part.strip().replace("\\|", "|").replace("`", "") for part in parts]


def section(page: Path, heading: str) -> str:
    """Return the text below a heading, up to the next heading of the same level or a higher one."""
    level = 0
    found: list[str] = []
    for line in _outside_code(page):
        match = _HEADING.match(line)
        if level and match and len(match[1]) <= level:
            break
        if level:
            found.append(line)
        elif match and match[2].replace("`", "") == heading:
            level = len(match[1])
    assert level, f"{page.name} has no heading {heading!r}"
    return "\n".join(found)


def headings(page: Path) -> list[str]:
    """Return the headings of a page, without backticks."""
    matches = (_HEADING.match(line) for line in _outside_code(page))
    return [match[2].replace("`", "") for match in matches if match]


def links(page: Path) -> Iterator[str]:
    """Yield where the page links to, pictures too."""
    for match in _LINK.finditer("\n".join(_outside_code(page))):
        yield next(target for target in match.groups() if target)


def anchor(heading: str) -> str:
    """Return the fragment under which a heading is reached: lower case, dashes for blanks."""
    kept = re.sub(r"[^\w\- ]", "", heading.lower())
    return kept.replace(" ", "-")


def _outside_code(page: Path) -> Iterator[str]:
    is_code = False
    for line in page.read_text(encoding="utf-8").splitlines():
        if line.startswith("```"):
            is_code = not is_code
            yield ""
        else:
            yield "" if is_code else line
