"""Means and intervals."""

import math
import statistics


def incomplete_beta(a, b, x):
    """The regularised incomplete beta function I_x(a, b), by its continued fraction
    (Abramowitz and Stegun 26.5.8)."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - incomplete_beta(b, a, 1 - x)
    front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    front = math.exp(front + a * math.log(x) + b * math.log1p(-x)) / a

    def term(n):
        m = n // 2
        if n % 2 == 0:
            return m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        return -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))

    # From the inside out. So many terms are more than any x here needs.
    value = 1.0
    for n in range(400, 0, -1):
        value = 1 + term(n) / value
    return front / value


def t_quantile(p, freedom):
    """The value below which Student's t with so many degrees of freedom is with probability p,
    0.5 < p < 1."""
    # P(T > t) = I_x(n / 2, 1 / 2) / 2 with x = n / (n + t^2)
    below = lambda t: 1 - incomplete_beta(freedom / 2, 0.5, freedom / (freedom + t * t)) / 2
    low, high = 0.0, 1.0
    while below(high) < p:
        high *= 2
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if below(middle) < p else (low, middle)
    return (low + high) / 2


def spread(values):
    """Number, mean and standard deviation (n - 1), with None for what there is not."""
    n = len(values)
    mean = statistics.fmean(values) if n else None
    return {"n": n, "mean": mean, "sd": statistics.stdev(values) if n > 1 else None}


def paired(ours, theirs):
    """Differences of two systems' values by seed, ours minus theirs, of the seeds that both have:
    their mean and its 95 % interval."""
    seeds = sorted(set(ours) & set(theirs))
    by_seed = {seed: ours[seed] - theirs[seed] for seed in seeds}
    found = spread(list(by_seed.values())) | {"by_seed": by_seed, "ci95": None}
    if found["n"] > 1:
        half = t_quantile(0.975, found["n"] - 1) * found["sd"] / math.sqrt(found["n"])
        found["ci95"] = [found["mean"] - half, found["mean"] + half]
    return found
