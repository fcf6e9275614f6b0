#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Limits of one address, PROXY headers, least rates; and clients that are slow on purpose, who disturb nobody."""
import ipaddress
import os
import select
import socket
import struct
import subprocess
import sys
import time

from recorded import HoldFs, Recorded
from served import SLOW, Reply, directory, eventually, read_all, run, same, test, write

ASK = b'GET /a.txt HTTP/1.1\r\nHost: a\r\n\r\n'
LAST = b'GET /a.txt HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'
BIG = b'GET /big HTTP/1.1\r\nHost: a\r\n\r\n'


def limited(backend, limits='', proxies='', *arguments, www=None, **options):
    """A server with these lines of its configuration, a log and a status."""
    root = directory()
    write(os.path.join(root, 'www', 'a.txt'), b'hello\n')
    with open(os.path.join(root, 'www', 'big'), 'wb') as file:
        file.truncate(64 << 20)
    config = os.path.join(root, 'errand.conf')
    text = f'[Server]\n{proxies}\n[Limits]\n{limits}\n[Log]\nFormat=json\n[Host]\nDirectory=www\nWritable=yes\n'
    write(config, text.encode())
    return Recorded(www or os.path.join(root, 'www'), backend, '-c', config, *arguments, log=os.path.join(root, 'log'),
                    **options)


def connect(server, source=None, path=None, receive_buffer=None):
    client = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
    client.settimeout(20 * SLOW)
    if receive_buffer:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    if source:
        client.bind((source, 0))
    client.connect(path or ('127.0.0.1', server.port))
    if not path:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client


def ask(client, request=ASK):
    """One request on a connection that stays. The reply."""
    client.sendall(request)
    with client.makefile('rb') as stream:
        return Reply(stream)


def is_let_in(server, **options):
    client = connect(server, **options)
    try:
        client.sendall(ASK)
        answer = client.recv(65536)
    except ConnectionError:
        answer = b''
    if answer.startswith(b'HTTP/1.1 200'):
        return client
    assert answer == b'' or answer.startswith(b'HTTP/1.1 503'), answer
    client.close()
    return None


# ------------------------------------------------------------------------------------------ of one address

@test
def connections_of_an_address(backend):
    path = os.path.join(directory(), 'socket')
    with limited(backend, 'ConnectionsPerAddress=3', '', '--http', f'unix:{path}', threads=3) as server:
        clients = [is_let_in(server) for _ in range(3)]
        assert all(clients)
        for _ in range(5):
            with connect(server) as client:
                answer = read_all(client)
                same(answer[:12], b'HTTP/1.1 503')
                assert b'\r\nRetry-After: 1\r\n' in answer and answer.endswith(b'\r\n\r\n'), answer
        same(server.figures()['limited'], {'connections': 5, 'requests': 0, 'rate': 0, 'proxy': 0})
        others = [is_let_in(server, source='127.0.0.2') for _ in range(3)]
        assert all(others), 'another address'
        locals_ = [is_let_in(server, path=path) for _ in range(10)]
        assert all(locals_), 'who has no address is not limited'
        same(ask(clients[0]).status, 200, 'who is in stays in')
        clients.pop().close()

        def there_is_room():
            client = is_let_in(server)
            if client:
                clients.append(client)
            return client
        eventually(there_is_room)
        same(is_let_in(server), None)
        for client in clients + others + locals_:
            client.close()
        metrics = server.ask('metrics')[2].decode()
        assert '\nerrand_limited_total{limit="connections"} ' in metrics, metrics


@test
def places_come_back(backend):
    """Whatever becomes of a connection, its place is free when it is over."""
    def leave(client, how):
        if how == 'reset':
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        if how == 'half':
            client.shutdown(socket.SHUT_WR)
            client.recv(100)
        client.close()

    beginnings = (b'', b'GET /a.t', ASK, ASK * 3, b'nonsense\r\n\r\n', BIG, b'GET /a.txt HTTP/1.1\r\nHost: a\r\n'
                  b'Content-Length: 5\r\n\r\n1', b'PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n1',
                  b'PUT /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n1')
    with limited(backend, 'ConnectionsPerAddress=10') as server:
        for _ in range(10):
            for beginning in beginnings:
                for how in ('reset', 'half', 'close'):
                    with connect(server) as client:
                        try:
                            client.sendall(beginning)
                            leave(client, how)
                        except OSError:
                            pass  # this one came too early, and was refused

        def all_are_free():
            clients = [is_let_in(server) for _ in range(10)]
            count = sum(1 for client in clients if client)
            for client in clients:
                if client:
                    client.close()
            return count == 10
        eventually(all_are_free)


