import numpy as np
import pytest
from scipy import stats

from studies.analysis import distributions

FREEDOM = np.array([0.5, 1, 2, 3.7, 9, 30, 1e3, 1e6, np.inf, np.nan, 0])[:, None]
POINTS = np.array([-np.inf, -50, -2, -0.1, 0, 0.3, 4, 1e3, np.inf, np.nan])
SHARES = np.array([1e-12, 1e-3, 0.025, 0.5, 0.8, 0.975, 0.9999, 1 - 1e-12, 1, np.nan])
PAIRS = {
    "t_cdf": (distributions.t_cdf(POINTS, FREEDOM), stats.t.cdf(POINTS, FREEDOM)),
    "t_sf": (distributions.t_sf(POINTS, FREEDOM), stats.t.sf(POINTS, FREEDOM)),
    "t_ppf": (distributions.t_ppf(SHARES, FREEDOM), stats.t.ppf(SHARES, FREEDOM)),
    "norm_sf": (distributions.norm_sf(POINTS), stats.norm.sf(POINTS)),
    "norm_ppf": (distributions.norm_ppf(SHARES), stats.norm.ppf(SHARES)),
    "norm_isf": (distributions.norm_isf(SHARES), stats.norm.isf(SHARES)),
    "f_sf": tuple(
        np.array([of(x, above, below) for x in (0.0, 0.2, 3.0, 1e4) for above in (0.7, 1, 5.5) for below in (1, 8, 1e5)])
        for of in (distributions.f_sf, stats.f.sf)
    ),
}


@pytest.mark.parametrize(("own", "other"), PAIRS.values(), ids=PAIRS)
def test_distributions_are_those_of_scipy_stats(own, other):
    assert np.array_equal(own, other, equal_nan=True)
