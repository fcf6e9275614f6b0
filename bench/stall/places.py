# SPDX-License-Identifier: MIT
"""The two slow places of bench-stall: a FUSE filesystem of 50 ms a step, and ext4 on a disk of 200 reads a second."""
import ctypes
import os
import statistics
import subprocess
import sys

import common
import disk

FILES, BLOCKS, BLOCK = 1024, 8, 4096
READS_PER_SECOND = 200


class SlowFuse:
    """Every lookup, getattr, open and read takes 50 ms."""

    cgroup = None

    def __init__(self, bench, root, name, size, cases):
        self.bench, self.name, self.size, self.cases = bench, name, size, cases
        self.mountpoint, self.process = f"{root}/{name}", None
        os.makedirs(self.mountpoint)
        self.paths = [(f"/{name}/d{number % 16:02}/f{number:04}", size) for number in range(FILES)]

    def fresh(self, *more):
        self.leave()
        self.process = self.bench.start([self.bench.program("slowfs"), self.mountpoint, "--files", str(FILES),
                                         "--bytes", str(self.size), *more])
        if self.process.stdout.readline().strip() != "ready":
            sys.exit("bench-stall: slowfs did not start: is FUSE there (/dev/fuse)?")

    def leave(self):
        if self.process:
            self.bench.stop(self.process)
            subprocess.run(["umount", "--lazy", self.mountpoint], stderr=subprocess.DEVNULL)
            self.process = None


class SlowDisk(disk.Disk):
    """ext4 on a loop device, cold, which a blkio cgroup holds to 200 reads a second; every other file in 8 extents."""

    name = "disk"

    def __init__(self, bench, root, cases):
        super().__init__(bench, "disk", f"{root}/disk", 80 << 20, "-N", "2048")
        self.bench, self.cases = bench, cases
        self.paths = [(f"/disk/f{number:04}", BLOCKS * BLOCK) for number in range(FILES)]
        self.mount()
        self.fill()
        self.extents = self.count_extents()
        self.leave()
        self.cgroup = self.limit()
        bench.data["disk"] = {"device": self.device, "extents": self.extents, "cgroup": self.cgroup,
                              "reads_per_second": READS_PER_SECOND}

    def fill(self):
        """Files with odd numbers in one piece; then every second block of what is left free; then the even ones."""
        def make(number, data=bytes(range(256)) * (BLOCKS * BLOCK // 256)):
            with open(f"{self.mountpoint}/f{number:04}", "wb") as file:
                file.write(data)
                os.fsync(file.fileno())

        for number in range(1, FILES, 2):
            make(number)
        holes = (FILES // 2) * (BLOCKS + 2)
        space = os.statvfs(self.mountpoint)
        with open(f"{self.mountpoint}/filler", "wb") as file:
            length = (space.f_bfree - 64) * BLOCK
            while True:
                try:
                    os.posix_fallocate(file.fileno(), 0, length)
                    break
                except OSError:  # the filler's own extent blocks took the last ones
                    length -= 64 * BLOCK
            try:
                with open(f"{self.mountpoint}/rest", "wb", buffering=0) as rest:  # and what it could not have
                    while rest.write(bytes(BLOCK)) == BLOCK:
                        pass
            except OSError:
                pass
            punch = 0x03  # FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE
            for block in range(0, min(2 * holes, length // BLOCK), 2):
                fallocate(file.fileno(), punch, block * BLOCK, BLOCK)
            os.fsync(file.fileno())
        for number in range(0, FILES, 2):
            make(number)

    def count_extents(self):
        counts = []
        for number in range(FILES):
            text = common.output("filefrag", f"{self.mountpoint}/f{number:04}")
            counts.append(int(text.rsplit(":", 1)[1].split()[0]))
        even, odd = statistics.median(counts[0::2]), statistics.median(counts[1::2])
        if even < BLOCKS - 1 or odd > 2:
            sys.exit(f"bench-stall: the disk's files are not as they should be: extents {even} and {odd}")
        return {"fragmented, median": even, "others, median": odd, "most": max(counts)}

    def limit(self):
        number = os.stat(self.device).st_rdev
        device, name = f"{os.major(number)}:{os.minor(number)}", os.path.basename(self.bench.work)
        if os.path.exists("/sys/fs/cgroup/blkio/cgroup.procs"):
            group, key, value = f"/sys/fs/cgroup/blkio/{name}", "blkio.throttle.read_iops_device", f"{device} "
        else:
            group, key, value = f"/sys/fs/cgroup/{name}", "io.max", f"{device} riops="
            try:
                common.write("/sys/fs/cgroup/cgroup.subtree_control", "+io")
            except OSError:
                pass
        try:
            os.makedirs(group, exist_ok=True)
            common.write(f"{group}/{key}", f"{value}{READS_PER_SECOND}")  # and again for each mount: fresh()
        except OSError as error:
            sys.exit(f"bench-stall: no blkio cgroup here ({group}/{key}: {error})")
        self.throttle = f"{group}/{key}", f"{value}{READS_PER_SECOND}"
        return group

    def fresh(self):
        super().fresh()
        common.write(*self.throttle)


def fallocate(fd, mode, offset, length):
    """fallocate(2) with a mode, which Python's library has not."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.fallocate(fd, mode, ctypes.c_long(offset), ctypes.c_long(length)):
        raise OSError(ctypes.get_errno(), "fallocate")
