"""What holds for the repository as a whole."""

from __future__ import annotations

import fnmatch
import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tests.docs import markdown

ROOT = markdown.ROOT
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
# Spelt so that this file does not hold what it looks for.
REGISTRIES = ("py" + "pi.org", "python" + "hosted.org", "npm" + "js.org", "npm" + "js.com", "deb.deb" + "ian")
ELSEWHERE = ("../" + "shared", "/work/" + "shared", "/opt/" + "pypi")
WHEEL = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
PACKAGES = {Path(path).name: ROOT / path for path in WHEEL["packages"]}
TARGET = re.compile(r"^([a-z-]+):.*?(?:## (.+))?$", re.MULTILINE)


def tracked() -> list[Path]:
    """Return the files of the repository; without git, as in an unpacked archive, all that would be."""
    if shutil.which("git") is None:
        return list(_unpacked())
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT, capture_output=True, check=True,
    ).stdout.decode()  # fmt: skip
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]


def _unpacked() -> Iterator[Path]:
    lines = (ROOT / ".gitignore").read_text(encoding="utf-8").split()
    ignored = re.compile("|".join(fnmatch.translate(line.rstrip("/")) for line in (".git", *lines)))
    for directory, names, files in os.walk(ROOT):
        names[:] = [name for name in names if not ignored.match(name)]
        yield from (Path(directory, name) for name in files if not ignored.match(name))


def texts() -> list[tuple[str, str]]:
    found = []
    for path in tracked():
        try:
            found.append((str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")))
        except UnicodeDecodeError:
            continue  # a picture or a captured payload
    return found


@pytest.mark.parametrize("words", [REGISTRIES, ELSEWHERE], ids=["package registries", "outside of the tree"])
def test_no_file_names(words: tuple[str, ...]) -> None:
    found = [(name, word) for name, text in texts() for word in words if word in text]
    assert found == []


def test_constraints_are_exact_and_name_no_place() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert len(pins) > 80
    assert [line for line in pins if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", line)] == []


def test_constraints_pin_everything_that_is_asked_for() -> None:
    project = PYPROJECT["project"]
    extras = project["optional-dependencies"]
    asked = [*project["dependencies"], *(line for extra in extras.values() for line in extra)]
    names = {_normalised(re.split(r"[\[<>=; ]", line)[0]) for line in asked} - {"gnomon"}
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert names <= {_normalised(line.partition("==")[0]) for line in lines}


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_every_package_is_typed(package: str) -> None:
    assert (PACKAGES[package] / "py.typed").is_file()


def test_the_console_script() -> None:
    assert PYPROJECT["project"]["scripts"] == {"gnomon": "gnomon._entrypoint:main"}


def test_no_module_is_too_long_or_named_for_nothing() -> None:
    modules = [path for root in PACKAGES.values() for path in root.rglob("*.py")]
    assert [path.name for path in modules if len(path.read_text(encoding="utf-8").splitlines()) > 500] == []
    assert [path.name for path in modules if path.stem in ("utils", "helpers", "common", "misc")] == []


def recipe(target: str) -> str:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    match = re.search(rf"^{target}:.*\n((?:\t.*\n)*)", text, re.MULTILINE)
    assert match is not None, target
    return match[0]


def test_checks_are_complete() -> None:
    check = recipe("check")
    for tool in ("ruff format --check .", "ruff check .", "bin/mypy", "bin/lint-imports"):
        assert tool.replace("bin", "$(BIN)") in check or tool in check, tool


def test_make_test_checks_first_and_ends_with_pytest() -> None:
    assert re.match(r"test: check chromium", recipe("test"))
    assert recipe("test").rstrip().endswith('$(BIN)/pytest -m "not slow"')
    assert "make" in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()[-1]


def test_every_target_is_explained_and_listed() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = set(re.findall(r"^\.PHONY: ([a-z-]+)$", text, re.MULTILINE))
    explained = {name for name, help_text in TARGET.findall(text) if help_text}
    assert phony == explained
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert all(name in listed for name in phony)


def test_every_make_call_in_the_guides_exists() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^\.PHONY: ([a-z-]+)$", text, re.MULTILINE))
    for page in markdown.pages():
        for called in re.findall(
            r"(?:^|`)make ([a-z][a-z-]*)", page.read_text(encoding="utf-8"), re.MULTILINE
        ):
            assert called in targets, f"{page.name}: make {called}"


def test_hooks_run_what_the_checks_run() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    assert [repo["repo"] for repo in hooks] == ["local"]
    entries = " ".join(hook["entry"] for hook in hooks[0]["hooks"])
    for tool in ("ruff format", "ruff check", "mypy", "lint-imports"):
        assert f".venv/bin/{tool}" in entries


@pytest.mark.parametrize("page", markdown.pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in markdown.links(page):
        target, _, fragment = link.partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        path = (page.parent / target).resolve() if target else page
        assert path.exists(), f"{page.name} links to {link}"
        if fragment:
            assert fragment in {markdown.anchor(heading) for heading in markdown.headings(path)}, link


def test_every_guide_is_linked_from_the_readme() -> None:
    linked = {(ROOT / link.partition("#")[0]).resolve() for link in markdown.links(markdown.README)}
    assert [page.name for page in markdown.DOCS.glob("*.md") if page not in linked] == []


def test_decisions_are_numbered_dated_and_listed() -> None:
    records = sorted((markdown.DOCS / "adr").glob("[0-9]*.md"))
    listed = (markdown.DOCS / "adr" / "README.md").read_text(encoding="utf-8")
    for number, record in enumerate(records, start=1):
        text = record.read_text(encoding="utf-8")
        assert text.startswith(f"# {number:04d}. ") and record.name.startswith(f"{number:04d}-")
        assert re.search(r"^Date: \d{4}-\d\d-\d\d\. Status: \w+", text, re.MULTILINE)
        assert markdown.headings(record)[1:] == ["Context", "Decision", "Measured", "Consequences"]
        title = text.splitlines()[0].partition(". ")[2]
        assert f"[{number:04d}]({record.name}) | {title} |" in listed


def test_the_changelog_has_this_version() -> None:
    titles = [heading for heading in markdown.headings(ROOT / "CHANGELOG.md") if heading[0].isdigit()]
    assert titles[0].startswith(f"{PYPROJECT['project']['version']} - ")
