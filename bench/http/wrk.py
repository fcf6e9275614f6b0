# SPDX-License-Identifier: MIT
"""Our load generator against wrk: both must see the same server, at the same cost for a request."""
import common
import hot
import peers
import servers
import trial
from servers import ERRAND
from tables import Table


def with_wrk(bench, name, files, seconds):
    server = servers.start(bench, name, files.root, trial.PORT)
    trial.ask_for_all(bench, name, files)
    before = common.cpu_seconds(server.pid)
    result = bench.run(["wrk", "-t1", f"-c{trial.CONNECTIONS}", f"-d{max(1, round(seconds))}s", "--latency", "-s",
                        f"{common.HERE}/http/paths.lua", f"http://127.0.0.1:{trial.PORT}", "--", files.paths],
                       cpu=common.CLIENT_CPU)
    spent = common.cpu_seconds(server.pid) - before
    bench.stop(server)
    return {"server_cpu_s": spent, "us_per_request": spent * 1e6 / result["requests"], **result}


def measure(bench):
    files, seconds = hot.small_files(bench, 20000), max(bench.seconds(2.0), 1.0)
    table = Table(bench, "wrk", "20000 files as in hot-many, asked for by our load generator and by wrk",
                  [ERRAND[0], peers.NGINX_WITH[0]], ("load", "wrk"))
    table.fill(bench.rounds(3), lambda name, tool, _: with_wrk(bench, name, files, seconds) if tool == "wrk" else
               trial.once(bench, name, files, "--seconds", seconds, "--spin"))
    for tool in table.cases:
        table.show([*hot.COLUMNS, ("p50 us", "us_p50", 1), ("p99 us", "us_p99", 1)], ERRAND[0], hot.COST, tool)
    for name in table.names:
        bench.say(f"          {name}: costs {table.pairs(name, name, hot.COST, 'load', 'wrk')} times as much with wrk")
