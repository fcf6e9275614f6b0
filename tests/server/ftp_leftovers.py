#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What uploads by FTP leave when the server is killed, the power goes, the disk is full, or has no O_TMPFILE."""
import os
import random
import signal
import subprocess
import sys
import time

from ftp import FtpServer
from mounted import Disk, Mounted, everything, is_locked, ours, swept
from served import content, directory, eventually, run, same, test, write

LONG = bool(os.environ.get('TEST_LONG'))
BYTES = random.Random(8).randbytes(1 << 20)


@test
def named(backend):
    """The way of uploads where a file cannot be without a name."""
    with Mounted() as root:
        if root is None:
            return 'no /dev/fuse'
        config = os.path.join(directory(), 'errand.conf')  # with this the chain has all steps that it can have
        write(config, f'[Host]\nDirectory={root}\nWritable=yes\nUploadMax=2M\nUploadSpace=1K\n'.encode())
        with FtpServer(root, backend, '-c', config) as server, server.control() as control:
            for size in (0, 1, 65536, 1 << 20):
                for _ in range(2):
                    control.store(f'STOR {size}', BYTES[:size])
                    same(content(root, str(size)) == BYTES[:size], True, size)
            control.command('ALLO 1', 202)
            same(ours(root), [])
            before = everything(root)
            for abort in (True, False):
                with server.control() as other, other.passive() as data:
                    other.command('STOR 1', 150)
                    data.sendall(BYTES[:500000])
                    eventually(lambda: len(ours(root)) == 1)
                    name = ours(root)[0]
                    with open(os.path.join(root, name), 'rb') as file:  # and so no sweep takes it
                        eventually(lambda: is_locked(file))
                    for command in ('RETR', 'STOR', 'DELE', 'RNFR'):
                        with control.passive():
                            control.command(f'{command} {name}', 553)
                    if abort:
                        other.command('ABOR', 426)
                        other.expect(226)
                eventually(swept(root))
            same(everything(root), before)
    return None


@test
def full_disk(backend):
    with Mounted('4m') as root:
        if root is None:
            return 'may not mount'
        config = os.path.join(directory(), 'errand.conf')
        write(config, f'[Host]\nDirectory={root}\nWritable=yes\nUploadSpace=0\n'.encode())
        write(os.path.join(root, 'old'), b'old')
        with FtpServer(root, backend, '-c', config) as server, server.control() as control:
            before = os.statvfs(root).f_bfree
            for command in ('STOR old', 'STOR new', 'STOU'):
                fill(control, command)
                eventually(lambda: os.statvfs(root).f_bfree == before)
            same(everything(root), ['old'])
            same(content(root, 'old'), b'old')
            control.command('ALLO 1000000', 200)
            control.command('ALLO 5000000', 552)
            fill(control, 'APPE old')
            same(content(root, 'old')[:3], b'old')
            control.command('DELE old', 250)
            control.store('STOR new', BYTES)  # the room is free again
    return None


def fill(control, command):
    """Sends more than there is room for."""
    with control.passive() as data:
        control.command(command, 150)
        try:
            for _ in range(8):
                data.sendall(BYTES)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the server has seen enough
        control.expect(552)


# ------------------------------------------------------------------------------------------ kills


def killed_uploads(backend, root, chance, turn):
    """One server, killed among uploads to two names. Returns how many were acknowledged."""
    one, two = b'1' * 300000, b'2' * 300000
    last, count = None, 0
    whole, other_whole = chance.random() < 0.5, chance.random() < 0.5  # what ends in order is a file
    server = FtpServer(root, backend, '--writable', threads=1)
    with server.control() as control, server.control() as other, other.passive() as other_data:
        limit = time.monotonic() + chance.random() * 0.05
        other.command(f'STOR other{turn}', 150)
        other_data.sendall(one if other_whole else one[:chance.randrange(300000)])
        while time.monotonic() < limit:
            last = two if last == one else one
            control.store(f'STOR {turn}', last)
            count += 1
        with control.passive() as data:
            control.command(f'STOR {turn}', 150)
            data.sendall(one if whole else one[:chance.randrange(300000)])
            for ends, connection in ((whole, data), (other_whole, other_data)):
                if ends:
                    connection.close()
            time.sleep(chance.random() * 0.003)
            server.process.send_signal(signal.SIGKILL)
            server.ended()
    if last is not None or os.path.exists(os.path.join(root, str(turn))):
        assert content(root, str(turn)) in ((one, last) if whole else (last,)), turn
    if os.path.exists(os.path.join(root, f'other{turn}')):
        assert other_whole and content(root, f'other{turn}') == one, turn
    return count


