"""Decoding of one image file: how many copies of a large photograph there are."""

import numpy as np
import pytest
from made_up_data_sets import encoded
from PIL import Image

from trainables.data.decoding import decode, rgb


def test_a_photograph_is_not_copied_before_it_is_scaled_down(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    content = encoded(np.full((40, 60, 3), 200, dtype=np.uint8))
    copy, copied = Image.Image.copy, []
    monkeypatch.setattr(Image.Image, "copy", lambda self: copied.append(self) or copy(self))
    assert decode(content, 8, "a.png").shape == (8, 8, 3)
    assert not copied
    plain = Image.new("RGB", (60, 40))
    assert rgb(plain) is plain
