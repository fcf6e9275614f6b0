# SPDX-License-Identifier: MIT
"""Many files at the same time, down and up: what a byte, and what a file, costs."""
import os
import sys

import common
from daemons import ALL, ERRAND, OTHERS
from small import small_files
from tables import Files, Table
from trial import INCOMING, SESSIONS, Trial, able, empty

# Case: size and number of files.
DOWN = {"1 MB": (1000000, 64), "100 MB": (100000000, 4)}
# Case: size, and how many each session stores.
UP = {"4 KiB": (4096, 16), "1 MB": (1000000, 4)}
YIELD, BOTH, COST = "gb_per_cpu_s", "gb_per_cpu_s_of_both", "us_each"
DOWN_COLUMNS = [("GB a CPU second", YIELD, 1), ("client's, too", BOTH, 1), ("GB/s", "gb_per_s", 1)]
UP_COLUMNS = [("us of CPU a file", COST, 1), ("MB a CPU second", YIELD, 1000), ("files/s", "per_s", 1)]


def yields(result):
    return {**result, YIELD: result["body_bytes"] / result["server_cpu_s"] / 1e9,
            BOTH: result["body_bytes"] / (result["server_cpu_s"] + result["own_cpu_s"]) / 1e9,
            COST: result["server_cpu_s"] * 1e6 / result["finished"],
            "gb_per_s": result["body_bytes"] / result["seconds"] / 1e9}


def fetch(bench, name, files, number):
    trial = Trial(bench, name, files.root)
    check = ["--check", files.root] if number == 0 else []
    trial.ask(files, "--sessions", files.count, "--each", 1, *check)
    client = trial.hold(files, "--sessions", SESSIONS, "--seconds", bench.seconds(2.0))  # its CPU time counts, too
    result = trial.go_on(client)
    trial.end()
    return yields(result)


def against_best(bench, table, case):
    """No target: what is to be had is the kernel's, and everybody who uses sendfile(2) is near it."""
    best = table.best(OTHERS, YIELD, case, least=False)
    for own in ERRAND if best else []:
        pairs, both = table.pairs(own, best, YIELD, case), table.pairs(own, best, BOTH, case)
        if pairs:
            bench.say(f"          {case}: {own} moves {pairs} times the bytes of {best} in a CPU second; the client's "
                      f"counted, too: {both}")


def show(bench, table, columns):
    for case in table.cases:
        table.show(columns, ERRAND[0], columns[0][1], case)
        bench.say()
    for case in table.cases:
        against_best(bench, table, case)


def downloads(bench):
    files = {}
    for case, (size, count) in DOWN.items():
        root = f"{bench.work}/large-{size}"
        files[case] = Files(bench, root, common.many_files(root, count, size))
    table = Table(bench, "downloads", f"RETR of files in memory, one after the other in each of {SESSIONS} sessions",
                  ALL, DOWN)
    table.fill(bench.rounds(3), lambda name, case, number: fetch(bench, name, files[case], number))
    show(bench, table, DOWN_COLUMNS)


def check_stored(name, folder, size, count):
    """What is there, and nothing else; then it goes."""
    content = (bytes(range(256)) * (size // 256 + 1))[:size]
    names = os.listdir(folder)
    if len(names) != count:
        sys.exit(f"bench-ftp: {name} has stored {len(names)} files instead of {count}")
    for each in names:
        with open(f"{folder}/{each}", "rb") as file:
            if file.read() != content:
                sys.exit(f"bench-ftp: {name} has stored something else in {each}")
    empty(folder)


def store(bench, name, root, files, each):
    trial = Trial(bench, name, root)
    client = trial.hold(files, "--sessions", SESSIONS, "--spin", "--store", "--each", each, "--seconds", 60)
    result = trial.go_on(client)
    trial.end()
    check_stored(name, f"{root}/{INCOMING}", int(result["body_bytes"] / result["finished"]), SESSIONS * each)
    return yields(result)


def uploads(bench):
    root = small_files(bench).root
    names = able(bench, ALL, small_files(bench), "STOR", "--store")
    if not names:
        return
    files = {case: Files(bench, root, [("stored", size)]) for case, (size, _) in UP.items()}
    table = Table(bench, "uploads", f"STOR of new files, one after the other in each of {SESSIONS} sessions", names, UP)
    table.fill(bench.rounds(3), lambda name, case, _: store(bench, name, root, files[case], UP[case][1]))
    show(bench, table, UP_COLUMNS)
