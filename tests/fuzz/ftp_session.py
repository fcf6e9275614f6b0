#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Random FTP sessions against a running server: commands in any order and in any pieces, data connections that are used
or not, and ends anywhere. The server lives, gives each command one reply, and in the end has nothing left.

`make test` does a few hundred sessions; tests/fuzz/run --seconds N ftp_session as many as that allows (FUZZ_SECONDS),
drawn from a seed (FUZZ_SEED).
"""
import os
import random
import re
import select
import socket
import struct
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'server'))

from ftp import FtpServer, listening, port_command
from served import SLOW, directory, eventually, run, same, test, write

SECONDS = int(os.environ.get('FUZZ_SECONDS') or 0)
SEED = int(os.environ.get('FUZZ_SEED') or 1)
SESSIONS, THREADS = 250, 4
NAMES = [b'small.txt', b'large', b'sub', b'sub/in', b'none', b'', b'/', b'.', b'..', b'../../x', b'link', b'new',
         b'new/deep', b'sp ace', b'q"uote', b'n\0l', b'c\r\0r', b'i\xff\xffac', b'x' * 300, b'y/' * 2060, b'.hidden',
         b'.errand-1', 'grüße'.encode(), b'%n%s', b'*', b'-la', b'-R /']
WORDS = [b'0', b'1', b'5', b'-1', b'99999999', b'9223372036854775807', b'9223372036854775808', b'A', b'I', b'A N', b'S',
         b'F', b'1', b'2', b'ALL', b'UTF8 ON', b'MLST size;', b'HASH SHA-256', b'anonymous', b'root', b'HELP',
         b'20200101000000 small.txt', b'CHMOD 600 new', b'UTIME 20200101000000 new', b'127,0,0,1,200,1',
         b'127,0,0,2,200,1', b'1,2,3', b'|1|127.0.0.1|5|', b'|2|::1|50000|', b'||||']
JUNK = [b'', b'\r\n', b'\0', b'\xff\xf4\xff\xf2', b'\xff\xfb\x01', b'x' * 5000, b'x' * 20000, b'\xff', b' ', b'FROG\n']

# They end the session, soon or late, or have a transfer wait for who will not come.
UNSURE = (b'QUIT', b'PASS', b'EPSV', b'PASV', b'PORT', b'EPRT')


def site():
    root = directory()
    write(os.path.join(root, 'small.txt'), b'hello\n' * 10)
    write(os.path.join(root, 'sub', 'in'), b'below')
    write(os.path.join(root, '.hidden'), b'hidden')
    os.symlink('../..', os.path.join(root, 'link'))
    with open(os.path.join(root, 'large'), 'wb') as file:
        file.truncate(8 << 20)
    return root


class Replies:
    """Reads what a control connection says, whatever its pieces, and takes nothing but replies (RFC 959, 4.2)."""

    def __init__(self):
        self.data, self.open, self.codes, self.port = b'', None, [], None

    def take(self, data):
        *lines, self.data = (self.data + data).split(b'\r\n')
        for line in lines:
            if self.open is None:
                assert re.fullmatch(rb'[1-5][0-9][0-9][ -].*', line, re.DOTALL), line
            elif not line.startswith(self.open):
                assert line.startswith(b' '), line
                continue
            self.open = line[:3] + b' ' if line[3:4] == b'-' else None
            if self.open is None:
                self.codes.append(int(line[:3]))
            named = re.search(rb'\(\|\|\|(\d+)\|\)|\(\d+,\d+,\d+,\d+,(\d+),(\d+)\)', line)
            if named:
                self.port = int(named[1] or int(named[2]) * 256 + int(named[3]))

    def final(self):
        return [code for code in self.codes if code >= 200]


class Session:
    def __init__(self, server, verbs, seed):
        self.server, self.verbs, self.draw, self.data = server, verbs, random.Random(seed), []
        self.replies, self.said = Replies(), []
        self.control = socket.create_connection(('127.0.0.1', server.ftp), 20 * SLOW)
        if self.draw.randrange(8):
            self.say(b'USER anonymous\r\nPASS x\r\n')

    def line(self):
        verb = self.draw.choice(self.verbs)
        if verb == b'QUIT' and self.draw.randrange(10):
            verb = b'RETR'
        words = self.draw.choice((NAMES, NAMES, WORDS, [b'']))
        return verb + (b' ' + self.draw.choice(words) if self.draw.randrange(8) else b'') + b'\r\n'

    def say(self, data):
        self.said.append(data)
        self.control.settimeout(0.2)  # it may have stopped listening to who does not read
        self.control.sendall(data)

    def hear(self, wait=0.0):
        """Whatever has come. False: it is over."""
        while select.select([self.control], [], [], wait)[0]:
            data = self.control.recv(65536)
            if not data:
                return False
            self.replies.take(data)
        return True

    def connect(self):
        if self.replies.port:
            data = socket.socket()
            data.settimeout(0.2)
            self.data.append(data)
            data.connect(('127.0.0.1', self.replies.port))

    def use(self):
        """Something with one of the data connections."""
        if not self.data:
            return
        data = self.draw.choice(self.data)
        data.settimeout(0.02)
        what = self.draw.randrange(4)
        if what == 0:
            data.recv(self.draw.randrange(1, 1 << 20))
        elif what == 1:
            data.sendall(self.draw.randbytes(self.draw.randrange(1, 200000)))
        elif what == 2:
            data.shutdown(socket.SHUT_WR)
        else:
            self.data.remove(data)
            leave(data, self.draw)

    def step(self):
        what = self.draw.randrange(12)
        if what < 4:
            self.say(self.line())
        elif what == 4:
            self.say(b''.join(self.line() for _ in range(self.draw.randrange(2, 30))))
        elif what == 5:
            line = self.line()
            self.say(line[:self.draw.randrange(len(line))])
        elif what == 6:
            self.say(self.draw.choice(JUNK))
        elif what == 7:
            self.say(self.draw.choice((b'EPSV\r\n', b'PASV\r\n', b'EPSV\r\nRETR large\r\n', b'PASV\r\nSTOR new\r\n')))
        elif what == 8:
            self.connect()
        elif what == 9:
            self.use()
        else:
            self.hear(0.01)

    def play(self):
        try:
            for _ in range(self.draw.randrange(60)):
                self.step()
            if self.draw.randrange(3) == 0:
                self.control.shutdown(socket.SHUT_WR)
                self.hear(0.2)
        except OSError:
            pass  # the server ended it, or does not listen for now
        for each in [*self.data, self.control]:
            leave(each, self.draw)


def leave(connection, draw):
    if draw.randrange(2):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    connection.close()


def serve_data(listener, draw, over):
    """The client's end of active data connections: takes all, gives something, or is short of patience."""
    while not over.is_set():
        if not select.select([listener], [], [], 0.05)[0]:
            continue
        with listener.accept()[0] as data:
            data.settimeout(2 * SLOW)
            try:
                if draw.randrange(4) == 0:
                    data.sendall(draw.randbytes(draw.randrange(100000)))
                data.shutdown(socket.SHUT_WR)
                while draw.randrange(50) and data.recv(1 << 18):
                    pass
            except OSError:
                pass


