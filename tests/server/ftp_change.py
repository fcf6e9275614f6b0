#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What clients of FTP change besides content: names, directories, times, modes; and the hashes that they ask for."""
import hashlib
import json
import os
import socket
import sys

from ftp import FtpServer
from mounted import everything
from served import content, directory, run, same, test, write
from stored import BYTES, configured, reset, site, writable


def refused(control, *commands):
    for command in commands:
        control.command(command, 550, 553)


# ------------------------------------------------------------------------------------------ names


@test
def directories(backend):
    root, server = writable(backend)
    with server, server.control() as control:
        same(control.command('MKD new', 257)[:6], b'"/new"')
        same(control.command('XMKD new/a "b"', 257)[:14], b'"/new/a ""b"""')
        same(everything(root), ['d', 'd/in', 'new', 'new/a "b"', 'old'])
        refused(control, 'MKD new', 'MKD old', 'MKD old/x', 'MKD none/x', 'MKD /', 'MKD .hidden', 'MKD new/.hidden',
                'MKD .errand-0123456789abcdef', 'RMD new', 'RMD none', 'RMD old', 'RMD /', 'RMD d', 'MKD ' + 'x' * 300)
        control.command('CWD new', 250)
        same(control.command('MKD c', 257)[:8], b'"/new/c"')
        control.command('RMD c', 250)
        control.command('XRMD a "b"', 250)
        control.command('CDUP', 250)
        control.command('RMD new/', 250)
        same(everything(root), ['d', 'd/in', 'old'])
        for command in ('MKD', 'XMKD', 'RMD', 'XRMD', 'DELE', 'RNFR', 'MFMT', 'HASH', 'SITE'):
            control.command(command, 501)


@test
def removed(backend):
    root, server = writable(backend)
    os.symlink('d', os.path.join(root, 'link'))
    os.symlink('/etc', os.path.join(root, 'out'))
    os.mkfifo(os.path.join(root, 'fifo'))
    with server, server.control() as control:
        refused(control, 'DELE d', 'DELE none', 'DELE /', 'DELE old/x', 'DELE .hidden', 'DELE out/passwd', 'RMD link')
        for name in ('old', 'link', 'out', 'fifo', 'd/in'):
            control.command(f'DELE {name}', 250)
        same(everything(root), ['d'])


@test
def renamed(backend):
    root, server = writable(backend)
    write(os.path.join(root, 'other'), b'other')
    write(os.path.join(root, 'e', 'x'), b'x')
    os.mkdir(os.path.join(root, 'empty'))
    os.symlink('none', os.path.join(root, 'link'))
    with server, server.control() as control:
        control.command('RNTO x', 503)
        refused(control, 'RNFR none', 'RNFR /', 'RNFR .hidden', 'RNFR ../../etc', 'RNFR old/x')
        control.command('RNTO x', 503)
        control.command('RNFR old', 350)
        refused(control, 'RNFR none')
        control.command('RNTO x', 503)

        def rename(start, end, *codes):
            control.command(f'RNFR {start}', 350)
            control.command('NOOP', 200)
            control.command(f'RNTO {end}', *codes)
            control.command(f'RNTO {end}', 503)

        rename('old', 'other', 250)
        same(content(root, 'other'), b'old')
        rename('other', 'd/moved', 250)
        rename('link', 'd/link', 250)
        rename('d', 'f', 250)
        same(everything(root), ['e', 'e/x', 'empty', 'f', 'f/in', 'f/link', 'f/moved'])
        rename('f', 'empty', 250)
        for start, end in (('e', 'empty'), ('e', 'e/e'), ('e/x', 'empty'), ('e', 'empty/in'), ('e/x', '/'),
                           ('e/x', 'none/x'), ('e/x', '.hidden'), ('e/x', 'e/x/x'), ('e', 'empty/.hidden')):
            rename(start, end, 550, 553)
        control.command('RNFR e/x', 350)
        control.command('RNTO', 501)
        control.command('CWD e', 250)
        control.command('RNTO y', 250)
        control.command('RNFR y', 350)
        os.unlink(os.path.join(root, 'e', 'y'))
        control.command('RNTO z', 550)
        control.command('RNFR /empty/in', 350)
        control.command('REIN', 220)
        control.command('USER ftp', 331)
        control.command('PASS x', 230)
        control.command('RNTO x', 503)
        same(everything(root), ['e', 'empty', 'empty/in', 'empty/link', 'empty/moved'])


