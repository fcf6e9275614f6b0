#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""errand serve with a configuration file: -t, what errors say, sockets of all kinds, and that the command line wins."""
import errno
import os
import re
import socket
import subprocess
import sys

from served import BACKENDS, ERRAND, NO_FTP, SLOW, directory, eventually, has_ipv6, read_all, run, same, test, write


def site():
    root = directory()
    write(os.path.join(root, 'www', 'a.txt'), b'hello\n')
    write(os.path.join(root, 'other', 'a.txt'), b'other\n')
    return root


def configured(root, text):
    path = os.path.join(root, 'errand.conf')
    write(path, text.encode())
    return path


def errand(*arguments):
    done = subprocess.run([ERRAND, 'serve', *NO_FTP, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=30 * SLOW, check=False)
    return done.returncode, done.stdout, done.stderr


class Started:
    """errand serve with any options; leaving the block ends it."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen([ERRAND, 'serve', *NO_FTP, *arguments], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.line = self.process.stdout.readline()
        if not self.line:
            raise AssertionError(f'did not start: {self.process.communicate()[1]}')
        self.line += self.process.stdout.readline()
        self.addresses = re.findall(r'http://(\S+):(\d+)/', self.line)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        self.process.terminate()
        try:
            _, said = self.process.communicate(timeout=20 * SLOW)
        except subprocess.TimeoutExpired:
            self.process.kill()
            _, said = self.process.communicate()
        if kind is None:
            same((self.process.returncode, said), (0, ''))


def fetch(family, address, path='/a.txt'):
    with socket.socket(family) as client:
        client.settimeout(20 * SLOW)
        client.connect(address)
        client.sendall(f'GET {path} HTTP/1.0\r\n\r\n'.encode())
        answer = read_all(client)
        assert answer.startswith(b'HTTP/1.1 200'), answer
        return answer.split(b'\r\n\r\n', 1)[1]


@test
def tested(backend):
    if backend != BACKENDS[0]:
        return 'does not depend on it'
    root = site()
    good = configured(root, '[Server]\nThreads=2\n[Host]\nDirectory=www\n')
    same(errand('-t', '-c', good), (0, f'{good}: ok\n', ''))
    status, shown, _ = errand('-c', good, '--show-config', '--threads', '3')
    assert status == 0 and '\nThreads=3\n' in shown and f'\nDirectory={root}/www\n' in shown, shown
    same(errand('-t', '-c', configured(root, shown))[0], 0)
    good = configured(root, '[Server]\nThreads=2\n[Host]\nDirectory=www\n')
    same(errand('--test', f'--config={good}', '--threads', '3', os.path.join(root, 'other')), (0, f'{good}: ok\n', ''))
    for text, words in (
            ('[Server]\nThreads=0\n', ':2: Threads=0: want a number from 1 to 256'),
            ('[Server]\nThread=1\n', ':2: Thread is not known in [Server]; did you mean Threads?'),
            ('[Host]\nIdleTimeout=1\n', ':2: IdleTimeout is not known in [Host NAME...]; it belongs into [Limits]'),
            ('[Host]\nDirectory=nowhere\n', 'nowhere: No such file'),
            ('[Host]\nDirectory=www\n[Path /x]\nUsers=errand.conf\n', 'errand.conf:1: want NAME:HASH'),
            ('[Server]\nThreads=1\n', 'has no Directory=')):
        status, out, err = errand('-t', '-c', configured(root, text))
        same((status, out), (2, ''), text)
        assert words in err and err.startswith('errand serve: ') and err.count('\n') == 1, err
        if ':2:' in words:
            status, out, err = errand('-c', os.path.join(root, 'errand.conf'))
            same((status, out), (2, ''), 'without -t')
            assert words in err, err
    for path, words in (('nowhere/log', 'No such file'), ('www', 'Is a directory')):
        status, out, err = errand('-t', '-c', configured(root, f'[Log]\nAccess={path}\n[Host]\nDirectory=www\n'))
        same((status, out), (2, ''), path)
        assert f'cannot write the access log {root}/{path}: {words}' in err, err
    same(errand('-t', '-c', configured(root, '[Log]\nAccess=log\n[Host]\nDirectory=www\n'))[0], 0)
    assert not os.path.exists(os.path.join(root, 'log')), 'a test makes nothing'
    for arguments, words in (
            (['-t'], '-c FILE'), (['-c', '/nonexistent'], 'No such file'), (['-c', good, '-c', good], 'one config'),
            (['--cache', 'much'], "--cache 'much': want a size"), (['--status', 'x'], "--status 'x'"),
            (['--log-format', 'x'], 'combined or json'), (['--stop-within', 'x'], 'want a time'),
            (['--rate', 'x'], 'bytes'), (['--cors', 'x'], 'origins'), (['--spa', ''], 'index.html'),
            (['--user', 'a b'], 'one name'), (['--http', 'x:y'], 'ADDR:PORT')):
        status, out, err = errand(*arguments)
        same((status, out), (2, ''), str(arguments))
        assert words in err, (arguments, err)
    return None


@test
def the_example_of_the_manual(backend):
    if backend != BACKENDS[0]:
        return 'does not depend on it'
    page = os.path.join(os.environ.get('TEST_SOURCE', '.'), 'man', 'errand.conf.5')
    with open(page, encoding='utf-8') as file:
        example = re.search(r'^\.Sh EXAMPLES\n\.Bd [^\n]*\n(.*?)^\.Ed', file.read(), flags=re.M | re.S).group(1)
    status, shown, err = errand('-c', configured(site(), example.replace('\\-', '-')), '--show-config')
    same((status, err), (0, ''))
    assert '\n[Host files.example.org]\nDirectory=/srv/files\n' in shown, shown
    return None


@test
def several_listeners(backend):
    root = site()
    path = os.path.join(root, 'socket')
    text = '[Server]\nListen=127.0.0.1:0\nListen=127.0.0.1:0\nListen=unix:socket\nThreads=3\nSocketMode=0622\n'
    text += '' if not has_ipv6() else 'Listen=[::1]:0\n'
    file = configured(root, text + f'Backend={backend}\n[Host]\nDirectory=www\n')
    with Started('-c', file) as server:
        assert f'unix:{path}' in server.line, server.line
        same(len(server.addresses), 3 if has_ipv6() else 2)
        for host, port in server.addresses:
            family = socket.AF_INET6 if ':' in host else socket.AF_INET
            for _ in range(5):
                same(fetch(family, (host.strip('[]'), int(port))), b'hello\n')
        same(os.stat(path).st_mode & 0o7777, 0o622)
        for _ in range(20):
            same(fetch(socket.AF_UNIX, path), b'hello\n')
        status, _, err = errand('--http', f'unix:{path}', root)
        same(status, 1)
        assert 'another program listens there' in err, err
        same(fetch(socket.AF_UNIX, path), b'hello\n')
    assert not os.path.exists(path)


@test
def sockets_left_behind(backend):
    root = site()
    path = os.path.join(root, 'socket')
    arguments = ['--backend', backend, '--threads', '2', '--http', f'unix:{path}', os.path.join(root, 'www')]
    server = Started(*arguments)
    server.process.kill()
    server.process.communicate()

    def is_left():  # a ring goes on accepting for a moment after its process has ended
        with socket.socket(socket.AF_UNIX) as client:
            return client.connect_ex(path) == errno.ECONNREFUSED
    eventually(is_left)
    with Started(*arguments):
        same(fetch(socket.AF_UNIX, path), b'hello\n')
    write(path, b'precious')
    status, _, err = errand(*arguments)
    same(status, 1)
    assert 'no socket is in its place' in err, err
    with open(path, 'rb') as file:
        same(file.read(), b'precious')
    status, _, err = errand('--http', 'unix:/nonexistent/socket', root)
    same(status, 1)
    assert 'unix:/nonexistent/socket' in err and 'No such file' in err, err


@test
def replaced_while_stopping(backend):
    """A server that is still finishing does not take away the socket of the one that follows it."""
    root = site()
    path = os.path.join(root, 'socket')
    with open(os.path.join(root, 'www', 'big'), 'wb') as file:
        file.truncate(64 << 20)
    arguments = ['--backend', backend, '--threads', '2', '--http', f'unix:{path}', os.path.join(root, 'www')]
    with Started(*arguments) as first, socket.socket(socket.AF_UNIX) as slow:
        slow.connect(path)
        slow.sendall(b'GET /big HTTP/1.1\r\nHost: a\r\n\r\n')
        slow.recv(10)
        first.process.terminate()

        def is_gone():
            return not os.path.exists(path)
        eventually(is_gone)
        with Started(*arguments):
            same(fetch(socket.AF_UNIX, path), b'hello\n')
            slow.close()
            first.process.wait(20 * SLOW)
            same(fetch(socket.AF_UNIX, path), b'hello\n')


@test
def command_line_wins(backend):
    root = site()
    with socket.socket() as taken:
        taken.bind(('127.0.0.1', 0))
        taken.listen()
        port = taken.getsockname()[1]
        other = 'threads' if backend == 'uring' else 'uring'
        file = configured(root, f'[Server]\nListen=127.0.0.1:{port}\nListen=unix:socket\nThreads=7\nBackend={other}\n'
                                '[Host]\nDirectory=www\n')
        options = ['--threads', '1', '--backend', backend, '-d', os.path.join(root, 'other')]
        options += ['--http', '127.0.0.1:0']
        for arguments in ([*options, '-c', file], ['-c', file, *options]):
            with Started(*arguments) as server:
                assert ', 1 queue, ' in server.line and f'backend {backend} ' in server.line, server.line
                same(len(server.addresses), 1)
                assert 'unix:' not in server.line, server.line
                same(fetch(socket.AF_INET, ('127.0.0.1', int(server.addresses[0][1]))), b'other\n')
        file = configured(root, f'[Server]\nListen=127.0.0.1:{port}\nThreads=1\nBackend={backend}\n'
                                '[Host]\nDirectory=www\n')
        with Started('-p', '0', '-c', file, '--http', f'unix:{root}/s', '--http', '127.0.0.1:1') as server:
            same(len(server.addresses), 1)
            same(fetch(socket.AF_UNIX, f'{root}/s'), b'hello\n')
        with Started('-p', '0', '-c', file) as server:
            same(fetch(socket.AF_INET, ('127.0.0.1', int(server.addresses[0][1]))), b'hello\n')


@test
def hosts_by_the_thousand(backend):
    root = site()
    hosts = [f'[Host h{number}.example]\nDirectory=d{number}\n' for number in range(1023)]
    for number in range(1023):
        write(os.path.join(root, f'd{number}', 'a.txt'), f'{number}\n'.encode())
    text = f'[Server]\nListen=127.0.0.1:0\nBackend={backend}\nThreads=2\n[Host]\nDirectory=www\n' + ''.join(hosts)
    with Started('-c', configured(root, text)) as server:
        address = ('127.0.0.1', int(server.addresses[0][1]))
        for number in (0, 63, 64, 65, 500, 1022):
            with socket.create_connection(address, 8 * SLOW) as client:
                client.sendall(f'GET /a.txt HTTP/1.0\r\nHost: h{number}.example\r\n\r\n'.encode())
                same(read_all(client).split(b'\r\n\r\n', 1)[1], f'{number}\n'.encode())
        same(fetch(socket.AF_INET, address), b'hello\n')


@test
def waits_as_configured(backend):
    root = site()
    file = configured(root, f'[Server]\nListen=127.0.0.1:0\nBackend={backend}\n[Limits]\nHeadTimeout=500ms\n'
                            'IdleTimeout=1s\nStopTimeout=300ms\nConnections=100\n[Host]\nDirectory=www\n')
    with open(os.path.join(root, 'www', 'big'), 'wb') as big:
        big.truncate(64 << 20)
    with Started('-c', file) as server:
        address = ('127.0.0.1', int(server.addresses[0][1]))
        with socket.create_connection(address, 8 * SLOW) as idle, socket.create_connection(address, 8 * SLOW) as begun:
            begun.sendall(b'GET / HTTP/1.1\r\n')
            same(read_all(begun)[:12], b'HTTP/1.1 408')
            same(read_all(idle), b'')
        with socket.create_connection(address) as slow:
            slow.sendall(b'GET /big HTTP/1.1\r\nHost: a\r\n\r\n')
            slow.recv(10)
            server.process.terminate()
            same(server.process.wait(8 * SLOW), 0)


@test
def becomes_its_user(backend):
    if os.geteuid() != 0:
        return 'only root can become another'
    root = site()
    os.chmod(root, 0o755)
    text = '[Server]\nListen=127.0.0.1:0\nUser=nobody\nGroup=games\n[Host]\nDirectory=www\n'
    with Started('-c', configured(root, text), '--backend', backend) as server:
        with open(f'/proc/{server.process.pid}/task/{server.process.pid}/children') as file:
            pid = int(file.read())  # the serving process, below its supervisor
        with open(f'/proc/{pid}/status') as file:
            status = dict(line.rstrip('\n').split(':\t', 1) for line in file if ':\t' in line)
        same([status[name] for name in ('Uid', 'Gid', 'NoNewPrivs')],
             ['\t'.join(['65534'] * 4), '\t'.join(['60'] * 4), '1'])
        for thread in os.listdir(f'/proc/{pid}/task'):
            with open(f'/proc/{pid}/task/{thread}/status') as file:
                assert '\nUid:\t65534\t65534\t65534\t65534\n' in file.read()
    for name, part in (('User=no-such-user', 'there is no such user'),
                       ('User=nobody\nGroup=nogroupatall', 'there is no such group')):
        code, _, err = errand('-c', configured(root, text.replace('User=nobody\nGroup=games', name)))
        same((code, part in err), (1, True), err)
    return None


if __name__ == '__main__':
    sys.exit(run(__file__))
