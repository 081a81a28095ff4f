"""A population of cells to learn from: discharges of random cells.

Nobody knows which published model a battery resembles, so a cell here is put
together from parts drawn at random: an open-circuit curve, a collapse, a
resistance that grows, relaxations, an effect of the rate (none, Peukert, two
wells, capacity by current), health, temperature and load. No cell is one of
the models that the estimator is judged by.

Units: V and W per cell, A, Ah, h, °C. Everything is computed for many cells
at once; a column is a cell.
"""

import numpy as np

STEPS = 1100
# What most cells are rated for, and where a discharge ends.
LEAD, LFP, NMC, NICKEL = "lead", "lfp", "nmc", "nickel"

LFP_TABLES = [
    # staged, printed, plain, high power; charge against V.
    ([0, .02, .05, .1, .15, .2, .3, .4, .5, .6, .65, .7, .8, .9, .96, .98, 1],
     [2.6, 2.85, 3.03, 3.17, 3.21, 3.235, 3.265, 3.285, 3.29, 3.297, 3.31, 3.325, 3.33, 3.333, 3.337, 3.35, 3.4]),
    ([0, .1, .2, .3, .4, .5, .6, .7, .8, .9, 1],
     [2.5, 3.0, 3.2, 3.22, 3.25, 3.26, 3.27, 3.3, 3.32, 3.35, 3.4]),
    ([0, .02, .05, .1, .2, .4, .6, .8, .9, .96, 1],
     [2.6, 2.95, 3.1, 3.19, 3.25, 3.29, 3.305, 3.315, 3.33, 3.36, 3.4]),
    ([0, .02, .04, .07, .1, .15, .2, .3, .4, .5, .7, .8, .95, .98, 1],
     [2.0, 2.458, 2.705, 2.884, 2.975, 3.105, 3.166, 3.204, 3.25, 3.264, 3.272, 3.308, 3.314, 3.348, 3.55]),
    # The collapse may be sharp: all the charge lies on the plateau.
    ([0, .01, .03, .06, .12, .3, .5, .66, .7, .95, .99, 1],
     [2.5, 2.9, 3.1, 3.2, 3.24, 3.28, 3.29, 3.3, 3.32, 3.33, 3.345, 3.4]),
]
NMC_TABLES = [
    ([0, .05, .1, .2, .3, .4, .5, .6, .7, .8, .9, 1],
     [3.0, 3.35, 3.45, 3.56, 3.61, 3.65, 3.7, 3.79, 3.89, 3.98, 4.07, 4.18]),
    ([0, .05, .1, .2, .3, .4, .5, .6, .7, .8, .9, 1],
     [3.27, 3.61, 3.69, 3.73, 3.77, 3.8, 3.84, 3.87, 3.95, 4.02, 4.11, 4.2]),
    ([0, .01, .02, .04, .06, .1, .15, .2, .3, .4, .5, .6, .7, .8, .9, 1],
     [2.654, 2.961, 3.178, 3.439, 3.571, 3.674, 3.71, 3.725, 3.748, 3.773, 3.803, 3.841, 3.888, 3.946, 4.017, 4.103]),
    ([0, .03, .05, .1, .2, .3, .4, .5, .6, .7, .8, .9, 1],
     [2.7, 3.05, 3.18, 3.34, 3.49, 3.58, 3.65, 3.74, 3.83, 3.92, 4.01, 4.08, 4.18]),
    ([0, .1, .2, .3, .4, .5, .6, .7, .8, .9, 1],
     [3.71, 3.72, 3.73, 3.74, 3.757, 3.78, 3.814, 3.863, 3.931, 4.03, 4.17]),
    ([0, .01, .02, .04, .07, .1, .15, .2, .3, .4, .5, .6, .7, .8, .9, .95, 1],
     [2.5, 2.71, 2.86, 3.046, 3.189, 3.292, 3.43, 3.481, 3.578, 3.663, 3.746, 3.836, 3.944, 4.037, 4.093, 4.118, 4.196]),
    ([0, .01, .02, .04, .07, .1, .2, .3, .4, .5, .6, .7, .8, .9, .95, .98, 1],
     [3.105, 3.3, 3.432, 3.577, 3.655, 3.679, 3.689, 3.695, 3.713, 3.743, 3.763, 3.797, 3.847, 3.902, 4.005, 4.074, 4.098]),
]
GRID = np.linspace(-0.05, 1.05, 221)


