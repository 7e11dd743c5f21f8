"""The few distributions that intervals need, in plain Python: importing scipy takes longer than they do."""

from __future__ import annotations

import math
from statistics import NormalDist

_NORMAL = NormalDist()
_HALVINGS = 200
_TINY = 1e-300
_CLOSE = 1e-16
_STEP = 1e-13
_MANY = 1000


def normal_quantile(probability: float) -> float:
    """Of the standard normal distribution; infinite at 0 and 1."""
    if probability <= 0 or probability >= 1:
        return math.copysign(math.inf, probability - 0.5)
    return _NORMAL.inv_cdf(probability)


def normal_share(value: float) -> float:
    """The share of a standard normal distribution below a value."""
    return math.erfc(-value / math.sqrt(2)) / 2


def two_sided(confidence: float) -> float:
    """The normal quantile of a two-sided interval: 1.96 for 0.95."""
    return normal_quantile((1 + confidence) / 2)


def beta_share(value: float, a: float, b: float) -> float:
    """The share of a beta distribution below a value: the regularised incomplete beta function.

    Source: the continued fraction of Didonato & Morris (1992), evaluated as by Lentz (1976).
    """
    if value <= 0 or value >= 1:
        return float(value >= 1)
    if value > (a + 1) / (a + b + 2):
        return 1 - beta_share(1 - value, b, a)
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    log_front += a * math.log(value) + b * math.log1p(-value)
    return math.exp(log_front) * _beta_fraction(value, a, b) / a


def _beta_fraction(value: float, a: float, b: float) -> float:
    result = c = 1.0
    d = 1 / _off_zero(1 - (a + b) * value / (a + 1))
    result = d
    step = 0
    while True:
        step += 1
        even = step * (b - step) * value / ((a + 2 * step - 1) * (a + 2 * step))
        odd = -(a + step) * (a + b + step) * value / ((a + 2 * step) * (a + 2 * step + 1))
        for term in (even, odd):
            d = 1 / _off_zero(1 + term * d)
            c = _off_zero(1 + term / c)
            result *= c * d
        if abs(c * d - 1) < 1e-15:  # noqa: PLR2004 - a few units in the last place
            return result


def _off_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def beta_quantile(probability: float, a: float, b: float) -> float:
    """Below which this share of a beta distribution lies."""
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if beta_share(middle, a, b) < probability:
            low = middle
        else:
            high = middle
        if high - low <= _CLOSE * high:
            break
    return (low + high) / 2


def student_quantile(probability: float, freedom: float) -> float:
    """Of Student's t distribution."""
    if probability < 0.5:  # noqa: PLR2004 - a half
        return -student_quantile(1 - probability, freedom)
    if probability == 0.5:  # noqa: PLR2004
        return 0.0
    # the expansion of Cornish & Fisher (1960), Technometrics 2:209-225
    z = normal_quantile(probability)
    value = z + (z**3 + z) / (4 * freedom)
    if freedom > _MANY:
        value += (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
        return value + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * freedom**3)
    # Newton's method, from below: the share is concave there, so no step goes too far
    front = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2) - math.log(freedom * math.pi) / 2
    for _ in range(_HALVINGS):
        below = 1 - beta_share(freedom / (freedom + value * value), freedom / 2, 0.5) / 2
        density = math.exp(front - (freedom + 1) / 2 * math.log1p(value * value / freedom))
        step = (probability - below) / density
        value += step
        if abs(step) <= _STEP * value:
            break
    return value


def binomial_share(hits: int, trials: int, probability: float) -> float:
    """The probability of at most so many hits."""
    if hits >= trials:
        return 1.0
    return 0.0 if hits < 0 else beta_share(1 - probability, trials - hits, hits + 1)
