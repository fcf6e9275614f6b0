#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Limits of one address, PROXY headers, and rates."""
import ipaddress
import os
import re
import select
import socket
import struct
import subprocess
import sys
import time

from limited import ASK, BIG, LAST, ask, connect, limited
from served import SLOW, Reply, directory, eventually, has_ipv6, read_all, run, same, test, write

LONG = bool(os.environ.get('TEST_LONG'))


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
        for _ in range(4000 if LONG else 10):
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
        with connect(server, source='127.0.0.2') as client:
            began = time.monotonic()
            for byte in v2('192.0.2.1', bytes(4000)):
                client.send(bytes([byte]))
                if select.select([client], [], [], 0.1)[0]:
                    break
            assert 1 <= time.monotonic() - began < 20 * SLOW, 'a header that comes byte by byte'
        for header in (v1('192.0.2.7'), v2('192.0.2.7'), b'PROXY UNKNOWN\r\n'):
            same(server.status(header + LAST), 400, 'of who is not named')
        with connect(server, source='127.0.0.2') as client:
            client.sendall(v1('192.0.2.7') + v1('192.0.2.8') + LAST)
            same(read_all(client)[:12], b'HTTP/1.1 400', 'a second header is a bad request')
        same(server.get('/a.txt').body, b'hello\n')
        logged = {line['client'] for line in server.objects(4)}
        same(logged, {'127.0.0.1', '192.0.2.7'})


@test
def an_ipv4_client_of_an_ipv6_listener(backend):
    """He is who he is, whatever the socket calls him."""
    if not has_ipv6():
        return 'no IPv6'
    with limited(backend, 'ConnectionsPerAddress=2', 'ProxyFrom=127.0.0.0/29', '--http', '[::]:0') as server:
        port = int(re.search(r'http://\[::\]:(\d+)/', server.started).group(1))
        kept = []
        for number, wanted in enumerate((b'HTTP/1.1 200', b'HTTP/1.1 200', b'HTTP/1.1 503')):
            client = socket.create_connection(('127.0.0.1', port if number != 1 else server.port), 20 * SLOW)
            client.sendall(v1('192.0.2.7') + ASK)
            same(client.recv(12), wanted)
            kept.append(client)
        with socket.create_connection(('::1', port), 20 * SLOW) as client:
            client.sendall(v1('192.0.2.7') + ASK)
            same(client.recv(12), b'HTTP/1.1 400', '::1 is not named')
        while kept:
            kept.pop().close()
    return None


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


# ------------------------------------------------------------------------------------------ rates

@test
def rates(backend):
    """Rate= slows down each reply; a rule's goes before it if it is less."""
    size = 200 << 10
    with limited(backend, 'Rate=100K', rules='[Path /slow]\nRate=50K\n[Path /large]\nRate=10M\n') as server:
        for path, rate in (('/large', 100 << 10), ('/slow', 50 << 10)):
            write(os.path.join(os.path.dirname(server.log), 'www', path[1:]), bytes(size))
            began = time.monotonic()
            same(len(server.get(path).body), size)
            took, least = time.monotonic() - began, (size - rate / 16 - 1024) / rate
            assert took >= 0.9 * least, (path, took, least)


if __name__ == '__main__':
    sys.exit(run(__file__))