def killed(backend, root, turns):
    """What was acknowledged is there, and whole, whenever the server is killed; the next start sweeps up."""
    chance = random.Random(backend)
    count = sum(killed_uploads(backend, root, chance, turn) for turn in range(turns))
    left = len(ours(root))
    names = {name for turn in range(turns) for name in (str(turn), f'other{turn}')}
    assert {name for name in everything(root) if '.errand-' not in name} <= names
    with FtpServer(root, backend, '--writable'):
        eventually(swept(root))
    if LONG:
        print(f'# {backend}: {turns} kills, {count} uploads acknowledged, {left} names left and swept')


@test
def kills(backend):
    killed(backend, directory(), 1000 if LONG else 30)


@test
def kills_without_tmpfile(backend):
    with Mounted() as root:
        if root is None:
            return 'no /dev/fuse'
        killed(backend, root, 1000 if LONG else 15)
    return None


# ------------------------------------------------------------------------------------------ power cuts


def store(name, data, *before):
    def act(control):
        for command, code in before:
            control.command(command, code)
        control.store(name, data)
    return act


def say(*commands):
    def act(control):
        for command, code in commands:
            control.command(command, code)
    return act


# What is asked for, and what must be there after the power went: the content of files, True: a directory, None: not.
CUTS = (
    (store('STOR new', BYTES), {'new': BYTES}), (store('STOR d/a', BYTES), {'d/a': BYTES}),
    (store('APPE d/a', BYTES), {'d/a': b'old' + BYTES}), (store('APPE d/b', BYTES), {'d/b': BYTES}),
    (store('STOR d/a', BYTES[2:], ('REST 2', 350)), {'d/a': b'ol' + BYTES[2:]}),
    (say(('DELE d/a', 250)), {'d/a': None}), (say(('MKD m', 257)), {'m': True}), (say(('RMD e', 250)), {'e': None}),
    (say(('RNFR late', 350), ('RNTO d/a', 250)), {'d/a': BYTES, 'late': None}),
    (say(('RNFR late', 350), ('RNTO n', 250)), {'n': BYTES, 'late': None}),
    (say(('RNFR d', 350), ('RNTO e/f', 250)), {'e/f/a': b'old', 'd': None}),
    (say(('SITE CHMOD 600 d/a', 200)), {'d/a': b'old'}))


def after_cut(backend, disk, act, wanted):
    root = disk.place
    write(os.path.join(root, 'd', 'a'), b'old')
    os.mkdir(os.path.join(root, 'e'))
    subprocess.run(['sync', '-f', root], check=True)
    server = FtpServer(root, backend, '--writable', threads=1)
    write(os.path.join(root, 'late'), BYTES)  # nobody made the disk keep it
    with server.control() as control:
        act(control)
        disk.cut()
        server.process.send_signal(signal.SIGKILL)
        server.ended()
    disk.again()
    for name, data in wanted.items():
        place = os.path.join(root, name)
        if data is None or data is True:
            same(os.path.lexists(place), data is True, name)
        else:
            same(content(place) == data, True, name)
    for name in os.listdir(root):
        if name != 'lost+found':
            subprocess.run(['rm', '-rf', os.path.join(root, name)], check=True)


@test
def power_cuts(backend):
    """What was acknowledged is there after the power went."""
    with Disk() as disk:
        if disk.place is None:
            return 'may not mount'
        for act, wanted in CUTS:
            after_cut(backend, disk, act, wanted)
    return None


if __name__ == '__main__':
    sys.exit(run(__file__))
