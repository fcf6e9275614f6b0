# SPDX-License-Identifier: MIT
"""Filesystems of a test's own, to be full, without O_TMPFILE, or without power; and what is left in a directory."""
import fcntl
import os
import struct
import subprocess

from served import BUILD, SLOW, directory


class Mounted:
    """A filesystem of its own: tmpfs of some size, or without a size one that has no O_TMPFILE (tests/fuse/plainfs.c).
    `place` is None if there is none to be had."""

    def __init__(self, size=None):
        self.place, self.process = None, None
        at, shown = directory(), directory()
        if size and subprocess.run(['mount', '-t', 'tmpfs', '-o', f'size={size},mode=755', 'errand', at],
                                   stderr=subprocess.DEVNULL, check=False).returncode == 0:
            self.place = at
        elif not size and os.access('/dev/fuse', os.R_OK | os.W_OK):
            program = os.path.join(BUILD, 'tests', 'plainfs')
            self.process = subprocess.Popen([program, shown, at], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                            stderr=subprocess.DEVNULL)
            if self.process.stdout.readline() == b'ready\n':
                self.place = at

    def __enter__(self):
        return self.place

    def __exit__(self, *_):
        if self.place:
            subprocess.run(['umount', '-l', self.place], check=True)
        if self.process:
            self.process.terminate()  # somebody's mount namespace may have a copy of it
            self.process.wait(20 * SLOW)
            self.process.stdout.close()


def everything(root):
    return sorted(os.path.relpath(os.path.join(at, name), root)
                  for at, directories, files in os.walk(root) for name in directories + files)


def ours(root):
    return [name for name in everything(root) if '.errand-' in name]


def swept(root):
    return lambda: not ours(root)


def is_locked(file):
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(file, fcntl.LOCK_UN)
        return False
    except BlockingIOError:
        return True


class Disk:
    """An ext4 of its own, whose power can be cut. `place` is None if it cannot be mounted."""

    def __init__(self):
        self.image, self.at = os.path.join(directory(), 'image'), directory()
        subprocess.run(['truncate', '-s', '256M', self.image], check=True)
        subprocess.run(['mkfs.ext4', '-q', '-F', self.image], check=True)
        self.place = self.at if self.mount() else None

    def mount(self):
        return subprocess.run(['mount', '-o', 'loop', self.image, self.at], stderr=subprocess.DEVNULL,
                              check=False).returncode == 0

    def cut(self):
        """Forgets what the disk was not made to keep."""
        fd = os.open(self.at, os.O_RDONLY)
        fcntl.ioctl(fd, 0x8004587d, struct.pack('I', 2))  # EXT4_IOC_SHUTDOWN, without flushing its log
        os.close(fd)

    def again(self):
        subprocess.run(['umount', self.at], check=True)
        assert self.mount()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.place:
            subprocess.run(['umount', '-l', self.at], check=False)
