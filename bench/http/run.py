# SPDX-License-Identifier: MIT
"""bench-http: `errand serve` beside nginx, lighttpd, h2o and caddy, and beside loops by hand that bound them all.

Its measurements, each a module of its own, by their names for --only.
"""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import cold
import drawing
import hot
import large
import latency
import peers
import pictures
import reload
import scale
import servers
import wrk

MEASUREMENTS = {
    "hot-small": hot.small, "hot-many": hot.many, "connection-each": hot.connection_each, "cold": cold.measure,
    "large": large.measure, "connections": scale.connections, "growth": scale.growth, "latency": latency.measure,
    "reload": reload.measure, "wrk": wrk.measure}


def measure(bench):
    bench.only_known([*MEASUREMENTS, *servers.ALL])
    for name in bench.chosen(MEASUREMENTS):
        MEASUREMENTS[name](bench)
        bench.finish()  # what was measured is kept, whatever happens to the next
    drawing.draw(bench.data, bench.results, pictures)
