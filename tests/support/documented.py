"""The pages for people, taken apart: links, headings, blocks of code, and commands."""

import argparse
import functools
import os
import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import NoReturn

import pytest

from orchestrator.config import flags
from orchestrator.config.settings import Settings
from orchestrator.plan.families import plan_families

ROOT = next(path for path in Path(__file__).resolve().parents if (path / "pyproject.toml").exists())
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))

# A span between backticks is a command if it begins with one of these and goes on.
PROGRAMS = frozenset(
    {
        *("python", ".venv/bin/python", "make", "ray", "git", "source", "export", "cd", "umask"),
        *("pip", "uv", "apt-get", "curl", "grep", "sed", "cp", "nano", "tail", "ssh", "true"),
        *("aws", "docker", "helm", "kubectl", "prometheus", "grafana", "optuna-dashboard", "jq"),
        *("sbatch", "scancel", "scontrol", "squeue", "transfer-study"),
    }
)
# What stands in a command for what the reader has, where a test has something else.
PLACEHOLDERS = {
    r"^H$": "1",
    r"\bSECONDS$": "60",
    r"^cnn-003$": "curve-003",
    r"^/mnt/study/": "",
    r"^IMAGES$": "photos/",
    r"^s3://bucket/prefix": "file://copies",
}
COMMANDS = (
    *("study", "audit", "clean", "compare", "export", "look", "predict", "report", "retrain"),
    *("status", "verdict", "verify"),
)
_SHOWN = re.compile(r"^(FAMILY|DATASET) = \w+\(\n    name=\"(\w+)\"", re.MULTILINE)
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")


@dataclass(frozen=True)
class Place:
    """A text in a page, and the line it begins in."""

    page: Path
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


@dataclass(frozen=True)
class Block(Place):
    """A fenced block, its text without the fences."""

    language: str


@dataclass(frozen=True)
class Command:
    """A command with its words, and where it stands first."""

    words: tuple[str, ...]
    place: str

    def __str__(self) -> str:
        return f"{self.place} {' '.join(self.words)}"


def blocks(page: Path) -> Iterator[Block]:
    """The fenced blocks of a page."""
    text = page.read_text(encoding="utf-8")
    for match in _FENCE.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        yield Block(page, line, match[2], match[1])


def prose(page: Path) -> str:
    """A page without its fenced blocks, each line in its place."""
    text = page.read_text(encoding="utf-8")
    return _FENCE.sub(lambda match: "\n" * match[0].count("\n"), text)


def spans(page: Path) -> Iterator[Place]:
    """What stands between backticks, as one line; a paragraph, row or item at a time."""
    text = prose(page)
    start = 0
    for part in re.split(r"(\n\s*\n|\n(?=[|*-]))", text):
        for match in re.finditer(r"`([^`]+)`", part):
            line = text.count("\n", 0, start + match.start()) + 1
            yield Place(page, line, " ".join(match[1].split()))
        start += len(part)


def links(page: Path) -> list[str]:
    """What the links and pictures of a page lead to, but for addresses on the web."""
    return re.findall(r"\]\((?!https?:)([^)]+)\)", prose(page))


def anchors(page: Path) -> set[str]:
    """What a link may name behind `#`: the headings, as GitHub makes anchors of them."""
    titles = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    kept = (re.sub(r"[^\w\- ]", "", title.lower()) for title in titles)
    return {title.strip().replace(" ", "-") for title in kept}


def commands() -> list[Command]:
    """Every command of every page, each once: in blocks of shell, and between backticks."""
    found: dict[tuple[str, ...], Command] = {}
    for page in PAGES:
        shells = [block for block in blocks(page) if block.language == "sh"]
        for place in (*shells, *filter(_is_command, spans(page))):
            for words in split(place.text.removeprefix("-- ")):
                found.setdefault(words, Command(words, str(place)))
    return list(found.values())


