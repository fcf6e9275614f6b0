# SPDX-License-Identifier: MIT
"""What is measured in rounds of several servers: the files that they serve, and the table of the results."""
import common
from common import Spread, ratio


class Files:
    """Files below a directory, and the list of them that the load generator takes."""

    def __init__(self, bench, root, made):
        Files.number = getattr(Files, "number", 0) + 1
        self.root, self.count, self.paths = root, len(made), f"{bench.work}/paths-{Files.number}"
        common.write(self.paths, "".join(f"{path} {length}\n" for path, length in made))


class Table:
    """The rows of one measurement: who was measured, in which case of it, in which round, with what result."""

    def __init__(self, bench, key, title, names, cases=("",)):
        self.bench, self.names, self.cases, self.rows = bench, bench.chosen(names), list(cases), []
        bench.data.setdefault("measurements", {})[key] = {"title": title, "names": self.names,
                                                          "cases": self.cases, "rows": self.rows}
        bench.say(f"\n{key}: {title}")

    def fill(self, rounds, measure):
        """Calls measure(name, case, round) for each in each round."""
        items = [(name, case) for case in self.cases for name in self.names]
        for number, order in common.interleaved(rounds, items):
            for name, case in order:
                self.rows.append({"round": number, "name": name, "case": case, **measure(name, case, number)})

    def values(self, name, what, case=""):
        """A figure of every round; empty if it was not measured."""
        return [row[what] for row in self.rows if row["name"] == name and row["case"] == case]

    def best(self, names, what, case="", least=True):
        """Who of the names has the best median, or None."""
        found = [name for name in names if self.values(name, what, case)]
        choose = min if least else max
        return choose(found, key=lambda name: Spread(self.values(name, what, case)).median, default=None)

    def pairs(self, of, to, what, case="", case_of=None):
        """The ratios of two servers, or of one in two cases, round by round; None if one was not measured."""
        above, below = self.values(of, what, case if case_of is None else case_of), self.values(to, what, case)
        return ratio(above, below) if above and below else None

    def show(self, columns, against, what, case=""):
        """columns: (heading, key of the result, factor). The last column: how many times what `against` has."""
        if against not in self.names:
            against = self.names[0]
        rows = [[name, *(Spread(value * factor for value in self.values(name, key, case))
                         for _, key, factor in columns), self.pairs(name, against, what, case)] for name in self.names]
        self.bench.table([str(case), *(heading for heading, _, _ in columns), f"x {against}"], rows)

    def target(self, text, pairs, limit, at_least=True):
        if pairs:
            self.bench.target(text.format(pairs), pairs.median, limit, at_least)

    def bound(self, text, pairs, limit):
        if pairs:
            self.bench.bound(text.format(pairs), pairs.median, limit)
