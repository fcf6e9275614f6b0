#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""FTP through reloads, upgrades and stops: no transfer is lost, no session outlives its process's time."""
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

from ftp import Control, FtpServer
from operated import LONG, MEBIBYTE, Service, configuration, gone, installed, site
from served import ERRAND, SLOW, content, directory, eventually, run, same, test, write

FTP = '[Ftp]\nListen=127.0.0.1:0\n'


class FtpService(Service):
    """A service with FTP, on .ftp."""

    def __init__(self, root, text, **options):
        super().__init__(root, text, ftp=True, **options)
        self.ftp = int((re.search(r'ftp://127\.0\.0\.1:(\d+)/', self.said()) or [0, 0])[1])


def taken(data, most=None):
    """How many bytes come, up to the end of the stream or so many."""
    length = 0
    while most is None or length < most:
        piece = data.recv(MEBIBYTE if most is None else min(MEBIBYTE, most - length))
        if not piece:
            break
        length += len(piece)
    return length


def is_refused(port):
    with socket.socket() as client:
        return client.connect_ex(('127.0.0.1', port)) != 0


def transfers(control):
    """Can this session still fetch something?"""
    return control.fetch('RETR a.txt') == b'hello\n'


@test
def a_transfer_outlives_a_reload(backend):
    size = 64 * MEBIBYTE
    root = site(big=size)
    with FtpService(root, configuration(backend, root) + FTP) as service:
        first = service.alone()
        with Control(service.ftp) as control, control.passive() as data:
            control.command('TYPE I', 200)
            control.command('RETR big', 150)
            same(taken(data, MEBIBYTE), MEBIBYTE)
            service.reload(configuration(backend, root + '/other') + FTP)
            eventually(lambda: other(service))  # on the same port, by the process after it
            same(len(service.children()), 2)
            same(taken(data), size - MEBIBYTE)
            control.expect(226)
            assert transfers(control), 'one that is busy may go on'
            began = time.monotonic()
            same(control.expect(421), b'The server was renewed; connect again.')
            same(control.ended(), True)
            assert 2 < time.monotonic() - began < 6 * SLOW
        eventually(lambda: gone(first))


def other(service):
    with Control(service.ftp) as control:
        return control.fetch('RETR a.txt') == b'other\n'


@test
def a_transfer_outlives_an_upgrade(backend):
    size = 64 * MEBIBYTE
    root = site(big=size)
    with FtpService(root, configuration(backend, root) + FTP, program=installed(root)) as service:
        with Control(service.ftp) as control, control.passive() as data, Control(service.ftp) as idle:
            control.command('TYPE I', 200)
            control.command('RETR big', 150)
            same(taken(data, MEBIBYTE), MEBIBYTE)
            installed(root)
            service.reload(number=signal.SIGUSR2)
            idle.expect(421)
            same(idle.ended(), True)
            with Control(service.ftp) as second:
                assert transfers(second)
            same(taken(data), size - MEBIBYTE)
            control.expect(226)
            control.quit()
        service.alone()


@test
def a_reload_moves_the_sockets_of_nobody(backend):
    """Who waits in the backlog, or connects at any moment, is served; a new address is listened on, one taken away is
    not."""
    root = site()
    text = configuration(backend, root)
    with FtpService(root, text + FTP) as service:
        first = service.alone()
        same(transfers_anew(service.ftp), True)
        service.reload(text + FTP + 'Listen=127.0.0.1:0\n')
        last = service.said().rsplit('errand 0', 1)[1]
        ports = [int(port) for port in re.findall(r'ftp://127\.0\.0\.1:(\d+)/', last)]
        same((len(ports), ports[0]), (2, service.ftp))
        eventually(lambda: gone(first))
        same([transfers_anew(port) for port in ports], [True, True])
        service.reload(text + '[Ftp]\nListen=off\n')
        service.alone()
        same([is_refused(port) for port in ports], [True, True])


def transfers_anew(port):
    with Control(port) as control:
        return transfers(control)


