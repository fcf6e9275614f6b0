# SPDX-License-Identifier: MIT
"""What the server's end-to-end tests share: starting one, talking to it with raw sockets, and a list of tests.

A test is a function of a backend's name, marked @test; run() runs those whose names contain one of the arguments, on
each backend, and reports as tests/run wants it. Nothing here waits for luck: what has to happen is polled for, within
a limit.
"""
import ctypes
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback

BUILD = os.environ.get('TEST_BUILD', 'build-test')
ERRAND = os.path.join(BUILD, 'cli', 'errand')
BACKENDS = [name for name in ('uring', 'threads') if name in os.environ.get('TEST_BACKENDS', 'uring threads')]
# TEST_SECCOMP=yes: every server gives up system calls.
CONFINED = ['--seccomp', 'yes'] if os.environ.get('TEST_SECCOMP') == 'yes' else []
NO_FTP = ['--ftp', 'off']  # its default port is one, and tests run beside each other
SLOW = int(os.environ.get('TEST_TIMEOUT_SCALE') or 1) * 2
CANARY = b'the canary outside\n'

tests = []
directories = []


def test(function):
    tests.append(function)
    return function


def directory():
    """A new empty directory, removed after the test."""
    path = tempfile.mkdtemp(prefix='errand-serve-')
    os.chmod(path, 0o755)
    directories.append(path)
    return path


def write(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'wb') as file:
        file.write(data)


def content(*path):
    with open(os.path.join(*path), 'rb') as file:
        return file.read()


def same(actual, wanted, what=''):
    if actual != wanted:
        raise AssertionError(f'{what}: {str(actual)[:300]!r} instead of {str(wanted)[:300]!r}')


def eventually(condition, seconds=10):
    """Polls until the condition holds."""
    limit = time.monotonic() + seconds * SLOW
    while not condition():
        if time.monotonic() > limit:
            raise AssertionError(f'not so within {seconds * SLOW} s: {condition.__name__}')
        time.sleep(0.01)


def without_leaks(command, environment=os.environ):
    """The environment for a server. What looks for leaks at its end takes system calls that it may have given up."""
    leaks = ':detect_leaks=0' if '--seccomp' in command else ''
    return {**environment, 'ASAN_OPTIONS': environment.get('ASAN_OPTIONS', '') + leaks}


class Reply:
    """One reply, read from a stream up to its exact end."""

    def __init__(self, stream, only_head=False):
        head = b''
        while not head.endswith(b'\r\n\r\n'):
            line = stream.readline()
            if not line:
                raise AssertionError(f'the stream ended within a head: {head!r}')
            head += line
        lines = head.decode('latin-1').split('\r\n')
        match = re.fullmatch(r'HTTP/1\.1 (\d{3}) [A-Za-z ]+', lines[0])
        assert match, lines[0]
        self.status = int(match.group(1))
        self.headers = {}
        for line in lines[1:-2]:
            name, value = line.split(': ', 1)
            assert name.lower() not in self.headers, f'{name} twice'
            self.headers[name.lower()] = value
        assert re.fullmatch(r'\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT', self.headers['date'])
        self.length = int(self.headers.get('content-length', 0))
        self.body = b'' if only_head or self.status == 304 else stream.read(self.length)
        if not only_head and self.status != 304:
            same(len(self.body), self.length, 'bytes of the body')


