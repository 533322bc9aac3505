"""Columns as codes: which are functions of others, equal to others, or another value in each row."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from studies.data.runs.reading import Sheet
from studies.data.runs.wide import is_close

Codes = NDArray[np.int64]


class Structure:
    """Relations between the columns of a sheet. NaN is a value like others."""

    def __init__(self, sheet: Sheet) -> None:
        self.sheet = sheet
        self._codes: dict[str, Codes] = {}
        self._sizes: dict[str, float] = {}

    def codes(self, name: str) -> Codes:
        """Each row's value as a number from 0."""
        if name not in self._codes:
            self._codes[name] = pd.factorize(self.sheet.table[name], use_na_sentinel=False)[0].astype(np.int64)
        return self._codes[name]

    def count(self, *names: str) -> int:
        """Number of different rows in these columns; 1 for no column."""
        joined = np.zeros(len(self.sheet.table), dtype=np.int64)
        for name in names:
            own = self.codes(name)
            joined = pd.factorize(joined * (int(own.max(initial=0)) + 1) + own)[0].astype(np.int64)
        return int(joined.max(initial=-1)) + 1

    def known(self, name: str) -> int:
        """Number of different values that are not missing."""
        column = self.sheet.table[name]
        return int(column.nunique() if self.sheet.is_number(name) else column[column != ""].nunique())

    def determines(self, keys: Sequence[str], name: str) -> bool:
        """True where rows that are equal in `keys` are equal in `name`, and some rows are equal in `keys`."""
        groups = self.count(*keys)
        return groups < self.rows and self.count(*keys, name) == groups

    def is_alias(self, one: str, other: str) -> bool:
        """True where each value of one column goes with one value of the other."""
        return self.count(one) == self.count(other) == self.count(one, other)

    def is_unique(self, name: str) -> bool:
        """True where no two rows are equal."""
        return self.count(name) == self.rows

    def is_row_number(self, name: str) -> bool:
        """True for 0, 1, 2, ... or 1, 2, 3, ... down the rows."""
        if not self.sheet.is_number(name) or self.rows < 2:
            return False
        values = self.sheet.table[name].to_numpy()
        return bool(values[0] in (0, 1) and np.array_equal(values, values[0] + np.arange(self.rows)))

    @cached_property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.sheet.table)

    def copies(self, name: str, others: Sequence[str]) -> tuple[str, str]:
        """The column that this one repeats, and in words how: equal, or in percent; "" where there is none."""
        values, size = self.sheet.table[name], self._size(name)
        for other in others:
            ratio = self._size(other) / size if size else float(self._size(other) == 0)
            if abs(ratio - 1) < 1e-9 and np.allclose(values, self.sheet.table[other], rtol=1e-9, atol=0, equal_nan=True):
                return other, "equal in each row"
            for factor, how in ((0.01, "the same in percent"), (100.0, "the same as a share")):
                if size and abs(ratio / factor - 1) < 0.01 and is_close(values * factor, self.sheet.table[other]):
                    return other, how
        return "", ""

    def _size(self, name: str) -> float:
        """Sum of the absolute values of a column."""
        if name not in self._sizes:
            self._sizes[name] = float(np.nansum(np.abs(self.sheet.table[name])))
        return self._sizes[name]
