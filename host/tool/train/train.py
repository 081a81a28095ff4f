"""Train the estimator's network on the population."""

import sys
import time

import numpy as np

import features as F
import population as P

QUANTILES = np.array([0.10, 0.25, 0.50, 0.75, 0.90])


def samples(rng, n, chemistry, marks=10):
    """Features, ln(left / expected) and the share elapsed, of n discharges at marks."""
    p = P.draw(rng, n, chemistry)
    V, A, D, dt, end = P.simulate(p)
    xs, ys, us = [], [], []
    for i in range(n):
        k = end[i]
        if k < 80:
            continue
        q, v = D[:k, i].astype(float), V[:k, i].astype(float)
        total = q[-1] + float(A[k - 1, i]) * dt[i] * 0.5
        full = total / p["start"][i]
        if full < 0.12 * p["rated"][i]:
            continue
        noise = 0.0 if rng.random() < 0.3 else 10 ** rng.uniform(-4, -2.6)
        v = v + noise * rng.normal(size=k)
        missing = (full - total) * np.exp(rng.normal(0, 0.03)) if p["start_known"][i] else 0.0
        prior = rng.random()
        for u in np.where(rng.random(marks) < 0.1, 10 ** rng.uniform(-2.7, -1.5, marks), rng.uniform(0.03, 0.985, marks)):
            now = u * total
            amps = float(np.interp(now, q, A[:k, i]))
            e_ah, sigma = F.expected(chemistry, p["rated"][i], amps, p["celsius"][i])
            if prior < 0.12:
                # Lines of the data sheet: the rate is known, the health is not.
                e_ah, sigma = 0.93 * full / p["health"][i] * np.exp(rng.normal(0, 0.03)), 0.12
            elif prior < 0.30:
                sigma = 10 ** rng.uniform(-1.7, -0.7)
                e_ah = full * np.exp(rng.normal(0, sigma))
            pq, pv = F.bins(q, v, now, p["rated"][i])
            drop_v = F.drop(chemistry, p["rated"][i], amps, p["celsius"][i])
            xs.append(F.features(pq, pv, now, missing, p["rated"][i], amps, p["celsius"][i], p["cutoff"][i], e_ah, sigma, p["watts"][i], drop_v))
            ys.append(np.log(max(total - now, 1e-4 * total) / e_ah))
            us.append(u)
    return np.array(xs, np.float32), np.array(ys, np.float32), np.array(us, np.float32)


class Net:
    """Two hidden layers of x/(1+|x|), and a straight way past them."""

    def __init__(self, rng, inputs, hidden, outputs=5):
        h1, h2 = hidden
        r = lambda a, b: (rng.normal(size=(a, b)) / np.sqrt(a)).astype(np.float32)
        self.w = [r(inputs, h1), np.zeros(h1, np.float32), r(h1, h2), np.zeros(h2, np.float32), 0.3 * r(h2, outputs), np.zeros(outputs, np.float32), 0.05 * r(inputs, outputs)]
        self.mean = self.scale = None

    def forward(self, x):
        w1, b1, w2, b2, w3, b3, ws = self.w
        a1 = x @ w1 + b1
        h1 = a1 / (1 + np.abs(a1))
        a2 = h1 @ w2 + b2
        h2 = a2 / (1 + np.abs(a2))
        return h2 @ w3 + b3 + x @ ws, (x, a1, h1, a2, h2)

    def backward(self, cache, g):
        x, a1, h1, a2, h2 = cache
        w1, b1, w2, b2, w3, b3, ws = self.w
        gw3, gb3, gws = h2.T @ g, g.sum(0), x.T @ g
        g2 = (g @ w3.T) / (1 + np.abs(a2)) ** 2
        gw2, gb2 = h1.T @ g2, g2.sum(0)
        g1 = (g2 @ w2.T) / (1 + np.abs(a1)) ** 2
        return [x.T @ g1, g1.sum(0), gw2, gb2, gw3, gb3, gws]


def softplus(x):
    return np.logaddexp(0, x)


