#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What clients of FTP send: whole files, rests of files, lines."""
import concurrent.futures
import ftplib
import io
import os
import socket
import subprocess
import sys

from ftp import FtpServer
from mounted import everything
from served import SLOW, content, directory, eventually, run, same, test, write
from stored import BYTES, configured, reset, site, writable


# ------------------------------------------------------------------------------------------ whole files


@test
def stored(backend):
    root, server = writable(backend)
    with server, server.control() as control:
        for size in (0, 1, 65536, 65537, len(BYTES)):
            for name in (f'{size}', f'd/{size}', 'old'):
                control.store(f'STOR {name}', BYTES[:size])
                assert content(root, name) == BYTES[:size], (name, size)
        assert control.fetch('RETR old') == BYTES
        control.command('CWD d', 250)
        control.store('STOR ../näme "with" spaces', b'x')
        same(content(root, 'näme "with" spaces'), b'x')
        control.store(b'STOR one\0two\r\0three', b'y')  # as LF and CR are said
        same(content(root, 'd', 'one\ntwo\rthree'), b'y')
        same(os.stat(os.path.join(root, 'old')).st_mode & 0o777, 0o666 & ~umask())
        control.quit()


def umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


@test
def the_old_one_until_it_is_whole(backend):
    root, server = writable(backend)
    with server, server.control() as control:
        with control.passive() as data:
            control.command('STOR old', 150)
            data.sendall(BYTES)
            control.command('STAT', 213)
            same(content(root, 'old'), b'old')
            same(everything(root), ['d', 'd/in', 'old'])
        control.expect(226)
        assert content(root, 'old') == BYTES


@test
def the_web_server_sees_it(backend):
    """Also what its cache had kept."""
    _, server = writable(backend, threads=1)
    with server, server.control() as control:
        for number in range(20):
            control.store('STOR page', b'%d' % number)
            for _ in range(2):
                same(server.get('/page').body, b'%d' % number)
        control.store('APPE page', b' more')
        same(server.get('/page').body, b'19 more')
        control.command('RNFR page', 350)
        control.command('RNTO d/page', 250)
        same(server.get('/page').status, 404)
        same(server.get('/d/page').body, b'19 more')
        control.command('DELE d/page', 250)
        same(server.get('/d/page').status, 404)


@test
def unique(backend):
    root, server = writable(backend)
    with server, server.control() as control:
        names = set()
        for number in range(5):
            with control.passive() as data:
                text = control.command('STOU', 150)
                data.sendall(b'%d' % number)
            control.expect(226)
            assert text.startswith(b'FILE: stou.'), text
            names.add(text[6:].decode())
            same(content(root, text[6:].decode()), b'%d' % number)
        same(len(names), 5)


@test
def what_cannot_be_stored(backend):
    root, server = writable(backend)
    os.mkfifo(os.path.join(root, 'fifo'))
    os.symlink('/tmp', os.path.join(root, 'out'))
    before = everything(root)
    with server, server.control() as control:
        for command in ('STOR', 'APPE'):
            control.command(command, 501)
            control.command(f'{command} new', 425)
            for name in ('d', 'none/x', 'old/x', '.hidden', 'd/.hidden/x', 'fifo', 'out/x', '/', 'x' * 300,
                         '.errand-0123456789abcdef'):
                with control.passive():
                    control.command(f'{command} {name}', 550, 553)
        control.command('STOU', 425)
        port = int(control.command('EPSV', 229).split(b'|')[3])
        with socket.create_connection(('127.0.0.1', port), 20 * SLOW):
            control.command('REST 4', 350)
            control.command('STOR old', 554)
        with control.passive():
            control.command('REST 1', 350)
            control.command('STOR none', 550)
        same(content(root, 'old'), b'old')
        same(everything(root), before)
        with server.control(login=False) as other:
            for command in ('STOR x', 'STOU', 'APPE x', 'ALLO 1', 'DELE old', 'MKD x', 'XMKD x', 'RMD d', 'XRMD d',
                            'RNFR old', 'RNTO x', 'MFMT 20200101000000 old', 'HASH old', 'SITE CHMOD 600 old'):
                other.command(command, 530)


