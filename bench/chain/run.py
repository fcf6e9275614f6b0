# SPDX-License-Identifier: MIT
"""bench-chain: open + read 4 KiB + close of many files in the page cache, in random order, 64 chains in flight."""
import common
from common import Spread, figure, ratio

SIZES = (1000, 10000)  # the smaller stays in the CPU's caches, the larger measures its memory, too

PLAIN = {"plain openat": ("chain-plain", "openat", {}), "plain openat2 beneath": ("chain-plain", "beneath", {})}
URING = {f"liburing {name}": ("chain-liburing", name, {})
         for name in ("linked", "linked-skip", "linked-plain", "linked-beneath", "staged", "ordered", "descriptors")}
LIBUV = {"libuv": ("chain-libuv", "", {}), "libuv, 2 threads": ("chain-libuv", "", {"UV_THREADPOOL_SIZE": "2"}),
         "libuv, 1 thread": ("chain-libuv", "", {"UV_THREADPOOL_SIZE": "1"})}
ERRAND = {f"errand {backend}, {variant}": ("chain-errand", variant, {"ERRAND_BACKEND": backend})
          for backend in ("uring", "threads") for variant in ("job", "chain")}
ALL = {**PLAIN, **URING, **LIBUV, **ERRAND}


def best(figures, names):
    """The one of the names that costs least, by its median."""
    return min((name for name in names if name in figures), key=lambda name: Spread(figures[name]).median, default=None)


def measure(bench):
    rounds, seconds = bench.rounds(11), bench.seconds(0.3)
    names = bench.wanted(list(ALL))
    raw = bench.data["rounds"] = []
    for files in SIZES:
        common.many_files(f"{bench.work}/{files}", files, 4096)
    for number, order in common.interleaved(rounds, names):
        for files in SIZES:
            for name in order:
                program, variant, env = ALL[name]
                command = [bench.program(program), "--dir", f"{bench.work}/{files}", "--files", str(files),
                           "--flight", "64", "--seconds", str(seconds)] + (["--variant", variant] if variant else [])
                # A library with a thread pool may use both CPUs, and does; the figure is CPU time, not time.
                raw.append({"round": number, "name": name, "files": files, **bench.run(command, env=env)})
    for files in SIZES:
        figures = {name: [row["us_per_chain"] for row in raw if row["name"] == name and row["files"] == files]
                   for name in names}
        show(bench, files, figures)


def show(bench, files, figures):
    bench.say(f"{files} files of 4 KiB, open + read + close, 64 in flight: CPU of the whole process, median (min..max) "
              f"of {len(next(iter(figures.values())))} rounds")
    bench.table(["", "us a chain", "chains per CPU second"],
                [[name, Spread(values), figure(1e6 / Spread(values).median)] for name, values in figures.items()])
    plain, uring, libuv = best(figures, PLAIN), best(figures, URING), best(figures, LIBUV)
    ours = {backend: best(figures, [name for name in ERRAND if backend in name]) for backend in ("uring", "threads")}
    targets = [("uring", uring, 1.1, "the best by hand"), ("uring", plain, 3.5, "the best plain system calls"),
               ("uring", libuv, 5, "the best libuv"), ("threads", libuv, 2, "the best libuv")]
    bench.say()
    for backend, peer, limit, text in targets:
        own = ours[backend]
        if not peer or not own:
            continue
        if peer == uring:
            pairs = ratio(figures[own], figures[peer])
            bench.target(f"{files} files: {own} costs {pairs} times {text} ({peer})", pairs.median, limit, False)
        else:
            pairs = ratio(figures[peer], figures[own])
            bench.target(f"{files} files: {text} ({peer}) costs {pairs} times {own}", pairs.median, limit)
    bench.say()
    shown = [name for name in figures if name in (plain, uring, libuv, *ours.values())]
    bench.bars(f"chain-{files}", f"open + read 4 KiB + close, {files} files, 64 in flight: CPU time for one",
               "microseconds of CPU", [(name, Spread(figures[name]), name in ERRAND) for name in shown])
