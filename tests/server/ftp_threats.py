#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What has hurt other FTP servers: bounces, stolen data connections, paths that change underfoot, clients that never
read, never log in, or leave in the middle of everything. TEST_LONG=1 does as many as tests/PROOFS.md says.
"""
import json
import os
import random
import resource
import select
import socket
import struct
import sys
import threading
import time
import unittest.mock

from ftp import FtpServer, everything, listening, port_command
from served import CANARY, SLOW, Swapping, directory, eventually, run, same, test, write

LONG = bool(os.environ.get('TEST_LONG'))


def site():
    root = directory()
    write(os.path.join(root, 'small.txt'), b'hello\n')
    with open(os.path.join(root, 'large'), 'wb') as file:
        file.truncate(32 << 20)
    return root


def within(seconds, function):
    began = time.monotonic()
    function()
    took = time.monotonic() - began
    assert took < seconds * SLOW, took


@test
def bounce(backend):
    """Nobody is connected to but the client himself, and no port that may be a service's."""
    other, port = listening('127.0.0.2')
    other.setblocking(False)
    with FtpServer(site(), backend) as server, server.control() as control, other:
        for line in (port_command(port, '127.0.0.2'), f'EPRT |1|127.0.0.2|{port}|', port_command(port, '0.0.0.0'),
                     port_command(port, '255.255.255.255'), port_command(port, '10.0.0.1'), port_command(22),
                     port_command(0), port_command(1023), 'EPRT |1|127.0.0.1|1023|', 'EPRT |1|127.0.0.1|0|',
                     'EPRT |1|0.0.0.0|50000|'):
            control.command(line, 504)
            control.command('RETR small.txt', 425)
        for line in ('EPRT |2|::ffff:127.0.0.1|50000|', 'EPRT |2|::ffff:127.0.0.2|50000|', 'EPRT |2|::1|50000|'):
            control.command(line, 522)
        try:
            raise AssertionError(f'was connected to from {other.accept()[1]}')
        except BlockingIOError:
            pass
        own, port = listening()
        with own:
            control.command(port_command(port), 200)
            control.command(port_command(port, '127.0.0.2'), 504)  # what was good stays
            control.command('RETR small.txt', 150)
            with own.accept()[0] as data:
                same(everything(data), b'hello\n')
            control.expect(226)
    with FtpServer(site(), backend, conf='Active=no') as server, server.control() as control:
        control.command('PORT 127,0,0,1,200,1', 502)
        control.command('EPRT |1|127.0.0.1|50000|', 502)
        same(control.fetch('RETR small.txt'), b'hello\n')


def steal(port, source='127.0.0.2'):
    """A connection to somebody else's port brings nothing."""
    with socket.create_connection(('127.0.0.1', port), 20 * SLOW, (source, 0)) as thief:
        try:
            same(thief.recv(100), b'')
        except ConnectionResetError:
            pass


@test
def port_theft(backend):
    """Who comes from elsewhere is turned away, before the transfer's command and behind it, and the transfer works."""
    with FtpServer(site(), backend, threads=1) as server, server.control() as control:
        for number in range(50):
            port = control.port()
            steal(port, f'127.0.0.{2 + number}')
            if number % 2:
                control.command('RETR small.txt', 150)
                steal(port)
            with socket.create_connection(('127.0.0.1', port), 20 * SLOW) as data:
                if number % 2 == 0:
                    control.command('RETR small.txt', 150)
                    steal(port)
                same(everything(data), b'hello\n')
            control.expect(226)
            steal(port, '127.0.0.1')  # it is nobody's any more


@test
def one_port_for_many_clients(backend):
    """With a range of one, clients of several addresses wait there together, and each gets what is his."""
    root = site()
    hosts = [f'127.0.0.{number}' for number in range(1, 21)]
    for host in hosts:
        write(os.path.join(root, host), host.encode())
    free, port = listening()
    free.close()
    with FtpServer(root, backend, threads=1, conf=f'PassivePorts={port}-{port}') as server:
        sessions = {host: server.control(source=host) for host in hosts}
        for host, control in sessions.items():
            same(control.port(), port)
            control.command(f'RETR {host}', 150)
        with server.control() as second:  # another session of a client who waits there
            second.command('EPSV', 425)
        for host in random.Random(5).sample(hosts, len(hosts)):
            with socket.create_connection(('127.0.0.1', port), 20 * SLOW, (host, 0)) as data:
                same(everything(data), host.encode())
            sessions[host].expect(226)
            sessions[host].quit()
            sessions[host].close()


