#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The benchmarks' load generator, against a server of a few lines that does right, late or wrong as it is told."""
import json
import os
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'server'))
from served import BUILD, SLOW, directory, run, same, test, write

LOAD = os.path.join(BUILD, 'tests', 'load')
FILES = {f'/f{number}': b'%04d' % number * 500 for number in range(40)}


class Server:
    """Answers GETs of FILES; `stalls` (since the first request, seconds) is when it does nothing for how long."""

    def __init__(self, stalls=None, answer=None):
        self.listener = socket.create_server(('127.0.0.1', 0), backlog=200)
        self.address = '127.0.0.1:%d' % self.listener.getsockname()[1]
        self.stalls, self.answer, self.lock = stalls, answer, threading.Lock()
        self.connections, self.asked, self.begun = 0, [], None
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        with client, client.makefile('rb') as lines:
            while line := lines.readline():
                path, head = line.split()[1].decode(), b''
                while (more := lines.readline()) not in (b'\r\n', b''):
                    head += more
                with self.lock:  # who comes while it stalls waits like all the others
                    self.asked.append(path)
                    self.begun = self.begun or time.monotonic()
                    if self.stalls and time.monotonic() - self.begun > self.stalls[0]:
                        time.sleep(self.stalls[1])
                        self.stalls = None
                body = FILES[path]
                reply = b'HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s' % (len(body), body)
                reply = self.answer(path, reply) if self.answer else reply
                client.sendall(reply)
                if b'Connection: close' in head + reply:
                    return


def ask(backend, server, *options, stdin=None):
    """Runs the load generator; its report, and its exit status."""
    root = directory()
    for path, body in FILES.items():
        write(root + path, body)
    write(f'{root}/paths', ''.join(f'{path} {len(body)}\n' for path, body in FILES.items()).encode())
    done = subprocess.run([LOAD, server.address, '--paths', f'{root}/paths', '--check', root, *options],
                          env={**os.environ, 'ERRAND_BACKEND': backend}, input=stdin or '', capture_output=True,
                          text=True, timeout=60 * SLOW, check=False)
    server.listener.close()
    lines = done.stdout.splitlines()
    return json.loads(lines[-1]) if lines and lines[-1].startswith('{') else {}, done


@test
def each_asks_once_for_everything(backend):
    server = Server()
    report, done = ask(backend, server, '--connections', '4', '--each', '10', '--seconds', '60')
    same((done.returncode, report['requests'], report['connections_done']), (0, 40, 4))
    same((sorted(server.asked), server.connections), (sorted(FILES), 4))
    same(report['body_bytes'], sum(len(body) for body in FILES.values()))


@test
def a_stall_is_charged_for_all_that_was_due(backend):
    """100 requests a second; nothing is answered for 1 s of 3: a third of all waited, some for nearly all of it."""
    server = Server(stalls=(0.5, 1.0))
    report, done = ask(backend, server, '--connections', '4', '--rate', '100', '--seconds', '3')
    same((done.returncode, report['requests'] + report['unanswered'] >= 295), (0, True), report)
    same(report['us_p50'] < 400e3 and 600e3 < report['us_p90'] <= report['us_max'], True, report)


@test
def a_connection_for_each_request(backend):
    server = Server()
    report, done = ask(backend, server, '--connections', '3', '--connection-each', '--rate', '50', '--seconds', '1')
    same((done.returncode, report['failed'], report['closed']), (0, 0, 0), done.stderr)
    same(report['requests'] + report['unanswered'] >= 49, True, report)
    asked = len(server.asked)
    same(asked <= server.connections <= asked + 3, True, f'{server.connections} connections, {asked} requests')


@test
def a_connection_that_is_closed_after_its_answer_is_renewed(backend):
    server = Server(answer=lambda path, reply: reply.replace(b'OK', b'OK\r\nConnection: close')
                    if path[-1] == '7' else reply)
    report, done = ask(backend, server, '--connections', '4', '--each', '10', '--seconds', '60')
    same((done.returncode, report['requests'], report['closed'], report['failed']), (0, 40, 0, 0), done.stderr)
    same((report['renewed'], server.connections), (4, 8))


@test
def waiting_asks_once_on_each_connection(backend):
    server = Server()
    report, done = ask(backend, server, '--connections', '7', '--each', '1', '--seconds', '60', '--wait', stdin='\n')
    same((done.returncode, done.stdout.splitlines()[0]), (0, 'ready'))
    same((report['requests'], len(server.asked), server.connections), (7, 14, 7))
    server = Server()
    report, done = ask(backend, server, '--connections', '7', '--each', '1', '--seconds', '60', '--wait')
    same((report, len(server.asked)), ({}, 7), 'nobody said go')
    same((done.returncode, done.stdout), (1, 'ready\n'))


@test
def wrong_answers_are_told(backend):
    for counter, good, bad in (('wrong_body', b'0007', b'0070'), ('wrong_status', b'200 OK', b'403 No'),
                               ('wrong_length', b': 2000', b': 1999')):
        server = Server(answer=lambda path, reply: reply.replace(good, bad) if path == '/f7' else reply)
        report, done = ask(backend, server, '--connections', '4', '--each', '10', '--seconds', '60')
        same((report[counter], done.returncode), (1, 1), counter)
        same('/f7' in done.stderr, counter != 'wrong_body', done.stderr)


@test
def an_answer_cut_short_stays_unanswered(backend):
    server = Server(answer=lambda path, reply: reply[:-1] if path == '/f7' else reply)
    report, _ = ask(backend, server, '--connections', '4', '--each', '10', '--seconds', '2')
    same((report['unanswered'], report['connections_done'], report['requests']), (1, 3, 37))


if __name__ == '__main__':
    sys.exit(run(__file__))