class Server:
    """A running `errand serve`, on a free port. Leaving the block stops it and looks at how it ended."""

    def __init__(self, root, backend, *arguments, threads=2, files=None, user=None, quiet=True):
        self.messages = tempfile.TemporaryFile()
        self.quiet = quiet
        before = (lambda: __import__('resource').setrlimit(7, (files, files))) if files else None
        command = [ERRAND, 'serve', '--http', '127.0.0.1:0', '--backend', backend, '--threads', str(threads),
                   *([] if '--ftp' in arguments else NO_FTP), *CONFINED, *arguments, root]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=self.messages, preexec_fn=before, user=user, env=without_leaks(command))
        self.started = self.process.stdout.readline().decode()
        match = re.search(r'http://127\.0\.0\.1:(\d+)/', self.started)
        if not match:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f'did not start: {self.started!r} {self.said()!r}')
        self.port = int(match.group(1))
        self.started += self.process.stdout.readline().decode()
        self.url = f'http://127.0.0.1:{self.port}/'

    def said(self):
        self.messages.seek(0)
        return self.messages.read().decode('utf-8', 'replace')

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if self.process.poll() is None:
            self.process.terminate()
        code = self.ended()
        if kind is None:
            same(code, 0, f'exit code ({self.said()})')
            if self.quiet:
                same(self.said(), '', 'standard error')
        else:
            sys.stdout.write(''.join(f'# server: {line}\n' for line in self.said().splitlines()))

    def ended(self):
        """Waits for its end; returns the exit code."""
        try:
            code = self.process.wait(20 * SLOW)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            code = 'did not end in time'
        self.process.stdout.close()
        return code

    def connect(self, receive_buffer=None):
        client = socket.socket()
        client.settimeout(20 * SLOW)
        if receive_buffer:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        client.connect(('127.0.0.1', self.port))
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return client

    def say(self, data, end=True):
        """Sends raw bytes on a new connection; returns everything that comes until the server closes."""
        with self.connect() as client:
            try:
                client.sendall(data)
                if end:
                    client.shutdown(socket.SHUT_WR)
            except (BrokenPipeError, ConnectionResetError):
                pass  # the answer came before everything was said, and it counts
            return read_all(client)

    def status(self, data):
        """The status of the one reply to raw bytes, after which the server has to close by itself."""
        answer = self.say(data, end=False)
        assert answer.startswith(b'HTTP/1.1 '), answer
        return int(answer[9:12])

    def get(self, path, method='GET', **headers):
        """One request, one reply. Header names: if_none_match for If-None-Match."""
        lines = [f'{method} {path} HTTP/1.1', 'Host: test', 'Connection: close']
        lines += [f'{name.replace("_", "-")}: {value}' for name, value in headers.items()]
        with self.connect() as client, client.makefile('rb') as stream:
            client.sendall(('\r\n'.join(lines) + '\r\n\r\n').encode('latin-1'))
            reply = Reply(stream, method == 'HEAD')
            same(reply.headers.get('connection'), 'close', 'Connection')
            same(stream.read(), b'', 'after the reply')
            return reply

    def descriptors(self):
        return len(os.listdir(f'/proc/{self.process.pid}/fd'))


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(('::1', 0))
            return True
    except OSError:
        return False


def head(method, path, *lines):
    return '\r\n'.join((f'{method} {path} HTTP/1.1', 'Host: test', *lines, '', '')).encode()


def put(server, path, body=b'', *lines):
    """A PUT with a length, on a connection of its own."""
    with server.connect() as client, client.makefile('rb') as stream:
        client.sendall(head('PUT', path, f'Content-Length: {len(body)}', 'Connection: close', *lines) + body)
        return Reply(stream)


def read_all(client):
    answer = b''
    while True:
        data = client.recv(1 << 20)
        if not data:
            return answer
        answer += data


class Swapping:
    """A thread that makes a path now this, now that, in one step: RENAME_EXCHANGE."""

    def __init__(self, path, other):
        self.paths, self.over, self.times = (path.encode(), other.encode()), False, 0
        self.thread = threading.Thread(target=self.swap)
        self.thread.start()

    def swap(self):
        exchange = ctypes.CDLL(None).renameat2
        while not self.over and exchange(-100, self.paths[0], -100, self.paths[1], 2) == 0:
            self.times += 1

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        self.over = True
        self.thread.join()
        if kind is None:
            assert self.times > 1000, self.times


def run(script):
    """Runs what the command line selects; the exit status."""
    failed = 0
    program = os.path.splitext(os.path.basename(script))[0]
    for function in tests:
        for backend in BACKENDS:
            name = f'{program}/{function.__name__}@{backend}'
            if sys.argv[1:] and not any(part in name for part in sys.argv[1:]):
                continue
            try:
                problem = function(backend)
                print(f'ok {name} # skipped: {problem}' if problem else f'ok {name}', flush=True)
            except Exception:
                failed += 1
                print(f'not ok {name}')
                print(''.join(f'# {line}\n' for line in traceback.format_exc().splitlines()), end='', flush=True)
            finally:
                while directories:
                    shutil.rmtree(directories.pop(), ignore_errors=True)
    return 1 if failed else 0
