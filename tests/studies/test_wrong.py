"""Wrong rows as a text of bits."""

import base64

import numpy as np
import pytest

from studies.data.wrong import pack_rows, unpack


@pytest.mark.parametrize("rows", [1, 7, 8, 9, 1000])
def test_bits_read_back_as_they_were(rows):
    wrong = np.random.default_rng(rows).random(rows) < 0.5
    found = np.unpackbits(unpack(pack_rows(wrong)))
    assert (found[:rows] == wrong).all()
    assert not found[rows:].any()


def test_the_first_row_is_the_first_bit():
    assert base64.b64decode(pack_rows([True, False, False, True, False, False, False, False, True])) == bytes(
        [0b10010000, 0b10000000]
    )


@pytest.mark.parametrize("text", ["no bits!", "AA", "é"])
def test_other_texts_are_refused(text):
    with pytest.raises(ValueError, match=r"base64|padding|ASCII"):
        unpack(text)