@test
def requests_of_an_address(backend):
    with limited(backend, 'RequestsPerAddress=5', threads=3) as server:
        with connect(server) as client, client.makefile('rb') as stream:
            began = time.monotonic()
            client.sendall(ASK * 40)
            replies = [Reply(stream) for _ in range(40)]
            took = time.monotonic() - began
            statuses = [reply.status for reply in replies]
            same(statuses[:5], [200] * 5, 'a second\'s worth at once')
            assert set(statuses) == {200, 429} and statuses.count(200) <= 6 + 5 * took, (statuses, took)
            same(replies[statuses.index(429)].headers['retry-after'], '1')
            refused = statuses.count(429)
            with connect(server, source='127.0.0.2') as other:
                same(ask(other).status, 200, 'another address')
            eventually(lambda: ask(client).status == 200)
        figures = server.figures()
        assert figures['limited']['requests'] >= refused, figures['limited']
        assert figures['requests']['GET']['4xx'] == figures['limited']['requests'], figures
        spent = 0
        while connect_and_ask(server) == 200:  # each on a connection, and a queue, of its own
            spent += 1
            assert spent < 100
        with connect(server) as client:
            client.sendall(b'PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc' * 20 + LAST)
            answer = read_all(client)
            same(answer.count(b'HTTP/1.1 '), 21, 'refused bodies are passed over')
            assert b'HTTP/1.1 429' in answer and b'HTTP/1.1 400' not in answer, answer


def connect_and_ask(server):
    with connect(server) as client:
        return ask(client).status


# ------------------------------------------------------------------------------------------ PROXY headers

V2 = b'\r\n\r\n\0\r\nQUIT\n'


def v1(client, to='127.0.0.1'):
    family = 'TCP6' if ':' in client else 'TCP4'
    return f'PROXY {family} {client} {to if family == "TCP4" else "::1"} 40000 80\r\n'.encode()


def v2(client=None, extensions=b''):
    if client is None:
        return V2 + b'\x20\x00' + struct.pack('>H', len(extensions)) + extensions
    source = ipaddress.ip_address(client).packed
    addresses = source + source + struct.pack('>HH', 40000, 80) + extensions
    return V2 + (b'\x21\x11' if len(source) == 4 else b'\x21\x21') + struct.pack('>H', len(addresses)) + addresses


@test
def proxy_headers(backend):
    path = os.path.join(directory(), 'socket')
    extension = b'\x02\x00\x05a.b.c' + b'\x04\x03\xe8' + bytes(1000)
    rows = [(v1('192.0.2.7'), '192.0.2.7'), (v1('2001:db8::7'), '2001:db8::7'), (v2('192.0.2.8'), '192.0.2.8'),
            (v2('2001:db8::8', extension), '2001:db8::8'), (v2('192.0.2.9', extension), '192.0.2.9')]
    itself = [(b'PROXY UNKNOWN\r\n', ''), (v2(), ''), (v2(extensions=extension), '')]
    with limited(backend, '', 'ProxyFrom=127.0.0.1 unix', '--http', f'unix:{path}') as server:
        wanted = []
        for local in (False, True):
            for header, address in rows + itself:
                with connect(server, path=local and path) as client:  # in one piece
                    client.sendall(header + LAST)
                    assert read_all(client).endswith(b'\r\n\r\nhello\n')
                with connect(server, path=local and path) as client:  # the header alone, then several requests
                    client.sendall(header)
                    for _ in range(2):
                        same(ask(client).body, b'hello\n')
                wanted += [address or ('-' if local else '127.0.0.1')] * 3
        for header in (v1('192.0.2.77'), v2('192.0.2.77', b'\x04\x00\x09' + bytes(9))):
            with connect(server) as client:  # byte by byte
                for byte in header + LAST:
                    client.sendall(bytes([byte]))
                assert read_all(client).endswith(b'\r\n\r\nhello\n')
            wanted.append('192.0.2.77')
        done = subprocess.run(['curl', '--silent', '--show-error', '--haproxy-protocol', server.url + 'a.txt'],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=30 * SLOW, check=False)
        same((done.returncode, done.stdout), (0, b'hello\n'), 'curl')
        wanted.append('127.0.0.1')
        clients = sorted(line['client'] or '-' for line in server.objects(len(wanted)))
        same(clients, sorted(wanted))
        same(server.figures()['limited']['proxy'], 0)


