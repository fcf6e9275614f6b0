#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Fetching files by FTP."""
import ftplib
import io
import os
import socket
import sys

from ftp import FtpServer
from served import SLOW, directory, run, same, test, write


def site(**files):
    root = directory()
    write(os.path.join(root, 'small.txt'), b'hello\n')
    write(os.path.join(root, 'large'), os.urandom(1 << 20) * 5)
    write(os.path.join(root, 'sub', 'in'), b'below')
    for name, data in files.items():
        write(os.path.join(root, name), data)
    return root


@test
def a_session(backend):
    with FtpServer(site(), backend) as server, server.control(login=False) as control:
        control.command('PWD', 530)
        control.command('USER anonymous', 331)
        control.command('PASS me@', 230)
        same(control.command('PWD', 257)[:3], b'"/"')
        control.command('TYPE I', 200)
        same(control.command('SIZE small.txt', 213), b'6')
        same(len(control.command('MDTM small.txt', 213)), 14)
        same(control.fetch('RETR small.txt'), b'hello\n')
        control.command('CWD sub', 250)
        same(control.command('PWD', 257)[:6], b'"/sub"')
        same(control.fetch('RETR in'), b'below')
        same(control.fetch('RETR /small.txt'), b'hello\n')
        control.command('CDUP', 250)
        control.command('CWD ../../..', 250)
        same(control.command('PWD', 257)[:3], b'"/"')
        control.quit()


@test
def large_and_resumed(backend):
    root = site()
    with open(os.path.join(root, 'large'), 'rb') as file:
        content = file.read()
    with FtpServer(root, backend) as server, server.control() as control:
        control.command('TYPE I', 200)
        assert control.fetch('RETR large') == content
        control.command('REST 5000000', 350)
        assert control.fetch('RETR large') == content[5000000:]
        control.command('REST 99999999', 350)
        with control.passive():
            control.command('RETR large', 554)
        same(control.fetch('RETR small.txt'), b'hello\n')


@test
def what_cannot_be_fetched(backend):
    root = site()
    os.symlink('/etc/passwd', os.path.join(root, 'out'))
    write(os.path.join(root, '.hidden'), b'x')
    os.mkfifo(os.path.join(root, 'fifo'))
    with FtpServer(root, backend) as server, server.control() as control:
        control.command('RETR small.txt', 425)
        for name in ('missing', 'sub', 'out', '.hidden', 'fifo', 'small.txt/x', '../../etc/passwd', 'x' * 300):
            with control.passive():
                control.command(f'RETR {name}', 550, 553)
        same(control.fetch('RETR small.txt'), b'hello\n')


@test
def active(backend):
    with FtpServer(site(), backend) as server, server.control() as control, socket.socket() as listener:
        listener.bind(('127.0.0.1', 0))
        listener.listen()
        listener.settimeout(20 * SLOW)
        port = listener.getsockname()[1]
        for command in (f'PORT 127,0,0,1,{port >> 8},{port & 255}', f'EPRT |1|127.0.0.1|{port}|'):
            control.command(command, 200)
            control.command('RETR small.txt', 150)
            with listener.accept()[0] as data:
                same(data.recv(100) + data.recv(100), b'hello\n')
            control.expect(226)
        for command in ('PORT 127,0,0,1,0,22', 'PORT 127,0,0,2,200,1', 'EPRT |1|192.0.2.1|5000|'):
            control.command(command, 504)
        control.command('EPRT |2|::1|5000|', 522)


@test
def connected_late(backend):
    """A client may connect only when he has read the 150."""
    with FtpServer(site(), backend) as server, server.control() as control:
        port = int(control.command('EPSV', 229).split(b'|')[3])
        control.command('RETR small.txt', 150)
        with socket.create_connection(('127.0.0.1', port), 20 * SLOW) as data:
            same(data.recv(100) + data.recv(100), b'hello\n')
        control.expect(226)


@test
def aborted(backend):
    with FtpServer(site(), backend) as server, server.control() as control:
        with control.passive():
            control.command('RETR large', 150)
            control.command('STAT', 213)
            control.command('ABOR', 426)
            control.expect(226)
        control.command('ABOR', 226)
        same(control.fetch('RETR small.txt'), b'hello\n')


@test
def pipelined(backend):
    with FtpServer(site(), backend) as server, server.control() as control:
        control.socket.sendall(b'TYPE I\r\nNOOP\r\nSIZE small.txt\r\nPWD\r\nSIZE large\r\nNOOP\r\nQUIT\r\n')
        for code in (200, 200, 213, 257, 213, 200, 221):
            control.expect(code)
        same(control.ended(), True)


@test
def cut_short(backend):
    """While it is sent: the client must not take it for whole."""
    root = site()
    path = os.path.join(root, 'huge')
    with open(path, 'wb') as file:
        file.truncate(256 << 20)
    with FtpServer(root, backend) as server, server.control() as control:
        for mode in ('TYPE I', 'TYPE A'):
            os.truncate(path, 256 << 20)
            control.command(mode, 200)
            with control.passive() as data:
                control.command('RETR huge', 150)
                same(len(data.recv(1)), 1)
                os.truncate(path, 1)
                while data.recv(1 << 20):
                    pass
            control.expect(451)
        control.command('TYPE I', 200)
        same(control.fetch('RETR small.txt'), b'hello\n')


@test
def by_ftplib(backend):
    with FtpServer(site(), backend) as server, ftplib.FTP() as client:
        client.connect('127.0.0.1', server.ftp, 20 * SLOW)
        client.login()
        client.cwd('sub')
        out = io.BytesIO()
        client.retrbinary('RETR in', out.write)
        same(out.getvalue(), b'below')
        for passive in (False, True):
            client.set_pasv(passive)
            out = io.BytesIO()
            client.retrbinary('RETR /small.txt', out.write, rest=2)
            same(out.getvalue(), b'llo\n')
        client.quit()


if __name__ == '__main__':
    sys.exit(run(__file__))
