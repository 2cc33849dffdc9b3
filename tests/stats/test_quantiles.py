import numpy as np
import pytest
from scipy.stats import norm, t

from overread.stats.quantiles import critical, upper


@pytest.mark.parametrize("df", [0.7, 1, 2.5, 30, 155.114157647827, 1e6, np.inf])
def test_tails_are_those_of_scipy(df):
    law = norm() if np.isinf(df) else t(df)
    for z in (-3.0, -0.2, 0.0, 1.5, 6.0, 12.0):
        assert upper(z, df) == pytest.approx(law.sf(z), rel=1e-9)
    for confidence in (0.5, 0.8, 0.95, 0.999):
        assert critical(confidence, df) == pytest.approx(law.isf((1 - confidence) / 2), rel=1e-9)
