# SPDX-License-Identifier: MIT
"""Draws what a benchmark measured, from its data.json: as its last step, and again by bench/draw.

How, says the benchmark's pictures.py:
    TITLES  picture (and measurement): title
    PEERS   packages whose versions are told
    BARS    picture: (key of the rows, factor, heading)
    LINES   picture: (key of the rows, factor, heading), over the cases, which are numbers
    RANGES  picture: (keys of the rows, factor to milliseconds, heading, in which {keys} of a row may stand)
"""
import re

import charts
from common import Spread


def spread(measurement, name, case, key, factor=1):
    values = [row[key] * factor for row in measurement["rows"] if row["name"] == name and row["case"] == case]
    return Spread(values) if values else None


def note(data, measurement, peers):
    """Whose figures these are, so that a picture tells it wherever it is shown."""
    machine, rounds = data["machine"], 1 + max(row["round"] for row in measurement["rows"])
    packages = " ".join(f"{name} {re.split('[-+]', version)[0]}" for name, version in machine["packages"].items()
                        if name in peers)
    lines = [f"{machine['cpu']}, Linux {machine['kernel'].split('-')[0]}, {packages}; server on one CPU; "
             f"{machine['time'][:10]}",
             f"median of {rounds} rounds, thin lines: least and most"]
    if rounds < 3:
        lines[1] = f"{rounds} round{'s' * (rounds > 1)} only: a trial run, not a result"
    if machine["load"][0] > machine["cpus"] + 1:  # more than one run after the other leaves
        lines.append(f"others were at work on the machine (load {machine['load'][0]:.0f}): a trial run, not a result")
    return lines


def draw_bars(picture, measurement, key, factor, heading):
    for case in measurement["cases"]:
        rows = [(name, spread(measurement, name, case, key, factor)) for name in measurement["names"]]
        charts.bars(picture, f"{case}: {heading}" if case else heading, [row for row in rows if row[1]])


def draw_lines(picture, measurement, key, factor, heading):
    rows = [(name, [spread(measurement, name, case, key, factor) for case in measurement["cases"]])
            for name in measurement["names"]]
    charts.lines(picture, heading, measurement["cases"], rows)


def draw_ranges(picture, measurement, keys, factor, heading):
    rows = [(name, [spread(measurement, name, "", key, factor).median for key in keys])
            for name in measurement["names"]]
    charts.ranges(picture, heading.format(**measurement["rows"][0]), rows, "ms")


def draw(data, directory, how):
    """Writes a picture for each measurement that is in data; returns their names."""
    names = []
    for name, measurement in data.get("measurements", {}).items():
        if name not in how.TITLES or not measurement["rows"]:
            continue
        picture = charts.Picture(how.TITLES[name], note(data, measurement, how.PEERS))
        for kind, drawer in ((how.BARS, draw_bars), (how.LINES, draw_lines), (how.RANGES, draw_ranges)):
            if name in kind:
                drawer(picture, measurement, *kind[name])
        picture.write(f"{directory}/{name}.svg")
        names.append(name)
    return names