@test
def bad_proxy_headers(backend):
    """Of an address that has to send one, nothing else is taken; nobody else may."""
    bad = (LAST, b'X', b'PROXY TCP4 192.0.2.1 192.0.2.2 40000\r\n' + LAST,
           b'PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n' + LAST,
           b'PROXY UNKNOWN ' + b'x' * 200, V2 + b'\x31\x11\0\0', V2 + b'\x21\x11\0\x0b' + bytes(11) + LAST,
           V2 + b'\x21\x11\xff\xff' + bytes(5000), b'\r\n' + LAST, b'GET', v2('192.0.2.1')[:-1])
    with limited(backend, 'HeadTimeout=1s', 'ProxyFrom=127.0.0.2 192.0.2.0/24', quiet=False) as server:
        for data in bad[:-1]:
            with connect(server, source='127.0.0.2') as client:
                try:
                    client.sendall(data)
                    same(read_all(client), b'', repr(data))
                except ConnectionError:
                    pass
        same(server.figures()['limited']['proxy'], len(bad) - 1)
        assert 'a connection from 127.0.0.2, whom ProxyFrom= names, had no good PROXY header' in server.said()
        with connect(server, source='127.0.0.2') as client:
            client.sendall(bad[-1])
            same(read_all(client), b'', 'half a header, and never more')
        with connect(server, source='127.0.0.2') as client:
            client.sendall(bad[-1])
            client.shutdown(socket.SHUT_WR)
            same(read_all(client), b'', 'half a header')
        for header in (v1('192.0.2.7'), v2('192.0.2.7'), b'PROXY UNKNOWN\r\n'):
            same(server.status(header + LAST), 400, 'of who is not named')
        with connect(server, source='127.0.0.2') as client:
            client.sendall(v1('192.0.2.7') + v1('192.0.2.8') + LAST)
            same(read_all(client)[:12], b'HTTP/1.1 400', 'a second header is a bad request')
        same(server.get('/a.txt').body, b'hello\n')
        logged = {line['client'] for line in server.objects(4)}
        same(logged, {'127.0.0.1', '192.0.2.7'})


@test
def limits_behind_a_proxy(backend):
    """What counts is the client that the proxy speaks for, not the proxy."""
    path = os.path.join(directory(), 'socket')
    with limited(backend, 'ConnectionsPerAddress=2\nRequestsPerAddress=50', 'ProxyFrom=127.0.0.1 unix', '--http',
                 f'unix:{path}') as server:
        clients = []
        for number in range(20):
            for _ in range(2):
                client = connect(server, path=path if number % 2 else None)
                client.sendall(v1(f'192.0.2.{number}'))
                same(ask(client).status, 200)
                clients.append(client)
        for header in (v1('192.0.2.0'), v2('192.0.2.1')):
            with connect(server) as client:
                client.sendall(header)
                same(read_all(client)[:12], b'HTTP/1.1 503')
        with connect(server) as client:
            client.sendall(v1('2001:db8::1') + ASK * 200 + LAST)
            assert b'HTTP/1.1 429' in read_all(client)
        same(ask(clients[7]).status, 200)
        same(server.figures()['limited']['connections'], 2)
        for client in clients:
            client.close()


# ------------------------------------------------------------------------------------------ slow clients

