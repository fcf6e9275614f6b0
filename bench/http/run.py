# SPDX-License-Identifier: MIT
"""bench-http: small files over keep-alive connections; server CPU for one request, against nginx in its variants."""
import os
import sys

import common
import servers
from common import Spread, cpu_seconds, ratio
from servers import CACHED, ERRAND

FILES, CONNECTIONS, PORT = 20000, 64, 8099
WITHOUT = ["nginx sendfile", "nginx no sendfile"]
WITH = ["nginx no sendfile, open_file_cache", "nginx sendfile, open_file_cache"]
# By hand on io_uring, with nothing but the work itself (bench/http/bare.c): what an answer costs the kernel.
BARE = {"bare, from memory": "memory", "bare, opening each": "open"}


def size(number):
    return 7168 + number * 7919 % 2048  # about 8 KiB


def generator(bench, paths, seconds, use="load", *more):
    """Asks for files for so many seconds, on the client's CPU; our generator, or wrk."""
    if use == "wrk":
        command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{max(1, round(seconds))}s", "--latency", "-s",
                   f"{common.HERE}/http/paths.lua", f"http://127.0.0.1:{PORT}", "--", paths]
    else:
        command = [bench.program("load"), f"127.0.0.1:{PORT}", "--paths", paths, "--connections", str(CONNECTIONS),
                   "--seconds", str(seconds), "--spin", *more]
    result = bench.run(command, cpu=common.CLIENT_CPU)
    if result["wrong_status"] or result["failed"]:
        sys.exit(f"bench-http: wrong answers: {result}")
    return result


def start(bench, name, root):
    if name not in BARE:
        return servers.start(bench, name, root, PORT)
    process = bench.start([bench.program("bare"), BARE[name], str(PORT), root], cpu=common.SERVER_CPU)
    bench.wait_port(PORT, process)
    return process


def once(bench, name, root, paths, seconds, use="load"):
    """One measurement on a fresh server that has been asked for every file."""
    server = start(bench, name, root)
    generator(bench, paths, min(1.0, seconds), use)  # caches fill; 1 s asks for most files more than once
    before = cpu_seconds(server.pid)
    result = generator(bench, paths, seconds, use)
    spent = cpu_seconds(server.pid) - before
    bench.stop(server)
    return {"name": name, "server_cpu_s": spent, "us_per_request": spent * 1e6 / result["requests"], **result}


def measure(bench):
    rounds, seconds = bench.rounds(5), bench.seconds(2.0)
    root, paths = f"{bench.work}/files", f"{bench.work}/paths"
    common.write(paths, "".join(f"{path} {length}\n" for path, length in common.many_files(root, FILES, size)))
    names = bench.wanted(WITHOUT + WITH + ERRAND + CACHED + list(BARE))
    raw = bench.data["rounds"] = []
    use = "load" if os.path.exists(bench.program("load")) else "wrk"
    for number, order in common.interleaved(rounds, names):
        for name in order:
            raw.append({"round": number, **once(bench, name, root, paths, seconds, use)})
    figures = {name: [row["us_per_request"] for row in raw if row["name"] == name] for name in names}
    rates = {name: [row["requests_per_s"] for row in raw if row["name"] == name] for name in names}
    bench.say(f"{FILES} files of about 8 KiB, {CONNECTIONS} keep-alive connections, server on one CPU: CPU of the "
              f"whole server for a request, median (min..max) of {rounds} rounds")
    bench.table(["", "us a request", "requests/s"],
                [[name, Spread(figures[name]), Spread(rates[name])] for name in names])
    bench.say()
    best = {key: min((name for name in group if name in figures), key=lambda name: Spread(figures[name]).median,
                     default=None) for key, group in (("without", WITHOUT), ("with", WITH), ("all", WITHOUT + WITH))}
    for own, peer, limit in (("errand uring", best["without"], 2), ("errand uring", best["with"], 1.4),
                             ("errand threads", best["without"], 1.1),
                             ("errand uring, cache", best["all"], 2.4), ("errand threads, cache", best["all"], 1.6)):
        if own in figures and peer:
            pairs = ratio(figures[peer], figures[own])
            bench.target(f"{peer} costs {pairs} times {own}", pairs.median, limit)
    memory, opening = BARE
    for own, peer, limit in ((opening, best["without"], 2), (opening, best["with"], 1.4), (memory, best["without"], 2),
                             (memory, best["with"], 1.4), (memory, best["all"], 2.4)):
        if own in figures and peer:
            pairs = ratio(figures[peer], figures[own])
            bench.bound(f"{peer} costs {pairs} times {own}", pairs.median, limit)
    for own, peer in (("errand uring", opening), ("errand uring, cache", memory)):
        if peer in figures and own in figures:
            pairs = ratio(figures[own], figures[peer])
            bench.target(f"{own} costs {pairs} times {peer}", pairs.median, 1.25, False)
    check(bench, names, root, paths, seconds, use)
    bench.bars("http", f"GET of one of {FILES} files of about 8 KiB: server CPU time for one", "microseconds of CPU",
               [(name, Spread(figures[name]), name in ERRAND + CACHED) for name in names])


def check(bench, names, root, paths, seconds, use):
    """Our generator against wrk, on the same servers: both must see the same server, at the same cost for a request."""
    if use == "wrk":
        return
    bench.say("\nthe generator checked: every byte of some answers, and wrk (with the same random paths) in its place")
    rows = []
    for name in [name for name in names if name in ("errand uring", *WITH[:1])]:
        server = servers.start(bench, name, root, PORT)
        exact = generator(bench, paths, 0.3, "load", "--check", root)
        bench.stop(server)
        if exact["wrong_body"]:
            sys.exit(f"bench-http: wrong bodies: {exact}")
        for tool in ("load", "wrk"):
            result = once(bench, name, root, paths, max(seconds, 1.0), tool)
            bench.data.setdefault("check", []).append({"tool": tool, **result})
            rows.append([name, tool, common.figure(result["us_per_request"]), result["requests_per_s"],
                         result["us_p50"], result["us_p99"], exact["requests"]])
    bench.table(["server", "generator", "us a request", "requests/s", "p50 us", "p99 us", "answers compared"], rows)
    bench.say()
