#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A server that has confined itself: that it has, and that everything it offers still works. What it reaches no more
tests/server/confine.c tries. Every other test of the server runs by Landlock=auto, too, and with TEST_SECCOMP=yes in
the environment also without the system calls."""
import base64
import json
import os
import re
import signal
import socket
import subprocess
import sys

from ftp import FtpServer
from recorded import Recorded, read
from served import ERRAND, SLOW, Server, content, directory, eventually, put, read_all, run, same, test, write

BOTH = ('--landlock', 'yes', '--seccomp', 'yes')


def lacks_landlock(server):
    """Where the kernel has no Landlock the server says so, and serves."""
    return 'Landlock' in server.started and 'no Landlock here'


def states(server, key):
    """Of every thread: what /proc says, the kernel's own workers of a ring among them."""
    found = set()
    for thread in os.listdir(f'/proc/{server.process.pid}/task'):
        with open(f'/proc/{server.process.pid}/task/{thread}/status', encoding='utf-8') as file:
            found.add(re.search(rf'^{key}:\t(\d+)', file.read(), flags=re.M).group(1))
    return found


@test
def as_it_comes(backend):
    root = directory()
    write(os.path.join(root, 'a.txt'), b'hello\n')
    with Server(root, backend) as server:
        problem = lacks_landlock(server)
        assert problem or ', confined to its files' in server.started, server.started
        same(server.get('/a.txt').body, b'hello\n')
        if not problem:
            same(states(server, 'NoNewPrivs'), {'1'})
    with Server(root, backend, '--landlock', 'no') as server:
        assert ', not confined\n' in server.started or ', confined to its system calls\n' in server.started
        same(server.get('/a.txt').body, b'hello\n')
    return problem or None


@test
def every_thread(backend):
    root = directory()
    write(os.path.join(root, 'a.txt'), b'hello\n')
    with Server(root, backend, '--seccomp', 'yes', '--cache', 'off', '--writable') as server:
        assert ' system calls' in server.started, server.started
        for number in range(20):
            same(server.get(f'/{number}', method='MKCOL').status if number % 2 else server.get('/a.txt').status,
                 201 if number % 2 else 200)
        same(states(server, 'Seccomp'), {'2'})
        same(states(server, 'NoNewPrivs'), {'1'})


def a_site():
    root = directory()
    for name, data in {'a.txt': b'hello\n' * 100, 'a.txt.gz': b'small', 'page.html': b'a page', 'none.html': b'none',
                       'shut/in': b'secret', 'up/old': b'old', 'big': b'x' * (3 << 20), 'list/one': b'1'}.items():
        write(os.path.join(root, 'www', name), data)
    write(os.path.join(root, 'other', 'a.txt'), b'other')
    done = subprocess.run(['openssl', 'passwd', '-6', 'word'], stdout=subprocess.PIPE, check=True)
    write(os.path.join(root, 'users'), b'anna:' + done.stdout)
    os.symlink('../other/a.txt', os.path.join(root, 'www', 'out'))
    write(os.path.join(root, 'errand.conf'), b'''[Host]
Directory=www
Listing=yes
Precompressed=yes
TryFiles=$path.html
ErrorPage=404 /none.html
[Path /shut/**]
Users=users
[Path /up/**]
Writable=yes
[Host other.example]
Directory=other
''')
    return root


