# SPDX-License-Identifier: MIT
"""bench-steps: what each step costs over the bare system calls that do its work."""
import common
from common import Spread, figure

BACKENDS = ("uring", "threads")


def measure(bench):
    rounds, seconds = bench.rounds(5), bench.seconds(0.05)
    raw = bench.data["rounds"] = []
    for _, order in common.interleaved(rounds, list(BACKENDS)):
        for backend in order:
            command = [bench.program("steps"), "--dir", bench.work, "--seconds", str(seconds)]
            raw.append(bench.run(command, env={"ERRAND_BACKEND": backend}))
    bench.say("chains of 4 times the same, 16 in flight: nanoseconds of CPU of the whole process for one, median "
              f"(min..max) of {rounds} rounds; over: what one step costs more than the calls")
    rows, bars = [], []
    for name, first in raw[0]["steps"].items():
        bare = Spread(row["steps"][name]["bare"] for row in raw)
        row = [name, figure(bare.median)]
        for backend in BACKENDS:
            of = [one["steps"][name] for one in raw if one["backend"] == backend]
            over = Spread((step["ours"] - step["bare"]) / first["calls"] for step in of)
            row += [str(Spread(step["ours"] for step in of)), str(over)]
            if backend == "uring":
                bars.append((name, over, True))
        rows.append(row)
    bench.table(["", "bare", "uring", "uring over, a step", "threads", "threads over, a step"], rows)
    bench.bars("steps", "what one step costs over the bare system call, uring", "nanoseconds of CPU", bars)
