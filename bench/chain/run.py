# SPDX-License-Identifier: MIT
"""bench-chain: open + read 4 KiB + close of many files in the page cache, in random order, 64 chains in flight."""
import common
from common import Spread, figure, ratio

SIZES = (1000, 10000)  # the smaller stays in the CPU's caches, the larger measures its memory, too

PLAIN = {"plain openat": ("chain-plain", "openat", {}), "plain openat2 beneath": ("chain-plain", "beneath", {})}
URING = {f"liburing {name}": ("chain-liburing", name, {})
         for name in ("linked", "linked-skip", "linked-plain", "staged", "ordered", "descriptors")}
# Confinement (RESOLVE_BENEATH) costs the kernel time, so what confines is compared with what confines.
URING_BENEATH = {f"liburing {name}": ("chain-liburing", name, {})
                 for name in ("linked-beneath", "linked-skip-beneath", "staged-beneath")}
LIBUV = {"libuv": ("chain-libuv", "", {}), "libuv, 2 threads": ("chain-libuv", "", {"UV_THREADPOOL_SIZE": "2"}),
         "libuv, 1 thread": ("chain-libuv", "", {"UV_THREADPOOL_SIZE": "1"})}
ERRAND = {f"errand {backend}, {variant}": ("chain-errand", variant, {"ERRAND_BACKEND": backend})
          for backend in ("uring", "threads") for variant in ("job", "chain", "job-unconfined", "chain-unconfined")}
ALL = {**PLAIN, **URING, **URING_BENEATH, **LIBUV, **ERRAND}


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
    def own(backend, confined):
        return best(figures, [name for name in ERRAND if backend in name and ("unconfined" not in name) == confined])

    plain, libuv = best(figures, ["plain openat"]), best(figures, LIBUV)
    uring, beneath = best(figures, URING), best(figures, URING_BENEATH)
    bench.say()
    for name, peer, limit, text in ((own("uring", False), uring, 1.1, "the best by hand"),
                                    (own("uring", True), beneath, 1.1, "the best by hand that confines")):
        if name and peer:
            pairs = ratio(figures[name], figures[peer])
            bench.target(f"{files} files: {name} costs {pairs} times {text} ({peer})", pairs.median, limit, False)
    for name, peer, limit, text in ((own("uring", False), plain, 3.5, "plain system calls"),
                                    (own("uring", False), libuv, 5, "the best libuv"),
                                    (own("threads", False), libuv, 2, "the best libuv"), (uring, plain, 3.5, "plain")):
        if name and peer:
            pairs = ratio(figures[peer], figures[name])
            say = bench.bound if name == uring else bench.target
            say(f"{files} files: {text} ({peer}) costs {pairs} times {name}", pairs.median, limit)
    bench.say()
    shown = [name for name in figures if name in (plain, uring, beneath, libuv) or name in ERRAND and "chain" in name]
    bench.bars(f"chain-{files}", f"open + read 4 KiB + close, {files} files, 64 in flight: CPU time for one",
               "microseconds of CPU", [(name, Spread(figures[name]), name in ERRAND) for name in shown])
