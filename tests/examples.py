#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs each program of examples/ on each backend and looks at what it prints: the files that it reads, one that is
not there, and what the loop that it lives in, or that lives in it, had to do besides.

    examples.py [PART OF A NAME]...
"""
import os
import socket
import subprocess
import sys
import tempfile
import threading

BUILD = os.environ.get('TEST_BUILD', 'build-test')
BACKENDS = [name for name in ('uring', 'threads') if name in os.environ.get('TEST_BACKENDS', 'uring threads')]
LIMIT = 30 * int(os.environ.get('TEST_TIMEOUT_SCALE') or 1)
FILES = 40  # more than one errand_queue_dispatch() takes

EXAMPLES = {
    'read-file': [],
    'embed-epoll': ["the loop's timer"],
    'embed-libuv': ["the loop's timer"],
    'embed-glib': ["the loop's timer"],
    'embed-sd-event': ["the loop's timer"],
    'drive-epoll': ["the loop's timer"],
    'drive-libuv': ["the loop's timer", "the loop's work"],
}

# The others: what each is given, in a directory that holds `text` ("hello") and is called {0}, and what it then says.
COMMANDS = {
    'await': (['{0}/text'], '6 bytes, none\n'),
    'cancel': ([], 'receive ended with ETIMEDOUT\nreceive ended with ECANCELED\n0 chains, 0 operations, 0 stuck\n'),
    'chain-call': (['{0}/text'], 'hello\n'),
    'child': (['true'], 'ended by itself\n'),
    'children': (['exit 3'], 'exit 3: status 3\n'),
    'configuration': (['{0}/text', 'more'], ''),
    'copy-file': (['{0}/text', '{0}/new'], ''),
    'copy-like': (['{0}/text', '{0}/new'], ''),
    'copy-tree': (['{0}/text', '{0}/new'], '1 files\n'),
    'durable-replace': (['{0}', 'text', 'new'], ''),
    'echo': ([], 'hello\n'),
    'first': (['{0}/missing', '{0}/text'], '{0}/text\n'),
    'list-directory': (['{0}'], 'text\n'),
    'open-close': (['{0}/text'], ' 6 bytes, 6 of them read\n'),
    'post': ([], '0\n1\n4\n9\n16\n'),
    'timer-signal': ([], 'tick 10\n'),
    'upload': (['{0}/new'], '9 bytes, none\n'),
    'watch': (['{0}'], ''),
    'work': (['{0}/text'], 'b73a0178\n'),
}
# What they leave behind.
LEFT = {
    'configuration': {'text': 'hello\nmore\n', 'text.old': 'hello\n', 'text.log': 'changed\n'},
    'copy-file': {'text': 'hello\n', 'new': 'hello\n'},
    'copy-like': {'text': 'hello\n', 'new': 'hello\n'},
    'copy-tree': {'text': 'hello\n', 'new': 'hello\n'},
    'durable-replace': {'text': 'new'},
    'upload': {'text': 'hello\n', 'new': 'uploaded\n'},
}
# And those that serve: what they are given, what a client says, and what it gets.
SERVERS = {
    'file-server': (['{0}', '0'], 'GET /text HTTP/1.0\r\n\r\n', 'HTTP/1.0 200 OK\r\nContent-Length: 6\r\n\r\nhello\n'),
    'sixty-lines': (['{0}', '0'], 'GET /text HTTP/1.0\r\n\r\n', 'HTTP/1.0 200 OK\r\n\r\nhello\n'),
    'send-file': (['{0}', 'text'], '', 'Here it is:\nhello\n'),
}


def fill(directory):
    with open(os.path.join(directory, 'text'), 'w', encoding='utf-8') as file:
        file.write('hello\n')


def contents(directory):
    found = {}
    for name in os.listdir(directory):
        with open(os.path.join(directory, name), encoding='utf-8') as file:
            found[name] = file.read()
    return found


def run_command(name, program, backend):
    arguments, wanted = COMMANDS[name]
    with tempfile.TemporaryDirectory() as directory:
        fill(directory)
        environment = {**os.environ, 'ERRAND_BACKEND': backend}
        done = subprocess.run([program] + [argument.format(directory) for argument in arguments], timeout=LIMIT,
                              env=environment, input='', stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              check=False)
        if done.returncode != 0 or not done.stdout.endswith(wanted.format(directory)):
            return f'status {done.returncode}: {done.stdout[-2000:]}'
        left = contents(directory)
        return '' if left == LEFT.get(name, {'text': 'hello\n'}) else f'it left {left}'


def run_server(name, program, backend):
    arguments, said, wanted = SERVERS[name]
    with tempfile.TemporaryDirectory() as directory:
        fill(directory)
        environment = {**os.environ, 'ERRAND_BACKEND': backend}
        with subprocess.Popen([program] + [argument.format(directory) for argument in arguments], env=environment,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as server:
            try:
                port = int(server.stdout.readline().split()[1])
                with socket.create_connection(('127.0.0.1', port), LIMIT) as client:
                    client.sendall(said.encode())
                    got = b''
                    while piece := client.recv(4096):
                        got += piece
            finally:
                server.kill()
    return '' if got.decode() == wanted else f'a client got {got!r}'


def run_fetch(_, program, backend):
    """A peer takes all that comes, then answers."""
    def answer():
        peer, _ = listener.accept()
        with peer:
            got = b''
            while piece := peer.recv(4096):
                got += piece
            peer.sendall(got + b' back')

    with tempfile.TemporaryDirectory() as directory, socket.create_server(('127.0.0.1', 0)) as listener:
        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        port, path = str(listener.getsockname()[1]), os.path.join(directory, 'new')
        done = subprocess.run([program, port, 'text', path], env={**os.environ, 'ERRAND_BACKEND': backend},
                              timeout=LIMIT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        left = contents(directory)
    return '' if done.returncode == 0 and left == {'new': 'TEXT BACK'} else f'{done.returncode}: {done.stdout} {left}'


ALL = {**{name: lambda name, program, backend: check(program, backend, EXAMPLES[name]) for name in EXAMPLES},
       **dict.fromkeys(COMMANDS, run_command), **dict.fromkeys(SERVERS, run_server), 'fetch': run_fetch}


def check(program, backend, own):
    """Returns what is wrong, or nothing."""
    with tempfile.TemporaryDirectory() as directory:
        paths, wanted = [], list(own)
        for number in range(FILES):
            paths.append(os.path.join(directory, f'file{number}'))
            with open(paths[-1], 'wb') as file:
                file.write(b'x' * number)
            wanted.append(f'{paths[-1]}: begins with {number} bytes')
        for arguments, lines in (([], list(own)), (paths, wanted)):
            done = subprocess.run([program] + arguments, env={**os.environ, 'ERRAND_BACKEND': backend}, timeout=LIMIT,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
            if done.returncode != 0 or sorted(done.stdout.splitlines()) != sorted(lines):
                return f'status {done.returncode}: {done.stdout[-2000:]}'
        missing = os.path.join(directory, 'missing')
        done = subprocess.run([program, missing], env={**os.environ, 'ERRAND_BACKEND': backend}, timeout=LIMIT,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        said = [line for line in done.stdout.splitlines() if line not in own]
        if done.returncode != 0 or len(said) != 1 or not said[0].endswith('ENOENT'):
            return f'status {done.returncode}: {done.stdout[-2000:]}'
    return ''


def main():
    source = os.environ.get('TEST_SOURCE') or os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    names = os.listdir(os.path.join(source, 'examples'))
    there = {name[:-2].replace('_', '-') for name in names if name.endswith('.c')}
    failed = there != set(ALL)
    print('not ok' if failed else 'ok', 'examples/each_is_run')
    for name, run in ALL.items():
        for backend in BACKENDS:
            full = f'examples/{name}@{backend}'
            if sys.argv[1:] and not any(part in full for part in sys.argv[1:]):
                continue
            program = os.path.join(BUILD, 'examples', 'example-' + name)
            if not os.path.exists(program):
                print(f'ok {full} # skipped: the library that it is about is not installed', flush=True)
                continue
            try:
                wrong = run(name, program, backend)
            except subprocess.TimeoutExpired as expired:
                wrong = f'did not end within {LIMIT} s: {expired.output}'
            failed = failed or bool(wrong)
            print(f'not ok {full}' if wrong else f'ok {full}', flush=True)
            for line in wrong.splitlines():
                print('# ' + line)
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
