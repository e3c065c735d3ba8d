"""Sentences as templates whose numbers must be what the tables give."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from recomputing.shown import ANY_NUMBER, NUMBER, agrees

Values = list[Any]
"""A number each, in the unit shown but for a percentage, which is of a fraction; or none."""
Maker = Callable[..., Values]
SENTENCE = 3
"""Words above which a text that is stored counts nothing as a whole."""
A_NUMBER = rf"(?<![\w.]){NUMBER}(?![\w%])"
KINDS = {
    **dict.fromkeys(("word", "method"), r"[\w-]+"),
    "unit": r"(?:s|min|h)\b",
    **dict.fromkeys(("rest", "other", "values", "time", "name"), r".*?"),
    "verdict": r"\w+",
}
# Digits that count nothing: names, sources, tests, and what is said of the statistics themselves.
NAMES = re.compile(
    r"`[^`]*`|\(?(?:after )?[A-Z][a-z]+ et al\.? \(?\d{4}|95% interval|95% from|CIFAR-10|SHA-256"
    r"|(?:excludes|includes|without|dotted line at|an interval that excludes) 0(?!\.?\d)"
    r"|micro average at threshold 0\.5|micro at 0\.5|an addition as 2\b"
    r"|in 15 bins|0% means|each row sums to 100%|50% is a coin toss|shares that sum to 1\b"
    r"|\(\d\d\.\d{3}% top-1 there, it says\)"  # torchvision's own words, by the weights' hash
    r"|counts as 0\b|counts as precision 0\b|in 93% to 98% of cases|below 0\.5\)"
)


@dataclass(frozen=True)
class Rule:
    """A template that has been compiled for the names of a study."""

    template: str
    pattern: re.Pattern[str]
    make: Maker

    def apply(self, text: str, source: Any) -> tuple[str, int, list[str]]:
        """What is left of a text without what this rule says, its numbers, and what is wrong."""
        checked, problems, left, last = 0, [], [], 0
        for match in self.pattern.finditer(text):
            names = match.groupdict()
            named = set(match.re.groupindex.values())
            found = [g for i, g in enumerate(match.groups(), 1) if i not in named]
            problem = self._problem(found, names, source)
            if problem:
                problems.append(f"{match[0]!r}: {problem}")
            checked += len(found)
            left.append(text[last : match.start()])
            last = match.end()
        return " · ".join([*left, text[last:]]), checked, problems

    def _problem(self, found: list[str], names: dict[str, str], source: Any) -> str:
        try:
            expected = self.make(source, **names)
        except (AssertionError, LookupError, TypeError, ValueError) as error:
            return f"cannot be: {error!r}"
        if len(found) != len(expected):
            return f"has {len(found)} numbers, not {len(expected)}"
        percent = [mark == "#%" for mark in re.findall(r"#%?", self.template)]
        for text, value, is_share in zip(found, expected, percent, strict=True):
            if text is None or value is None:
                if text is not None or value is not None:
                    return f"{text} must be {value}"
            elif not agrees(text, value * 100 if is_share else value):
                return f"{text} must be {value}"
        return ""


class Rules:
    """The templates of one kind of report, in the order in which they apply."""

    def __init__(self) -> None:
        self._known: list[tuple[str, Maker]] = []
        self._last: list[tuple[str, Maker]] = []

    def says(self, *templates: str, last: bool = False) -> Callable[[Maker], Maker]:
        """Registers what must stand for the numbers of a sentence, or of a part of one.

        In a template `#` is a number, `#%` a percentage, `{name}` a name that the maker is told,
        whose kind is that of the name without digits at its end, and `$` the end. Short ones, which
        are parts of others too, come last.
        """

        def register(make: Maker) -> Maker:
            known = self._last if last else self._known
            known.extend((template, make) for template in templates)
            return make

        return register

    def walk(
        self, sentences: list[str], source: Any, kinds: Mapping[str, str], words: Sequence[str]
    ) -> Iterator[tuple[int, str | None]]:
        """How many numbers each text has, and what is wrong with it.

        Args:
            sentences: The texts.
            source: What the makers ask.
            kinds: Names in templates to the pattern of what they stand for; others are numbers.
            words: Names and whole sentences that count nothing wherever they stand.
        """
        known = [*self._known, *self._last]
        rules = [Rule(each, re.compile(_pattern(each, kinds)), make) for each, make in known]
        words = sorted({_spaces(word) for word in words}, key=len, reverse=True)
        names = re.compile("|".join(rf"(?<![\w-]){re.escape(word)}(?![\w-])" for word in words))
        whole = [word for word in words if len(word.split()) > SENTENCE]
        for sentence in dict.fromkeys(sentences):
            left = sentence
            for line in whole:
                left = left.replace(line, "")
            left = NAMES.sub("", left)
            for rule in rules:
                left, checked, problems = rule.apply(left, source)
                yield checked, None
                yield from ((0, f"{problem} in {sentence!r}") for problem in problems)
            left = names.sub("", left)
            stray = ANY_NUMBER.findall(left)
            if stray:
                yield len(stray), f"nothing gives {stray} of {sentence!r}, left of it is {left!r}"


STUDY, STUDIES = Rules(), Rules()
"""Of the report of one study, and of several."""


def one_of(names: Iterable[str]) -> str:
    """The pattern of one of some names, as a word of its own."""
    longest = sorted(map(_spaces, names), key=len, reverse=True)
    return rf"(?<![\w-])(?:{'|'.join(map(re.escape, longest))})(?![\w-])" if longest else r"\w+"


def _spaces(name: str) -> str:
    return " ".join(name.split())


def _pattern(template: str, kinds: Mapping[str, str]) -> str:
    parts = []
    for part in re.split(r"(\{\w+\}|#%?|\$)", template):
        if part == "#%":
            parts.append(rf"(?:(?<![\w.])({NUMBER})%|—)")
        elif part == "#":
            parts.append(rf"(?:(?<![\w.])({NUMBER})(?![\w%])|—)")
        elif part == "$":
            parts.append(r"\Z")
        elif part.startswith("{"):
            name = part[1:-1]
            kind = {**KINDS, **kinds}.get(re.sub(r"\d+$", "", name), A_NUMBER)
            parts.append(f"(?P<{name}>{kind})")
        else:
            parts.append(re.escape(part))
    return "".join(parts)