@test
def leaving_the_root(backend):
    root = directory()
    place, outside = os.path.join(root, 'site'), os.path.join(root, 'outside')
    write(os.path.join(outside, 'a.txt'), CANARY)
    write(os.path.join(place, 'dir', 'a.txt'), b'inside\n')
    for name, target in (('absolute', outside), ('relative', '../outside'), ('file', '../outside/a.txt'),
                         ('proc', '/proc/self/root'), ('loop', 'loop'), ('top', '/'), ('dir/up', '../../outside')):
        os.symlink(target, os.path.join(place, name))
    with FtpServer(place, backend) as server, server.control() as control:
        control.command('TYPE I', 200)
        for name in ('../outside/a.txt', '/../outside/a.txt', 'dir/../../outside/a.txt', './/../outside/a.txt',
                     'absolute/a.txt', 'relative/a.txt', 'file', 'loop', 'loop/a.txt', f'top{outside}/a.txt',
                     f'{outside}/a.txt', f'proc{outside}/a.txt', 'dir/up/a.txt', '..%2foutside/a.txt',
                     '..\\outside\\a.txt', 'dir/a.txt/../../../outside/a.txt', '~/../outside/a.txt'):
            control.command(f'SIZE {name}', 550)
            control.command(f'MDTM {name}', 550)
            with control.passive() as data:
                control.command(f'RETR {name}', 550)
                same(everything(data), b'')
        for name in ('absolute', 'relative', 'proc', 'top', 'loop', 'dir/up', 'dir/a.txt', 'file'):
            control.command(f'CWD {name}', 550)
        for name in ('../../..', '/../..', 'dir/..', '////'):
            control.command(f'CWD {name}', 250)
            same(control.command('PWD', 257)[:3], b'"/"')
        same(control.fetch('RETR ../../dir/./a.txt'), b'inside\n')


@test
def paths_that_change_underfoot(backend):
    """A name that is a file, then a symlink out of the root, then a file ...; likewise the directory above it, and the
    one where the session is: what is outside is never served."""
    root = directory()
    outside, place = os.path.join(root, 'outside'), os.path.join(root, 'site')
    write(os.path.join(outside, 'a.txt'), CANARY)
    write(os.path.join(place, 'name'), b'inside\n')
    write(os.path.join(place, 'dir', 'a.txt'), b'inside\n')
    os.symlink('../outside/a.txt', os.path.join(place, 'name.other'))
    os.symlink('../outside', os.path.join(place, 'dir.other'))
    seen = set()
    with FtpServer(place, backend) as server, server.control() as control, \
            Swapping(os.path.join(place, 'name'), os.path.join(place, 'name.other')), \
            Swapping(os.path.join(place, 'dir'), os.path.join(place, 'dir.other')):
        control.command('TYPE I', 200)
        for _ in range(3000 if LONG else 300):
            control.command('CWD /', 250)
            control.command('CWD dir', 250, 550)
            for path in ('/name', '/dir/a.txt', 'a.txt'):
                with control.passive() as data:
                    control.send(f'RETR {path}')
                    code, _ = control.reply()
                    content = everything(data)
                    assert CANARY not in content, path
                    seen.add((code, content))
                if code == 150:
                    control.expect(226)
                if control.command(f'SIZE {path}', 213, 550).isdigit():
                    assert control.command(f'SIZE {path}', 213, 550) != b'%d' % len(CANARY)
    same(seen, {(150, b'inside\n'), (550, b'')})