@test
def slow_heads(backend):
    """Hundreds of clients send their heads byte by byte: each has the time of one head, the others notice nothing."""
    count = 300
    with limited(backend, 'HeadTimeout=2s') as server:
        with connect(server) as idle:
            same(ask(idle).status, 200)
            clients = [connect(server) for _ in range(count)]
            began, answers, last = time.monotonic(), {}, 0
            for client in clients:
                client.sendall(b'GET /a.txt HTTP/1.1\r\nHost: a\r\nX: ')
            while len(answers) < count:
                assert time.monotonic() - began < 20 * SLOW, len(answers)
                for client in clients:
                    if client not in answers and select.select([client], [], [], 0)[0]:
                        answers[client] = read_all(client)
                        same(answers[client][:12], b'HTTP/1.1 408')
                    elif client not in answers:
                        client.send(b'x')
                same(server.get('/a.txt').body, b'hello\n')
                last = max(last, len(answers))
            assert time.monotonic() - began >= 2
            same(ask(idle).status, 200, 'an idle connection is not meant')
            for client in clients:
                client.close()
        eventually(lambda: server.figures()['connections']['open'] == 0)


@test
def slow_bodies(backend):
    """An upload may take its time as long as something comes."""
    with limited(backend, 'BodyTimeout=1s') as server:
        for framing, begin, byte, end in (
                ('Content-Length: 12', b'a', b'b', b'c'),
                ('Transfer-Encoding: chunked', b'1\r\na\r\n', b'1\r\nb\r\n', b'1\r\nc\r\n0\r\n\r\n')):
            head = f'PUT /x HTTP/1.1\r\nHost: a\r\n{framing}\r\nConnection: close\r\n\r\n'.encode()
            with connect(server) as slow, connect(server) as silent, connect(server) as expects:
                silent.sendall(head + begin)
                expects.sendall(head.replace(b'/x', b'/y').replace(b'Conn', b'Expect: 100-continue\r\nConn'))
                slow.sendall(head + begin)
                began = time.monotonic()
                for _ in range(10):
                    time.sleep(0.25)  # a client's pace; more than BodyTimeout in all
                    slow.sendall(byte)
                    same(server.get('/a.txt').body, b'hello\n')
                slow.sendall(end)
                assert time.monotonic() - began > 2
                assert read_all(slow)[:12] in (b'HTTP/1.1 201', b'HTTP/1.1 204')
                same(read_all(silent)[:12], b'HTTP/1.1 408')
                answer = read_all(expects)
                assert answer.startswith(b'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 408'), answer
        same(server.get('/x').body, b'a' + 10 * b'b' + b'c')
        same(server.get('/y').status, 404)


def held(server):
    """Bytes that the kernel holds for clients of the server's connections, closed or not."""
    count = 0
    with open('/proc/net/tcp', encoding='ascii') as table:
        for line in list(table)[1:]:
            words = line.split()
            count += words[1] == f'0100007F:{server.port:04X}' and int(words[4].partition(':')[0], 16)
    return count


@test
def slow_reads(backend):
    """Who takes nothing any more is cut off, and what he did not take is forgotten; who goes on reading is not."""
    with limited(backend, 'SendTimeout=1s', threads=1) as server:
        steady = connect(server, receive_buffer=65536)
        steady.sendall(BIG)
        silent = [connect(server, receive_buffer=4096) for _ in range(100)]
        for client in silent:
            client.sendall(BIG)
        began = time.monotonic()

        def they_are_gone():
            assert len(steady.recv(65536)) > 0
            same(server.get('/a.txt').body, b'hello\n')
            return server.figures()['connections']['open'] == 1
        eventually(they_are_gone)
        assert time.monotonic() - began >= 1
        same(server.figures()['steps'], {'sendfile': 1}, 'the one that goes on reading')
        for client in silent:
            same(client.recv(10)[:8], b'HTTP/1.1')
        steady.close()
        eventually(lambda: held(server) == 0)
        for client in silent:
            client.close()