@test
def rules(backend):
    """A directory with a part of which something else is said stays where it is, and none comes where that would be."""
    root, server = configured(backend, 'Writable=yes\n[Path /d/keep/**]\nWritable=no\n[Path /e/deep/**]\nDeny=yes\n'
                                       '[Path /shown/**]\nHidden=yes\n')
    for name in ('d/keep/x', 'f/y', 'e/deep/z', 'shown/.x', 'g/.y'):
        write(os.path.join(root, name), b'x')
    before = everything(root)
    with server, server.control() as control:
        for start, end, code in (('d', 'h', 550), ('e', 'h', 550), ('f', 'e', 550), ('g', 'shown/g', 550),
                                 ('d/in', 'e/in', 250), ('f', 'e/f', 250), ('e/f', 'f', 250), ('e/in', 'd/in', 250)):
            control.command(f'RNFR {start}', 350)
            control.command(f'RNTO {end}', code)
        refused(control, 'RNFR d/keep/x', 'DELE d/keep/x', 'DELE e/deep/z', 'RNFR e/deep/z', 'MKD d/keep/new')
        control.command('DELE shown/.x', 250)
        before.remove('shown/.x')
        same(everything(root), before)


# ------------------------------------------------------------------------------------------ what is kept with a file


def times(root, name):
    stat = os.stat(os.path.join(root, name))
    return stat.st_atime_ns / 1e9, stat.st_mtime_ns / 1e9


@test
def changed_times(backend):
    root, server = writable(backend)
    with server, server.control() as control:
        os.utime(os.path.join(root, 'old'), (5, 6))
        same(control.command('MFMT 20020717210715 old', 213), b'Modify=20020717210715; /old')
        same(times(root, 'old'), (5, 1026940035))
        same(control.command('MDTM old', 213), b'20020717210715')
        control.command('MDTM 20020717210715 old', 550)  # that is a name
        same(control.command('MFMT 20240229235959.999 d/in', 213), b'Modify=20240229235959; /d/in')
        same(times(root, 'd/in')[1], 1709251199)
        control.command('MFMT 19691231235959 old', 213)
        same(times(root, 'old')[1], -1)
        same(control.command('MDTM old', 213), b'19691231235959')
        control.command('MFMT 20200101000000 d', 213)
        same(times(root, 'd')[1], 1577836800)
        write(os.path.join(root, 'a\rb\nc'), b'x')
        same(control.command(b'MFMT 20200101000000 a\r\0b\0c', 213), b'Modify=20200101000000; /a\r\0b\0c')
        for time in ('20020717210715', '2002071721071 old', '200207172107155 old', '20020717210715. old',
                     '20020717210715.x old', '20230229000000 old', '20021301000000 old', '20020717240000 old',
                     '20020717216000 old', '0000000000000x old', '20020717210715 ', '99990101000000 old',
                     '00010101000000 old'):
            control.command(f'MFMT {time}', 501)
        refused(control, 'MFMT 20020717210715 none', 'MFMT 20020717210715 old/x', 'MFMT 20020717210715 .hidden')
        control.command('SITE UTIME 20020717210715 old', 200)
        same(times(root, 'old'), (5, 1026940035))
        control.command('SITE UTIME 200207172108 old', 200)
        same(times(root, 'old')[1], 1026940080)
        write(os.path.join(root, 'a b UTC'), b'x')
        control.command('SITE utime a b UTC 20200101000000 20200101000001 20200101000002 UTC', 200)
        same(times(root, 'a b UTC'), (1577836800, 1577836801))
        for rest in ('', ' old', ' 20020717210715', ' 20021317210715 old', ' 2002071721 old', ' 20020717210715 ',
                     ' old 20200101000000 20200101000001 UTC', ' 20200101000000 20200101000001 20200101000002 UTC'):
            control.command('SITE UTIME' + rest, 501)
        refused(control, 'SITE UTIME 20020717210715 none', 'SITE UTIME 20020717210715 .hidden')


@test
def changed_modes(backend):
    root, server = writable(backend)
    with server, server.control() as control:
        for mode, name in (('600', 'old'), ('0644', 'old'), ('755', 'd'), ('777', 'd/in')):
            control.command(f'SITE CHMOD {mode} {name}', 200)
            same(os.stat(os.path.join(root, name)).st_mode & 0o7777, int(mode, 8))
        for rest in ('', ' 644', ' 644 ', ' old', ' 844 old', ' 4755 old', ' 1777 d', ' -1 old', ' 99999999999999 old'):
            control.command('SITE CHMOD' + rest, 501)
        refused(control, 'SITE CHMOD 600 none', 'SITE CHMOD 600 .hidden', 'SITE CHMOD 600 old/x')
        text = control.command('site help', 214)
        assert b'CHMOD' in text and b'UTIME' in text, text
        for command in ('SITE EXEC ls', 'SITE CHMODE 600 old', 'SITE X'):
            control.command(command, 504)


