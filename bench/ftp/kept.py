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
LEAST = 1000  # of fewer sessions memory says little: it comes in pages
COST, BYTES = "us_each", "bytes_each"
COLUMNS = [("us of CPU each", COST, 1), ("RETR/s", "per_s", 1), ("p99 ms", "us_p99", 1e-3),
           ("turned away", "turned_away", 1)]


def once(bench, name, sessions):
    files = small_files(bench)
    trial = Trial(bench, name, files.root)
    trial.ask(files, "--sessions", 1, "--each", 1)  # what is made once is made
    time.sleep(0.3)
    before = common.memory(trial.server.pid)
    client = trial.hold(files, "--sessions", sessions, "--warm", "--rate", RATE, "--seconds", bench.seconds(3.0))
    time.sleep(1)  # whatever a server gives back when it is quiet
    after = common.memory(trial.server.pid)
    result = trial.go_on(client, late=True)
    trial.end()
    whole = {what: after[what] - before[what] for what in after}
    return {**result, "before": before, "after": after, COST: result["server_cpu_s"] * 1e6 / result["finished"],
            BYTES: (whole["shared_out"] + whole["rings"]) / sessions}


def measure(bench):
    cases = CASES_FULL if bench.args.full else CASES
    growth = Table(bench, "growth", f"sessions that have logged in and fetched a file each: {RATE} RETR of {SIZE} "
                   "bytes a second in all, in one session after the other", ALL, cases)
    growth.fill(bench.rounds(3), lambda name, case, _: once(bench, name, case))
    for case in cases:
        growth.show(COLUMNS, ERRAND[0], COST, case)
        bench.say()
    for name in growth.names:
        show_growth(growth, name, cases[0], cases[-1])
    memory(bench, growth)


def show_growth(table, name, first, last):
    pairs = table.pairs(name, name, COST, first, last)
    text = f"growth: {name}: in {last} sessions a RETR costs {{}} times what it costs in {first}"
    if name in ERRAND:
        table.target(text, pairs, GROWTH_MOST, False)
    else:
        table.bench.say(f"          {text.format(pairs)}")


def memory(bench, growth):
    """Of the same sessions, before they fetched more."""
    cases = [case for case in growth.cases if case >= LEAST]
    table = Table(bench, "memory", "the same sessions, idle: memory of the process tree (PSS, and io_uring's rings), "
                  "less what it had before, in bytes a session", ALL, cases)
    table.rows.extend(row for row in growth.rows if row["case"] in cases)
    for case in cases:
        table.show([("bytes", BYTES, 1)], ERRAND[0], BYTES, case)
        bench.say()
    for case in cases:
        for own in ERRAND:
            values = table.values(own, BYTES, case)
            if values:
                table.target(f"memory: {own}, {case} idle sessions, bytes each", common.Spread(values), MEMORY_MOST,
                             False)