class Paced:
    """A client who sends or reads so many kilobytes a second, if he is asked ten times a second."""

    def __init__(self, client, sends, kilobytes):
        self.client, self.sends, self.bytes = client, sends, int(kilobytes * 102)
        self.answer, self.over = b'', False
        client.setblocking(False)

    def step(self):
        try:
            if self.sends and not self.over:
                self.client.send(b'x' * self.bytes)
            data = self.client.recv(4096 if self.sends else self.bytes)
            self.answer = self.answer or data
            self.over = self.over or self.sends or not data
        except BlockingIOError:
            pass
        except ConnectionError:
            self.over = True

    def rest(self):
        """How much there is still to be read, at full speed."""
        count = 0
        self.client.settimeout(20 * SLOW)
        try:
            while data := self.client.recv(1 << 20):
                count += len(data)
        except ConnectionResetError:
            pass
        return count


@test
def least_rate(backend):
    """Who sends or reads more slowly than LeastRate= while he is waited for is cut off; who does not, or is not waited
    for, is left alone."""
    path = os.path.join(directory(), 'socket')
    upload = b'PUT /%s HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n'
    with limited(backend, 'LeastRate=20K\nLeastRateTime=2s\nHeadTimeout=1h\n', '', '--http', f'unix:{path}') as server:
        with connect(server) as idle, connect(server) as silent:
            same(ask(idle).status, 200)
            reader, local = connect(server, receive_buffer=4096), connect(server, path=path)
            fast_reader = connect(server, receive_buffer=65536)
            sender, fast_sender, head = connect(server), connect(server), connect(server)
            for client in (reader, fast_reader, local):
                client.sendall(BIG)
            sender.sendall(upload % b'slow')
            fast_sender.sendall(upload % b'fast')
            head.sendall(b'GET /a.txt HTTP/1.1\r\nX: ')
            slow = [Paced(reader, False, 1), Paced(local, False, 1), Paced(sender, True, 1), Paced(head, True, .1)]
            fast = [Paced(fast_reader, False, 200), Paced(fast_sender, True, 100)]
            began, seen = time.monotonic(), []
            while not seen or time.monotonic() - seen[0] < 4:  # the fast ones have twice the time of the slow ones
                for _ in range(5):
                    for client in slow + fast:
                        client.step()
                    time.sleep(0.1)  # these clients' own pace
                if not seen and server.figures()['limited']['rate'] >= len(slow):
                    seen.append(time.monotonic())
                    assert seen[0] - began >= 1.9, seen[0] - began
                assert time.monotonic() - began < 20 * SLOW, [client.over for client in slow]
            same([client.over for client in fast], [False, False], 'fast ones')
            for client in slow[:2]:
                assert client.rest() < 32 << 20
            for client in slow[2:]:
                same(client.answer[:12], b'HTTP/1.1 408')
            same(ask(idle).status, 200, 'an idle connection')
            same(ask(silent).status, 200, 'one that never said anything')
            same(server.figures()['limited'], {'connections': 0, 'requests': 0, 'rate': 4, 'proxy': 0})
            for client in slow + fast:
                client.client.close()


@test
def a_disk_is_not_the_client(backend):
    """Who waits for a disk is not cut off, however slow he looks."""
    if not os.access('/dev/fuse', os.R_OK | os.W_OK):
        return 'no /dev/fuse'
    with HoldFs(os.path.join(directory(), 'held')) as held:
        with limited(backend, 'LeastRate=20K\nLeastRateTime=1s\n', '', '--cache', 'off', www=held.place) as server:
            same(held.tell('hold read'), 'ok')
            with connect(server) as client, client.makefile('rb') as stream:
                client.sendall(b'GET /f0 HTTP/1.1\r\nHost: a\r\n\r\n')
                eventually(lambda: server.figures()['steps'] == {'sendfile': 1})
                began = time.monotonic()
                while time.monotonic() - began < 4:  # several times as long as anybody may be behind
                    same(server.figures()['limited']['rate'], 0)
                    time.sleep(0.1)
                same(held.tell('pass'), 'ok')
                same(Reply(stream).status, 200)
            same(server.figures()['limited']['rate'], 0)
    return None


if __name__ == '__main__':
    sys.exit(run(__file__))
