# SPDX-License-Identifier: MIT
"""bench-idle: the memory of idle keep-alive connections, after one request was served on each."""
import json
import subprocess
import time

import common
import servers
from common import Spread, figure

CONNECTIONS, PORT = 10000, 8099
SERVERS = [*servers.ERRAND, "nginx sendfile"]


def once(bench, name, root, paths):
    server = servers.start(bench, name, root, PORT)
    time.sleep(0.3)
    before = common.memory(server.pid)
    client = bench.start([bench.program("load"), f"127.0.0.1:{PORT}", "--paths", paths, "--connections",
                          str(CONNECTIONS), "--each", "1", "--seconds", "60", "--hold"], cpu=common.CLIENT_CPU,
                         stdin=subprocess.PIPE)
    answers = json.loads(client.stdout.readline())
    time.sleep(1)  # whatever a server gives back when it is quiet
    after = common.memory(server.pid)
    client.communicate("")
    bench.children.remove(client)
    bench.stop(server)
    return {"name": name, "before": before, "after": after, "answered": answers["connections_done"], "answers": answers}


def measure(bench):
    root, paths = f"{bench.work}/files", f"{bench.work}/paths"
    files = common.many_files(root, 100, 8192)
    common.write(paths, "".join(f"{path} {length}\n" for path, length in files))
    names = bench.wanted(SERVERS)
    raw = bench.data["rounds"] = []
    for number, order in common.interleaved(bench.rounds(3), names):
        for name in order:
            raw.append({"round": number, **once(bench, name, root, paths)})
    bench.say(f"{CONNECTIONS} idle keep-alive connections, one request served on each: private memory of the whole "
              f"server, and of io_uring's rings what is not in it, in bytes a connection")
    rows, whole = [], {}
    for name in names:
        rounds = [row for row in raw if row["name"] == name]
        whole[name] = Spread((row["after"]["private"] + row["after"]["rings"]) / CONNECTIONS for row in rounds)
        growth = Spread((row["after"]["private"] + row["after"]["rings"] - row["before"]["private"] -
                         row["before"]["rings"]) / CONNECTIONS for row in rounds)
        rows.append([name, whole[name], growth, *(figure(rounds[0][when][what] / 1024) for when in ("before", "after")
                                                  for what in ("private", "rings")),
                     min(row["answered"] for row in rounds)])
    bench.table(["", "whole process", "less its baseline", "KiB private before", "more in rings", "KiB private after",
                 "more in rings", "answered"], rows)
    bench.say()
    for name in names:
        if name in servers.ERRAND:
            bench.target(f"{name}: bytes a connection, whole process", whole[name].median, 1024, False)
    bench.bars("idle", f"memory of one idle connection of {CONNECTIONS}", "bytes",
               [(name, whole[name], name in servers.ERRAND) for name in names])
