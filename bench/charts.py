# SPDX-License-Identifier: MIT
"""Pictures as SVG, by hand: bars and lines of medians, with their spread. One file reads on light and on dark pages."""
import math
from html import escape

import common

WIDTH, MARGIN, ROW, LABEL = 860, 20, 24, 232
# Kinds of colour: name -> (on light, on dark).
COLOURS = {
    "text": ("#1f2328", "#e6edf3"), "soft": ("#59636e", "#9198a1"), "grid": ("#d8dee4", "#30363d"),
    "page": ("#ffffff", "#0d1117"), "own": ("#0f766e", "#2dd4bf"), "own2": ("#0284c7", "#38bdf8"),
    "own3": ("#65a30d", "#a3e635"), "own4": ("#4f46e5", "#a5b4fc"),
    "bare": ("#8c959f", "#6e7681"), "nginx": ("#d9730d", "#f0883e"),
    "lighttpd": ("#9a6700", "#d4a72c"), "h2o": ("#8250df", "#bc8cff"), "caddy": ("#bf3989", "#f778ba"),
    "vsftpd": ("#d9730d", "#f0883e"), "pure-ftpd": ("#8250df", "#bc8cff"), "pyftpdlib": ("#bf3989", "#f778ba"),
}
PEERS = ("nginx", "lighttpd", "h2o", "caddy", "vsftpd", "pure-ftpd", "pyftpdlib")


def colour_of(name):
    """Ours in greens and blues, bounds in grey, each peer in one of its own."""
    own = {"errand uring": "own", "errand threads": "own2", "errand uring, cache": "own3",
           "errand threads, cache": "own4"}
    return own.get(name) or next((kind for kind in ("bare", *PEERS) if name.startswith(kind)), "soft")


class Picture:
    def __init__(self, title, note):
        self.parts, self.height = [], MARGIN
        self.text(MARGIN, self.height + 14, title, "title")
        self.height += 34
        self.note = note

    def text(self, x, y, text, kind="", anchor="start"):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{escape(text)}</text>')

    def rect(self, x, y, width, height, colour):
        self.parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 1):.1f}" height="{height}" rx="2" '
                          f'class="f-{colour}"/>')

    def line(self, points, colour, width=1.0):
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.parts.append(f'<polyline points="{path}" class="s-{colour}" stroke-width="{width}"/>')

    def dot(self, x, y, colour, radius=4):
        self.parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" class="f-{colour}"/>')

    def write(self, path):
        for line in self.note:
            self.text(MARGIN, self.height + 14, line, "soft")
            self.height += 17
        self.height += MARGIN
        size = f'width="{WIDTH}" height="{self.height}"'
        head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {self.height}" {size}>'
        common.write(path, "\n".join([head, f"<style>\n{style()}</style>", f'<rect {size} class="f-page"/>',
                                      *self.parts, "</svg>\n"]))


def style():
    def rules(which):
        colours = {name: pair[which] for name, pair in COLOURS.items()}
        return (f"text {{ fill: {colours['text']}; }} .soft {{ fill: {colours['soft']}; }}\n" + "".join(
            f".f-{name} {{ fill: {value}; }} .s-{name} {{ stroke: {value}; fill: none; }}\n"
            for name, value in colours.items()))
    return ("text { font: 13px system-ui, 'Segoe UI', Helvetica, Arial, sans-serif; }\n"
            ".title { font-size: 16px; font-weight: 600; } .head { font-weight: 600; } .soft { font-size: 12px; }\n"
            f"{rules(0)}@media (prefers-color-scheme: dark) {{\n{rules(1)}}}\n")