@test
def a_stop_finishes_transfers(backend):
    size = 64 * MEBIBYTE
    root = site(big=size)
    with FtpServer(os.path.join(root, 'www'), backend) as server:
        with server.control() as control, control.passive() as data, server.control() as idle, \
                server.control(login=False) as stranger:
            control.command('TYPE I', 200)
            control.command('RETR big', 150)
            same(taken(data, MEBIBYTE), MEBIBYTE)
            server.process.terminate()
            for client in (idle, stranger):
                same(client.expect(421), b'The server ends.')
                same(client.ended(), True)
            eventually(lambda: is_refused(server.ftp))
            same(taken(data), size - MEBIBYTE)
            control.expect(226)
            control.expect(421)
            same(control.ended(), True)
            began = time.monotonic()
        same(server.ended(), 0)
        assert time.monotonic() - began < 4 * SLOW, 'it ends with its last session, not when its time is over'


@test
def a_stop_finishes_uploads(backend):
    root = site()
    with FtpServer(os.path.join(root, 'www'), backend, '--writable') as server:
        with server.control() as control, control.passive() as data:
            control.command('TYPE I', 200)
            control.command('STOR new', 150)
            data.sendall(b'1' * MEBIBYTE)
            server.process.terminate()
            eventually(lambda: is_refused(server.ftp))
            data.sendall(b'2' * MEBIBYTE)
            data.close()
            control.expect(226)
            control.expect(421)
        same(server.ended(), 0)
    same(content(root, 'www', 'new'), b'1' * MEBIBYTE + b'2' * MEBIBYTE)


@test
def a_stop_does_not_wait_for_ever(backend):
    root = site(big=64 * MEBIBYTE)
    with FtpServer(os.path.join(root, 'www'), backend, '--stop-within', '300ms') as server:
        with server.control() as control, control.passive() as data:
            control.command('RETR big', 150)
            same(taken(data, 10), 10)
            server.process.terminate()
            same(server.ended(), 0)
            assert taken(data) < 64 * MEBIBYTE


@test
def sockets_come_from_the_service_manager(backend):
    root = site()
    with socket.create_server(('127.0.0.1', 0)) as http_socket, socket.create_server(('127.0.0.1', 0)) as ftp_socket:
        http_port, port = (one.getsockname()[1] for one in (http_socket, ftp_socket))
        script = (f'exec 3<&{http_socket.fileno()} 4<&{ftp_socket.fileno()}; '
                  'LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=http:ftp exec "$@"')
        taken_port = socket.create_server(('127.0.0.1', 0))  # what is configured is not opened, or this would fail
        text = configuration(backend, root) + f'[Ftp]\nListen=127.0.0.1:{taken_port.getsockname()[1]}\n'
        with taken_port, FtpService(root, text, prefix=('/bin/bash', '-c', script, 'sh'),
                                    pass_fds=(http_socket.fileno(), ftp_socket.fileno())) as service:
            for number in (signal.SIGHUP, signal.SIGUSR2, signal.SIGHUP):
                same(service.get(port=http_port), (200, b'hello\n'))
                same(transfers_anew(port), True)
                service.reload(number=number)
            same(transfers_anew(port), True)


@test
def a_socket_of_a_file_is_refused(backend):
    place = directory()
    with socket.socket(socket.AF_UNIX) as given:
        given.bind(os.path.join(place, 'socket'))
        given.listen()
        script = f'exec 3<&{given.fileno()}; LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=ftp exec "$@"'
        for arguments in ([], ['-c', os.path.join(place, 'errand.conf')]):  # with a supervisor and without
            write(os.path.join(place, 'errand.conf'), f'[Host]\nDirectory={place}\n'.encode())
            done = subprocess.run(['/bin/bash', '-c', script, 'sh', ERRAND, 'serve', '--backend', backend, '--http',
                                   '127.0.0.1:0', *arguments], pass_fds=(given.fileno(),), stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=30 * SLOW, check=False)
            same((done.returncode, done.stdout), (1, b''), done.stderr)
            assert b'has a socket of a file for ftp' in done.stderr, done.stderr