def resampled(tables):
    """Each table over GRID, its last pieces continued."""
    rows = []
    for s, v in tables:
        s, v = np.array(s, float), np.array(v, float)
        row = np.interp(GRID, s, v)
        low, high = (v[1] - v[0]) / (s[1] - s[0]), (v[-1] - v[-2]) / (s[-1] - s[-2])
        row += np.where(GRID < 0, GRID * max(low, 3.0), 0) + np.where(GRID > 1, (GRID - 1) * high, 0)
        rows.append(row)
    return np.array(rows)


def open_circuit(rng, n, chemistry):
    """Random open-circuit curves over GRID, one row each."""
    s = GRID[None, :]
    if chemistry == LEAD:
        full = rng.normal(2.125, 0.02, n)[:, None]
        # The acid of an empty cell is much the same everywhere.
        usual = rng.random(n) < 0.8
        slope = np.where(usual, full[:, 0] - rng.normal(1.955, 0.025, n), rng.uniform(0.08, 0.23, n))[:, None]
        bend = rng.normal(0.0, 0.03, n)[:, None] * (rng.random(n) < 0.5)[:, None]
        rows = full - slope * (1 - s) + bend * s * (1 - s)
        wiggle = rng.normal(0, 0.004, (n, 1)) * np.sin(2 * np.pi * (s * rng.uniform(0.5, 2, (n, 1)) + rng.random((n, 1))))
        return rows + wiggle * (rng.random((n, 1)) < 0.3)
    if chemistry == NICKEL:
        full = rng.normal(1.30, 0.03, n)[:, None]
        slope = rng.uniform(0.03, 0.16, n)[:, None]
        zone = rng.uniform(0, 0.08, n)[:, None] * np.exp(-(1 - s) / rng.uniform(0.03, 0.12, n)[:, None])
        return full - slope * (1 - s) + zone
    tables = resampled(LFP_TABLES if chemistry == LFP else NMC_TABLES)
    k = len(tables)
    # Mostly one of the tables, bent, and some between two.
    a, b = rng.integers(0, k, n), rng.integers(0, k, n)
    w = np.where(rng.random(n) < 0.5, 0.0, rng.random(n))[:, None]
    rows = (1 - w) * tables[a] + w * tables[b]
    # Another window of the charge, and a monotone warp of its middle.
    low = rng.uniform(-0.04, 0.06, n) * (rng.random(n) < 0.6)
    high = 1 - rng.uniform(-0.02, 0.05, n) * (rng.random(n) < 0.6)
    warp = rng.normal(0, 0.07, n)
    out = np.empty_like(rows)
    for i in range(n):
        at = low[i] + (high[i] - low[i]) * (GRID + warp[i] * np.clip(GRID * (1 - GRID), 0, 1))
        out[i] = np.interp(at, GRID, rows[i])
    # np.interp holds the ends: the curve must go on falling below empty.
    out -= np.where(s < 0, -s * 3.0, 0)
    sigma = 0.012 if chemistry == LFP else 0.02
    out += rng.normal(0, sigma, (n, 1))
    # Steps of the graphite electrode.
    height = rng.uniform(0, 0.03 if chemistry == LFP else 0.05, (n, 1)) * (rng.random((n, 1)) < 0.4)
    at, width = rng.uniform(0.5, 0.75, (n, 1)), rng.uniform(0.01, 0.04, (n, 1))
    out += height * (1 / (1 + np.exp(-(s - at) / width)) - 0.5)
    slope = rng.normal(0, 0.012 if chemistry == LFP else 0.025, (n, 1))
    return out + slope * (s - 0.5)


def choose(rng, n, values, weights):
    return rng.choice(np.array(values), n, p=np.array(weights) / np.sum(weights))


