# SPDX-License-Identifier: MIT
"""One measurement of bench-http: a fresh server, asked by the load generator."""
import math
import sys

import common
import servers
from common import cpu_seconds

PORT, CONNECTIONS = 8099, 64


def load(bench, files, *more):
    return [bench.program("load"), f"127.0.0.1:{PORT}", "--paths", files.paths, *map(str, more)]


def judge(bench, name, result):
    """An answer that is not right is not fast, whatever it cost."""
    if not result or any(result[what] for what in ("wrong_status", "wrong_length", "wrong_body", "failed", "closed")):
        sys.exit(f"bench-http: wrong answers of {name}: {result}\n{common.read(f'{bench.work}/errors')[-1000:]}")
    return result


def ask_for_all(bench, name, files, connections=CONNECTIONS, check=False):
    """Asks once for every file, so that what was asked for before is ready; with check compares every byte."""
    more = ["--check", files.root] if check else ["--spin"]
    result = bench.run(load(bench, files, "--connections", connections, "--each", math.ceil(files.count / connections),
                            "--seconds", 600, *more), cpu=common.CLIENT_CPU, check=False)
    if judge(bench, name, result)["unanswered"]:
        sys.exit(f"bench-http: {name} did not answer everything: {result}")
    return result


def asked(bench, name, server, files, *more):
    """The load generator's report, and the server's CPU time while it asked, once all connections are made."""
    client = bench.start(load(bench, files, "--wait", *more), cpu=common.CLIENT_CPU, stdin=common.subprocess.PIPE)
    if client.stdout.readline() != "ready\n":
        sys.exit(f"bench-http: {name} did not answer on all connections: {common.read(f'{bench.work}/errors')[-1000:]}")
    before = cpu_seconds(server.pid)
    result = judge(bench, name, bench.finished(client, "\n", check=False))
    spent = max(cpu_seconds(server.pid) - before, 1 / common.TICKS)
    return {"server_cpu_s": spent, "us_per_request": spent * 1e6 / max(result["requests"], 1), **result}


def once(bench, name, files, *more, connections=CONNECTIONS, check=False, warm=CONNECTIONS):
    """One measurement on a fresh server that has been asked for every file."""
    server = servers.start(bench, name, files.root, PORT)
    ask_for_all(bench, name, files, warm, check)
    result = asked(bench, name, server, files, "--connections", connections, *more)
    bench.stop(server)
    return result
