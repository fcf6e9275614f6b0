# SPDX-License-Identifier: MIT
"""Small files that are not in memory, on a fast disk: each is asked for once."""
import os
import random

import common
import disk
import peers
import servers
import trial
from hot import OPENING
from servers import ERRAND
from tables import Files, Table

FILES, SIZE = 15000, 8192  # as many as lighttpd can serve with 20,000 descriptors
# What is not in memory: the files' data, while names and inodes are; or nothing of the filesystem.
DATA, ALL = "data cold", "all cold"
COLUMNS = [("requests/s", "requests_per_s", 1), ("us a request", "us_per_request", 1)]
RATE = "requests_per_s"


class ColdFiles:
    """On a loop device whose image is in memory: what a server waits for is the path through filesystem and block layer
    to a disk that answers at once, the same on every machine."""

    def __init__(self, bench):
        self.disk = disk.Disk(bench, "cold", f"{bench.work}/mounts/cold", 512 << 20)
        self.disk.mount()
        self.made = common.many_files(self.disk.mountpoint, FILES, SIZE)
        self.disk.leave()
        random.Random(2).shuffle(self.made)  # neighbours in the list are none on the disk
        self.list = Files(bench, self.disk.mountpoint, self.made)

    def forget(self, case):
        self.disk.fresh()
        with open(self.disk.image, "rb") as image:
            while image.read(1 << 20):
                pass
        if case == ALL:
            return
        for path, _ in self.made:
            fd = os.open(self.disk.mountpoint + path, os.O_RDONLY)
            os.fstat(fd)
            os.pread(fd, 1, 0)  # so that where its data lies is known, too
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(fd)


def once(bench, name, files, case):
    files.forget(case)
    server = servers.start(bench, name, files.disk.mountpoint, trial.PORT)
    # No --spin: the kernel's threads that read the disk need a CPU.
    result = trial.asked(bench, name, server, files.list, "--connections", trial.CONNECTIONS, "--each",
                         FILES // trial.CONNECTIONS, "--seconds", 120)
    bench.stop(server)
    return result


def measure(bench):
    files = ColdFiles(bench)
    table = Table(bench, "cold", f"{FILES} files of 8 KiB on a disk, asked for once each over "
                  f"{trial.CONNECTIONS} kept connections",
                  ERRAND + [OPENING] + peers.NGINX_THREADS + peers.NGINX_WITHOUT + peers.OTHERS, (DATA, ALL))
    table.fill(bench.rounds(3), lambda name, case, _: once(bench, name, files, case))
    for case in table.cases:
        table.show(COLUMNS, ERRAND[0], RATE, case)
        bench.say()
    threads = table.best(peers.NGINX_THREADS, RATE, DATA, least=False)
    table.bound(f"cold: {OPENING} answers {{}} times as many a second as {threads}, {DATA}",
                table.pairs(OPENING, threads, RATE, DATA), 4)
    table.target(f"cold: {ERRAND[0]} answers {{}} times as many a second as {threads}, {DATA}",
                 table.pairs(ERRAND[0], threads, RATE, DATA), 4)
    files.disk.leave()
