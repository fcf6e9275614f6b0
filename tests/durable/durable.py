#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What errand_replace_file() promises: a child that replaces a file is killed at random instants, or its disk loses its
power; the file is always whole, old or new, and what was acknowledged is there.

    durable.py [PART OF A NAME]...    TEST_LONG=1: a thousand kills, a hundred power cuts
"""
import fcntl
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import traceback

BUILD = os.environ.get('TEST_BUILD', 'build-test')
REPLACER = os.path.join(BUILD, 'tests', 'replacer')
BACKENDS = [name for name in ('uring', 'threads') if name in os.environ.get('TEST_BACKENDS', 'uring threads')]
LONG = bool(os.environ.get('TEST_LONG'))
EXT4_IOC_SHUTDOWN, NO_LOG_FLUSH = 0x8004587d, 2  # linux/fs/ext4/ext4.h: what a power cut does to a filesystem
LINES = 2000


class Skip(Exception):
    pass


def number_in(path):
    """The number that the file tells; fails unless it is whole."""
    with open(path, 'rb') as file:
        data = file.read()
    lines = data.split(b'\n')
    if len(lines) != LINES + 1 or len(set(lines[:-1])) != 1 or lines[-1]:
        raise AssertionError(f'torn: {len(data)} bytes, {len(lines) - 1} lines, numbers {sorted(set(lines))[:4]}')
    return int(lines[0])


def start(backend, path):
    return subprocess.Popen([REPLACER, path], stdout=subprocess.PIPE, env={**os.environ, 'ERRAND_BACKEND': backend})


def kept(output):
    """The last number that was acknowledged; a line that was cut off was not."""
    whole = output.rpartition(b'\n')[0].split(b'\n')
    if any(line.startswith(b'failed') for line in whole):
        raise AssertionError(output[-200:].decode())
    return int(whole[-1].split()[1]) if whole and whole[-1] else 0


def check(path, acknowledged):
    number = number_in(path) if os.path.exists(path) else 0
    if not acknowledged <= number <= acknowledged + 1:
        raise AssertionError(f'{acknowledged} was acknowledged, the file tells {number}')


def killed(backend, directory):
    path, seen = f'{directory}/file', set()
    for _ in range(1000 if LONG else 40):
        if os.path.exists(path):
            os.unlink(path)
        process = start(backend, path)
        if process.stdout.readline() != b'kept 1\n':
            raise AssertionError('the first replacement failed')
        time.sleep(random.random() * 0.02)  # the instant is random: that is the point
        process.kill()
        output = b'kept 1\n' + process.stdout.read()
        process.wait()
        check(path, kept(output))
        seen.update(os.listdir(directory))
    strange = [name for name in seen if name != 'file' and not name.startswith('.errand-')]
    if strange:
        raise AssertionError(f'left behind: {strange}')


def power_cut(backend, directory):
    image, mounted = f'{directory}/image', f'{directory}/mounted'
    os.mkdir(mounted)
    subprocess.run(['truncate', '-s', '32M', image], check=True)
    subprocess.run(['mkfs.ext4', '-q', '-F', image], check=True)

    def mount():
        done = subprocess.run(['mount', '-o', 'loop', image, mounted], stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            raise Skip(f'no loop mount: {done.stderr.strip()}')

    base = 0
    for _ in range(100 if LONG else 4):
        mount()
        try:
            process = start(backend, f'{mounted}/file')
            process.stdout.readline()
            time.sleep(random.random() * 0.05)
            fd = os.open(mounted, os.O_RDONLY)
            fcntl.ioctl(fd, EXT4_IOC_SHUTDOWN, struct.pack('I', NO_LOG_FLUSH))
            os.close(fd)
            output = b'kept 1\n' + process.stdout.read()
            process.wait()
        finally:
            subprocess.run(['umount', mounted], check=True)
        lines = [line for line in output.split(b'\n') if line.startswith(b'kept')]
        acknowledged = int(lines[-1].split()[1])
        mount()
        try:
            number = number_in(f'{mounted}/file')
            # The file of the last turn may still stand if nothing was acknowledged in this one.
            if not acknowledged <= number <= acknowledged + 1:
                raise AssertionError(f'{acknowledged} was acknowledged, the file tells {number}')
            base = number
        finally:
            subprocess.run(['umount', mounted], check=True)
    if base == 0:
        raise AssertionError('nothing was replaced')


def main():
    failed = False
    for test in (killed, power_cut):
        for backend in BACKENDS:
            name = f'durable/{test.__name__}@{backend}'
            if len(sys.argv) > 1 and not any(part in name for part in sys.argv[1:]):
                continue
            directory = tempfile.mkdtemp(prefix='errand-durable-', dir='/var/tmp')
            try:
                if test is power_cut and os.geteuid() != 0:
                    raise Skip('needs root')
                test(backend, directory)
                print(f'ok {name}', flush=True)
            except Skip as why:
                print(f'ok {name} # skipped: {why}', flush=True)
            except Exception:  # whatever it is, the test has failed
                failed = True
                print(f'not ok {name}')
                for line in traceback.format_exc().splitlines():
                    print(f'# {line}', flush=True)
            finally:
                subprocess.run(['umount', '-l', f'{directory}/mounted'], stderr=subprocess.DEVNULL, check=False)
                shutil.rmtree(directory, ignore_errors=True)
    return failed


if __name__ == '__main__':
    sys.exit(main())
