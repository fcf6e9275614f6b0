#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The HTTP server from outside: statuses, keep-alive, pipelining, ranges, conditions, what must not be served."""
import os
import re
import socket
import stat
import sys
import threading

from served import Reply, Server, directory, eventually, read_all, run, same, test, write

BODY = bytes(range(256)) * 40


def site():
    """A small directory to serve; a canary lies outside it."""
    top = directory()
    root = os.path.join(top, 'root')
    write(os.path.join(root, 'a.txt'), b'hello\n')
    write(os.path.join(root, 'b.bin'), BODY)
    write(os.path.join(root, 'empty'), b'')
    write(os.path.join(root, 'with', 'index.html'), b'<p>index')
    write(os.path.join(root, 'without', 'x'), b'x')
    write(os.path.join(root, 'odd', 'index.html', 'x'), b'x')
    write(os.path.join(root, '.hidden'), b'CANARY')
    write(os.path.join(root, '.git', 'config'), b'CANARY')
    write(os.path.join(root, '.well-known', 'x'), b'well')
    write(os.path.join(root, 'we ird', 'd?#', 'x'), b'x')
    write(os.path.join(top, 'secret'), b'CANARY')
    return root


@test
def files(backend):
    with Server(site(), backend) as server:
        reply = server.get('/a.txt')
        same((reply.status, reply.body), (200, b'hello\n'))
        same(reply.headers['content-type'], 'text/plain; charset=utf-8')
        same(reply.headers['accept-ranges'], 'bytes')
        same(reply.headers['x-content-type-options'], 'nosniff')
        same(server.get('/b.bin').body, BODY)
        same(server.get('/empty').headers['content-length'], '0')
        same(server.get('/with/').body, b'<p>index')
        same(server.get('/with/./../a.txt?query').body, b'hello\n')
        same(server.get('//a.txt').body, b'hello\n')
        same(server.get('/%61.t%78t').body, b'hello\n')
        same(server.get('http://other/a.txt').body, b'hello\n')
        same(server.get('/.well-known/x').body, b'well')
        head = server.get('/b.bin', 'HEAD')
        same((head.status, head.length, head.body), (200, len(BODY), b''))
        assert 'uring' in server.started or 'threads' in server.started


@test
def redirects(backend):
    with Server(site(), backend) as server:
        for path, target in (('/with', '/with/'), ('/with?a=b&c', '/with/?a=b&c'), ('//with', '/with/'),
                             ('/we%20ird/d%3f%23', '/we%20ird/d%3F%23/'), ('/./with', '/with/')):
            reply = server.get(path)
            same((reply.status, reply.headers['location']), (301, target), path)
        same(server.get('/with', 'HEAD').status, 301)
        for path in ('/without/', '/odd/', '/'):
            same(server.get(path).status, 404, path)
        long = server.get('/with?' + 'q' * 7000)
        same((long.status, len(long.headers['location'])), (301, 7007))


