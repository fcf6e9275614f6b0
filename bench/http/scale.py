# SPDX-License-Identifier: MIT
"""What a request costs when there are more connections, and when there are more files."""
import subprocess

import common
import hot
import peers
import trial
from servers import CACHED, ERRAND
from tables import Files, Table

RATE = 20000  # requests a second, over all connections
CONNECTIONS_MOST = 15000
FILE_SIZE = 1024  # so that a million of them fit into memory
COST = "us_per_request"
COLUMNS = [("us a request", COST, 1)]


def growth_of(table, names, limit, unit):
    """Each server's cost in the last case over that in the first of the same round, with the target for ours."""
    first, last = table.cases[0], table.cases[-1]
    for name in table.names:
        pairs = table.pairs(name, name, COST, first, last)
        text = f"{name}: {last} {unit} cost {{}} times {first}, for a request"
        if name in names:
            table.target(text, pairs, limit, False)
        else:
            table.bench.say(f"          {text.format(pairs)}")


def connections(bench):
    """As many requests a second on few connections as on many. A server keeps some descriptors for the files."""
    files, most = hot.small_files(bench, 1000), min(CONNECTIONS_MOST, peers.descriptors() * 3 // 4 - 64)
    cases = (10, 100, 1000, most) if bench.args.full else (100, most)
    table = Table(bench, "connections", f"1000 files as in hot-small, {RATE} requests a second in all, on one "
                  "connection after the other", [*ERRAND, CACHED[0], hot.OPENING, peers.NGINX_WITH[0],
                                                 *peers.others(bench, connections=most)], cases)
    table.fill(bench.rounds(3), lambda name, case, _: trial.once(
        bench, name, files, "--seconds", bench.seconds(3.0), "--rate", RATE, "--spin", connections=case))
    for case in cases:
        table.show([*COLUMNS, ("answered/s", "requests_per_s", 1), ("p99 ms", "us_p99", 1e-3)], ERRAND[0], COST, case)
        bench.say()
    growth_of(table, ERRAND + CACHED, 1.2, "connections")


def growth(bench):
    """Each file is as likely as any other, so misses of the processor's and the kernel's caches grow for everybody."""
    root, cases = f"{bench.work}/growth", (1000, 10000, 100000, 1000000) if bench.args.full else (1000, 10000, 100000)
    made = common.many_files(root, cases[-1], FILE_SIZE)
    files = {count: Files(bench, root, made[:count]) for count in cases}
    table = Table(bench, "growth", f"files of {FILE_SIZE} bytes in memory, 100 in a directory, each as likely as "
                  "any other: CPU time of a request", [*ERRAND, hot.OPENING, "nginx no sendfile"], cases)
    table.fill(bench.rounds(3), lambda name, case, _: trial.once(
        bench, name, files[case], "--seconds", bench.seconds(2.0), "--spin"))
    for case in cases:
        table.show(COLUMNS, ERRAND[0], COST, case)
        bench.say()
    growth_of(table, ERRAND, 1.3, "files")
    subprocess.run([bench.errand(), "remove", "--quiet", root], check=True)  # a million of them take Python minutes
