#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Uploads by FTP that end early, or whose place changes meanwhile: there is the old file, and nothing else."""
import os
import random
import socket
import sys
import time

from mounted import everything
from served import content, directory, eventually, run, same, test, write
from stored import BYTES, configured, reset, writable


@test
def interrupted(backend):
    """There is the old file, and nothing else; and nothing of it is left in the server."""
    root, server = writable(backend, threads=1)
    before = everything(root)
    with server:
        with server.control() as control:
            control.store('STOR old', b'old')
            before_all = server.descriptors()
            for name in ('old', 'new'):
                data = control.passive()
                control.command(f'STOR {name}', 150)
                data.sendall(BYTES[:500000])
                reset(data)
                control.expect(426)
                with control.passive() as data:
                    control.command(f'STOR {name}', 150)
                    data.sendall(BYTES[:500000])
                    control.command('ABOR', 426)
                    control.expect(226)
                for leave in (reset, socket.socket.close):
                    other = server.control()
                    data = other.passive()
                    other.command(f'STOR {name}', 150)
                    data.sendall(BYTES[:500000])
                    other.stream.close()
                    leave(other.socket)
                    eventually(lambda: is_closed(data))
                    data.close()
            eventually(lambda: server.descriptors() <= before_all)
            control.command('NOOP', 200)
        same(everything(root), before)
        same(content(root, 'old'), b'old')


@test
def aborted_at_the_end(backend):
    """Whatever ABOR is told, that is so."""
    root, server = writable(backend)
    chance = random.Random(backend)
    with server, server.control() as control:
        last, stored = b'old', 0
        for number in range(200):
            new = b'%d' % number * 1000
            with control.passive() as data:
                control.command('STOR old', 150)
                data.sendall(new)
                data.close()
                time.sleep(chance.random() * 0.002)
                control.send('ABOR')
                done = control.reply()[0] == 226
                control.expect(226)
            last = new if done else last
            stored += done
            same(content(root, 'old'), last)
        assert stored > 0


def is_closed(data):
    """By the server, with a reset or an end: what is sent to it goes nowhere."""
    try:
        data.send(b'x')
        return False
    except (BrokenPipeError, ConnectionResetError):
        return True


@test
def client_gone(backend):
    """The control connection ends, then the data connection, both in order, as of a client that is killed: what there
    was is no file. Looked at often, because the server may have read of either end first."""
    root, server = writable(backend, threads=1)
    with server, server.control() as control:
        control.store('STOR old', b'old')
        before_all = server.descriptors()
        for number in range(50):
            other = server.control()
            data = other.passive()
            other.command('STOR old', 150)
            data.sendall(BYTES[:1000 * number])
            other.stream.close()
            other.socket.close()
            data.close()
        eventually(lambda: server.descriptors() <= before_all)
        same(content(root, 'old'), b'old')
        same(everything(root), ['d', 'd/in', 'old'])


@test
def stalled(backend):
    root, server = configured(backend, 'Writable=yes\n[Limits]\nBodyTimeout=1s\n')
    with server, server.control() as control:
        with control.passive() as data:
            control.command('STOR old', 150)
            data.sendall(b'x')
            control.expect(426)
        control.command('EPSV', 229)  # nobody comes
        control.command('STOR old', 150)
        control.expect(425)
        same(content(root, 'old'), b'old')
        control.store('STOR old', b'new')
        same(content(root, 'old'), b'new')


@test
def paths_that_change_underfoot(backend):
    """A directory that becomes a way out while something comes into it, or that is one."""
    root, server = writable(backend)
    outside = directory()
    write(os.path.join(outside, 'in'), b'theirs')
    before = everything(outside)
    with server, server.control() as control:
        with control.passive() as data:
            control.command('STOR d/in', 150)
            data.sendall(BYTES[:100000])
            os.rename(os.path.join(root, 'd'), os.path.join(root, 'e'))
            os.symlink(outside, os.path.join(root, 'd'))
        control.expect(550)
        for command in ('STOR d/in', 'STOR d/new', 'APPE d/in', 'RETR d/in'):
            with control.passive():
                control.command(command, 550)
        for command in ('DELE d/in', 'MKD d/new', 'RMD d/new', 'RNFR d/in', 'MFMT 20200101000000 d/in', 'HASH d/in',
                        'SITE CHMOD 600 d/in', 'SITE UTIME 20200101000000 d/in'):
            control.command(command, 550)
        control.command('RNFR old', 350)
        control.command('RNTO d/new', 550)
        same(everything(outside), before)
        same(content(outside, 'in'), b'theirs')
        same(content(root, 'e', 'in'), b'below')
        same(everything(root), ['d', 'e', 'e/in', 'old'])


if __name__ == '__main__':
    sys.exit(run(__file__))
