"""What file managers, archives and photo programs leave beside images; it is nobody's image."""

from typing import Final

LEFT: Final = "left by a file manager, an archive or a photo program"
"""What it is called where it is reported."""
_NAMES: Final = frozenset(
    {
        *("thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "system volume information"),
        *("icon\r", "__macosx", "@eadir", "#recycle", "lost+found", "picasa.ini"),
    }
)
_SIDECARS: Final = (".xmp", ".aae", ".pp3")
"""Endings of files that say how a photograph was edited."""


def is_junk(name: str) -> bool:
    """Whether a file or folder of this name is left out, in whatever case it is written."""
    small = name.lower()
    return small in _NAMES or small.endswith(_SIDECARS)