def draw(rng, n, chemistry):
    """Parameters of n cells and their loads."""
    p = {"chemistry": chemistry, "n": n}
    lithium = chemistry in (LFP, NMC)
    p["rated"] = np.exp(rng.uniform(np.log(2), np.log(1000), n))
    low, high = (0.045, 2.2) if chemistry == LEAD else (0.08, 2.6)
    p["rate"] = np.exp(rng.uniform(np.log(low), np.log(high), n))
    kind = rng.random(n)
    p["health"] = np.where(kind < 0.33, rng.normal(1.0, 0.015, n), np.where(kind < 0.93, rng.uniform(0.7, 1.0, n), rng.uniform(0.5, 1.1, n)))
    p["celsius"] = np.where(rng.random(n) < 0.65, choose(rng, n, [25, 20], [3, 1]), rng.uniform(0, 42, n))
    warm = p["celsius"] - 25
    per_k = np.where(rng.random(n) < 0.4, 0.0, rng.uniform(0.003, 0.010, n) if chemistry == LEAD else rng.uniform(0.001, 0.007, n))
    p["q"] = p["rated"] * p["health"] * np.clip(1 + per_k * np.where(warm < 0, warm, 0.5 * warm), 0.4, 1.2) * rng.normal(1.01, 0.018, n)
    worn = 1 + rng.uniform(0, 3, n) * np.clip(1 - p["health"], 0, 1)
    if chemistry == LEAD:
        ohm = 0.0125 * p["rated"] ** -0.62 * np.exp(rng.normal(0.1, 0.45, n)) * (1 - 0.008 * np.clip(warm, -30, 30))
        # Per unit of the rate the drop of large blocks would be none.
        ohm = np.where(rng.random(n) < 0.5, ohm, np.exp(rng.normal(-3.0, 0.6, n)) / p["rated"])
    elif lithium:
        ohm = np.exp(rng.normal(np.log(0.045), 0.65, n)) / p["rated"] * np.exp(-0.022 * warm)
    else:
        ohm = np.exp(rng.normal(np.log(0.06), 0.5, n)) / p["rated"]
    p["ohm"] = ohm * worn
    # Growth of the resistance towards empty.
    g = rng.random(n)
    p["grow_line"] = np.where(g < 0.6, rng.uniform(0, 1.5, n), 0.0)
    p["grow_inverse"] = np.where((g > 0.35) & (g < 0.7), np.exp(rng.uniform(np.log(0.01), np.log(0.3), n)), 0.0)
    p["grow_exp"] = np.where(g > 0.6, rng.uniform(0, 3, n), 0.0)
    p["grow_width"] = rng.uniform(0.03, 0.15, n)
    p["grow_log"] = np.where(rng.random(n) < 0.15, rng.uniform(0, 1, n), 0.0)
    p["relax_share"] = rng.uniform(0, 0.8, (2, n)) * (rng.random((2, n)) < 0.7)
    p["relax_s"] = np.exp([rng.uniform(np.log(15), np.log(300), n), rng.uniform(np.log(300), np.log(6000), n)])
    # Effect of the rate.
    effect = rng.random(n)
    lead = chemistry == LEAD
    share = (0.22, 0.30, 0.26, 0.22) if lead else (0.6, 0.1, 0.1, 0.2)
    edge = np.cumsum(share)
    p["peukert"] = np.where((effect >= edge[0]) & (effect < edge[1]), rng.uniform(1.04, 1.30, n) if lead else rng.uniform(1.005, 1.06, n), 1.0)
    p["wells"] = (effect >= edge[1]) & (effect < edge[2])
    p["well_share"] = rng.uniform(0.15, 0.7, n) if lead else rng.uniform(0.4, 0.9, n)
    p["well_rate"] = np.exp(rng.uniform(np.log(0.25), np.log(8), n)) * (1 if lead else 3)
    # Voltage of the wells: of what is available (mostly), else of the whole.
    p["well_seen"] = np.where(rng.random(n) < 0.65, 1.0, rng.uniform(0, 1, n))
    by_rate = effect >= edge[2]
    p["kc"] = np.where(by_rate, rng.uniform(1.1, 1.75, n) if lead else rng.uniform(1.02, 1.15, n), 1.0)
    p["kc_power"] = rng.uniform(0.6, 1.3, n)
    p["rated_h"] = choose(rng, n, [20, 10, 5, 1], [0.6, 0.25, 0.1, 0.05])
    # Depletion at the surface of the particles.
    p["deplete_h"] = np.exp(rng.uniform(np.log(10), np.log(500), n)) / 3600 * (rng.random(n) < 0.45) if lithium else np.zeros(n)
    p["deplete_tau"] = np.exp(rng.uniform(np.log(60), np.log(2000), n)) / 3600
    # Collapse.
    knee = rng.random(n)
    if lead:
        p["knee_exp"] = np.where(knee < 0.38, np.exp(rng.uniform(np.log(0.02), np.log(0.45), n)), 0.0)
        p["knee_width"] = np.exp(rng.uniform(np.log(0.01), np.log(0.12), n))
        pole = (knee >= 0.38) & (knee < 0.72)
        p["pole"] = np.where(pole, np.exp(rng.uniform(np.log(0.003), np.log(0.09), n)), 0.0)
        p["pole_rate"] = np.where(pole, p["pole"] * np.where(rng.random(n) < 0.5, 1.0, rng.uniform(0, 2, n)), 0.0)
        p["power"] = np.where((knee >= 0.72) & (knee < 0.80), np.exp(rng.uniform(np.log(0.001), np.log(0.01), n)), 0.0)
        p["log"] = np.where((knee >= 0.80) & (knee < 0.87), np.exp(rng.uniform(np.log(0.01), np.log(0.09), n)), 0.0)
        p["sharp"] = knee >= 0.87
        # Shepherd's batteries have no other slope than the pole's.
        p["flatten"] = np.where(pole & (rng.random(n) < 0.5), rng.uniform(0.7, 1.0, n), 0.0)
    elif chemistry == NICKEL:
        p["knee_exp"] = np.where(knee < 0.5, np.exp(rng.uniform(np.log(0.05), np.log(0.4), n)), 0.0)
        p["knee_width"] = np.exp(rng.uniform(np.log(0.02), np.log(0.12), n))
        p["pole"] = np.where(knee >= 0.5, np.exp(rng.uniform(np.log(0.004), np.log(0.04), n)), 0.0)
        p["pole_rate"] = p["pole"] * rng.uniform(0, 1, n)
        p["power"], p["log"] = np.zeros(n), np.zeros(n)
        p["sharp"], p["flatten"] = np.zeros(n, bool), np.zeros(n)
    else:
        pole = knee < 0.16
        p["knee_exp"], p["knee_width"] = np.zeros(n), np.full(n, 0.05)
        p["pole"] = np.where(pole, np.exp(rng.uniform(np.log(0.003), np.log(0.05), n)), 0.0)
        p["pole_rate"] = np.where(pole, p["pole"] * rng.uniform(0, 1.5, n), 0.0)
        p["power"], p["log"] = np.zeros(n), np.where(knee > 0.93, rng.uniform(0.005, 0.03, n), 0.0)
        p["sharp"] = (knee > 0.16) & (knee < 0.22)
        p["flatten"] = np.where(pole & (rng.random(n) < 0.8), 1.0, 0.0)
    p["limit"] = np.where(rng.random(n) < 0.5, 1.0, 1 + rng.uniform(0.0, 0.08, n))
    p["zone"] = np.where(rng.random(n) < (0.35 if lead else 0.0), rng.uniform(0, 0.12, n), 0.0)
    p["zone_depth"] = np.exp(rng.uniform(np.log(0.001), np.log(0.25), n))
    if lithium:
        tremblay = p["flatten"] > 0
        p["zone"] = np.where(tremblay, np.exp(rng.uniform(np.log(0.02), np.log(0.4), n)) if chemistry == LFP else np.exp(rng.uniform(np.log(0.05), np.log(0.6), n)), 0.0)
        p["zone_depth"] = np.where(tremblay, np.exp(rng.uniform(np.log(0.008), np.log(0.12), n) if chemistry == LFP else rng.uniform(np.log(0.012), np.log(0.6), n)), 1.0)
    # Coup de fouet and surface charge.
    p["dip"] = np.where(rng.random(n) < 0.3, rng.uniform(0, 0.03, n), 0.0) if lead else np.zeros(n)
    p["surface"] = np.where(rng.random(n) < 0.4, rng.uniform(0, 0.06, n), 0.0) if lead else np.where(rng.random(n) < 0.3, rng.uniform(0, 0.04, n), 0.0)
    p["start_depth"] = np.exp(rng.uniform(np.log(0.002), np.log(0.03), n))
    p["ocv"] = open_circuit(rng, n, chemistry)
    if chemistry == LEAD:
        p["cutoff"] = choose(rng, n, [1.75, 1.70, 1.667, 1.80, 1.85, 1.60], [0.58, 0.14, 0.09, 0.13, 0.03, 0.03])
        p["cutoff"] = np.where((p["rate"] > 0.8) & (p["cutoff"] > 1.76), 1.70, p["cutoff"])
    elif chemistry == LFP:
        p["cutoff"] = choose(rng, n, [2.5, 2.0, 2.6, 2.8, 3.0], [0.5, 0.12, 0.1, 0.2, 0.08])
    elif chemistry == NMC:
        p["cutoff"] = choose(rng, n, [3.0, 2.5, 2.7, 2.75, 2.8, 3.2, 3.3], [0.36, 0.2, 0.06, 0.1, 0.1, 0.1, 0.08])
    else:
        p["cutoff"] = choose(rng, n, [1.0, 1.05, 1.1, 0.9], [0.5, 0.2, 0.2, 0.1])
    p["watts"] = rng.random(n) < 0.35
    # A discharge of a battery that was not full; known (counted) or not.
    partial = rng.random(n)
    p["start"] = np.where(partial < 0.09, rng.uniform(0.3, 0.97, n), 1.0)
    p["start_known"] = ~((partial >= 0.07) & (partial < 0.09))
    return p


