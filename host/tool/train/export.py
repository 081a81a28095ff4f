"""Write trained networks as the files that `host/core/src/estimate/net` reads.

python export.py TRAINED ../../core/src/estimate/net
"""

import pickle
import struct
import sys

import numpy as np

import train as T


def main(trained, folder):
    answers = []
    for chemistry in ("lead", "nickel", "lfp", "nmc"):
        net = object.__new__(T.Net)
        net.__dict__ = pickle.load(open(f"{trained}/{chemistry}.pkl", "rb"))
        with open(f"{folder}/{chemistry}.weights", "wb") as out:
            out.write(net.mean.astype("<f4").tobytes() + net.scale.astype("<f4").tobytes())
            for k, table in enumerate(net.w):
                scale = max(float(np.abs(table).max()), 1e-6) / 32767
                numbers = np.round(table / scale).astype("<i2")
                net.w[k] = (numbers * scale).astype(np.float32)
                out.write(struct.pack("<f", scale) + numbers.tobytes())
        x, _, _ = T.samples(np.random.default_rng(5), 40, chemistry, marks=1)
        x = x[:10]
        q, _ = T.answer(net, x)
        for row, answer in zip(x, q):
            answers.append(chemistry + " " + " ".join(f"{n:.7g}" for n in [*row, *answer]))
    open(f"{folder}/answers.txt", "w").write("\n".join(answers) + "\n")


main(*sys.argv[1:3])