def check_reading(server, root):
    same(server.get('/a.txt').body, b'hello\n' * 100)
    same(server.get('/a.txt', method='HEAD').status, 200)
    same(server.get('/a.txt', accept_encoding='gzip').body, b'small')
    same(server.get('/a.txt', range='bytes=0-4').body, b'hello')
    same(server.get('/big', range='bytes=0-1,100-101').status, 206)
    same(server.get('/big').length, 3 << 20)
    same(server.get('/page').body, b'a page')
    same((server.get('/no').status, server.get('/no').body), (404, b'none'))
    same(server.get('/out').status in (403, 404), True)
    answer = server.say(b'GET /list/?json HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
    assert b'"one"' in answer, answer
    answer = server.say(b'GET /a.txt HTTP/1.1\r\nHost: other.example\r\nConnection: close\r\n\r\n')
    assert answer.endswith(b'\r\n\r\nother'), answer
    write(os.path.join(root, 'www', 'a.txt'), b'changed')
    eventually(lambda: server.get('/a.txt').body == b'changed')
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(os.path.join(root, 'socket'))
        client.sendall(b'GET /page HTTP/1.0\r\n\r\n')
        assert read_all(client).endswith(b'a page')


def check_logins(server):
    said = base64.b64encode(b'anna:word').decode()
    same(server.get('/shut/in').status, 401)
    same(server.get('/shut/in', authorization=f'Basic {said}').body, b'secret')


def check_writing(server):
    same(put(server, '/up/new', b'n' * 300000).status, 201)
    same(put(server, '/up/old', b'newer').status, 204)
    same(server.get('/up/old').body, b'newer')
    same(put(server, '/elsewhere', b'no').status, 405)
    same(server.get('/up/made/', method='MKCOL').status, 201)
    same(put(server, '/up/made/in', b'in').status, 201)
    for method, path, to in (('COPY', '/up/made/', '/up/copy/'), ('COPY', '/up/old', '/up/copy/new'),
                             ('MOVE', '/up/copy/in', '/up/made/moved'), ('MOVE', '/up/copy/', '/up/other/')):
        same(server.get(path, method=method, destination=to).status, 201, f'{method} {path}')
    same(server.get('/up/other/', method='MOVE', destination='/up/made/').status, 204)
    same(server.get('/up/made/new').body, b'newer')
    same(server.get('/up/made/new', method='DELETE').status, 204)
    same(server.get('/up/made/', method='DELETE').status, 204)
    same(server.get('/up/made/', method='DELETE').status, 404)


def check_records(server, log):
    same(server.ask('health')[0], 200)
    assert b'errand_' in server.ask('metrics')[2]
    assert server.figures()
    server.lines(10, json.loads)
    os.rename(log, log + '.1')
    server.process.send_signal(signal.SIGUSR1)
    server.get('/page')
    eventually(lambda: os.path.exists(log) and b'/page' in read(log))


@test
def everything_still_works(backend):
    root = a_site()
    os.mkdir(os.path.join(root, 'log'))
    log = os.path.join(root, 'log', 'access')
    with Recorded(os.path.join(root, 'www'), backend, '-c', os.path.join(root, 'errand.conf'), *BOTH, '--http',
                  f'unix:{root}/socket', '--log-format', 'json', log=log) as server:
        assert server.started.endswith(', confined to its files and system calls\n'), server.started
        check_reading(server, root)
        check_logins(server)
        check_writing(server)
        check_records(server, log)
    assert not os.path.exists(os.path.join(root, 'socket')), 'its socket is to be removed at the end'


@test
def ftp_still_works(backend):
    """Data connections both ways, and users who come only when nothing can be opened any more but their homes."""
    root = a_site()
    write(os.path.join(root, 'home', 'mine'), b'mine')
    done = subprocess.run([ERRAND, 'passwd', os.path.join(root, 'users'), 'ben', '--home', 'home'], input=b'word\n',
                          check=True)
    same(done.returncode, 0)
    write(os.path.join(root, 'users'), b'\n'.join(line for line in content(root, 'users').split(b'\n')
                                                  if not line.startswith(b'anna')))
    write(os.path.join(root, 'errand.conf'), b'[Ftp]\nUsers=users\n[Host]\nDirectory=www\n')
    with FtpServer(os.path.join(root, 'www'), backend, '-c', os.path.join(root, 'errand.conf'), *BOTH) as server:
        with server.control() as anybody, server.control(login=False) as ben:
            ben.command('USER ben', 331)
            ben.command('PASS wrong', 530)
            ben.command('USER ben', 331)
            ben.command('PASS word', 230)
            for control, name, data in ((anybody, 'a.txt', b'hello\n' * 100), (ben, 'mine', b'mine')):
                control.command('TYPE I', 200)
                same(control.fetch(f'RETR {name}'), data)
                with socket.create_server(('127.0.0.1', 0)) as listener:
                    port = listener.getsockname()[1]
                    control.command(f'EPRT |1|127.0.0.1|{port}|', 200)
                    control.command(f'RETR {name}', 150)
                    with listener.accept()[0] as client:
                        same(read_all(client), data)
                    control.expect(226)
                control.quit()


@test
def its_manager_is_told(backend):
    """When it is ready no socket can be made any more, and those with abstract names are out of reach."""
    root = directory()
    write(os.path.join(root, 'a.txt'), b'hello\n')
    path = os.path.join(root, 'notify')
    for shown, name in ((path, path), ('@' + path, '\0' + path)):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(name)
            manager.settimeout(20 * SLOW)
            os.environ['NOTIFY_SOCKET'] = shown
            try:
                with Server(root, backend, '--seccomp', 'yes') as server:
                    same(manager.recv(100), b'READY=1')
                    same(server.get('/a.txt').body, b'hello\n')
            finally:
                del os.environ['NOTIFY_SOCKET']


if __name__ == '__main__':
    sys.exit(run(__file__))
