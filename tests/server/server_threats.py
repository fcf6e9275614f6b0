#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What has hurt other servers: paths that change underfoot, files that are cut while they are sent, clients that leave
in the middle of everything, ranges without end. TEST_LONG=1 does as many as tests/PROOFS.md says.
"""
import os
import random
import re
import socket
import sys

from served import CANARY, Server, Swapping, content, directory, eventually, put, read_all, run, same, test, write

LONG = bool(os.environ.get('TEST_LONG'))


@test
def paths_that_change_underfoot(backend):
    """A name that is a file, then a symlink out of the root, then a file ...: what is outside is neither read nor
    written. Likewise the directory above it."""
    root = directory()
    outside, site = os.path.join(root, 'outside'), os.path.join(root, 'site')
    write(os.path.join(outside, 'a.txt'), CANARY)
    write(os.path.join(site, 'name'), b'inside\n')
    write(os.path.join(site, 'dir', 'a.txt'), b'inside\n')
    os.symlink('../outside/a.txt', os.path.join(site, 'name.other'))
    os.symlink('../outside', os.path.join(site, 'dir.other'))
    seen = set()
    for cache in ('8M', 'off'):
        with Server(site, backend, '--writable', '--cache', cache) as server, \
                Swapping(os.path.join(site, 'name'), os.path.join(site, 'name.other')), \
                Swapping(os.path.join(site, 'dir'), os.path.join(site, 'dir.other')):
            for number in range(3000 if LONG else 400):
                for path in ('/name', '/dir/a.txt'):
                    reply = server.get(path)
                    assert CANARY not in reply.body, path
                    seen.add(reply.status)
                if number % 4 == 0:
                    put(server, '/dir/a.txt', b'written\n')
                    put(server, f'/dir/{number}.txt', b'written\n')
            same((os.listdir(outside), content(outside, 'a.txt')), (['a.txt'], CANARY))
    assert 200 in seen and len(seen) > 1, seen


@test
def files_cut_at_every_offset(backend):
    """The reply is whole, or the connection ends before it is: never a wrong length, never a hang."""
    root = directory()
    path, size = os.path.join(root, 'big'), 6 << 20
    generator = random.Random(7)
    offsets = [0, 1, 4095, 4096, 4097, 65536, 262143, 262144, size - 4097, size - 1]
    offsets += [generator.randrange(size) for _ in range(200 if LONG else 30)]
    with Server(root, backend) as server:
        for offset in offsets:
            with open(path, 'wb') as file:
                file.truncate(size)
            with server.connect(receive_buffer=4096) as client:
                client.sendall(b'GET /big HTTP/1.1\r\nHost: a\r\n\r\n')
                data = client.recv(4096)
                os.truncate(path, offset)
                try:
                    while b'\r\n\r\n' not in data or len(data) < data.index(b'\r\n\r\n') + 4 + size:
                        piece = client.recv(1 << 20)
                        if not piece:
                            break
                        data += piece
                except ConnectionResetError:
                    pass
                head, body = data.split(b'\r\n\r\n', 1)
                assert b'Content-Length: %d\r\n' % size in head + b'\r\n' and len(body) <= size
        same(server.get('/big', 'HEAD').length, offsets[-1])
        server.quiet = False


def leave(server, data, reset, read=0):
    client = server.connect()
    client.sendall(data)
    if read:
        client.recv(read)
    if reset:  # a reset instead of an end
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')
        client.close()
    else:
        client.shutdown(socket.SHUT_WR)
    return client


@test
def ends_in_the_middle_of_a_body(backend):
    """A FIN, or a reset, at any place of an upload: every place that it took comes free, and no file is left."""
    root = directory()
    write(os.path.join(root, 'a.txt'), b'hello\n')
    plain = b'PUT /up HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n' + b'x' * 5000
    chunked = b'PUT /up HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n400\r\n' + b'x' * 1024 + b'\r\n'
    refused = b'POST /a.txt HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n' + b'x' * 500
    generator = random.Random(11)
    times = 100000 if LONG else 2000
    with Server(root, backend, '--writable', '--status', '127.0.0.1:0') as server:
        server.get('/a.txt')
        before = server.descriptors()
        halves = []
        for number in range(times):
            request = (plain, chunked, refused)[number % 3]
            client = leave(server, request[:generator.randrange(20, len(request))], reset=number % 2)
            if number % 2 == 0:
                halves.append(client)
            if len(halves) > 200:
                halves.pop(0).close()
        for client in halves:
            read_until_closed(client)
            client.close()
        same(server.get('/a.txt').body, b'hello\n')
        eventually(lambda: server.descriptors() <= before, 30)
        same(sorted(os.listdir(root)), ['a.txt'])


def read_until_closed(client):
    try:
        read_all(client)
    except ConnectionResetError:
        pass


@test
def resets_after_every_piece(backend):
    """Of a reply in one piece, of many, a listing, several ranges, an upload: whatever is under way comes back."""
    root = directory()
    write(os.path.join(root, 'a.txt'), b'hello\n')
    with open(os.path.join(root, 'big'), 'wb') as file:
        file.truncate(32 << 20)
    for number in range(3000):
        write(os.path.join(root, 'many', f'{number:05}'), b'')
    requests = [b'GET /a.txt HTTP/1.1\r\nHost: a\r\n\r\n' * 3, b'GET /big HTTP/1.1\r\nHost: a\r\n\r\n',
                b'GET /many/ HTTP/1.1\r\nHost: a\r\n\r\n',
                b'GET /big HTTP/1.1\r\nHost: a\r\nRange: bytes=0-999999,2000000-2999999\r\n\r\n',
                b'PUT /up HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n' + b'x' * 200000,
                b'DELETE /none HTTP/1.1\r\nHost: a\r\n\r\n', b'MKCOL /a.txt HTTP/1.1\r\nHost: a\r\n\r\n']
    with Server(root, backend, '--writable', '--listing', '--cache', '1M') as server:
        server.get('/a.txt')
        before = server.descriptors()
        generator = random.Random(3)
        for number in range(3000 if LONG else 300):
            request = requests[number % len(requests)]
            # Some leave at once, some after the first bytes of the answer, some after many.
            read = 0 if request.startswith(b'PUT') else (0, 1, 1000, 300000)[generator.randrange(4)]
            leave(server, request, reset=True, read=read)
        same(server.get('/a.txt').body, b'hello\n')
        spare = 16  # the library keeps four pairs of pipes for the next large file: base/pipe.h
        eventually(lambda: server.descriptors() <= before + spare, 30)
        assert 'up' not in os.listdir(root)


def memory_of(pid):
    with open(f'/proc/{pid}/status', encoding='ascii') as file:
        return int(re.search(r'VmRSS:\s+(\d+) kB', file.read())[1])


@test
def ranges_without_end(backend):
    """Thousands of ranges, overlapping ones, numbers at the ends of what integers hold: the answer is bounded."""
    root = directory()
    size = 1 << 20
    write(os.path.join(root, 'a'), os.urandom(size))
    with Server(root, backend, '--cache', 'off') as server:
        server.get('/a')
        before = memory_of(server.process.pid)
        for text in (','.join(['0-'] * 10000), ','.join(f'{n}-{n + 1}' for n in range(10000))):
            same(server.status(f'GET /a HTTP/1.1\r\nHost: a\r\nRange: bytes={text}\r\n\r\n'.encode()), 431)
        for text in (','.join(['0-'] * 1500), ','.join(['0-1048575'] * 8), ','.join(f'-{n}' for n in range(1, 1000)),
                     '0-9223372036854775807,1-18446744073709551615', '1-' + '9' * 4000, '-' + '9' * 4000,
                     '-9223372036854775808', '0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0'):
            with server.connect() as client:
                client.sendall(b'GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n'
                               b'Range: bytes=' + text.encode() + b'\r\n\r\n')
                answer = read_all(client)
            assert answer[9:12] in (b'200', b'206', b'416'), answer[:100]
            assert len(answer) <= 9 * size, (text[:40], len(answer))
        assert memory_of(server.process.pid) < before + (64 << 10), 'memory'


if __name__ == '__main__':
    sys.exit(run(__file__))
