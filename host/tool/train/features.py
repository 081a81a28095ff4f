"""What a discharge so far looks like to the estimator: the same numbers, in
the same order, as `host/core/src/estimate/features.rs`."""

import numpy as np

POINTS = 32
POINT_WIDTH = 0.001
# Shares of the charge drawn at which the voltage is read.
AT = np.array([0.03, 0.08, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.82, 0.88, 0.94, 1.0])
# Windows, back from now, over which the fall is extrapolated: indices of AT.
WINDOWS = (11, 10, 8, 5, 2)
TABLES = {
    "lead": [(0.05, 1.0), (0.0923, 0.923), (0.249, 0.748), (0.6, 0.60), (1.0, 0.50), (2.54, 0.42), (3.8, 0.32)],
    "nickel": [(0.05, 1.02), (0.2, 1.0), (1.0, 0.92), (3.0, 0.80)],
    "lfp": [(0.05, 1.01), (0.5, 1.0), (3.0, 0.96)],
}
TABLES["nmc"] = TABLES["lfp"]
STRENGTHS = [(0.0, 0.25), (0.5, 0.35), (1.0, 0.40)]
UNLEARNED = (0.93, 0.115)
PER_K = {"lead": (0.008, 0.006), "lfp": (0.005, 0.0), "nmc": (0.005, 0.0), "nickel": (0.006, 0.0)}


def share(chemistry, rate):
    t = np.log(np.array(TABLES[chemistry]))
    at = np.log(np.maximum(rate, 1e-6))

    def ln(at):
        v = np.interp(at, t[:, 0], t[:, 1])
        v = np.where(at < t[0, 0], t[0, 1] - 0.05 * np.maximum(at - t[0, 0], -2.0), v)
        return np.where(at > t[-1, 0], t[-1, 1] - 0.25 / 0.7 * np.minimum(at - t[-1, 0], 2.0), v)

    # Rated for 20 h.
    return np.minimum(np.exp(ln(at) - np.interp(np.log(0.05), t[:, 0], t[:, 1])), 1.3)


def expected(chemistry, rated, amps, celsius):
    """What is expected to be delivered from full, Ah, and its deviation in ln."""
    kelvin = np.clip(celsius, -20, 60) - 25
    low, high = PER_K[chemistry]
    warm = 1 + np.where(kelvin < 0, low, high) * kelvin
    mode, sigma = UNLEARNED
    ah = mode * rated
    lns = [np.log(ah * warm * share(chemistry, amps / ah) ** k) for k, _ in STRENGTHS]
    mean = sum(w * x for x, (_, w) in zip(lns, STRENGTHS))
    var = sum(w * (x - mean) ** 2 for x, (_, w) in zip(lns, STRENGTHS))
    return np.exp(mean), np.sqrt(var + sigma * sigma)


def bins(q, v, now, rated):
    """Means over pieces of equal charge, as the estimator's curve keeps them."""
    width = POINT_WIDTH * rated
    while now / width > POINTS:
        width *= 2
    n = max(int(np.ceil(now / width - 1e-9)), 1)
    edges = np.minimum(np.arange(n + 1) * width, now)
    area = np.concatenate([[0.0], np.cumsum(0.5 * (v[1:] + v[:-1]) * np.diff(q))])
    a = np.interp(edges, q, area)
    spans = np.diff(edges)
    if spans[0] <= 0:
        return np.array([0.0]), np.array([v[0]])
    keep = spans > 1e-9 * width
    return (0.5 * (edges[1:] + edges[:-1]))[keep], (np.diff(a)[keep] / spans[keep])


def features(points_q, points_v, now, missing, rated, amps, celsius, cutoff, e_ah, sigma, watts, drop_v):
    """The numbers; charges in Ah, voltages per cell."""
    total = max(now + missing, 0.002 * e_ah)
    x = (points_q + missing) / total
    v = points_v
    if len(v) > 1:
        slope = (v[-1] - v[-2]) / max(x[-1] - x[-2], 1e-9)
        v_now = v[-1] + min(slope, 0.0) * max(1.0 - x[-1], 0.0)
        x, v = np.append(x, 1.0), np.append(v, v_now)
    at = np.interp(AT, x, v)
    left = max(at[-1] - cutoff, 0.002)
    out = [
        np.log(total / e_ah),
        np.log(amps / rated),
        (celsius - 25) / 15,
        sigma,
        1.0 if watts else 0.0,
        missing / total,
        cutoff,
        drop_v,
        at[-1],
        np.log(left),
    ]
    # Falls from one to the next per share of the charge drawn.
    falls = (at[:-1] - at[1:]) / np.diff(AT)
    out += list(np.arcsinh(falls / 0.02))
    for w in WINDOWS:
        fall = max((at[w] - at[-1]) / (1 - AT[w]), 0.001)
        out.append(np.log(fall))
    # How the fall of the end compares with that of before.
    out.append(np.log(max(at[10] - at[-1], 0.0002) / 0.12) - np.log(max(at[3] - at[10], 0.0002) / 0.63))
    return np.array(out, np.float32)


def drop(chemistry, rated, amps, celsius):
    kelvin = np.clip(celsius, -20, 60) - 25
    if chemistry == "lead":
        return amps * 0.0125 * rated ** -0.62 * 1.5 * (1 - 0.008 * kelvin)
    if chemistry == "nickel":
        return amps * 0.10 / rated * (1 - 0.008 * kelvin)
    return amps * 0.06 / rated * 1.3 * np.exp(-0.02 * kelvin)