# ------------------------------------------------------------------------------------------ hashes


@test
def hashes(backend):
    root, server = writable(backend)
    names = {'SHA-256': 'sha256', 'SHA-512': 'sha512', 'SHA-1': 'sha1', 'MD5': 'md5'}
    sizes = (0, 1, 65535, 65536, 65537, 1 << 20)
    for size in sizes:
        write(os.path.join(root, str(size)), BYTES[:size])
    os.mkfifo(os.path.join(root, 'fifo'))
    with server, server.control() as control:
        assert b'HASH SHA-256*;SHA-512;SHA-1;MD5\n' in control.command('FEAT', 211)
        same(control.command('OPTS HASH', 200), b'SHA-256')
        for name, ours in names.items():
            same(control.command(f'OPTS HASH {name.lower()}', 200), name.encode())
            assert f'{name}*'.encode() in control.command('FEAT', 211)
            for size in sizes:
                wanted = hashlib.new(ours, BYTES[:size]).hexdigest()
                same(control.command(f'HASH {size}', 213), f'{name} 0-{max(size - 1, 0)} {wanted} /{size}'.encode())
        control.command('OPTS HASH CRC32', 504)
        control.command('OPTS HASHES', 501)
        same(control.command('OPTS HASH', 200), b'MD5')
        refused(control, 'HASH none', 'HASH d', 'HASH fifo', 'HASH .hidden')
        control.command('TYPE A', 200)  # it is the bytes' all the same
        same(control.command('HASH old', 213).split()[2].decode(), hashlib.md5(b'old').hexdigest())
        control.command('REIN', 220)
        same(control.command('OPTS HASH', 200), b'SHA-256')


@test
def written_down(backend):
    log = os.path.join(directory(), 'log')
    with FtpServer(site(), backend, '--writable', '--access-log', log, '--log-format', 'json') as server:
        with server.control() as control:
            for command, code in (('MFMT 20200101000000 old', 213), ('HASH old', 213), ('SITE CHMOD 600 old', 200),
                                  ('SITE CHMOD 600 none', 550), ('RNFR old', 350), ('RNTO new', 250), ('RNTO x', 503)):
                control.command(command, code)
    lines = [json.loads(line) for line in content(log).splitlines()]
    same([line['status'] for line in lines[1:]], [213, 213, 200, 550, 350, 250, 503])


@test
def hashing_ends_with_the_client(backend):
    root, server = writable(backend)
    with open(os.path.join(root, 'sparse'), 'wb') as file:
        file.truncate(1 << 32)
    with server:
        with server.control() as control:
            control.send('HASH sparse')
            control.send('NOOP')  # waits its turn
        with server.control() as control:
            control.send('HASH sparse')
            control.socket.shutdown(socket.SHUT_RDWR)
        with server.control() as control:
            control.command('HASH old', 213)


@test
def reset_while_commands_wait(backend):
    """So many that no more are read, and the first to be obeyed finds the connection gone."""
    root, server = writable(backend)
    with open(os.path.join(root, 'sparse'), 'wb') as file:
        file.truncate(1 << 26)
    with server:
        control = server.control()
        control.socket.sendall(b'HASH sparse\r\n' + b'EPSV\r\n' * 4000)
        control.stream.close()
        reset(control.socket)
        with server.control() as control:
            control.command('HASH sparse', 213)  # takes as long
            control.command('EPSV', 229)


@test
def pipelined(backend):
    root, server = writable(backend)
    with server, server.control() as control:
        control.socket.sendall(b'MKD p\r\nRNFR old\r\nRNTO p/q\r\nSITE CHMOD 600 p/q\r\nHASH p/q\r\nDELE p/q\r\n'
                               b'RMD p\r\nDELE p/q\r\nRNTO x\r\n')
        for code in (257, 350, 250, 200, 213, 250, 250, 550, 503):
            control.expect(code)
        same(everything(root), ['d', 'd/in'])


if __name__ == '__main__':
    sys.exit(run(__file__))
