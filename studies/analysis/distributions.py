"""Quantiles and tails of Student's t, the normal and the F distribution, equal to those of `scipy.stats`.

That package takes up to a second to import, and every command imports what analyses.
"""

from typing import Any

import numpy as np
from scipy import special


def t_cdf(x: Any, freedom: Any) -> Any:  # noqa: ANN401
    """P(T <= x)."""
    return special.stdtr(freedom, x)


def t_sf(x: Any, freedom: Any) -> Any:  # noqa: ANN401
    """P(T > x)."""
    return special.stdtr(freedom, np.negative(x))


def t_ppf(share: Any, freedom: Any) -> Any:  # noqa: ANN401
    """Quantile of T, of a share above 0."""
    return special.stdtrit(freedom, share)


def norm_sf(x: Any) -> Any:  # noqa: ANN401
    """P(Z > x)."""
    return special.ndtr(np.negative(x))


def norm_ppf(share: Any) -> Any:  # noqa: ANN401
    """Quantile of Z."""
    return special.ndtri(share)


def norm_isf(share: Any) -> Any:  # noqa: ANN401
    """The number that Z exceeds with this probability."""
    return -special.ndtri(share)


def f_sf(x: float, above: float, below: float) -> float:
    """P(F > x), of these degrees of freedom."""
    return float(special.fdtrc(above, below, x))