def polite(server, verbs, seed):
    """Whoever listens to the end has one final reply for each command, and the greeting, however he sends them."""
    session = Session(server, [verb for verb in verbs if verb not in UNSURE], seed)
    listener, port = listening()
    over = threading.Event()
    thread = threading.Thread(target=serve_data, args=(listener, random.Random(seed), over))
    thread.start()
    try:
        for _ in range(session.draw.randrange(1, 12)):
            lines = [session.line() for _ in range(session.draw.randrange(1, 12))]
            lines.insert(session.draw.randrange(len(lines)), port_command(port).encode() + b'\r\n')
            session.say(b''.join(lines))
            session.hear()
        session.say(b'QUIT\r\n')
        while session.hear(20 * SLOW):
            pass
    finally:
        over.set()
        thread.join()
        listener.close()
        session.control.close()
    codes, sent = session.replies.final(), b''.join(session.said).count(b'\n')
    same(session.replies.data, b'', 'half a reply')
    same((len(codes), codes[-1]), (sent + 1, 221), session.said)


def campaign(server, verbs, seed, limit, wrong, played):
    number = 0
    try:
        while time.monotonic() < limit if SECONDS else number < SESSIONS // THREADS:
            one = f'{SEED}.{seed}.{number}'
            if number % 5 == 0:
                polite(server, verbs, one)
            else:
                Session(server, verbs, one).play()
            number += 1
        played.append(number)
    except Exception as error:
        wrong.append(f'session {SEED}.{seed}.{number}: {error!r}')


@test
def random_sessions(backend):
    root = site()
    limits = 'SendTimeout=1s\nBodyTimeout=1s'
    with FtpServer(root, backend, '--writable', limits=limits, conf='IdleTimeout=5s') as server:
        with server.control() as control:
            listed = control.command('HELP', 214).split()
            verbs = [word for word in listed if re.fullmatch(rb'[A-Z]{3,4}', word) and word != b'End']
            assert b'RETR' in verbs, listed
            same(control.fetch('RETR small.txt'), b'hello\n' * 10)
        descriptors, ports = server.held()
        limit, wrong, played = time.monotonic() + SECONDS, [], []
        threads = [threading.Thread(target=campaign, args=(server, verbs, number, limit, wrong, played))
                   for number in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        same(wrong, [])

        def as_before():
            now, now_ports = server.held()
            return now - now_ports <= descriptors - ports + 16  # base/pipe.h
        eventually(as_before, 30)
        eventually(lambda: not [name for _, _, names in os.walk(root) for name in names if name.startswith('.errand-')])
        write(os.path.join(root, 'last.txt'), b'last')
        with server.control() as control:
            same(control.fetch('RETR /last.txt'), b'last')
        assert not server.said(), 'it complained'
    if SECONDS:
        print(f'# seed {SEED}: {sum(played)} sessions')


if __name__ == '__main__':
    sys.exit(run(__file__))
