# SPDX-License-Identifier: MIT
"""Sessions that stay: the memory of an idle one, and what a small file costs when there are more of them."""
import time

import common
from daemons import ALL, ERRAND
from small import SIZE, small_files
from tables import Table
from trial import Trial

RATE = 500  # transfers a second, over all sessions
CASES, CASES_FULL = (10, 1000, 5000), (10, 100, 1000, 5000)
MEMORY_MOST, GROWTH_MOST = 4096, 1.3
LEAST = 1000  # of fewer sessions memory says little: pages are shared out among them


def once(bench, name, sessions):
    files = small_files(bench)
    trial = Trial(bench, name, files.root)
    trial.ask(files, "--sessions", 1, "--each", 1)  # what is made once is made
    time.sleep(0.3)
    before = common.memory(trial.server.pid)
    client = trial.hold(files, "--sessions", sessions, "--warm", "--rate", RATE, "--seconds", bench.seconds(3.0))
    time.sleep(1)  # whatever a server gives back when it is quiet
    after = common.memory(trial.server.pid)
    result = trial.go_on(client)
    trial.end()
    whole = {what: after[what] - before[what] for what in after}
    return {**result, "before": before, "after": after, "us_each": result["server_cpu_s"] * 1e6 / result["finished"],
            "bytes_each": (whole["shared_out"] + whole["rings"]) / sessions}


def measure(bench):
    cases = CASES_FULL if bench.args.full else CASES
    memory = Table(bench, "memory", "sessions that have logged in and fetched a file each, then idle: memory of the "
                   "process tree (PSS, and io_uring's rings), less what it had before, in bytes a session", ALL, cases)
    memory.fill(bench.rounds(3), lambda name, case, _: once(bench, name, case))
    for case in cases:
        memory.show([("bytes", "bytes_each", 1)], ERRAND[0], "bytes_each", case)
        bench.say()
    for case in cases:
        for own in ERRAND if case >= LEAST else []:
            table_target(memory, own, case)
    growth = Table(bench, "growth", f"the same sessions: {RATE} RETR of {SIZE} bytes a second in all, in one session "
                   "after the other", ALL, cases)
    growth.rows.extend(memory.rows)
    for case in cases:
        growth.show([("us of CPU each", "us_each", 1), ("p99 ms", "us_p99", 1e-3)], ERRAND[0], "us_each", case)
        bench.say()
    first, last = cases[0], cases[-1]
    for name in growth.names:
        pairs, text = growth.pairs(name, name, "us_each", first, last), f"{name}: in {last} sessions a RETR costs {{}} " \
            f"times what it costs in {first}"
        if name in ERRAND:
            growth.target(text, pairs, GROWTH_MOST, False)
        elif pairs:
            bench.say(f"          {text.format(pairs)}")


def table_target(table, own, case):
    values = table.values(own, "bytes_each", case)
    if values:
        spread = common.Spread(values)
        table.target(f"memory: {own}, {case} idle sessions, bytes each", spread, MEMORY_MOST, False)