class Clients:
    """Threads that fetch all the time, in sessions that last or new ones. 421 between commands is no problem: it is
    what a client has to expect, and connects again; anything else is noted."""

    def __init__(self, service, lasting=3, new=2, slow=2, storing=2):
        self.service, self.over, self.problems, self.renewed = service, False, [], 0
        self.counts = {}
        roles = ((self.last, lasting), (self.renew, new), (self.download, slow),
                 (self.store, storing))
        self.threads = [threading.Thread(target=self.work, args=(role, number))
                        for role, count in roles for number in range(count)]
        for thread in self.threads:
            thread.start()

    def work(self, role, number):
        while not self.over:
            try:
                with Control(self.service.ftp) as control:
                    control.command('TYPE I', 200)
                    role(control, number)
            except (OSError, AssertionError) as problem:
                self.problems.append(f'{role.__name__}: {problem!r}')

    def did(self, role):
        self.counts[role] = self.counts.get(role, 0) + 1

    def last(self, control, _):
        while not self.over:
            if not transfers(control):
                raise AssertionError('not what it was')
            self.did('fetched')

    def renew(self, control, _):
        self.last_one(control)
        control.quit()

    def last_one(self, control):
        same(control.fetch('RETR a.txt'), b'hello\n')
        self.did('fetched')

    def download(self, control, _):
        """Takes its time."""
        with control.passive() as data:
            control.command('RETR big', 150)
            length = 0
            while piece := data.recv(MEBIBYTE):
                length += len(piece)
                time.sleep(0.01)
        same(length, 32 * MEBIBYTE)
        control.expect(226)
        self.did('downloaded')

    def store(self, control, number):
        with control.passive() as data:
            control.command(f'STOR up{number}', 150)
            for _ in range(16):
                data.sendall(b'u' * MEBIBYTE)
                time.sleep(0.01)
        control.expect(226)
        same(control.command(f'SIZE up{number}', 213), str(16 * MEBIBYTE).encode())
        self.did('stored')

    def stop(self):
        self.over = True
        for thread in self.threads:
            thread.join()


@test
def nobody_notices(backend):
    reloads, upgrades = (100, 10) if LONG else (6, 2)
    root = site(big=32 * MEBIBYTE)
    text = configuration(backend, root) + 'Writable=yes\n'
    with FtpService(root, text + FTP, program=installed(root)) as service:
        clients = Clients(service)
        try:
            for number in range(reloads):
                service.reload(text + FTP + f'[Limits]\nIdleTimeout={10 + number}s\n')
                if number % (reloads // upgrades) == 0:
                    installed(root)
                    service.reload(number=signal.SIGUSR2)
            eventually(lambda: clients.counts.get('downloaded', 0) > 1 or clients.problems, 30)
        finally:
            clients.stop()
        same(clients.problems, [], str(clients.counts))
        assert clients.counts['fetched'] > 10 * reloads, clients.counts
        assert clients.counts['stored'] > 1, clients.counts
        print(f'# {reloads} reloads, {upgrades} upgrades: {clients.counts}')
        service.alone()


@test
def descriptors_suffice_for_transfers(backend):
    """`ulimit -n 256` lets 164 clients in; one with a data connection and a file counts for three."""
    root, place = site(big=64 * MEBIBYTE), directory()
    config = os.path.join(place, 'errand.conf')
    write(config, b'[Limits]\nRate=64K\n[Host]\n')  # so that they last, and take no pipes besides
    with FtpServer(os.path.join(root, 'www'), backend, '-c', config, files=256, threads=1) as server:
        controls = [server.control() for _ in range(64)]
        streams = [control.passive() for control in controls[:50]]
        for control in controls[:50]:
            control.command('RETR big', 150)
        for data in streams:
            same(taken(data, 10), 10)
        controls.append(server.control())  # who meets the limit comes in; the next does not
        with socket.create_connection(('127.0.0.1', server.ftp), 0.3) as late:
            same(is_greeted(late), False)
            controls.pop().quit()
            controls.pop().quit()
            late.settimeout(20 * SLOW)
            same(is_greeted(late), True)
        for client in streams + [control.socket for control in controls]:
            client.close()
        eventually(lambda: transfers_anew(server.ftp))


def is_greeted(client):
    try:
        return client.recv(100).startswith(b'220 ')
    except TimeoutError:
        return False


@test
def a_greeting_of_ones_own(backend):
    place = directory()
    config = os.path.join(place, 'errand.conf')
    write(config, b'[Ftp]\nGreeting=ftp.example.org is ready.\n[Host]\n')
    with FtpServer(site(), backend, '-c', config) as server, \
            socket.create_connection(('127.0.0.1', server.ftp), 20 * SLOW) as client:
        same(client.recv(200), b'220 ftp.example.org is ready.\r\n')


if __name__ == '__main__':
    sys.exit(run(__file__))
