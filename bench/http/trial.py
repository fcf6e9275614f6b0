# SPDX-License-Identifier: MIT
"""One measurement of bench-http: a fresh server, asked by the load generator; and tables of many of them."""
import math
import sys

import common
import servers
from common import Spread, cpu_seconds, ratio

PORT, CONNECTIONS = 8099, 64


class Files:
    """Files below a directory, and the list of them that the load generator takes."""

    def __init__(self, bench, root, made):
        Files.number = getattr(Files, "number", 0) + 1
        self.root, self.count, self.paths = root, len(made), f"{bench.work}/paths-{Files.number}"
        common.write(self.paths, "".join(f"{path} {length}\n" for path, length in made))


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


class Table:
    """The rows of one measurement: who was measured, in which case of it, in which round, with what result."""

    def __init__(self, bench, key, title, names, cases=("",)):
        self.bench, self.names, self.cases, self.rows = bench, bench.chosen(names), list(cases), []
        bench.data.setdefault("measurements", {})[key] = {"title": title, "names": self.names,
                                                          "cases": self.cases, "rows": self.rows}
        bench.say(f"\n{key}: {title}")

    def fill(self, rounds, measure):
        """Calls measure(name, case, round) for each in each round."""
        items = [(name, case) for case in self.cases for name in self.names]
        for number, order in common.interleaved(rounds, items):
            for name, case in order:
                self.rows.append({"round": number, "name": name, "case": case, **measure(name, case, number)})

    def values(self, name, what, case=""):
        """A figure of every round; empty if it was not measured."""
        return [row[what] for row in self.rows if row["name"] == name and row["case"] == case]

    def best(self, names, what, case="", least=True):
        """Who of the names has the best median, or None."""
        found = [name for name in names if self.values(name, what, case)]
        choose = min if least else max
        return choose(found, key=lambda name: Spread(self.values(name, what, case)).median, default=None)

    def pairs(self, of, to, what, case="", case_of=None):
        """The ratios of two servers, or of one in two cases, round by round; None if one was not measured."""
        above, below = self.values(of, what, case if case_of is None else case_of), self.values(to, what, case)
        return ratio(above, below) if above and below else None

    def show(self, columns, against, what, case=""):
        """columns: (heading, key of the result, factor). The last column: how many times what `against` has."""
        if against not in self.names:
            against = self.names[0]
        rows = [[name, *(Spread(value * factor for value in self.values(name, key, case))
                         for _, key, factor in columns), self.pairs(name, against, what, case)] for name in self.names]
        self.bench.table([str(case), *(heading for heading, _, _ in columns), f"x {against}"], rows)

    def target(self, text, pairs, limit, at_least=True):
        if pairs:
            self.bench.target(text.format(pairs), pairs.median, limit, at_least)

    def bound(self, text, pairs, limit):
        if pairs:
            self.bench.bound(text.format(pairs), pairs.median, limit)