def short(value):
    """A figure of about three digits."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def bars(picture, heading, rows):
    """rows: (name, Spread). One bar each, with a thin line from the least to the most and the median in figures."""
    most, left, right = max(spread.high for _, spread in rows), MARGIN + LABEL, WIDTH - MARGIN - 70
    picture.text(MARGIN, picture.height + 16, heading, "head")
    picture.height += 26
    for name, spread in rows:
        y = picture.height
        end, low, high = (left + (right - left) * value / most for value in (spread.median, spread.low, spread.high))
        picture.text(left - 8, y + 16, name, anchor="end")
        picture.rect(left, y + 3, end - left, ROW - 7, colour_of(name))
        if high - low > 1:
            picture.line([(low, y + ROW / 2), (high, y + ROW / 2)], "text")
        picture.text(max(end, high) + 6, y + 16, short(spread.median))
        picture.height += ROW
    picture.height += 12


class Scale:
    """Where a value stands between two places, on a logarithmic axis."""

    def __init__(self, low, high, start, end):
        self.low, self.span, self.start, self.length = math.log(low), math.log(high / low) or 1, start, end - start

    def __call__(self, value):
        return self.start + self.length * (math.log(value) - self.low) / self.span


def powers(low, high):
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    return [10.0 ** power for power in range(first, last + 1)]


def ranges(picture, heading, rows, unit):
    """rows: (name, [values]): a line from the first value to the last on a logarithmic scale, with a dot for each."""
    ticks = powers(min(min(values) for _, values in rows), max(max(values) for _, values in rows))
    left, right = MARGIN + LABEL, WIDTH - MARGIN - 30
    at = Scale(ticks[0], ticks[-1], left, right)
    picture.text(MARGIN, picture.height + 16, heading, "head")
    picture.height += 30
    bottom = picture.height + ROW * len(rows)
    for tick in ticks:
        picture.line([(at(tick), picture.height), (at(tick), bottom)], "grid")
        picture.text(at(tick), bottom + 16, f"{tick:,g} {unit}", "soft", "middle")
    for name, values in rows:
        y = picture.height + ROW / 2
        picture.text(left - 8, y + 4, name, anchor="end")
        picture.line([(at(values[0]), y), (at(values[-1]), y)], colour_of(name), 3)
        for value, radius in zip(values, (3, 4, 5)):
            picture.dot(at(value), y, colour_of(name), radius)
        picture.height += ROW
    picture.height += 28


def lines(picture, heading, cases, rows):
    """rows: (name, [Spread of each case]). The cases stand on a logarithmic scale, the values begin at 0."""
    left, right, height = MARGIN + 40, WIDTH - MARGIN - 280, 230
    most = max(spread.high for _, spreads in rows for spread in spreads)
    step = next(step * power for power in (1, 10, 100, 1000, 10000) for step in (1, 2, 5) if most / step / power <= 6)
    top_value = step * math.ceil(most / step)
    picture.text(MARGIN, picture.height + 16, heading, "head")
    picture.height += 34
    bottom, at = picture.height + height, Scale(cases[0], cases[-1], left + 10, right)

    def level(value):
        return bottom - height * value / top_value

    for tick in range(0, top_value + 1, step):
        picture.line([(left, level(tick)), (right, level(tick))], "grid")
        picture.text(left - 6, level(tick) + 4, str(tick), "soft", "end")
    for case in cases:
        picture.text(at(case), bottom + 18, f"{case:,}", "soft", "middle")
    ends = spread_out([level(spreads[-1].median) for _, spreads in rows], 16)
    for (name, spreads), end in zip(rows, ends):
        points = [(at(case), level(spread.median)) for case, spread in zip(cases, spreads)]
        picture.line(points, colour_of(name), 2)
        for (x, y), spread in zip(points, spreads):
            picture.line([(x, level(spread.low)), (x, level(spread.high))], colour_of(name))
            picture.dot(x, y, colour_of(name), 3)
        picture.line([points[-1], (right + 12, end), (right + 18, end)], colour_of(name))
        picture.text(right + 24, end + 4, f"{name}  {short(spreads[-1].median)}")
    picture.height += height + 34


def spread_out(places, distance):
    """Moves labels down so that none lies on another; in the given order."""
    order, moved, last = sorted(range(len(places)), key=lambda i: places[i]), list(places), -math.inf
    for i in order:
        moved[i] = last = max(places[i], last + distance)
    excess = max(0.0, last - max(places)) / 2
    return [place - excess for place in moved]
