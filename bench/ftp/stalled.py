# SPDX-License-Identifier: MIT
"""Sessions that fetch from a slow filesystem, and meanwhile one that fetches a hot file, whose waiting is measured."""
import json
import math
import os
import signal
import subprocess
import time

import common
from daemons import ALL, ERRAND
from tables import Files, Table
from trial import Trial

import places

SLOW_SESSIONS, EACH, PACE_MS = 64, 4, 5
ALONE_S = 3  # before the slow sessions, and after them: what the hot one sees then is the machine's own noise
RATIO_MOST = 1.5


def quantile(times, share):
    return times[min(len(times) - 1, int(share * len(times)))]


def once(bench, name, place, root, hot, slow, number):
    trace = f"{bench.work}/trace"
    place.fresh()
    trial = Trial(bench, name, root)
    trial.ask(hot, "--sessions", 1, "--each", 1, "--check", root)
    client = bench.start(trial.load(hot, "--keep", "--wait", "--sessions", 1, "--rate", 1000 / PACE_MS, "--seconds",
                                    600, "--trace", trace), cpu=common.CLIENT_CPU, stdin=subprocess.PIPE)
    client.stdout.readline()
    client.stdin.write("\n")
    client.stdin.flush()
    time.sleep(ALONE_S)
    begun = time.monotonic()
    limit = 150 if name in ERRAND else bench.seconds(10)
    done = bench.run(trial.load(slow, "--keep", "--sessions", SLOW_SESSIONS, "--each", EACH, "--seconds", limit,
                                "--patience", 0), cpu=common.CLIENT_CPU, check=False)
    ended = time.monotonic()
    time.sleep(ALONE_S)
    client.send_signal(signal.SIGTERM)
    report = json.loads(client.communicate(timeout=30)[0])
    bench.children.remove(client)
    trial.end()
    place.leave()
    points = [tuple(map(float, line.split())) for line in common.read(trace).splitlines()]
    bench.keep(f"hot-{name.replace(',', '').replace(' ', '-')}-{number}.txt",
               "".join(f"{due - begun:.4f} {took:.4f}\n" for due, took in points))
    again = ended + 0.05 if done["sessions_done"] == SLOW_SESSIONS else math.inf  # who was given up may be served still
    alone = sorted(took for due, took in points if due < begun - 0.05 or due > again)
    stalled = sorted(took for due, took in points if begun <= due <= ended)
    p99 = quantile(alone, 0.99)
    return {"slow": done, "hot": report, "alone_p50": quantile(alone, 0.5), "alone_p99": p99,
            "hot_p50": quantile(stalled, 0.5), "hot_p99": quantile(stalled, 0.99), "hot_max": stalled[-1],
            "ratio": quantile(stalled, 0.99) / p99, "slow_s": done["seconds"],
            "slow_done": done["sessions_done"]}


def measure(bench):
    root = f"{bench.work}/mounts"
    os.makedirs(root, exist_ok=True)
    with open(f"{root}/hot", "wb") as file:
        file.write(bytes(8192))
    place = places.SlowFuse(bench, root, "fuse", 8192, [])
    hot, slow = Files(bench, root, [("/hot", 8192)]), Files(bench, root, place.paths)
    table = Table(bench, "stall", f"a hot file fetched every {PACE_MS} ms in one session, while {SLOW_SESSIONS} "
                  f"sessions fetch {EACH} files each of a filesystem that takes 50 ms for every lookup, getattr, open "
                  "and read; ms since a transfer was due", ALL)
    table.fill(bench.rounds(1), lambda name, _, number: once(bench, name, place, root, hot, slow, number))
    table.show([("alone p50", "alone_p50", 1), ("alone p99", "alone_p99", 1), ("p50", "hot_p50", 1),
                ("p99", "hot_p99", 1), ("max", "hot_max", 1), ("p99 x alone", "ratio", 1),
                ("slow sessions done", "slow_done", 1), ("after s", "slow_s", 1)], ERRAND[0], "hot_p99")
    bench.say()
    for own in ERRAND:
        values = table.values(own, "ratio")
        if values:
            table.target(f"stall: {own}: the hot session's p99 is {{}} times what it is alone", common.Spread(values),
                         RATIO_MOST, False)