def simulate(p):
    """Discharge them all; per cell: charge drawn, V, A and h, and where it ends."""
    n, chemistry = p["n"], p["chemistry"]
    amps0 = p["rate"] * p["rated"]
    watts = amps0 * {LEAD: 1.95, LFP: 3.2, NMC: 3.65, NICKEL: 1.2}[chemistry]
    # Capacity by current, one at the rated current.
    rated_a = p["rated"] * p["health"] / p["rated_h"]

    def counts(amps):
        over = np.maximum(amps / rated_a, 0.3)
        peukert = over ** (p["peukert"] - 1)
        by_rate = (1 + (p["kc"] - 1) * over ** p["kc_power"]) / p["kc"]
        return peukert * by_rate

    # About how long it takes, for the step.
    dt = p["q"] / amps0 / 600 / np.clip(counts(amps0), 0.7, None) * np.clip(p["start"], 0.4, 1)
    s = p["start"].copy()
    bound = s.copy()
    avail = s.copy()
    relax = np.zeros((2, n))
    deplete = np.zeros(n)
    drawn = np.zeros(n)
    amps = amps0.copy()
    V, A, D = (np.full((STEPS, n), np.nan, np.float32) for _ in range(3))
    end = np.zeros(n, int)
    alive = np.ones(n, bool)
    index = np.arange(n)
    step_grid = GRID[1] - GRID[0]
    for k in range(STEPS):
        seen = np.where(p["wells"], p["well_seen"] * avail + (1 - p["well_seen"]) * bound, s)
        surface = seen - deplete
        x = 1 - surface
        left = np.maximum(p["limit"] - x, 1e-3)
        at = np.clip((surface - GRID[0]) / step_grid, 0, len(GRID) - 1.001)
        i = at.astype(int)
        e = p["ocv"][index, i] * (1 - (at - i)) + p["ocv"][index, i + 1] * (at - i)
        flat = p["ocv"][index, 180 if chemistry in (LFP, NMC) else 210]
        flat = flat if chemistry in (LEAD, NICKEL) else p["ocv"][index, 110]
        e = p["flatten"] * flat + (1 - p["flatten"]) * e
        e = e + p["zone"] * np.exp(-x / p["zone_depth"])
        e -= p["knee_exp"] * np.exp(np.minimum(-surface / p["knee_width"], 8))
        e -= p["pole"] * x / left + p["log"] * -np.log(np.maximum(left, 1e-3) / p["limit"]) + p["power"] * (left ** -1.5 - 1)
        depth = drawn / p["rated"] / p["start_depth"]
        e += np.where(p["start"] >= 1, p["surface"] * np.exp(-depth) - p["dip"] * depth * np.exp(1 - np.minimum(depth, 30)), 0)
        grow = 1 + p["grow_line"] * x + p["grow_inverse"] * (1 / np.maximum(surface + 0.08, 0.02) - 0.93)
        grow += p["grow_exp"] * np.exp(np.minimum(-surface / p["grow_width"], 4)) + p["grow_log"] * -np.log(np.maximum(left, 0.01))
        ohm = p["ohm"] * grow
        e -= relax.sum(0)

        def volts(amps):
            return e - amps * ohm - p["pole_rate"] * amps / p["rated"] / left

        for _ in range(3):
            amps = np.where(p["watts"], watts / np.maximum(volts(amps), 0.4 * p["cutoff"]), amps0)
        v = volts(amps)
        done = alive & ((v < p["cutoff"]) | (p["sharp"] & (surface < 0)) | (surface < -0.045))
        end[done] = k
        alive &= ~done
        if not alive.any():
            break
        V[k], A[k], D[k] = np.where(alive, v, np.nan), amps, drawn
        # One step on.
        use = amps * counts(amps) * dt / p["q"]
        flow = p["well_rate"] * p["well_share"] * (1 - p["well_share"]) * (bound - avail) * dt
        avail = np.where(p["wells"], avail + (flow - use) / p["well_share"], avail)
        bound = bound - flow / (1 - p["well_share"])
        s = s - use
        drawn = drawn + amps * dt
        deplete += (amps / p["q"] * p["deplete_h"] - deplete) * (1 - np.exp(-dt / p["deplete_tau"]))
        target = p["relax_share"] * p["ohm"] * amps
        relax += (target - relax) * (1 - np.exp(-dt * 3600 / p["relax_s"]))
    end[alive] = 0
    return V, A, D, dt, end