def as_module(words: Sequence[str]) -> Sequence[str]:
    """A command that is called by the console command, as it is called in a checkout."""
    if words[0] != "transfer-study" or words[1].startswith("-"):
        return words
    return ("python", "-m", f"orchestrator.{words[1]}", *words[2:])


def split(text: str) -> Iterator[tuple[str, ...]]:
    """The simple commands of a shell text, those inside others after them; no assignments."""
    for line in text.replace("\\\n", " ").splitlines():
        words: list[str] = []
        target = False
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        for token in (*lexer, ";"):
            if set(token) <= set("();|&<>"):
                target = "<" in token or ">" in token
                if not target:
                    yield from _simple(words)
                    words = []
            elif target:
                target = False
            else:
                words.append(token)


def _simple(words: list[str]) -> Iterator[tuple[str, ...]]:
    for word in words:  # "$(curl -s ADDRESS)/32"
        for inner in re.findall(r"\$\(([^()]*)\)", word):
            yield from split(inner)
    while words and (words[0] == "$" or _ASSIGNMENT.match(words[0])):
        words = words[1:]
    if not words:
        return
    yield tuple(words)
    if words[:2] == ["ray", "exec"] and len(words) > 3:
        yield from split(words[-1])
    if words[0] == "sbatch" and "--wrap" in words:
        yield from split(words[words.index("--wrap") + 1])
    if words[:3] == ["ray", "job", "submit"] and "--" in words:
        yield tuple(words[words.index("--") + 1 :])


def _is_command(span: Place) -> bool:
    words = span.text.removeprefix("-- ").split()
    while words and _ASSIGNMENT.match(words[0]):
        words = words[1:]
    return len(words) > 1 and words[0] in PROGRAMS


class _FoundError(Exception):
    """A command has come to where it parses its arguments."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self.parser = parser


def parser_of(run: Callable[[], object]) -> argparse.ArgumentParser:
    """The parser with which a command parses its arguments, taken from it before it does."""

    def parse_args(parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        raise _FoundError(parser)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(argparse.ArgumentParser, "parse_args", parse_args)
        try:
            run()
        except _FoundError as found:
            return found.parser
    message = "it parsed no arguments"
    raise AssertionError(message)


@functools.cache
def parser_of_module(name: str) -> argparse.ArgumentParser:
    """The parser of `python -m orchestrator.NAME`."""
    place = f"orchestrator.{name}" if name == "study" else f"orchestrator.{name}.__main__"
    return parser_of(import_module(place).main)


def flags_of(name: str) -> set[str]:
    """The flags of `python -m orchestrator.NAME`."""
    actions = parser_of_module(name)._actions
    return {text for action in actions for text in action.option_strings}


def check_settings(words: Sequence[str]) -> Settings:
    """The settings that flags of a study name, once all that can be said of them is right.

    Raises:
        ValueError: A value is wrong, or a family or a dimension unknown.
    """
    options = flags.parse(words)
    flags.check_together(options)
    if options.config is not None and not options.config.exists():
        options.config = None  # a name that the reader gives
    settings = flags.settings_of(options)
    plan_families(settings)
    return settings


def shown_files() -> dict[str, str]:
    """The families and data sets that pages show whole: below `trainables/`, to their text."""
    found = {}
    for page in PAGES:
        for block in blocks(page):
            match = _SHOWN.search(block.text)
            if block.language == "python" and match:
                folder = "families" if match[1] == "FAMILY" else "datasets"
                found[f"{folder}/{match[2]}.py"] = block.text
    return found


def write_shown_files(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Puts them where the registry finds them, beside the tests' own families."""
    for name, text in shown_files().items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    families = (ROOT / "tests" / "families", folder / "families")
    patch.setenv("STUDY_FAMILY_PATH", os.pathsep.join(map(str, families)))
    patch.setenv("STUDY_DATASET_PATH", str(folder / "datasets"))


def filled(word: str) -> str:
    """A word of a command with what its placeholders stand for."""
    for pattern, value in PLACEHOLDERS.items():
        word = re.sub(pattern, value, word)
    return word
