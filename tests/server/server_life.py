#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""errand serve as a program: its options and errors, how it ends, slow clients, and life without descriptors."""
import os
import socket
import subprocess
import sys
import time

from served import (BACKENDS, ERRAND, NO_FTP, SLOW, Reply, Server, directory, eventually, read_all,
                    run, same, test, write)


def site(size=0):
    root = directory()
    write(os.path.join(root, 'a.txt'), b'hello\n')
    with open(os.path.join(root, 'big'), 'wb') as file:
        file.truncate(size)
    return root


def errand(*arguments, **options):
    off = NO_FTP if arguments[:1] == ('serve',) and '--ftp' not in arguments else []
    done = subprocess.run([ERRAND, *arguments[:1], *off, *arguments[1:]],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=30 * SLOW, check=False, **options)
    return done.returncode, done.stdout, done.stderr


@test
def command_line(backend):
    if backend != BACKENDS[0]:
        return 'does not depend on it'
    for arguments, code, words in (
            (['--version'], 0, 'errand 0.'), (['-V'], 0, 'errand 0.'), (['--help'], 0, 'errand serve'),
            (['serve', '--help'], 0, '--http'), (['serve', '-V'], 0, 'errand 0.'),
            ([], 2, 'Usage'), (['nonsense'], 2, "no command 'nonsense'"), (['serve', '--nonsense'], 2, '--help'),
            (['serve', '-p', 'x'], 2, "-p 'x'"), (['serve', '-p', '65536'], 2, '65535'),
            (['serve', '-p'], 2, 'argument'),
            (['serve', '-b', 'nowhere'], 2, "-b 'nowhere'"), (['serve', '--http', '1.2.3.4'], 2, 'ADDR:PORT'),
            (['serve', '--ftp', '127.0.0.1'], 2, 'ADDR:PORT'), (['serve', '--http', 'off'], 2, 'nothing'),
            (['serve', '--ftp', 'unix:/tmp/x'], 2, 'no FTP over'),
            (['serve', '--threads', '0'], 2, '1 to 256'), (['serve', '--threads', '-1'], 2, '1 to 256'),
            (['serve', '--threads', '99999999999999999999'], 2, '1 to 256'), (['serve', '--backend', 'x'], 2, 'uring'),
            (['serve', 'a', 'b'], 2, 'one directory'), (['serve', '/nonexistent'], 1, 'no such directory'),
            (['serve', '-d', '/etc/passwd'], 1, 'not a directory'), (['serve', ''], 1, 'no such directory'),
            (['serve', '-b', '192.0.2.1', '-p', '0', '/'], 1, 'does not have that address')):
        status, out, err = errand(*arguments)
        same(status, code, str(arguments))
        assert words in (err if code else out), (arguments, out, err)
        assert (out if code else err) == '', (arguments, out, err)
    if os.path.exists('/dev/full'):
        with open('/dev/full', 'w', encoding='utf-8') as full:
            done = subprocess.run([ERRAND, '--version'], stdout=full, stderr=subprocess.DEVNULL, check=False)
            same(done.returncode, 1)


@test
def no_permission_for_the_directory(backend):
    root = directory()
    os.mkdir(os.path.join(root, 'closed'), 0)
    status, _, err = errand('serve', '-p', '0', os.path.join(root, 'closed'), user=65534 if os.getuid() == 0 else None)
    same(status, 1)
    assert 'no permission' in err, err


@test
def backend_by_environment(backend):
    environment = {**os.environ, 'ERRAND_BACKEND': 'nonsense'}
    status, _, err = errand('serve', '-p', '0', '/', env=environment)
    same(status, 1)
    assert 'EINVAL' in err and 'ERRAND_BACKEND' in err, err
    os.environ['ERRAND_BACKEND'] = backend
    try:
        with Server(site(), 'auto') as server:
            assert f'backend {backend} ' in server.started, server.started
    finally:
        del os.environ['ERRAND_BACKEND']


@test
def port_in_use(backend):
    root = site()
    with Server(root, backend) as server:
        for _ in range(3):
            status, out, err = errand('serve', '--backend', backend, '-p', str(server.port), root)
            same((status, out), (1, ''))
            assert f':{server.port}/' in err and 'another program listens there' in err, err
        same(server.get('/a.txt').body, b'hello\n')
    with socket.socket() as other:
        other.bind(('127.0.0.1', 0))
        other.listen()
        status, _, err = errand('serve', '--http', f'127.0.0.1:{other.getsockname()[1]}', root)
        same(status, 1)
        assert 'another program' in err, err