@test
def many_at_once(backend):
    """Each to a file of its own, and all to one, which is one of them in the end."""
    root, server = writable(backend)
    whole = {str(number): BYTES[number * 1000:][:number * 40000] for number in range(48)}

    def upload(name):
        with server.control() as control:
            control.store(f'STOR {name}', whole[name])
            control.store('STOR old', whole[name])
            control.store(f'APPE {name}', b'end')

    with server:
        with concurrent.futures.ThreadPoolExecutor(len(whole)) as pool:
            list(pool.map(upload, whole))
        for name, data in whole.items():
            assert content(root, name) == data + b'end', name
        assert content(root, 'old') in whole.values()
        same(everything(root), sorted(['d', 'd/in', 'old', *whole]))


@test
def read_only(backend):
    """Nobody changes anything where that was not said; rules say where it is."""
    root = site()
    with FtpServer(root, backend) as server, server.control() as control:
        for command in ('STOR x', 'STOU', 'APPE old', 'STOR old'):
            with control.passive():
                control.command(command, 550)
        for command in ('ALLO 1', 'DELE old', 'MKD x', 'RMD d', 'RNFR old', 'MFMT 20200101000000 old',
                        'SITE CHMOD 600 old', 'SITE UTIME 20200101000000 old'):
            control.command(command, 550)
        control.command('RNTO x', 503)
        same(everything(root), ['d', 'd/in', 'old'])
    root, server = configured(backend, '[Path /d/**]\nWritable=yes\n')
    with server, server.control() as control:
        control.store('STOR d/new', b'x')
        with control.passive():
            control.command('STOR new', 550)
        control.command('RNFR d/new', 350)
        control.command('RNTO new', 550)
        control.command('RNFR d/new', 350)
        control.command('RNTO d/newer', 250)
        control.command('CWD d', 250)
        control.command('ALLO 1', 200, 202)
        same(everything(root), ['d', 'd/in', 'd/newer', 'old'])


# ------------------------------------------------------------------------------------------ where it is


@test
def resumed(backend):
    root, server = writable(backend)
    with server, server.control() as control:
        data = control.passive()
        control.command('APPE part', 150)
        data.sendall(BYTES[:1000000])
        eventually(lambda: os.path.getsize(os.path.join(root, 'part')) > 0)  # others see it grow
        reset(data)
        control.expect(426)
        size = int(control.command('SIZE part', 213))
        assert 0 < size <= 1000000, size
        assert content(root, 'part') == BYTES[:size]
        control.command(f'REST {size}', 350)
        control.store('STOR part', BYTES[size:2000000])
        control.store('APPE part', BYTES[2000000:])
        assert content(root, 'part') == BYTES
        control.command('REST 1000', 350)
        with control.passive() as data:
            control.command('STOR part', 150)
            data.sendall(b'x')
            eventually(lambda: os.path.getsize(os.path.join(root, 'part')) <= 1001)
            control.command('ABOR', 426)
            control.expect(226)
        assert content(root, 'part')[:1000] == BYTES[:1000]
        control.command('REST 0', 350)
        control.store('STOR part', b'all')  # REST held for one transfer
        control.store('APPE part', b' of it')
        same(content(root, 'part'), b'all of it')
        for word in ('x', '-1', '1x', '9223372036854775808', ''):
            control.command(f'REST {word}', 501)
        control.command('REST 9223372036854775807', 350)
        with control.passive():
            control.command('STOR part', 554)


# ------------------------------------------------------------------------------------------ room


@test
def limits(backend):
    root, server = configured(backend, 'Writable=yes\nUploadMax=100000\n')
    with server, server.control() as control:
        control.store('STOR max', BYTES[:100000])
        for command in ('STOR more', 'STOR max'):
            with control.passive() as data:
                control.command(command, 150)
                data.sendall(BYTES[:100001])
                control.expect(552)
        same(everything(root), ['d', 'd/in', 'max', 'old'])
        with control.passive():
            control.command('APPE max', 552)
        with control.passive() as data:
            control.command('APPE old', 150)
            data.sendall(BYTES[:99998])
            control.expect(552)
        same(content(root, 'old') == b'old' + BYTES[:99997], True)
        same(content(root, 'max') == BYTES[:100000], True)
        control.command('ALLO 100000', 200, 202)
        control.command('ALLO 100001', 552)
        for word in ('', 'x', '-1', '18446744073709551616'):
            control.command(f'ALLO {word}', 501)
        control.command('ALLO 10 R 10', 200, 202)
    root, server = configured(backend, 'Writable=yes\nUploadSpace=1000T\n')
    with server, server.control() as control:
        for command in ('STOR new', 'STOR old', 'STOU', 'APPE old'):
            with control.passive():
                control.command(command, 552)
        control.command('ALLO 1', 552)
        same(everything(root), ['d', 'd/in', 'old'])
        same(content(root, 'old'), b'old')


