"""Names and messages that are somebody else's, made safe for Markdown and for spreadsheets."""

import re
from typing import Final

# What a browser takes for a tag, a comment or an address; `p < 0.05` is none.
_TAG: Final = re.compile(r"<(?=[A-Za-z/!?])")
_ENTITY: Final = re.compile(r"&(?=#?\w+;)")
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")


def plain_markdown(text: str) -> str:
    """A line that may have mark-up of ours, without tags, links and pictures in it."""
    text = _TAG.sub("&lt;", _ENTITY.sub("&amp;", " ".join(text.split())))
    return text.replace("](", "]\\(").replace("]:", "]\\:").replace("![", "!\\[")


def escaped_markdown(text: str) -> str:
    """Foreign text in one line that Markdown shows as it is, also in the cell of a table."""
    text = re.sub(r"[\\`*\[\]|]", r"\\\g<0>", " ".join(text.split()))
    return _TAG.sub("&lt;", _ENTITY.sub("&amp;", text))


def code_markdown(text: str) -> str:
    """Foreign text as code, in backticks where nothing in it could end them or be a tag."""
    return escaped_markdown(text) if set(text) & set("`<>|\n") else f"`{text}`"


def safe_cell(text: str) -> str:
    """Text that a spreadsheet shows instead of computing it; a number stays one."""
    if not text.startswith(_FORMULA):
        return text
    try:
        float(text)
    except ValueError:
        return f"'{text}"
    return text
