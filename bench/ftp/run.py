# SPDX-License-Identifier: MIT
"""bench-ftp: `errand serve --ftp` beside vsftpd, pure-ftpd and pyftpdlib.

Its measurements, by their names for --only.
"""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, f"{os.path.dirname(HERE)}/stall"]
import daemons
import drawing
import kept
import large
import pictures
import small
import stalled

MEASUREMENTS = {"sessions": small.sessions, "list": small.listing, "downloads": large.downloads,
                "uploads": large.uploads, "kept": kept.measure, "stall": stalled.measure}


def prepare(build):
    """What needs the network, before there is none."""
    daemons.fetch(build)


def measure(bench):
    bench.only_known([*MEASUREMENTS, *daemons.ALL])
    daemons.note_versions(bench)
    for name in bench.chosen(MEASUREMENTS):
        MEASUREMENTS[name](bench)
        bench.finish()  # what was measured is kept, whatever happens to the next
    drawing.draw(bench.data, bench.results, pictures)