@test
def other_addresses(backend):
    root = site()
    for address in ('[::1]:0', '[::]:0', '0.0.0.0:0'):
        with subprocess.Popen([ERRAND, 'serve', '--backend', backend, '--http', address, *NO_FTP, root],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            line = process.stdout.readline()
            if not line and 'does not have' in process.stderr.read():
                process.wait()
                continue
            host, port = line[line.index('http://') + 7:].rstrip('/\n').rsplit(':', 1)
            same(f'{host}:0', address)
            with socket.create_connection((host.strip('[]'), int(port)), 10 * SLOW) as client:
                client.sendall(b'GET /a.txt HTTP/1.0\r\n\r\n')
                assert read_all(client).endswith(b'hello\n')
            process.terminate()
            same(process.wait(20 * SLOW), 0)


@test
def standard_descriptors_closed(backend):
    """Messages must not end up in a client's connection, nor a lost standard output end the server."""
    root = site()
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    for redirections in ('<&- >&- 2>&-', '>/dev/full', '| true'):
        command = f'"{ERRAND}" serve --backend {backend} -p {port} "{root}" {redirections}'
        if redirections.startswith('|'):
            command = f'{{ echo $$ >&3; exec {command[:command.index("|")]}; }} {redirections}; sleep 1000'
        with subprocess.Popen(['bash', '-c', 'exec 3>&1; ' + ('' if '|' in command else 'exec ') + command],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True) as process:
            def answers():
                try:
                    with socket.create_connection(('127.0.0.1', port), 10 * SLOW) as client:
                        client.sendall(b'GET /a.txt HTTP/1.0\r\n\r\n')
                        answer = read_all(client)
                        assert answer.startswith(b'HTTP/1.1 200') and answer.endswith(b'\r\n\r\nhello\n'), answer
                        return True
                except ConnectionRefusedError:
                    return False
            try:
                eventually(answers)
            finally:
                os.killpg(process.pid, 15)
                process.wait(20 * SLOW)

        def is_free():
            with socket.socket() as client:
                return client.connect_ex(('127.0.0.1', port)) != 0
        eventually(is_free)


@test
def graceful_stop(backend):
    size = 32 << 20
    with Server(site(size), backend) as server:
        idle, partial = server.connect(), server.connect()
        with idle.makefile('rb') as stream:
            idle.sendall(b'GET /a.txt HTTP/1.1\r\nHost: a\r\n\r\n')
            Reply(stream)
            partial.sendall(b'GET /a.txt HTTP/1.1\r\nHo')
            with server.connect(receive_buffer=4096) as client, client.makefile('rb') as download:
                client.sendall(b'GET /big HTTP/1.1\r\nHost: a\r\n\r\n')
                download.peek(1)
                server.process.terminate()
                same(stream.read(), b'', 'the idle connection')
                same(partial.recv(1), b'')

                def refuses():
                    with socket.socket() as late:
                        return late.connect_ex(('127.0.0.1', server.port)) != 0
                eventually(refuses)  # each queue closes its own listener in its own time
                same(server.process.poll(), None)
                same(Reply(download).length, size)
                same(download.read(), b'')
            same(server.ended(), 0)
        idle.close()
        partial.close()


@test
def second_signal(backend):
    for first, second in ((2, 2), (15, 15), (2, 15)):
        with Server(site(64 << 20), backend) as server:
            with server.connect(receive_buffer=4096) as client, server.connect() as idle:
                client.sendall(b'GET /big HTTP/1.1\r\nHost: a\r\n\r\n')
                client.recv(10)
                server.process.send_signal(first)
                same(idle.recv(1), b'')
                same(server.process.poll(), None)
                began = time.monotonic()
                server.process.send_signal(second)
                same(server.ended(), 0)
                assert time.monotonic() - began < 5 * SLOW


@test
def grace_is_limited(backend):
    with Server(site(64 << 20), backend) as server:
        with server.connect(receive_buffer=4096) as client:
            client.sendall(b'GET /big HTTP/1.1\r\nHost: a\r\n\r\n')
            client.recv(10)
            began = time.monotonic()
            server.process.terminate()
            same(server.ended(), 0)
            assert 9 < time.monotonic() - began < 10 + 4 * SLOW, time.monotonic() - began


@test
def slow_requests(backend):
    """A request that never ends is refused with 408; one byte now and then does not help it."""
    with Server(site(), backend) as server:
        clients = [server.connect() for _ in range(50)]
        began = time.monotonic()
        for client in clients:
            client.sendall(b'GET /a.txt HTTP/1.1\r\nHost: a\r\nX: ')
        body = server.connect()
        body.sendall(b'GET /a.txt HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n1')
        clients[0].settimeout(1)
        answer = b''
        while not answer:
            clients[0].send(b'x')
            same(server.get('/a.txt').body, b'hello\n')
            try:
                answer = read_all(clients[0])
            except socket.timeout:
                assert time.monotonic() - began < 30 * SLOW
        took = time.monotonic() - began
        assert 14 < took < 18 * SLOW, took
        same(answer[:12], b'HTTP/1.1 408')
        for client in clients[1:]:
            same(read_all(client)[:12], b'HTTP/1.1 408')
            client.close()
        with body.makefile('rb') as stream:
            same(Reply(stream).status, 200)
            same(stream.read(), b'', 'a body that never comes')
        body.close()
        clients[0].close()


@test
def without_descriptors(backend):
    """More clients than `ulimit -n 64` allows: those beyond wait, the others are served, and all of them in the end."""
    with Server(site(), backend, files=64, quiet=False) as server:
        clients = [server.connect() for _ in range(120)]
        for client in clients:
            client.sendall(b'GET /a.txt HTTP/1.1\r\nHost: a\r\n\r\n')
        served = 0
        while clients:
            for client in clients:
                client.setblocking(False)
            ready = []
            for client in clients:
                try:
                    ready.append((client, client.recv(65536)))
                except BlockingIOError:
                    pass
            for client, answer in ready:
                assert answer[:12] in (b'HTTP/1.1 200', b'HTTP/1.1 503'), answer
                served += answer.startswith(b'HTTP/1.1 200')
                clients.remove(client)
                client.close()
            if not ready:
                time.sleep(0.01)
        assert served >= 100, served
        same(server.get('/a.txt').body, b'hello\n')
        with open(f'/proc/{server.process.pid}/stat', encoding='utf-8') as file:
            before = sum(int(field) for field in file.read().rsplit(')', 1)[1].split()[11:13])
        clients = [server.connect() for _ in range(120)]
        time.sleep(2)  # a measured second or two of being full: is it spent without spinning?
        with open(f'/proc/{server.process.pid}/stat', encoding='utf-8') as file:
            after = sum(int(field) for field in file.read().rsplit(')', 1)[1].split()[11:13])
        assert after - before < 50 * SLOW, f'{after - before} ticks while full'
        same(server.get('/a.txt').status, 200, 'while idle clients hold every place')
        for client in clients:
            client.close()
        eventually(lambda: server.get('/a.txt').status == 200)


@test
def more_queues_than_descriptors(backend):
    status, out, err = errand('serve', '-p', '0', '--threads', '64', '--backend', backend, site(),
                              preexec_fn=lambda: __import__('resource').setrlimit(7, (96, 96)))
    same((status, out), (1, ''))
    assert 'EMFILE' in err or 'open files' in err, err


@test
def many_connections(backend):
    """Idle keep-alive connections cost little: the whole process's private memory, after one request on each."""
    count = 2000

    def private():
        with open(f'/proc/{server.process.pid}/smaps_rollup', encoding='utf-8') as file:
            return sum(int(line.split()[1]) for line in file if line.startswith('Private_')) * 1024

    with Server(site(), backend) as server:
        if subprocess.run(['nm', '-D', ERRAND], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          check=False).stdout.find(b'san_init') >= 0:
            return 'built with a sanitizer'
        server.get('/a.txt')
        before, clients = private(), []
        for _ in range(count):
            client = server.connect()
            client.sendall(b'GET /a.txt HTTP/1.1\r\nHost: a\r\n\r\n')
            clients.append(client)
        for client in clients:
            assert client.recv(65536).startswith(b'HTTP/1.1 200')
        each = (private() - before) / count
        for client in clients:
            client.close()
        assert each < 1024, f'{each} bytes a connection'
        return None


if __name__ == '__main__':
    sys.exit(run(__file__))