@test
def what_is_not_served(backend):
    root = site()
    os.symlink('/etc/passwd', os.path.join(root, 'absolute'))
    os.symlink('../secret', os.path.join(root, 'escape'))
    os.symlink('..', os.path.join(root, 'up'))
    os.symlink('a.txt', os.path.join(root, 'inside'))
    os.symlink('with', os.path.join(root, 'within'))
    os.symlink('loop', os.path.join(root, 'loop'))
    os.symlink('nowhere', os.path.join(root, 'dangling'))
    os.mkfifo(os.path.join(root, 'fifo'))
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(os.path.join(root, 'socket'))
    if os.getuid() == 0:
        os.mknod(os.path.join(root, 'null'), 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    with Server(root, backend) as server:
        same(server.get('/inside').body, b'hello\n')
        same(server.get('/within/').body, b'<p>index')
        for path in ('/absolute', '/escape', '/up/secret', '/up/root/a.txt', '/loop', '/dangling', '/fifo', '/socket',
                     '/null', '/nothing', '/a.txt/', '/a.txt/x', '/.hidden', '/.git/config', '/.git/', '/%2ehidden',
                     '/with/..%2f..%2fsecret', '/' + 'n' * 300, '/' + 'n/' * 2500, '/%c0%ae%c0%ae/secret'):
            for method in ('GET', 'HEAD'):
                reply = server.get(path, method)
                same(reply.status, 404, path[:50])
                assert b'CANARY' not in reply.body
        for path in ('/../secret', '/with/../../secret', '/%2e%2e/secret', '/a%00.txt', '/%', '/%g0'):
            same(server.get(path).status, 400, path)
        before = server.descriptors()
        for _ in range(50):
            server.get('/fifo')
        eventually(lambda: server.descriptors() <= before + 2)


@test
def no_permission(backend):
    root = site()
    os.chmod(os.path.join(root, 'a.txt'), 0)
    os.chmod(os.path.join(root, 'without'), 0)
    with Server(root, backend, user=65534 if os.getuid() == 0 else None) as server:
        same(server.get('/a.txt').status, 403)
        same(server.get('/without/x').status, 403)
        same(server.get('/b.bin').body, BODY)


@test
def refused_requests(backend):
    rows = [
        (400, b'GET / HTTP/1.1\r\n\r\n'),
        (400, b'GET / HTTP/1.1\nHost: a\n\n'),
        (400, b'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n'),
        (400, b'GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx'),
        (400, b'GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'),
        (400, b'GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /a.txt HTTP/1.1\r\n'),
        (400, b'GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n'),
        (400, b'\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n'),
        (405, b'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc'),
        (405, b'PUT /a.txt HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n'),
        (405, b'CONNECT a:443 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'),
        (204, b'OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'),
        (417, b'GET / HTTP/1.1\r\nHost: a\r\nExpect: wonders\r\nConnection: close\r\n\r\n'),
        (405, b'TRACE / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'),
        (413, b'GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 70000\r\n\r\n'),
        (414, b'GET /' + b'a' * 9000),
        (414, b'GET /' + b'a' * 8200 + b' HTTP/1.1\r\nHost: a\r\n\r\n'),
        (431, b'GET / HTTP/1.1\r\nHost: a\r\n' + b'X: y\r\n' * 101 + b'\r\n'),
        (431, b'GET / HTTP/1.1\r\nHost: a\r\nX: ' + b'y' * 17000),
        (501, b'BREW / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'),
        (505, b'GET / HTTP/2.0\r\nHost: a\r\n\r\n'),
        (505, b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
    ]
    with Server(site(), backend) as server:
        for status, request in rows:
            same(server.status(request), status, request[:60])
            answers = server.say(request + b'GET /a.txt HTTP/1.1\r\nHost: a\r\n\r\n', end=False)
            same(len(re.findall(rb'HTTP/1\.1 \d', answers)), 1, 'replies to ' + str(request[:60]))
            if len(request) < 1000:
                with server.connect() as client:
                    try:
                        for byte in request:
                            client.send(bytes([byte]))
                    except OSError:
                        pass  # refused before its end
                    same(int(read_all(client)[9:12]), status, 'byte by byte')
        same(server.get('/', 'DELETE').headers['allow'], 'GET, HEAD, OPTIONS')


@test
def reply_outlives_a_body_that_nobody_reads(backend):
    with Server(site(), backend) as server:
        for method, status in (('POST', 405), ('GET', 413)):
            with server.connect() as client:
                client.sendall(f'{method} / HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n'.encode())
                client.sendall(b'x' * 300000)
                client.shutdown(socket.SHUT_WR)
                same(int(read_all(client)[9:12]), status)


@test
def keep_alive(backend):
    with Server(site(), backend) as server:
        with server.connect() as client, client.makefile('rb') as stream:
            for number in range(20):
                paths = {0: '/a.txt', 1: '/nothing', 2: '/with', 3: '/b.bin', 4: '/../x'}
                client.sendall(f'GET {paths[number % 5]} HTTP/1.1\r\nHost: a\r\n\r\n'.encode())
                reply = Reply(stream)
                same(reply.status, (200, 404, 301, 200, 400)[number % 5])
                assert 'connection' not in reply.headers
            client.sendall(b'POST / HTTP/1.1\r\nHost: a\r\n\r\nHEAD /b.bin HTTP/1.1\r\nHost: a\r\n\r\n')
            same(Reply(stream).status, 405)
            same(Reply(stream, True).status, 200)
            client.sendall(b'GET /a.txt HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\n\r\nGET / HGET /b.bin HTTP/1.1\r\n'
                           b'Host: a\r\nConnection: close\r\n\r\n')
            same(Reply(stream).body, b'hello\n')
            reply = Reply(stream)
            same((reply.body, reply.headers['connection']), (BODY, 'close'))
            same(stream.read(), b'')
        with server.connect() as client, client.makefile('rb') as stream:
            client.sendall(b'GET /a.txt HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /a.txt HTTP/1.0\r\n\r\n')
            same(Reply(stream).headers['connection'], 'keep-alive')
            same(Reply(stream).headers['connection'], 'close')
            same(stream.read(), b'')


@test
def pipelining_cut_anywhere(backend):
    requests = (b'GET /a.txt HTTP/1.1\r\nHost: a\r\n\r\n' b'HEAD /b.bin HTTP/1.1\r\nHost: a\r\n\r\n'
                b'GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n'
                b'\r\nGET /a.txt HTTP/1.1\r\nHost: a\r\nRange: bytes=1-2\r\n\r\n'
                b'GET /empty HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc'
                b'GET /a.txt HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')

    def without_dates(answer):
        return re.sub(rb'Date: [^\r]*', b'', answer)

    with Server(site(), backend) as server:
        wanted = without_dates(server.say(requests, end=False))
        same([int(status) for status in re.findall(rb'HTTP/1\.1 (\d+)', wanted)], [200, 200, 404, 206, 200, 200])
        for cut in range(1, len(requests)):
            with server.connect() as client:
                client.sendall(requests[:cut])
                client.sendall(requests[cut:])
                same(without_dates(read_all(client)), wanted, f'cut at {cut}')
        with server.connect() as client:
            for byte in requests:
                client.sendall(bytes([byte]))
            same(without_dates(read_all(client)), wanted, 'byte by byte')
        same(without_dates(server.say(requests)), wanted, 'half-closed')
        half = requests[:requests.rindex(b'Connection')]
        same(len(re.findall(rb'HTTP/1\.1 ', server.say(half))), 5, 'half-closed within a request')


@test
def pipelined_flood(backend):
    """Thousands of requests before the first reply is read: all are answered in order, none is kept in memory early."""
    count = 20000
    with Server(site(), backend) as server:
        with server.connect() as client, client.makefile('rb') as stream:
            requests = b''.join(b'GET /%s HTTP/1.1\r\nHost: a\r\n\r\n' % (b'a.txt', b'none')[i % 2]
                                for i in range(count))
            sender = threading.Thread(target=client.sendall, args=(requests,))
            sender.start()
            for i in range(count):
                same(Reply(stream).status, (200, 404)[i % 2])
            sender.join()


@test
def conditions(backend):
    root = site()
    os.utime(os.path.join(root, 'a.txt'), (784111777, 784111777))
    with Server(root, backend) as server:
        reply = server.get('/a.txt')
        tag, date = reply.headers['etag'], reply.headers['last-modified']
        same(date, 'Sun, 06 Nov 1994 08:49:37 GMT')
        older, newer = 'Sun, 06 Nov 1994 08:49:36 GMT', 'Sun, 06 Nov 1994 08:49:38 GMT'
        rows = [
            (304, {'if_none_match': tag}), (304, {'if_none_match': f'"x", W/{tag}'}), (304, {'if_none_match': '*'}),
            (200, {'if_none_match': '"x"'}), (200, {'if_none_match': '"x"', 'if_modified_since': date}),
            (304, {'if_none_match': tag, 'if_modified_since': older}), (304, {'if_modified_since': date}),
            (304, {'if_modified_since': newer}), (200, {'if_modified_since': older}),
            (200, {'if_modified_since': 'nonsense'}), (304, {'if_modified_since': 'Sunday, 06-Nov-94 08:49:37 GMT'}),
            (304, {'if_none_match': tag, 'range': 'bytes=0-1'}),
            (200, {'range': 'bytes=0-1', 'if_range': '"x"'}), (200, {'range': 'bytes=0-1', 'if_range': older}),
        ]
        for method in ('GET', 'HEAD'):
            for status, headers in rows:
                reply = server.get('/a.txt', method, **headers)
                same(reply.status, status, f'{method} {headers}')
                if status == 304:
                    same((reply.headers['etag'], 'content-length' in reply.headers), (tag, False))
        same(server.get('/nothing', if_none_match='*').status, 404)
        os.utime(os.path.join(root, 'a.txt'), ns=(784111777 * 10**9 + 1,) * 2)
        assert server.get('/a.txt').headers['etag'] != tag


def parts(reply, size):
    """The pieces of a multipart/byteranges reply."""
    same(reply.status, 206)
    kind, boundary = reply.headers['content-type'].split('; boundary=')
    same(kind, 'multipart/byteranges')
    pieces = reply.body.split(b'--' + boundary.encode())
    same((pieces[0].strip(), pieces[-1]), (b'', b'--\r\n'))
    found = []
    for piece in pieces[1:-1]:
        head, body = piece[2:-2].split(b'\r\n\r\n', 1)
        first, last, whole = re.search(rb'Content-Range: bytes (\d+)-(\d+)/(\d+)', head).groups()
        same((int(whole), int(last) - int(first) + 1), (size, len(body)))
        found.append((int(first), body))
    return found


@test
def ranges(backend):
    size = len(BODY)
    rows = [('0-0', 0, 1), ('0-', 0, size), (f'{size - 1}-', size - 1, 1), ('-1', size - 1, 1),
            (f'-{size + 5}', 0, size),
            ('100-199', 100, 100), ('5000-99999999999999999999999', 5000, size - 5000), ('4095-4097', 4095, 3)]
    with Server(site(), backend) as server:
        for text, offset, length in rows:
            reply = server.get('/b.bin', range='bytes=' + text)
            same((reply.status, reply.body), (206, BODY[offset:offset + length]), text)
            same(reply.headers['content-range'], f'bytes {offset}-{offset + length - 1}/{size}')
            same(server.get('/b.bin', 'HEAD', range='bytes=' + text).length, size, 'HEAD ' + text)
        for text in (f'{size}-', '-0', '18446744073709551615-', '9223372036854775807-9223372036854775808'):
            reply = server.get('/b.bin', range='bytes=' + text)
            same((reply.status, reply.headers['content-range']), (416, f'bytes */{size}'), text)
        for text in ('bytes=1-0', 'bytes=' + ','.join(['0-'] * 1500), 'lines=1-2', 'bytes=a'):
            same(server.get('/b.bin', range=text).body, BODY, text[:40])
        same(parts(server.get('/b.bin', range='bytes=0-1,-3, 5000-5999'), size),
             [(0, BODY[:2]), (size - 3, BODY[-3:]), (5000, BODY[5000:6000])])
        nine = 'bytes=' + ','.join(f'{n}00-{n}99' for n in range(9))
        same(server.get('/b.bin', range=nine).status, 200, 'more than a chain has steps for')
        same(server.get('/empty', range='bytes=0-').status, 416)
        same(server.get('/empty', range='bytes=-5').status, 200)


@test
def file_that_shrinks(backend):
    root = site()
    path, size = os.path.join(root, 'shrinks'), 64 << 20
    with Server(root, backend) as server:
        for left in (0, 1, 5 << 20):
            with open(path, 'wb') as file:
                file.truncate(size)
            with server.connect(receive_buffer=4096) as client:
                client.sendall(b'GET /shrinks HTTP/1.1\r\nHost: a\r\n\r\nGET /a.txt HTTP/1.1\r\nHost: a\r\n\r\n')
                first = client.recv(1000)
                assert b'Content-Length: %d\r\n' % size in first
                os.truncate(path, left)
                try:
                    rest = read_all(client)
                except ConnectionResetError:
                    rest = b''
                assert len(rest) < size and b'HTTP/1.1' not in rest
        same(server.get('/a.txt').body, b'hello\n')
        server.quiet = False


@test
def unreadable_although_open(backend):
    """A file of /sys whose read fails: nothing has been sent, so the client is told."""
    place = '/sys/class/net/lo'
    try:
        with open(place + '/speed', 'rb') as file:
            file.read()
        return 'this kernel reads ' + place + '/speed'
    except FileNotFoundError:
        return 'no ' + place
    except OSError:
        pass
    with Server(os.path.realpath(place), backend, quiet=False) as server:
        same(server.get('/speed').status, 500)
        assert 'a reply failed' in server.said(), server.said()


@test
def clients_that_leave(backend):
    root = site()
    with open(os.path.join(root, 'big'), 'wb') as file:
        file.truncate(256 << 20)
    with Server(root, backend) as server:
        server.get('/a.txt')
        before = server.descriptors()
        for way in range(60):
            client = server.connect(receive_buffer=4096)
            client.sendall((b'GET /big HTTP/1.1\r\nHost: a\r\n\r\n', b'GET /a.txt HTTP/1.1\r\nHo', b'')[way % 3])
            if way % 3 == 0:
                client.recv(100)
            if way % 2:  # a reset instead of an end
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')
            client.close()
        same(server.get('/a.txt').body, b'hello\n')
        eventually(lambda: server.descriptors() <= before)


@test
def slow_readers_hold_up_nobody(backend):
    root = site()
    with open(os.path.join(root, 'big'), 'wb') as file:
        file.truncate(64 << 20)
    with Server(root, backend, threads=1) as server:
        slow = [server.connect(receive_buffer=4096) for _ in range(100)]
        for client in slow:
            client.sendall(b'GET /big HTTP/1.1\r\nHost: a\r\n\r\n')
        for client in slow:
            assert client.recv(10).startswith(b'HTTP/1.1')
        for _ in range(20):
            same(server.get('/b.bin').body, BODY)
        for client in slow:
            client.close()


if __name__ == '__main__':
    sys.exit(run(__file__))
