# SPDX-License-Identifier: MIT
"""How long a request waits, at a rate that every server can keep: half of what the slowest of them answers at most."""
import hot
import peers
import trial
from common import figure
from servers import CACHED, ERRAND
from tables import Table

COLUMNS = [("p50 us", "us_p50", 1), ("p99 us", "us_p99", 1), ("p99.9 us", "us_p999", 1),
           ("us CPU", "us_per_request", 1)]


def measure(bench):
    files, seconds = hot.small_files(bench, 1000), bench.seconds(3.0)
    names = bench.chosen([*CACHED, *ERRAND, peers.NGINX_WITH[0], *peers.OTHERS])
    peaks = {name: trial.once(bench, name, files, "--seconds", min(1.0, seconds), "--spin")["requests_per_s"]
             for name in names}
    rate = round(min(peaks.values()) / 2)
    table = Table(bench, "latency", f"1000 files as in hot-small, {rate} requests a second on "
                  f"{trial.CONNECTIONS} kept connections; a time counts from when its request was due", names)
    table.fill(bench.rounds(3), lambda name, _, number: {
        "rate": rate, "peak": peaks[name],
        **trial.once(bench, name, files, "--seconds", seconds, "--rate", rate, "--spin")})
    slowest = min(peaks, key=peaks.get)
    bench.say(f"  the slowest is {slowest}: {figure(peaks[slowest])} requests/s at most")
    table.show(COLUMNS, CACHED[0], "us_p99")
