# SPDX-License-Identifier: MIT
"""Whole sessions that fetch one small file each."""
import functools
import os

import common
from daemons import ALL, ERRAND, OTHERS, PYFTPDLIB, VSFTPD
from tables import Files, Table
from trial import INCOMING, SESSIONS, Trial, able

SIZE, COUNT = 4096, 1000
COLUMNS = [("sessions a CPU second", "per_cpu_s", 1), ("us of CPU each", "us_each", 1), ("sessions/s", "per_s", 1)]
YIELD = "per_cpu_s"
# How many times a peer's sessions ours are to be in a CPU second; of those that list nothing is wanted.
WANTED = {VSFTPD[0]: 30, PYFTPDLIB: 3}


@functools.cache
def small_files(bench):
    """Also a directory for what is stored; whoever a server makes of an anonymous user may write there."""
    root = f"{bench.work}/small"
    files = Files(bench, root, common.many_files(root, COUNT, SIZE))
    os.mkdir(f"{root}/{INCOMING}")
    os.chmod(f"{root}/{INCOMING}", 0o777)
    return files


def once(bench, name, number, *more):
    files = small_files(bench)
    trial = Trial(bench, name, files.root)
    trial.ask(files, "--sessions", SESSIONS, "--each", 4, *more, *(["--check", files.root] if number == 0 else []))
    result = trial.measure(files, "--sessions", SESSIONS, "--seconds", bench.seconds(2.0), *more)
    trial.end()
    return {**result, "us_each": result["server_cpu_s"] * 1e6 / result["finished"],
            YIELD: result["finished"] / result["server_cpu_s"]}


def measure(bench, key, text, names, wanted, *more):
    table = Table(bench, key, f"{text}, {SESSIONS} sessions at a time", names)
    table.fill(bench.rounds(3), lambda name, _, number: once(bench, name, number, *more))
    table.show(COLUMNS, ERRAND[0], YIELD)
    bench.say("  in a CPU second:")
    for own in ERRAND:
        for peer in OTHERS:
            pairs, said = table.pairs(own, peer, YIELD), f"{key}: {own} has {{}} times the sessions of {peer}"
            if peer in wanted:
                table.target(said, pairs, wanted[peer])
            elif pairs:
                bench.say(f"          {said.format(pairs)}")


def sessions(bench):
    measure(bench, "sessions", f"connect, USER, PASS, TYPE I, EPSV, RETR of one of {COUNT} files of {SIZE} bytes, QUIT",
            ALL, WANTED)


def listing(bench):
    names = able(bench, ALL, small_files(bench), "LIST", "--list")
    if names:
        measure(bench, "sessions-list", f"as sessions, and before RETR an EPSV and LIST of the file's directory (100 "
                "files)", names, {}, "--list")