# ------------------------------------------------------------------------------------------ lines


@test
def lines(backend):
    root, server = writable(backend)
    many = b'line\n' * 200000 + b'\r\r\n\n\r'
    with server, server.control() as control:
        control.command('TYPE A', 200)
        for text in (b'', b'\n', b'one\ntwo', b'a\r\nb\rc\n\r', many, BYTES):
            sent = text.replace(b'\n', b'\r\n')
            control.store('STOR text', sent)
            same(content(root, 'text') == text, True, text[:20])
            same(control.fetch('RETR text') == sent, True, text[:20])
        control.store('STOR text', b'one\r\n')
        control.store('APPE text', b'two\r\n')
        same(content(root, 'text'), b'one\ntwo\n')
        control.command('SIZE text', 550)
        control.command('REST 1', 504)
        control.command('REST 0', 350)
        same(control.fetch('RETR text'), b'one\r\ntwo\r\n')
        for command in ('RETR text', 'STOR text', 'APPE text'):
            control.command('TYPE I', 200)
            control.command('REST 1', 350)
            control.command('TYPE A', 200)
            with control.passive():
                control.command(command, 504)
        control.command('TYPE I', 200)
        same(control.fetch('RETR text'), b'one\ntwo\n')
        same(control.command('SIZE text', 213), b'8')
        control.command('TYPE E', 504)


@test
def curl(backend):
    root, server = writable(backend)
    whole, part = os.path.join(directory(), 'whole'), os.path.join(directory(), 'part')
    write(whole, BYTES)
    write(part, BYTES[:1000])
    with server:
        def upload(file, path, *options):
            subprocess.run(['curl', '-sS', '--fail', '-T', file, *options, f'ftp://127.0.0.1:{server.ftp}/{path}'],
                           check=True, timeout=60 * SLOW)
        upload(part, 'a/b/c', '--ftp-create-dirs')
        same(content(root, 'a', 'b', 'c'), BYTES[:1000])
        upload(whole, 'a/b/c', '-C', '-')
        assert content(root, 'a', 'b', 'c') == BYTES
        upload(part, 'a/b/c', '--append')
        assert content(root, 'a', 'b', 'c') == BYTES + BYTES[:1000]
        upload(whole, 'a/', '-Q', '-RNFR whole', '-Q', '-RNTO moved', '-P', '-')
        assert content(root, 'a', 'moved') == BYTES


@test
def by_ftplib(backend):
    root, server = writable(backend)
    with server, ftplib.FTP() as client:
        client.connect('127.0.0.1', server.ftp, 20 * SLOW)
        client.login()
        for passive in (False, True):
            client.set_pasv(passive)
            client.storbinary('STOR big', io.BytesIO(BYTES))
            assert content(root, 'big') == BYTES
            client.storbinary('STOR big', io.BytesIO(BYTES[5:]), rest=5)
            assert content(root, 'big') == BYTES
            client.storlines('STOR text', io.BytesIO(b'one\ntwo\n'))
            same(content(root, 'text'), b'one\ntwo\n')
            lines_read = []
            client.retrlines('RETR text', lines_read.append)
            same(lines_read, ['one', 'two'])
            same(client.mkd('new "dir"'), '/new "dir"')
            client.rename('text', 'new "dir"/moved')
            client.delete('new "dir"/moved')
            client.rmd('new "dir"')
        client.quit()
        same(everything(root), ['big', 'd', 'd/in', 'old'])


if __name__ == '__main__':
    sys.exit(run(__file__))
