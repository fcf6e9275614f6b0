# SPDX-License-Identifier: MIT
"""bench-stall: clients of a slow place, and meanwhile one client of a hot file, whose waiting is measured.

Also: chains with deadlines on a mount that hangs for good.
"""
import json
import os
import signal
import subprocess
import sys
import time

import common
import servers
from common import figure

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import places
from servers import ERRAND

NGINX = ["nginx sendfile", "nginx aio threads"]
CASES = [(64, 4), (1000, 1)]  # slow clients, and how many files each asks for
BIG_CASES = [(400, 1)]  # of 1 MiB: more than memory for transfers would hold, if all were given some
PACE_MS, PORT = 5, 8099
ALONE_S = 2  # before the slow clients come: what the hot client sees then is the machine's own noise
HOT_P99_MS, LATE_MS = 5, 50


def quantile(times, share):
    return times[min(len(times) - 1, int(share * len(times)))]


def once(bench, name, place, root, clients, each, limit):
    """One server, its slow clients and its hot one. The hot client's times count while slow ones wait."""
    hot_paths, slow_paths, trace = f"{bench.work}/hot-paths", f"{bench.work}/slow-paths", f"{bench.work}/trace"
    common.write(hot_paths, "/hot 8192\n")
    common.write(slow_paths, "".join(f"{path} {size}\n" for path, size in place.paths))
    place.fresh()
    server = servers.start(bench, name, root, PORT, cgroup=place.cgroup)
    address = f"127.0.0.1:{PORT}"
    bench.run([bench.program("load"), address, "--paths", hot_paths, "--connections", "1", "--seconds", "0.2"], cpu=1)
    hot = bench.start([bench.program("load"), address, "--paths", hot_paths, "--connections", "1", "--rate",
                       str(1000 / PACE_MS), "--seconds", "600", "--trace", trace], cpu=1)
    time.sleep(ALONE_S)
    begun = time.monotonic()
    slow = bench.run([bench.program("load"), address, "--paths", slow_paths, "--connections", str(clients), "--each",
                      str(each), "--seconds", str(limit)], cpu=1, check=False)
    ended = time.monotonic()
    time.sleep(0.05)
    hot.send_signal(signal.SIGTERM)
    hot_result = json.loads(hot.communicate(timeout=30)[0])
    bench.children.remove(hot)
    bench.stop(server, signal.SIGTERM if name in ERRAND else signal.SIGKILL, 12)
    place.leave()
    points = [tuple(map(float, line.split())) for line in common.read(trace).splitlines()]
    alone = sorted(took for due, took in points if due < begun - 0.05) or [float("nan")]
    points = [(due - begun, took) for due, took in points if begun <= due <= ended]
    if place.name == "disk" and slow["seconds"] < 0.8 * slow["requests"] / places.READS_PER_SECOND:
        sys.exit(f"bench-stall: the disk was not slow: {slow['requests']} files read in {slow['seconds']} s")
    times = sorted(took for _, took in points) or [float("nan")]
    return {"name": name, "place": place.name, "clients": clients, "each": each, "slow": slow, "hot": hot_result,
            "points": points, "hot_p50_ms": quantile(times, 0.5), "hot_p99_ms": quantile(times, 0.99),
            "hot_max_ms": times[-1], "alone_p99_ms": quantile(alone, 0.99),
            "hot_requests": len(points)}


