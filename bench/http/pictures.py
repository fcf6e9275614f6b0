# SPDX-License-Identifier: MIT
"""Draws what bench-http measured, from its data.json: as one of its steps, and again by bench/pictures."""
import re

import charts
from common import Spread

# Which figures of a measurement are drawn: (key of the rows, factor, heading).
BARS = {
    "hot-small": ("us_per_request", 1, "µs of server CPU for a request: less is better"),
    "hot-many": ("us_per_request", 1, "µs of server CPU for a request: less is better"),
    "connection-each": ("us_per_request", 1, "µs of server CPU for a request: less is better"),
    "cold": ("requests_per_s", 1, "requests a second: more is better"),
    "large": ("gb_per_cpu_s", 1, "GB sent in a second of server CPU: more is better"),
}
LINES = {
    "connections": "µs of server CPU for a request, by the number of connections",
    "growth": "µs of server CPU for a request, by the number of files",
}
TITLES = {
    "hot-small": "1,000 small files (8 KiB) in memory, connections kept",
    "hot-many": "20,000 small files (8 KiB) in memory, connections kept",
    "connection-each": "1,000 small files (8 KiB) in memory, a connection for each request",
    "cold": "15,000 small files (8 KiB), not in memory",
    "large": "Large files in memory",
    "connections": "The same 20,000 requests a second on more connections",
    "growth": "More files (1 KiB), each as likely as any other",
    "latency": "How long a request waits",
}


def spread(measurement, name, case, key, factor=1):
    values = [row[key] * factor for row in measurement["rows"] if row["name"] == name and row["case"] == case]
    return Spread(values) if values else None


def note(data, measurement):
    """Whose figures these are, so that a picture tells it wherever it is shown."""
    machine, rounds = data["machine"], 1 + max(row["round"] for row in measurement["rows"])
    packages = " ".join(f"{name} {re.split('[-+]', version)[0]}" for name, version in machine["packages"].items()
                        if name in ("nginx", "lighttpd", "h2o", "caddy"))
    lines = [f"{machine['cpu']}, Linux {machine['kernel'].split('-')[0]}, {packages}; server on one CPU; "
             f"{machine['time'][:10]}",
             f"median of {rounds} rounds, thin lines: least and most"]
    if rounds < 3:
        lines[1] = f"{rounds} round{'s' * (rounds > 1)} only: a trial run, not a result"
    return lines


def draw_bars(picture, measurement, key, factor, heading):
    for case in measurement["cases"]:
        rows = [(name, spread(measurement, name, case, key, factor)) for name in measurement["names"]]
        charts.bars(picture, f"{case}: {heading}" if case else heading, [row for row in rows if row[1]])


def draw_lines(picture, measurement, heading):
    rows = [(name, [spread(measurement, name, case, "us_per_request") for case in measurement["cases"]])
            for name in measurement["names"]]
    charts.lines(picture, heading, measurement["cases"], rows)


def draw_latency(picture, measurement):
    rows = [(name, [spread(measurement, name, "", key, 1e-3).median for key in ("us_p50", "us_p99", "us_p999")])
            for name in measurement["names"]]
    rate = measurement["rows"][0]["rate"]
    charts.ranges(picture, f"p50, p99 and p99.9 since a request was due, at {rate:,} requests a second: less is better",
                  rows, "ms")


def draw(data, directory):
    """Writes a picture for each measurement that is in data; returns their names."""
    names = []
    for name, measurement in data.get("measurements", {}).items():
        if name not in TITLES or not measurement["rows"]:
            continue
        picture = charts.Picture(TITLES[name], note(data, measurement))
        if name in BARS:
            draw_bars(picture, measurement, *BARS[name])
        elif name in LINES:
            draw_lines(picture, measurement, LINES[name])
        else:
            draw_latency(picture, measurement)
        picture.write(f"{directory}/{name}.svg")
        names.append(name)
    return names
