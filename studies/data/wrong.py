"""The judged rows that a model gets wrong, as a text in `trials.csv`: base64 of one bit a row, the first row first."""

import base64

import numpy as np
from numpy.typing import ArrayLike, NDArray

Bits = NDArray[np.uint8]


def pack_rows(wrong: ArrayLike) -> str:
    """The text of `wrong (rows,)`.

    >>> pack_rows([True, False, False, False, False, False, False, True])
    'gQ=='
    """
    return base64.b64encode(np.packbits(np.asarray(wrong, dtype=bool)).tobytes()).decode()


def unpack(text: str) -> Bits:
    """The bytes of a text that `pack_rows` made, eight rows each; bits beyond the last row are 0.

    Raises ValueError where it is no such text.
    """
    return np.frombuffer(base64.b64decode(text, validate=True), dtype=np.uint8)
