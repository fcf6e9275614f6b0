#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Listings by FTP of large directories: how they stream, wait, and end."""
import os
import random
import re
import socket
import sys
import time

from ftp import FtpServer
from ftp_lists import HUGE, LONG, MANY, facts, fill, lines, many, names
from recorded import HoldFs
from served import SLOW, Server, directory, eventually, read_all, run, same, test, write

# What AddressSanitizer holds back of freed memory is not the server's.
os.environ['ASAN_OPTIONS'] = os.environ.get('ASAN_OPTIONS', '') + ':quarantine_size_mb=1'


def memory(server):
    with open(f'/proc/{server.process.pid}/status', encoding='ascii') as file:
        return int(re.search(r'VmRSS:\s+(\d+) kB', file.read()).group(1))


def listed(server, control, command):
    """How many lines came, and the most memory that the server had meanwhile."""
    count, most, rest = 0, 0, b''
    with control.passive() as data:
        control.command(command, 150)
        while piece := data.recv(1 << 18):
            count += piece.count(b'\n')
            rest = (rest + piece)[-200:]
            most = max(most, memory(server))
    control.expect(226)
    assert re.search(rb'[ /]file-\d{7}\r\n$', rest), rest
    return count, most


@test
def streamed(backend):
    options = os.environ['ASAN_OPTIONS']
    os.environ['ASAN_OPTIONS'] += ':detect_stack_use_after_return=0'  # which costs memory with each thread that begins
    try:
        with FtpServer(many(), backend, threads=1) as server, server.control() as control:
            most = {}
            for name, wanted in (('many', MANY), ('huge', HUGE)):
                found = [listed(server, control, f'{command} {name}') for command in ('MLSD', 'NLST', 'LIST')]
                same([count for count, _ in found], [wanted] * 3)
                most[name] = max(memory for _, memory in found)
            assert most['huge'] < most['many'] + (3 << 10), most
            same(len(set(lines(control.fetch('NLST huge')))), HUGE)
            same(len(names(control, 'NLST huge/*99')), HUGE // 100)
    finally:
        os.environ['ASAN_OPTIONS'] = options


def slowly(control):
    """A data connection whose client's side takes little."""
    data = socket.socket()
    data.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    data.settimeout(20 * SLOW)
    data.connect(('127.0.0.1', int(control.command('EPSV', 229).split(b'|')[3])))
    return data


@test
def slow_reader(backend):
    """Others are served meanwhile, the reading stops with the reader, and he gets all of it in the end."""
    with FtpServer(many(), backend, threads=1) as server, server.control() as control:
        control.fetch('MLSD many')
        before = memory(server)
        with slowly(control) as data, server.control() as other:
            control.command('MLSD many', 150)
            for _ in range(2):
                same(len(other.fetch('NLST many').split(b'\r\n')), MANY + 1)
                assert b'Under way' in control.command('STAT', 213)
            assert memory(server) < before + (8 << 10), (before, memory(server))
            same(len(lines(read_all(data))), MANY)
        control.expect(226)


@test
def stalled_reader(backend):
    config = os.path.join(directory(), 'errand.conf')
    write(config, f'[Limits]\nSendTimeout=1s\n[Host]\nDirectory={many()}\n'.encode())
    with FtpServer(many(), backend, '-c', config, threads=1) as server, server.control() as control:
        same(len(names(control, 'NLST many')), MANY)
        before = server.descriptors()
        with slowly(control):
            control.command('MLSD many', 150)
            control.expect(426)
        eventually(lambda: server.descriptors() <= before)
        same(len(names(control, 'NLST many')), MANY)


@test
def within_the_rate(backend):
    config = os.path.join(directory(), 'errand.conf')
    write(config, f'[Limits]\nRate=2M\n[Host]\nDirectory={many()}\n'.encode())
    with FtpServer(many(), backend, '-c', config, threads=1) as server, server.control() as control:
        began = time.monotonic()
        took = len(control.fetch('LIST many')) / (2 << 20)
        assert took > 1 and time.monotonic() - began > took - 0.1, (took, time.monotonic() - began)


@test
def nobody_comes_for_it(backend):
    config = os.path.join(directory(), 'errand.conf')
    root = fill(directory(), 5)
    write(config, f'[Limits]\nSendTimeout=1s\n[Host]\nDirectory={root}\n'.encode())
    with FtpServer(root, backend, '-c', config) as server, server.control() as control:
        control.command('EPSV', 229)
        control.command('LIST', 150)
        control.expect(425)
        same(len(names(control, 'LIST many')), 5)


@test
def aborted(backend):
    with FtpServer(many(), backend, threads=1) as server, server.control() as control:
        control.fetch('NLST many')
        before = server.descriptors()
        for command in ('LIST many', 'MLSD many', 'NLST many', 'NLST many/*1'):
            with control.passive() as data:
                control.command(command, 150)
                if len(command) > 9:
                    data.recv(100)
                control.command('ABOR', 426)
                control.expect(226)
            eventually(lambda: server.descriptors() <= before)
        control.socket.sendall(b'EPSV\r\nLIST many\r\nABOR\r\nNOOP\r\n')  # before anybody connects
        control.expect(229)
        codes = [control.reply()[0]]
        while codes[-1] != 200:
            codes.append(control.reply()[0])
        assert codes in ([150, 426, 226, 200], [426, 226, 200]), codes
        same(len(names(control, 'NLST many')), MANY)


@test
def clients_that_leave(backend):
    chance = random.Random(5)
    with FtpServer(many(), backend, threads=1) as server:
        with server.control() as control:
            control.fetch('LIST many')
        before = server.descriptors()
        for i in range(60 if not LONG else 1000):
            control = server.control()
            data = control.passive()
            control.send(chance.choice(('LIST many', 'MLSD many', 'NLST many', 'LIST many/*7', 'STAT many')))
            time.sleep(chance.choice((0, 0, 0.001, 0.003, 0.01, 0.03, 0.1)))
            for end in chance.sample((data, control.socket), 2):
                if i % 2:
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')
                end.close()
            control.stream.close()
        eventually(lambda: server.descriptors() <= before + 1)  # a port may be kept
        with server.control() as control:
            same(len(names(control, 'NLST many')), MANY)


@test
def data_connection_lost(backend):
    with FtpServer(many(), backend, threads=1) as server, server.control() as control:
        for _ in range(5):
            with control.passive() as data:
                control.command('LIST many', 150)
                data.recv(1000)
                data.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')
            control.expect(426)
        same(len(names(control, 'NLST many')), MANY)


@test
def stop_in_the_middle(backend):
    for wait in (0, 0.01, 0.05):
        with FtpServer(many(), backend) as server:
            controls = [server.control() for _ in range(4)]
            datas = [control.passive() for control in controls]
            for control in controls:
                control.send('LIST many')
            time.sleep(wait)
            server.process.terminate()
            time.sleep(0.1)  # signals that come at once are one
            server.process.terminate()
            server.ended()
            for one in controls + datas:
                one.__exit__(None, None, None)


@test
def files_removed_meanwhile(backend):
    root = fill(directory(), 4500)
    with FtpServer(root, backend, threads=1) as server, server.control() as control:
        with slowly(control) as data:
            control.command('MLSD many', 150)
            for i in range(0, 4500, 2):
                os.unlink(os.path.join(root, 'many', f'file-{i:07}'))
            found = {facts(line)[1].decode() for line in lines(read_all(data))}
        control.expect(226)
        assert found >= {f'file-{i:07}' for i in range(1, 4500, 2)}, len(found)
        same(len(names(control, 'LIST many')), 2250)


@test
def a_directory_that_hangs(backend):
    """Whether its names or what is known of them do not come: others are served, ABOR ends it, and so does the time."""
    if not os.access('/dev/fuse', os.R_OK | os.W_OK):
        return 'no /dev/fuse'
    root = directory()
    write(os.path.join(root, 'sub', 'in'), b'x')
    config = os.path.join(directory(), 'errand.conf')
    write(config, f'[Limits]\nSendTimeout=3s\n[Host]\nDirectory={root}\n'.encode())
    for what in ('opendir', 'readdir', 'lookup'):
        with HoldFs(os.path.join(root, f'held-{what}')) as held, \
                FtpServer(root, backend, '-c', config, threads=1) as server, server.control() as control:
            same(held.tell(f'hold {what}'), 'ok')
            with control.passive():
                control.send(f'MLSD held-{what}/')
                same(held.tell('wait 1'), 'ok')
                with server.control() as other:
                    same(other.fetch('NLST sub'), b'sub/in\r\n')
                control.command('ABOR', 426)
                control.expect(226)
            same(control.fetch('NLST sub'), b'sub/in\r\n')
            with control.passive():
                control.command(f'MLSD held-{what}/', 451)
            same(held.tell('pass'), 'ok')
            assert b'; f0\r\n' in control.fetch(f'MLSD held-{what}/')
    return None


@test
def both_protocols_at_once(backend):
    """They share the looks of a worker."""
    with FtpServer(many(), backend, '--listing', threads=1) as server:
        controls = [server.control() for _ in range(4)]
        datas = [control.passive() for control in controls]
        for control in controls:
            control.send('LIST many')
        answer = Server.say(server, b'GET /many/?json HTTP/1.0\r\n\r\n')
        same(answer.count(b'"name":'), MANY)
        for control, data in zip(controls, datas):
            same(len(lines(read_all(data))), MANY)
            control.expect(150)
            control.expect(226)
        for one in controls + datas:
            one.__exit__(None, None, None)


@test
def too_much_for_the_control_connection(backend):
    with FtpServer(many(), backend) as server, server.control() as control:
        reply = control.command('STAT many', 213)
        assert 16 << 10 < len(reply) < 64 << 10 and b'There is more' in reply.split(b'\n')[-1], len(reply)
        control.socket.sendall(b'STAT many\r\n' * 20 + b'NOOP\r\n')
        for _ in range(20):
            control.expect(213)
        control.expect(200)
        control.quit()


if __name__ == '__main__':
    sys.exit(run(__file__))
