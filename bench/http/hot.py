# SPDX-License-Identifier: MIT
"""Small files that are in memory: over connections that are kept, and with a new connection for each request."""
import functools

import common
import peers
import trial
from servers import BARE, CACHED, ERRAND
from tables import Files, Table

COLUMNS = [("us a request", "us_per_request", 1), ("requests/s", "requests_per_s", 1)]
MEMORY, OPENING = BARE
COST = "us_per_request"


@functools.cache
def small_files(bench, count):
    root = f"{bench.work}/small-{count}"
    return Files(bench, root, common.many_files(root, count, lambda number: 7168 + number * 7919 % 2048))


def measure(bench, key, count):
    files, seconds = small_files(bench, count), bench.seconds(2.0)
    table = Table(bench, key, f"{count} files of about 8 KiB in memory, asked for at random over "
                  f"{trial.CONNECTIONS} kept connections: CPU time of the whole server for a request",
                  CACHED + ERRAND + list(BARE) + peers.NGINX + peers.others(bench, files=count))
    table.fill(bench.rounds(3), lambda name, _, number: trial.once(
        bench, name, files, "--seconds", seconds, "--spin", check=number == 0))
    table.show(COLUMNS, CACHED[0], COST)
    bench.say()
    without, cached, all_of_them = (table.best(group, COST)
                                    for group in (peers.NGINX_WITHOUT, peers.NGINX_WITH, peers.NGINX))
    for own, peer, limit in ((CACHED[0], all_of_them, 2.4), (CACHED[1], all_of_them, 1.6), (ERRAND[0], without, 2),
                             (ERRAND[0], cached, 1.4), (ERRAND[1], without, 1.1)):
        table.target(f"{key}: {peer} costs {{}} times {own}", table.pairs(peer, own, COST), limit)
    for own, peer in ((CACHED[0], MEMORY), (ERRAND[0], OPENING)):
        table.target(f"{key}: {own} costs {{}} times {peer}", table.pairs(own, peer, COST), 1.25, False)
    for own, peer, limit in ((MEMORY, all_of_them, 2.4), (OPENING, without, 2), (OPENING, cached, 1.4)):
        table.bound(f"{key}: {peer} costs {{}} times {own}", table.pairs(peer, own, COST), limit)


def small(bench):
    measure(bench, "hot-small", 1000)


def many(bench):
    measure(bench, "hot-many", 20000)


def connection_each(bench):
    files, seconds = small_files(bench, 1000), bench.seconds(2.0)
    table = Table(bench, "connection-each", "as hot-small, but a new connection for each request "
                  "(Connection: close), 64 at a time", CACHED + ERRAND + peers.NGINX_WITH[:1] + peers.OTHERS)
    table.fill(bench.rounds(3), lambda name, _, number: trial.once(
        bench, name, files, "--seconds", seconds, "--spin", "--connection-each"))
    table.show(COLUMNS, CACHED[0], COST)
