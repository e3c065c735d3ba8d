"""Escaping of names and messages that are not ours, for Markdown and for spreadsheets."""

import re
from typing import Final

from orchestrator.cli import without_control

# What a browser takes for a tag, a comment or an address; `p < 0.05` is none.
_TAG: Final = re.compile(r"<(?=[A-Za-z/!?])")
_ENTITY: Final = re.compile(r"&(?=#?\w+;)")
# How a formula begins: a spreadsheet takes the wide signs of East Asia for the others.
_FORMULA: Final = re.compile(r"[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
# Where a cell would begin for a spreadsheet that separates them otherwise, as many countries do.
_INNER: Final = re.compile(rf"([;\t\r\n]\s*)(?={_FORMULA.pattern})")


def plain_markdown(text: str) -> str:
    """A line that may have mark-up of ours, without tags, links and pictures in it."""
    text = _TAG.sub("&lt;", _ENTITY.sub("&amp;", _one_line(text)))
    return text.replace("](", "]\\(").replace("]:", "]\\:").replace("![", "!\\[")


def escaped_markdown(text: str) -> str:
    """Foreign text in one line that Markdown shows as it is, also in the cell of a table."""
    text = re.sub(r"[\\`*\[\]|]", r"\\\g<0>", _one_line(text))
    return _TAG.sub("&lt;", _ENTITY.sub("&amp;", text))


def code_markdown(text: str) -> str:
    """Foreign text as code, in backticks where nothing in it could end them or be a tag."""
    return escaped_markdown(text) if set(text) & set("`<>|\n") else f"`{without_control(text)}`"


def safe_cell(text: str) -> str:
    """Text that a spreadsheet shows instead of computing it; a number stays one."""
    text = without_control(_INNER.sub(r"\1'", text))
    if not _FORMULA.match(text):
        return text
    try:
        float(text)
    except ValueError:
        return f"'{text}"
    return text


def _one_line(text: str) -> str:
    return without_control(" ".join(text.split()))
