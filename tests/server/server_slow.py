#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Clients that are slow on purpose: they get their time and no more, and disturb nobody."""
import os
import select
import sys
import threading
import time

from limited import BIG, ask, connect, limited
from recorded import HoldFs
from served import SLOW, Reply, directory, eventually, read_all, run, same, test


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
    with limited(backend, 'BodyTimeout=2s') as server:
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
    with limited(backend, 'SendTimeout=2s', threads=1) as server:
        steady, over, trouble = connect(server, receive_buffer=65536), threading.Event(), []
        steady.sendall(BIG)

        def read_on():
            try:
                while not over.is_set() and steady.recv(65536):
                    time.sleep(0.005)  # this client's pace
            except OSError as error:
                trouble.append(error)
        reader = threading.Thread(target=read_on)
        reader.start()
        began = time.monotonic()
        silent = [connect(server, receive_buffer=4096) for _ in range(100)]
        for client in silent:
            client.sendall(BIG)

        def they_are_gone():
            """By figures that tell of them: those of a moment ago may not yet."""
            same(server.get('/a.txt').body, b'hello\n')
            connections = server.figures()['connections']
            return connections['accepted'] > len(silent) + 1 and connections['open'] == 1
        try:
            eventually(they_are_gone)
        finally:
            over.set()
            reader.join()
        same(trouble, [], 'the one that goes on reading')
        assert time.monotonic() - began >= 2
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
    with limited(backend, 'LeastRate=10K\nLeastRateTime=2s\nHeadTimeout=1h\n', '', '--http', f'unix:{path}') as server:
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
            fast = [Paced(fast_reader, False, 1000), Paced(fast_sender, True, 400)]
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