@test
def replies_never_read(backend):
    """What a client is told and does not take is bounded: then he is not listened to, and later not waited for."""
    freed = {'ASAN_OPTIONS': os.environ.get('ASAN_OPTIONS', '') + ':quarantine_size_mb=1'}  # is not kept
    with unittest.mock.patch.dict(os.environ, freed), \
            FtpServer(site(), backend, limits='SendTimeout=2s') as server, server.control() as other:
        for login, line in ((False, b'HELP\r\n'), (True, b'STAT\r\n'), (True, b'CWD none\r\n'), (True, b'\n')):
            with server.control(login, receive_buffer=4096) as control:
                before = server.memory()
                control.socket.settimeout(1)
                sent, piece = 0, line * (65536 // len(line))
                try:
                    while sent < 64 << 20:
                        sent += control.socket.send(piece)
                except (TimeoutError, ConnectionError):
                    pass
                assert sent < 32 << 20, sent
                assert server.memory() < before + (32 << 10), server.memory() - before
                within(2, other.nothing_more)
                waits = select.poll()
                waits.register(control.socket, select.POLLRDHUP)
                assert waits.poll(20000 * SLOW), 'is waited for without end'
        with server.control(receive_buffer=4096) as control, control.passive():  # the same in a transfer
            control.command('RETR large', 150)
            control.socket.settimeout(0.5)
            try:
                sent = 0
                while sent < 64 << 20:
                    sent += control.socket.send(b'STAT\r\n' * 10000)
            except (TimeoutError, ConnectionError):
                pass
            assert sent < 32 << 20, sent
        same(other.fetch('RETR small.txt'), b'hello\n')


@test
def floods_of_pasv(backend):
    """However often a port is asked for, a session has one; and those that nobody needs are closed."""
    with FtpServer(site(), backend, threads=1) as server, server.control() as control:
        for line in (b'PASV\r\n', b'EPSV\r\n'):
            control.raw(line * 20000)
            control.expect_all(*[227 if line == b'PASV\r\n' else 229] * 20000)
        before = server.held()[1]
        assert before <= 4, before
        sessions = [server.control() for _ in range(200)]
        ports = {session.port() for session in sessions}
        same(len(ports), len(sessions))
        same(control.fetch('RETR small.txt'), b'hello\n')
        for session in sessions:
            session.close()
        eventually(lambda: server.held()[1] <= 64 + 2)


def leave(server, generator):
    """A session that ends somewhere, somehow."""
    lines = [b'USER anonymous', b'PASS x', b'TYPE I', b'CWD /', b'EPSV', b'RETR small.txt', b'STAT', b'PASV',
             b'RETR large', b'ABOR', b'REST 5', b'EPSV', b'RETR none', b'PORT 127,0,0,1,200,1', b'RETR small.txt',
             b'PWD', b'EPSV', b'QUIT']
    script = b'\r\n'.join(lines) + b'\r\n'
    script = script[:generator.randrange(len(script) + 1)]
    client = socket.create_connection(('127.0.0.1', server.ftp), 20 * SLOW)
    try:
        client.sendall(script)
        client.settimeout(0.02)  # how long he stays
        for _ in range(generator.randrange(4)):
            answer = client.recv(4096)
            at = answer.rfind(b'(|||')
            if at >= 0 and generator.randrange(2):
                port = int(answer[at + 4:].split(b'|')[0])
                with socket.create_connection(('127.0.0.1', port), 20 * SLOW) as data:
                    data.settimeout(0.02)
                    data.recv(generator.randrange(1, 100000))
    except (ConnectionError, TimeoutError, ValueError):
        pass  # it ended, nothing came, or the port was named in two pieces
    if generator.randrange(2):
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    return client


@test
def leaving_anywhere(backend):
    """At any place, by a reset, an end, a half: no session, descriptor or port stays."""
    with FtpServer(site(), backend, limits='SendTimeout=2s') as server, server.control() as control:
        def session():
            same(control.fetch('RETR small.txt'), b'hello\n')
        session()
        descriptors, ports = server.held()
        generator, halves = random.Random(17), []
        for _ in range(20000 if LONG else 800):
            client = leave(server, generator)
            if generator.randrange(4) == 0:
                try:
                    client.shutdown(socket.SHUT_WR)
                    halves.append(client)
                    continue
                except OSError:
                    pass
            client.close()
            if len(halves) > 100:
                halves.pop(0).close()
        session()
        for client in halves:
            client.close()

        def as_before():
            now, now_ports = server.held()
            return now - now_ports <= descriptors - ports + 16 and now_ports <= ports + 2 * 64  # base/pipe.h, ports.c
        eventually(as_before, 30)
        session()


@test
def half_open_sessions(backend):
    """Ten thousand that connect and say nothing: they cost little, nobody else waits for them, and they end."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = min(10000, hard // 2 - 500)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, count + 500), hard))
    clients = []
    try:
        with FtpServer(site(), backend, conf='LoginTimeout=15s') as server, server.control() as control:
            before = server.memory()
            for _ in range(count):
                clients.append(socket.create_connection(('127.0.0.1', server.ftp), 20 * SLOW))
            for client in clients:
                same(client.recv(4)[:4], b'220 ')
            each = (server.memory() - before) * 1024 / count
            assert each < 16384, each
            within(2, lambda: same(control.fetch('RETR small.txt'), b'hello\n'))
            within(2, lambda: same(server.get('/small.txt').body, b'hello\n'))

            def another():
                with server.control() as new:
                    same(new.fetch('RETR small.txt'), b'hello\n')
            within(2, another)
            for client in clients:
                assert b'\r\n421 ' in everything(client)
            eventually(lambda: server.held()[0] < 200)
            within(2, another)
    finally:
        for client in clients:
            client.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@test
def no_place_left(backend):
    """Who never logs in makes room for who does."""
    with FtpServer(site(), backend, limits='Connections=50') as server:
        silent = [socket.create_connection(('127.0.0.1', server.ftp), 20 * SLOW) for _ in range(120)]
        with server.control() as control:
            same(control.fetch('RETR small.txt'), b'hello\n')
        for client in silent:
            client.close()


@test
def descriptors_exhausted(backend):
    """Whose data connection finds none left is told so, and the others go on; when there are some all is well."""
    with FtpServer(site(), backend, threads=1) as server:
        server.quiet = False
        sessions = [server.control() for _ in range(12)]
        for session in sessions:
            same(session.fetch('RETR small.txt'), b'hello\n')
        ports = [session.port() for session in sessions]
        limit = resource.prlimit(server.serving(), resource.RLIMIT_NOFILE)
        resource.prlimit(server.serving(), resource.RLIMIT_NOFILE, (server.held()[0] + 6, limit[1]))
        data, codes = [], []
        for port in ports:
            data.append(socket.socket())
            data[-1].connect_ex(('127.0.0.1', port))  # some are reset at once
        for session in sessions:
            session.send('RETR large')
            codes.append(session.reply()[0])
        assert set(codes) <= {150, 425, 450} and codes.count(150) < len(codes), codes
        resource.prlimit(server.serving(), resource.RLIMIT_NOFILE, limit)
        for session, code, each in zip(sessions, codes, data):
            if code == 150:
                same(len(everything(each)), 32 << 20)
                session.expect(226)
            each.close()
            same(session.fetch('RETR small.txt'), b'hello\n')
            session.close()
        assert 'EMFILE' in server.said()


@test
def forged_lines(backend):
    """Of a log, or of a reply: a name with line ends and escapes in it makes one record, and one reply."""
    root = site()
    log = os.path.join(directory(), 'log')
    evil = b'x\0{"forged":1}\0\r\x00226 Transfer complete.\0\x1b[2J\x7f\xff\xff"\\'
    with FtpServer(root, backend, '--access-log', log, '--log-format', 'json') as server:
        with server.control(login=False) as control:
            control.command(b'USER ' + evil, 331)
            control.command(b'PASS ' + evil, 530)
            control.command(b'USER anonymous', 331)
            control.command(b'PASS ' + evil, 230)
            control.command('TYPE I', 200)
            control.command(b'CWD ' + evil, 550)
            control.command(b'MDTM ' + evil, 550)
            with control.passive():
                control.command(b'RETR ' + evil, 550)
            same(control.fetch('RETR small.txt'), b'hello\n')
            control.command(b'NOOP', 200)
            assert evil not in control.command(b'STAT', 211)
    with open(log, 'rb') as file:
        lines = file.read().split(b'\n')
    for line in lines[:-1]:
        assert 'forged' not in json.loads(line), line
        assert all(32 <= byte < 127 for byte in line), line
    return None if len(lines) > 1 else 'nothing of FTP is logged'


@test
def many_at_once(backend):
    """Sessions of one client that fetch at the same time, by ports that they share, each get their own file."""
    root, wrong = site(), []
    for number in range(16):
        write(os.path.join(root, f'file{number}'), bytes([number]) * (1 + 50000 * number))
    with FtpServer(root, backend) as server:
        def fetch(number):
            try:
                with server.control() as control:
                    for _ in range(20):
                        same(control.fetch(f'RETR file{number}'), bytes([number]) * (1 + 50000 * number))
            except Exception as error:
                wrong.append(error)
        threads = [threading.Thread(target=fetch, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    same(wrong, [])


if __name__ == '__main__':
    sys.exit(run(__file__))