def measure(bench):
    root = f"{bench.work}/mounts"
    os.makedirs(root)
    with open(f"{root}/hot", "wb") as file:
        file.write(bytes(8192))
    both = bench.wanted([*ERRAND, *NGINX])
    slow_places = [places.SlowFuse(bench, root, "fuse", 8192, CASES),
                   places.SlowFuse(bench, root, "fuse-big", 1 << 20, BIG_CASES), places.SlowDisk(bench, root, CASES)]
    raw = bench.data["rounds"] = []
    bench.say(f"one hot file, asked for every {PACE_MS} ms by one client while others wait for slow files; server: one "
              f"queue (one worker) on one CPU\nfuse: 50 ms for every lookup, getattr, open, read. disk: ext4, cold, "
              f"{places.READS_PER_SECOND} reads a second, extents {bench.data['disk']['extents']}")
    header = ["place", "slow clients", "server", "alone p99 ms", "hot p50 ms", "p99 ms", "max ms", "slow answered",
              "after s"]
    rows = []
    for number in range(bench.rounds(1)):
        for place in slow_places:
            for clients, each in place.cases:
                for name in both:
                    limit = 150 if name in ERRAND else bench.seconds(10)
                    result = {"round": number, **once(bench, name, place, root, clients, each, limit)}
                    points = result.pop("points")
                    bench.keep(f"hot-{place.name}-{clients}-{name.replace(' ', '-')}-{number}.txt",
                               "".join(f"{due:.4f} {took:.4f}\n" for due, took in points))
                    raw.append(result)
                    slow, done = result["slow"], result["slow"]["connections_done"]
                    answered = f"{done} of {clients}" + ("" if done == clients else f" (given up after {limit:g} s)")
                    rows.append([place.name, clients, name,
                                 *(figure(result[f"{key}_ms"]) for key in ("alone_p99", "hot_p50", "hot_p99", "hot_max")),
                                 answered, figure(slow["seconds"])])
                    print(" ", *rows[-1], flush=True)
    bench.say()
    bench.table(header, rows)
    bench.say()
    for row in raw:
        if row["name"] in ERRAND:
            what = f"{row['place']}, {row['clients']} slow clients, {row['name']}"
            bench.target(f"{what}: hot p99, ms", row["hot_p99_ms"], HOT_P99_MS, False)
            bench.target(f"{what}: slow clients answered", row["slow"]["connections_done"], row["clients"])
    deadlines(bench, slow_places[0], root)
    for place in slow_places:
        plot(bench, place, both)


def deadlines(bench, fuse, root):
    bench.say("\na mount that hangs for good: 3 waves of 64 chains with deadlines on it; beside them timers and a healthy "
              "file")
    rows = []
    for name in bench.wanted(ERRAND):
        fuse.fresh("--hold")
        process = bench.start([bench.program("deadline"), root, "fuse", "hot"], env={"ERRAND_BACKEND": name.split()[1]},
                              stdin=subprocess.PIPE)
        line = process.stdout.readline()
        if not line:
            sys.exit(f"bench-stall: deadline failed: {common.read(f'{bench.work}/errors')[-1000:]}")
        held = json.loads(line)
        fuse.process.send_signal(signal.SIGUSR1)
        after = json.loads(process.communicate("go\n", timeout=30)[0])
        bench.children.remove(process)
        fuse.leave()
        bench.data.setdefault("deadlines", []).append({"name": name, **held, "after": after})
        rows.append([name, f"{held['timed_out']} of {held['chains']}", held["latest_ms"], held["timer_latest_ms"],
                     held["healthy_slowest_ms"], held["healthy_reads"], held["threads_most"], held["stuck_most"],
                     after["stuck"], after["left_by_close"]])
        bench.target(f"{name}: latest event after its deadline, ms", held["latest_ms"], LATE_MS, False)
        bench.target(f"{name}: events -ETIMEDOUT", held["timed_out"], held["chains"])
        bench.target(f"{name}: stuck when the mount came back", after["stuck"], 0, False)
    bench.table(["", "events in time", "latest ms", "timer latest ms", "healthy slowest ms", "healthy reads", "threads",
                 "stuck at most", "in the end", "left by close"], rows)


COLOURS = {"errand uring": "#2a9d8f", "errand threads": "#457b9d", "nginx sendfile": "#e76f51",
           "nginx aio threads": "#e9a03b"}


def plot(bench, place, names):
    clients = place.cases[0][0]
    curves = ", ".join(f'"{bench.results}/hot-{place.name}-{clients}-{name.replace(" ", "-")}-0.txt" using 1:2 with '
                       f'points pt 7 ps 0.25 lc rgb "{COLOURS[name]}" notitle, NaN with points pt 7 ps 1 '
                       f'lc rgb "{COLOURS[name]}" title "{name}"' for name in names)
    bench.gnuplot(f"stall-{place.name}", f"""set logscale y; set yrange [0.01:20000]
set title "A hot file while {clients} clients wait for slow ones ({place.name}): time of each request since it was due"
set xlabel "seconds"; set ylabel "milliseconds"; set key top right
plot {curves}
""")
