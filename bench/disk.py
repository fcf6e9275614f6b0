# SPDX-License-Identifier: MIT
"""An ext4 of its own in a file, on a loop device: what is forgotten of it, or made slow, hurts nobody else."""
import fcntl
import os
import subprocess
import sys

import common

BLKFLSBUF = 0x1261


class Disk:
    def __init__(self, bench, name, mountpoint, size, *options):
        self.mountpoint, self.mounted, self.image = mountpoint, False, f"{bench.work}/{name}.img"
        os.makedirs(mountpoint)
        with open(self.image, "wb") as file:
            file.truncate(size)
        subprocess.run(["mkfs.ext4", "-q", "-F", "-b", "4096", "-m", "0", *options, "-E",
                        "lazy_itable_init=0,lazy_journal_init=0", self.image], check=True)
        self.device = common.output("losetup", "--find", "--show", self.image)
        if not self.device.startswith("/dev/loop"):
            sys.exit(f"bench: no loop device: {self.device}")

    def mount(self, how=""):
        subprocess.run(["mount", "-o", f"noatime{how}", self.device, self.mountpoint], check=True)
        self.mounted = True

    def fresh(self):
        """A fresh mount: nothing of it is cached, neither names nor inodes nor data."""
        self.leave()
        with open(self.device, "rb") as device:
            fcntl.ioctl(device, BLKFLSBUF)
        self.mount(",ro")

    def leave(self):
        if self.mounted:
            if subprocess.run(["umount", self.mountpoint], stderr=subprocess.DEVNULL).returncode:
                subprocess.run(["umount", "--lazy", self.mountpoint], check=True)
            self.mounted = False
