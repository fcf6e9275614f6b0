#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The supervisor: reloads, upgrades, drains, what is passed on, and that no client ever notices.

TEST_LONG=1 does 100 reloads and 10 upgrades under load instead of a few.
"""
import http.client
import os
import re
import signal
import socket
import stat
import sys
import threading
import time

from operated import LONG, MEBIBYTE, Service, configuration, gone, installed, site
from served import SLOW, eventually, read_all, run, same, test, write


def asked_for_the_last_time(client):
    """A draining process says so with its answer, and closes. (Each of its threads learns of it in its own time.)"""
    reply = b''
    while b'Connection: close' not in reply:
        client.sendall(b'GET /a.txt HTTP/1.1\r\nHost: a\r\n\r\n')
        reply = b''
        while not reply.endswith(b'hello\n'):
            piece = client.recv(4096)
            assert piece, reply
            reply += piece
        assert reply.startswith(b'HTTP/1.1 200'), reply
    same(read_all(client), b'')


@test
def reload_takes_the_new_configuration(backend):
    root = site()
    with Service(root, configuration(backend, root)) as service:
        first = service.alone()
        same(service.get(), (200, b'hello\n'))
        service.reload(configuration(backend, root + '/other', more='[Status]\nListen=127.0.0.1:0'))
        service.answers(b'other\n')  # on the same port, although it is 0 in the file
        second = service.alone()
        assert first != second and gone(first)
        status = int(re.search(r'status at http://[^ ]*:(\d+)/', service.said())[1])
        same(service.get('/health', status), (200, b'ok\n'))
        service.reload(configuration(backend, root, listen='127.0.0.1:0\nListen=127.0.0.1:0'))
        ports = [int(port) for port in re.findall(r'127\.0\.0\.1:(\d+)/', service.said().rsplit('errand 0', 1)[1])]
        same((len(ports), ports[0], len(set(ports))), (2, service.port, 2))
        service.answers(b'hello\n')
        same(service.get(port=ports[1]), (200, b'hello\n'))
        service.reload(configuration(backend, root))
        service.alone()
        assert refused(ports[1])  # it is gone with the process that had it


@test
def reload_that_fails_changes_nothing(backend):
    root = site()
    with Service(root, configuration(backend, root), quiet=False) as service, socket.socket() as taken:
        pid = service.alone()
        taken.bind(('127.0.0.1', 0))
        taken.listen()
        port = taken.getsockname()[1]
        for text, message in ((configuration(backend, root) + 'Bad=1\n', 'Bad is not known'),
                              (configuration(backend, root + '/nowhere'), 'no such directory'),
                              (configuration(backend, root, listen=f'127.0.0.1:0\nListen=127.0.0.1:{port}'),
                               f'cannot listen on http://127.0.0.1:{port}/: another program listens there')):
            failures = service.said().count('the reload failed')
            write(service.file, text.encode())
            service.tell(signal.SIGHUP)
            eventually(lambda before=failures: service.said().count('the reload failed') > before)
            assert message in service.said(), service.said()
            same((service.get(), service.alone()), ((200, b'hello\n'), pid))
        service.reload(configuration(backend, root + '/other'))
        service.answers(b'other\n')


@test
def old_connections_end_in_their_own_time(backend):
    root = site(big=64 * MEBIBYTE)
    with Service(root, configuration(backend, root)) as service:
        first = service.alone()
        address = ('127.0.0.1', service.port)
        with socket.create_connection(address, 20 * SLOW) as idle, socket.create_connection(address) as download:
            download.sendall(b'GET /big HTTP/1.1\r\nHost: a\r\n\r\n')
            download.recv(10)
            idle.sendall(b'GET /a.txt HTTP/1.1\r\nHost: a\r\n\r\n')
            same(b'Connection: close' in idle.recv(4096), False)
            service.reload(configuration(backend, root + '/other'))
            service.answers(b'other\n')  # the new one does while the old one has clients
            same(len(service.children()), 2)
            asked_for_the_last_time(idle)
            received = 10 + len(read_all_of(download, 64 * MEBIBYTE))
            assert received > 64 * MEBIBYTE, received
        eventually(lambda: gone(first))
        # Who does not end is given DrainTimeout=.
        service.reload(configuration(backend, root) + '[Limits]\nDrainTimeout=300ms\n')
        second = service.alone()
        with socket.create_connection(address, 20 * SLOW) as client:
            client.sendall(b'GET /big HTTP/1.1\r\nHost: a\r\n\r\n')
            client.recv(10)
            service.reload()
            eventually(lambda: gone(second))


def read_all_of(client, most):
    """Until the connection is idle behind a reply of so many bytes: its head, at least, comes with it."""
    data = b''
    client.settimeout(20 * SLOW)
    while len(data) < most:
        piece = client.recv(MEBIBYTE)
        if not piece:
            break
        data += piece
    return data


@test
def a_quit_waits_for_the_last_client(backend):
    root = site()
    with Service(root, configuration(backend, root)) as service:
        with socket.create_connection(('127.0.0.1', service.port), 20 * SLOW) as client:
            client.sendall(b'GET /a.txt HTTP/1.1\r\nHost: a\r\n\r\n')
            client.recv(4096)
            service.tell(signal.SIGQUIT)
            eventually(lambda: refused(service.port))
            same(service.process.poll(), None)
            asked_for_the_last_time(client)
        same(service.ended(), 0)


def refused(port):
    with socket.socket() as client:
        return client.connect_ex(('127.0.0.1', port)) != 0


def program_of(pid):
    status = os.stat(f'/proc/{pid}/exe')
    return status.st_dev, status.st_ino


@test
def upgrade_brings_the_new_program(backend):
    root = site()
    program = installed(root)
    with Service(root, configuration(backend, root), program, quiet=False) as service:
        pid, first = service.process.pid, service.alone()
        old = program_of(pid)
        installed(root)
        service.reload()  # is not an upgrade
        same((program_of(pid), program_of(service.alone())), (old, old))
        with socket.create_connection(('127.0.0.1', service.port), 20 * SLOW) as client:
            client.sendall(b'GET /a.txt HTTP/1.1\r\nHost: a\r\n\r\n')
            assert client.recv(4096).endswith(b'hello\n')  # now it is a client of this process
            service.reload(number=signal.SIGUSR2)
            same(service.get(), (200, b'hello\n'))
            eventually(lambda: len(service.children()) == 2)
            asked_for_the_last_time(client)
        new = os.stat(program)
        eventually(lambda: program_of(service.alone()) == (new.st_dev, new.st_ino))
        same(program_of(pid), (new.st_dev, new.st_ino))
        assert gone(first)
        same(service.complaints(), [])
        # A program that does not start, or does not take the configuration, stays outside.
        for bad in ('#!/bin/sh\nexit 3\n', 'no program'):
            said = len(service.said())
            write(program + '.new', bad.encode())
            os.chmod(program + '.new', 0o755)
            os.rename(program + '.new', program)
            service.tell(signal.SIGUSR2)
            eventually(lambda before=said: len(service.said()) > before)
            same(service.get(), (200, b'hello\n'))
            same(program_of(pid), (new.st_dev, new.st_ino))
        installed(root)
        service.reload(number=signal.SIGUSR2)
        same(service.get(), (200, b'hello\n'))


@test
def a_serving_process_that_is_lost_is_started_again(backend):
    root = site()
    with Service(root, configuration(backend, root), quiet=False) as service:
        first = service.alone()
        write(service.file, b'nonsense')  # what it served with is not read again
        os.kill(first, signal.SIGKILL)
        eventually(lambda: service.starts() == 2)
        same(service.get(), (200, b'hello\n'))
        assert 'was ended by signal 9' in service.said()
        second = service.alone()
        os.kill(service.process.pid, signal.SIGKILL)  # and without a supervisor nobody serves on
        service.process.wait()
        eventually(lambda: gone(second) or open(f'/proc/{second}/stat', encoding='ascii').read().split()[2] == 'Z')
        service.process.returncode = 0
        service.quiet = False


@test
def socket_files_outlive_reloads(backend):
    root = site()
    path = os.path.join(root, 'socket')
    text = configuration(backend, root, listen=f'unix:{path}', more='SocketMode=0660')

    def fetched():
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(20 * SLOW)
            client.connect(path)
            client.sendall(b'GET /a.txt HTTP/1.0\r\n\r\n')
            return read_all(client).endswith(b'hello\n')

    with Service(root, text) as service:
        inode = os.stat(path).st_ino
        same(stat.S_IMODE(os.stat(path).st_mode), 0o660)
        assert fetched()
        service.reload()
        service.alone()
        same((fetched(), os.stat(path).st_ino), (True, inode))
        service.reload(configuration(backend, root))
        service.alone()
        same(os.path.exists(path), False)
        service.reload(text)
        assert fetched()
    same(os.path.exists(path), False)


@test
def user_is_dropped_below_the_supervisor(backend):
    if os.geteuid() != 0:
        return 'only root can become another'
    root = site()
    with Service(root, configuration(backend, root, more='User=nobody')) as service:
        for _ in range(2):
            same([os.stat(f'/proc/{pid}').st_uid for pid in (service.process.pid, service.alone())], [0, 65534])
            same(service.get(), (200, b'hello\n'))
            service.reload()
    return None


class Manager:
    """What systemd is to a service: a datagram socket that it tells how it is."""

    def __init__(self, root):
        self.path = os.path.join(root, 'notify')
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.settimeout(20 * SLOW)

    def hears(self, wanted):
        while True:
            if wanted in self.socket.recv(4096).decode().splitlines():
                return


@test
def service_manager_is_told(backend):
    root = site()
    manager = Manager(root)
    with manager.socket:
        environment = {**os.environ, 'NOTIFY_SOCKET': manager.path}
        with Service(root, configuration(backend, root), env=environment, quiet=False) as service:
            manager.hears('READY=1')
            service.reload()
            manager.hears('RELOADING=1')
            manager.hears('READY=1')
            service.reload(number=signal.SIGUSR2)
            manager.hears('RELOADING=1')
            manager.hears('READY=1')
            write(service.file, b'nonsense')
            service.tell(signal.SIGHUP)
            manager.hears('STATUS=the last reload failed')
            service.process.terminate()
            manager.hears('STOPPING=1')
        same(service.complaints()[-1], 'errand: the reload failed; what was served before is served on')


@test
def sockets_come_from_the_service_manager(backend):
    root = site()
    with socket.create_server(('127.0.0.1', 0)) as http_socket, \
            socket.create_server(('127.0.0.1', 0)) as status_socket:
        port, status = (one.getsockname()[1] for one in (http_socket, status_socket))
        # As systemd does: from descriptor 3 on, and with the process's own number.
        script = (f'exec 3<&{http_socket.fileno()} 4<&{status_socket.fileno()}; '
                  'LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=http:status exec "$@"')
        prefix = ('/bin/bash', '-c', script, 'sh')
        taken = socket.create_server(('127.0.0.1', 0))  # what is configured is not opened, or this would fail
        text = configuration(backend, root, listen=f'127.0.0.1:{taken.getsockname()[1]}')
        with taken, Service(root, text, prefix=prefix, pass_fds=(http_socket.fileno(), status_socket.fileno()),
                            quiet=False) as service:
            for number in (signal.SIGHUP, signal.SIGUSR2, signal.SIGHUP):
                same(service.get(port=port), (200, b'hello\n'))
                same(service.get('/health', status), (200, b'ok\n'))
                service.reload(number=number)
            same(service.get(port=port), (200, b'hello\n'))
            same(service.complaints(), [])


class Clients:
    """Threads that ask all the time, on kept connections or new ones; what is not as it should be is noted."""

    def __init__(self, service, kept=4, new=2, slow=2):
        self.service, self.over, self.problems, self.requests, self.downloads = service, False, [], 0, 0
        self.threads = [threading.Thread(target=self.work, args=(role,)) for role, count in
                        ((self.keep, kept), (self.renew, new), (self.download, slow)) for _ in range(count)]
        for thread in self.threads:
            thread.start()

    def work(self, role):
        client = http.client.HTTPConnection('127.0.0.1', self.service.port, timeout=30 * SLOW)
        while not self.over:
            try:
                role(client)
                self.requests += 1
            except (OSError, http.client.HTTPException, AssertionError) as problem:
                self.problems.append(repr(problem))
                client.close()
        client.close()

    def keep(self, client):
        """http.client connects anew after a reply with Connection: close, as every client has to."""
        client.request('GET', '/a.txt')
        reply = client.getresponse()
        same((reply.status, reply.read()), (200, b'hello\n'))

    def renew(self, client):
        self.keep(client)
        client.close()

    def download(self, client):
        """Takes its time."""
        client.request('GET', '/big')
        reply = client.getresponse()
        length = 0
        while piece := reply.read(MEBIBYTE):
            length += len(piece)
            time.sleep(0.01)
        same((reply.status, length), (200, 32 * MEBIBYTE))
        self.downloads += 1

    def stop(self):
        self.over = True
        for thread in self.threads:
            thread.join()


@test
def nobody_notices(backend):
    reloads, upgrades = (100, 10) if LONG else (10, 2)
    root = site(big=32 * MEBIBYTE)
    program = installed(root)
    with Service(root, configuration(backend, root), program) as service:
        clients = Clients(service)
        try:
            for number in range(reloads):
                service.reload(configuration(backend, root, more=f'[Limits]\nIdleTimeout={10 + number}s'))
                if number % (reloads // upgrades) == 0:
                    installed(root)
                    service.reload(number=signal.SIGUSR2)
            eventually(lambda: clients.downloads > 0 or clients.problems)
        finally:
            clients.stop()
        same(clients.problems, [], f'of {clients.requests} requests')
        assert clients.requests > 10 * reloads
        print(f'# {reloads} reloads, {upgrades} upgrades, {clients.requests} requests, {clients.downloads} long ones, '
              f'{len(clients.problems)} failed')
        eventually(lambda: len(service.children()) == 1)


if __name__ == '__main__':
    sys.exit(run(__file__))
