# SPDX-License-Identifier: MIT
"""Reloads and upgrades at half of the peak rate, long downloads among it: what do clients notice?"""
import os
import shutil
import signal
import time

import common
import hot
import trial
from tables import Files, Table

BACKENDS = ("uring", "threads")
LONG = 100000000  # bytes of a download, at 20 MB a second: longer than a reload takes, by far
WRONG = ("wrong_status", "wrong_length", "wrong_body", "failed", "closed", "unanswered")
EVERY = 0.25  # seconds between two reloads


class Service:
    """errand serve with a configuration file, from a copy of the program that can be replaced."""

    def __init__(self, bench, backend, root):
        self.bench, self.program, self.file = bench, f"{bench.work}/errand", f"{bench.work}/errand.conf"
        self.install()
        common.write(self.file, f"[Server]\nListen=127.0.0.1:{trial.PORT}\nThreads=1\nBackend={backend}\nCache=256M\n"
                     f"[Host]\nDirectory={root}\n[Path /long-*]\nRate=20000000\n")
        bench.keep("errand.conf", common.read(self.file))
        self.output = f"{bench.work}/output"
        with open(self.output, "w") as output:
            self.process = bench.start([self.program, "serve", "-c", self.file, "--ftp", "off"], cpu=common.SERVER_CPU, stdout=output)
        bench.wait_port(trial.PORT, self.process)

    def install(self):
        shutil.copy(self.bench.errand(), f"{self.program}.new")
        os.rename(f"{self.program}.new", self.program)

    def starts(self):
        return common.read(self.output).count("backend ")

    def signal(self, number):
        """Until the next process says that it serves."""
        before, end = self.starts(), time.monotonic() + 60
        self.process.send_signal(number)
        while self.starts() == before:
            if time.monotonic() > end:
                raise SystemExit("bench-http: a reload did not end")
            time.sleep(0.01)


def clients(bench, files, long, rate, seconds):
    """Kept connections and new ones at a rate, and downloads, all at once."""
    def start(which, *more):
        return bench.start(trial.load(bench, which, "--seconds", seconds, *more), cpu=common.CLIENT_CPU)
    return {"kept": start(files, "--connections", 64, "--rate", rate * 3 // 4),
            "new": start(files, "--connections", 64, "--rate", rate // 4, "--connection-each"),
            "long": start(long, "--connections", 4)}


def once(bench, backend, files, long, case):
    reloads, upgrades = (100, 10) if case == "reloads" else (0, 0)
    service = Service(bench, backend, files.root)
    trial.ask_for_all(bench, backend, files)
    peak = bench.run(trial.load(bench, files, "--connections", 64, "--seconds", 1), cpu=common.CLIENT_CPU)
    rate = round(peak["requests_per_s"] / 2)
    seconds = (100 + 10) * EVERY * 1.5 + 10
    running = clients(bench, files, long, rate, seconds)
    begun = time.monotonic()
    for number in range(reloads):
        time.sleep(EVERY)
        service.signal(signal.SIGHUP)
        if upgrades and number % (reloads // upgrades) == 0:
            service.install()
            time.sleep(EVERY)
            service.signal(signal.SIGUSR2)
    took = time.monotonic() - begun
    # A request that is under way at the end of the load generator's time is not one that failed.
    results = {who: bench.finished(process, check=False) for who, process in running.items()}
    bench.stop(service.process, wait=30)
    if took > seconds:
        raise SystemExit(f"bench-http: {reloads} reloads took {took:.0f} s, longer than there were clients: "
                         "the machine is too busy")
    failed = sum(result[what] for result in results.values() for what in WRONG if what != "unanswered")
    return {"rate": rate, "failed": failed, "requests": sum(result["requests"] for result in results.values()),
            "downloads": results["long"]["requests"], "renewed": results["kept"]["renewed"],
            "us_p50": results["kept"]["us_p50"], "us_p99": results["kept"]["us_p99"],
            "us_max": results["kept"]["us_max"], "reloads": reloads, "upgrades": upgrades, "clients": results}


def measure(bench):
    files = hot.small_files(bench, 1000)
    long = Files(bench, files.root, [(f"/long-{number}", LONG) for number in range(4)])
    for path, length in (line.split() for line in common.read(long.paths).splitlines()):
        with open(f"{files.root}/{path}", "wb") as file:
            file.truncate(int(length))
    table = Table(bench, "reload", "100 reloads and 10 upgrades at half of the peak rate: kept connections, "
                  "new ones, and downloads of 5 s", BACKENDS, ("none", "reloads"))
    table.fill(bench.rounds(1), lambda name, case, _: once(bench, name, files, long, case))
    for case in table.cases:
        table.show([("requests", "requests", 1), ("failed", "failed", 1), ("downloads", "downloads", 1),
                    ("renewed", "renewed", 1), ("p50 us", "us_p50", 1), ("p99 us", "us_p99", 1),
                    ("max us", "us_max", 1)], BACKENDS[0], "us_p99", case)
    for name in table.names:
        failed = sum(table.values(name, "failed", "reloads"))
        bench.target(f"reload: requests that failed, {name}", failed, 0, False)