def spread(raw):
    """Raw outputs to the five quantiles."""
    m = raw[:, 2]
    d = softplus(raw[:, [0, 1, 3, 4]])
    return np.stack([m - d[:, 1] - d[:, 0], m - d[:, 1], m, m + d[:, 2], m + d[:, 2] + d[:, 3]], 1)


def answer(net, x):
    """Quantiles of ln(left / expected) for features."""
    x = np.clip((x - net.mean) / net.scale, -5, 5).astype(np.float32)
    raw, cache = net.forward(x)
    return spread(raw), cache


def loss_grad(raw, y, weight):
    q = spread(raw)
    e = y[:, None] - q
    pin = np.maximum(QUANTILES * e, (QUANTILES - 1) * e)
    share = np.array([0.6, 0.6, 1.6, 0.6, 0.6])
    gq = -np.where(e > 0, QUANTILES, QUANTILES - 1) * share * weight[:, None]
    s = 1 / (1 + np.exp(-raw))
    g = np.zeros_like(raw)
    g[:, 2] = gq.sum(1)
    g[:, 1] = -s[:, 1] * (gq[:, 0] + gq[:, 1])
    g[:, 0] = -s[:, 0] * gq[:, 0]
    g[:, 3] = s[:, 3] * (gq[:, 3] + gq[:, 4])
    g[:, 4] = s[:, 4] * gq[:, 4]
    return (weight[:, None] * pin * share).sum(1).mean(), (g / len(y)).astype(np.float32)


def train(chemistry, seed, traces, epochs, hidden, log=True, cached=None):
    rng = np.random.default_rng([seed, sum(map(ord, chemistry))])
    t0 = time.time()
    if cached is None:
        parts = [samples(rng, 4000, chemistry) for _ in range(traces // 4000)]
        x, y, u = (np.concatenate(c) for c in zip(*parts))
    else:
        x, y, u = cached
    rng = np.random.default_rng([seed, sum(map(ord, chemistry))])
    if log:
        print(chemistry, "samples", len(x), f"{time.time() - t0:.0f} s", flush=True)
    net = Net(rng, x.shape[1], hidden)
    net.mean, net.scale = x.mean(0), x.std(0) + 1e-6
    x = np.clip((x - net.mean) / net.scale, -5, 5)
    weight = (1.0 + 0.5 * ((u > 0.2) & (u < 0.85))).astype(np.float32)
    held = len(x) // 20
    xv, yv, wv = x[:held], y[:held], weight[:held]
    mom = [np.zeros_like(w) for w in net.w]
    var = [np.zeros_like(w) for w in net.w]
    batch, step = 512, 0
    steps = epochs * ((len(x) - held) // batch)
    for epoch in range(epochs):
        order = held + rng.permutation(len(x) - held)
        for b in range(0, len(order) - batch + 1, batch):
            idx = order[b : b + batch]
            raw, cache = net.forward(x[idx])
            _, g = loss_grad(raw, y[idx], weight[idx])
            grads = net.backward(cache, g)
            step += 1
            rate = 4e-3 * (0.5 + 0.5 * np.cos(np.pi * step / steps)) + 2e-5
            for w, gw, mo, va in zip(net.w, grads, mom, var):
                mo += 0.1 * (gw - mo)
                va += 0.002 * (gw * gw - va)
                w -= rate * (mo / (1 - 0.9**step)) / (np.sqrt(va / (1 - 0.998**step)) + 1e-8)
        if log and (epoch % 5 == 4 or epoch == epochs - 1):
            raw, _ = net.forward(xv)
            print(f"  {epoch + 1} epochs, {time.time() - t0:.0f} s: held-out loss {loss_grad(raw, yv, wv)[0]:.4f}", flush=True)
    return net


if __name__ == "__main__":
    import pickle
    out, traces, epochs = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    for chemistry in sys.argv[4:] or ("lead", "lfp", "nmc", "nickel"):
        net = train(chemistry, 1, traces, epochs, (48, 32))
        pickle.dump(net.__dict__, open(f"{out}/{chemistry}.pkl", "wb"))
