# SPDX-License-Identifier: MIT
"""One measurement of bench-ftp: a fresh server in a cgroup of its own, and sessions of the load generator."""
import json
import os
import subprocess
import sys
import time

import common
import daemons

SESSIONS = 64
INCOMING = "incoming"  # where the load generator stores


def empty(folder):
    for name in os.listdir(folder):
        os.unlink(f"{folder}/{name}")


class Trial:
    """A fresh server, with its processes in a cgroup: who forks for each session is charged for all that he forks."""

    def __init__(self, bench, name, root):
        self.bench, self.name = bench, name
        self.group = common.cpu_group(bench)
        self.server = daemons.start(bench, name, root, self.group)

    def load(self, files, *more):
        return [self.bench.program("ftp-load"), f"127.0.0.1:{daemons.PORT}", "--paths", files.paths, *map(str, more)]

    def judge(self, result, late=False):
        """What went wrong is not fast, whatever it cost; with a rate some may be late."""
        if not result or result["unanswered"] and not (result["refused"] or late) or any(
                result[what] for what in ("wrong_code", "wrong_length", "wrong_body", "closed")):
            sys.exit(f"bench-ftp: wrong answers of {self.name}: {result}\n"
                     f"{common.read(f'{self.bench.work}/errors')[-1000:]}")
        return result

    def ask(self, files, *more):
        """Without measuring."""
        return self.judge(self.bench.run(self.load(files, *more), cpu=common.CLIENT_CPU, check=False))

    def spent(self):
        time.sleep(0.1)  # sessions that are over have still to be cleaned up
        return common.cpu_of_group(self.group)

    def measure(self, files, *more):
        """The load generator's report, and the server's CPU time from a rest to the next."""
        before = self.spent()
        result = self.ask(files, "--spin", *more)
        return {"server_cpu_s": self.spent() - before, **result}

    def hold(self, files, *more):
        """Sessions that are logged in and idle: returns the load generator, which goes on when it is told to."""
        client = self.bench.start(self.load(files, "--keep", "--wait", *more), cpu=common.CLIENT_CPU,
                                  stdin=subprocess.PIPE)
        if client.stdout.readline() != "ready\n":
            sys.exit(f"bench-ftp: {self.name} did not let everybody in: "
                     f"{common.read(f'{self.bench.work}/errors')[-1000:]}")
        return client

    def go_on(self, client, late=False):
        """The report of what hold() returned, and the server's CPU time until then: sessions end only after it."""
        before = self.spent()
        client.stdin.write("\n")
        client.stdin.flush()
        result = self.judge(json.loads(client.stdout.readline() or "{}"), late)
        result["server_cpu_s"] = self.spent() - before
        client.communicate()
        self.bench.children.remove(client)
        return result

    def end(self):
        self.bench.stop(self.server, wait=3)
        common.end_group(self.bench, self.group)  # processes of sessions outlive the one that listened


def refuses(bench, name, files, option):
    trial = Trial(bench, name, files.root)
    result = trial.ask(files, "--sessions", 1, "--each", 1, option)
    trial.end()
    empty(f"{files.root}/{INCOMING}")
    return bool(result["refused"])


def able(bench, names, files, command, option):
    """Those of the wanted names that know a command; of the others is said why they are not measured."""
    chosen = bench.chosen(names)
    unable = [name for name in chosen if refuses(bench, name, files, option)]
    if unable:
        bench.say(f"\n(next without {', '.join(unable)}: {command} is refused there)")
    return [name for name in chosen if name not in unable]
