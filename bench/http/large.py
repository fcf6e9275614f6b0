# SPDX-License-Identifier: MIT
"""Large files that are in memory: how many bytes a server sends in a second of its CPU time."""
import common
import peers
import servers
import trial
from servers import ERRAND
from tables import Files, Table

CONNECTIONS = 16
# Case: size and number of files.
CASES = {"1 MB": (1000000, 64), "100 MB": (100000000, 4)}
COLUMNS = [("GB a CPU second", "gb_per_cpu_s", 1), ("GB/s", "gb_per_s", 1)]
YIELD = "gb_per_cpu_s"


def once(bench, name, files, seconds, check):
    server = servers.start(bench, name, files.root, trial.PORT)
    trial.ask_for_all(bench, name, files, CONNECTIONS, check)
    result = trial.asked(bench, name, server, files, "--connections", CONNECTIONS, "--seconds", seconds, "--spin")
    bench.stop(server)
    return {**result, YIELD: result["body_bytes"] / result["server_cpu_s"] / 1e9,
            "gb_per_s": result["body_bytes"] / result["seconds"] / 1e9}


def measure(bench):
    files = {}
    for case, (size, count) in CASES.items():
        root = f"{bench.work}/large-{size}"
        files[case] = Files(bench, root, common.many_files(root, count, size))
    table = Table(bench, "large", f"large files in memory over {CONNECTIONS} kept connections",
                  ERRAND + ["nginx sendfile", "nginx sendfile, open_file_cache"] + peers.OTHERS, CASES)
    table.fill(bench.rounds(3), lambda name, case, number: once(
        bench, name, files[case], bench.seconds(2.0), number == 0))
    for case in table.cases:
        table.show(COLUMNS, ERRAND[0], YIELD, case)
        bench.say()
    for case in table.cases:
        for own in ERRAND:
            table.target(f"large: {own} sends {{}} times the bytes of nginx sendfile in a CPU second, {case}",
                         table.pairs(own, "nginx sendfile", YIELD, case), 1)
