"""What a look at every image of a data set finds, before a study is asked for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from trainables.data.dataset import OpenedDataSet
from trainables.data.layout import Fault

if TYPE_CHECKING:
    from trainables.data.near_duplicates import Small

IMAGE_RULES: Final = (
    *("empty", "HEIC", "raw", "other format", "too large", "no range", "damaged", "unreadable"),
)
"""What can be wrong with the content of a file, in the order in which it is reported."""
TURNED: Final = "turned upright, as their EXIF orientation says"
TRANSPARENT: Final = "transparent: laid over white"
GREY: Final = "grey: three equal channels"
CMYK: Final = "CMYK: converted without its colour profile"
DEEP: Final = "16 bits a channel: the upper 8 are kept"
FRAMES: Final = "of several frames: the first is taken"
DARK: Final = 64
"""Of 255: what data of 14 bits, in files of 16 a channel, stay below once the upper 8 are kept."""
TRAITS: Final = (TURNED, TRANSPARENT, GREY, CMYK, DEEP, FRAMES)
"""What reading does to some images, in the order in which it is reported."""


def is_dark(brightest: int | None) -> bool:
    """Whether the 16 bits a channel of a file have data of 14 bits or fewer."""
    return brightest is not None and brightest < DARK


@dataclass(frozen=True, kw_only=True, slots=True)
class SurveyedImage:
    """An image that can be used.

    Attributes:
        name: Its path below the folder.
        part: `train`, `val` or `test`; empty where it is not known yet which.
        label: Index of its class.
        sha256: Of its bytes.
        form: Its format, as Pillow names it.
        width: In pixels, upright.
        height: In pixels, upright.
        traits: What reading does to it, of `TRAITS`.
        small: What a difference hash is made of, uint8 [8, 9].
        brightest: Its highest value once it is read, of 255, where the file has 16 bits a channel;
            None of any other file.
    """

    name: str
    part: str
    label: int
    sha256: str
    form: str
    width: int
    height: int
    traits: tuple[str, ...]
    small: "Small"
    brightest: int | None = None

    @property
    def dark(self) -> bool:
        """Whether most of the 8 bits that are kept of 16 are empty."""
        return is_dark(self.brightest)


@dataclass(frozen=True, kw_only=True)
class Survey:
    """A data set of files, looked at whole.

    Attributes:
        place: Where it is.
        classes: Class names.
        places: Part and class of each folder of a class; the part is empty where the data do not
            say which images are the test part.
        divided: Whether the data themselves have parts.
        drawn: Whether the test part is a fixed fifth of the images, drawn by chance.
        images: Those that can be used.
        faults: Why a study rejects the folder, but for images that stand twice.
        left_out: Paths that are no part of the data, by what they are.
        notes: What else is left out, a sentence each.
        few: The fault that a class has too few images, where it would have so many: part, class
            and count to it; None where they are enough.
        thumbnail: Reads an image again: RGB, uint8 [edge, edge, 3], from its name and the edge.
        open: The data set as a study opens it at an edge in pixels; nothing is read again.
            Only without faults.
    """

    place: str
    classes: tuple[str, ...]
    places: tuple[tuple[str, str], ...]
    divided: bool
    drawn: bool
    images: tuple[SurveyedImage, ...]
    faults: tuple[Fault, ...]
    left_out: Mapping[str, tuple[str, ...]]
    notes: tuple[str, ...]
    few: Callable[[str, str, int], Fault | None]
    thumbnail: "Callable[[str, int], Small]"
    open: Callable[[int], OpenedDataSet]
