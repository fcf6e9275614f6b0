# SPDX-License-Identifier: MIT
"""A tree with everything in it that a tree can have, and how errand is run on it."""
import os
import random
import socket
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'server'))
from served import ERRAND, SLOW  # noqa: E402

ROOT = os.geteuid() == 0
NAMES = [b'plain', b'with space', b'new\nline', b'\xff\xfe not utf-8', b'-dash', b'*', b'q"uote\'', b'back\\slash',
         b'\x01\x1f control', 'grüße'.encode(), b'n' * 255, b' ', b'...', b'tab\there']
MEASURE = ('import resource, subprocess, sys; code = subprocess.call(sys.argv[1:]); '
           'print("most", resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); sys.exit(code)')
SIZES = [0, 1, 511, 4095, 4096, 4097, 16383, 16384, 16385, 65535, 65536, 65537, 262145, 3 << 20, (33 << 20) + 1]


def errand(command, *arguments, backend='auto', user=None, limit=300, measure=None, **options):
    """Runs errand; returns (exit code, standard output, standard error). measure: a list for its memory in KiB."""
    # AddressSanitizer keeps up to 256 MiB of what was freed, which would be all that is measured.
    sparing = 'ASAN_OPTIONS=' + os.environ.get('ASAN_OPTIONS', '') + ':quarantine_size_mb=1'
    timed = [] if measure is None else ['/usr/bin/env', sparing, 'python3', '-c', MEASURE]
    done = subprocess.run([*timed, os.path.abspath(ERRAND), command, '--backend', backend, *arguments], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=limit * SLOW, user=user, check=False,
                          **options)
    output = done.stdout
    if measure is not None:
        output, _, figure = output.rpartition(b'most ')
        measure.append(int(figure))
    return done.returncode, output, done.stderr


def write(path, data):
    with open(path, 'wb') as file:
        file.write(data)


def sparse(path, pieces, length):
    with open(path, 'wb') as file:
        for offset, data in pieces:
            file.seek(offset)
            file.write(data)
        file.truncate(length)


def attributes(root):
    """Extended attributes and access control lists, on files and directories; default lists, too."""
    for name in ('acl file', 'acl directory'):
        path = os.path.join(root, name)
        if 'directory' in name:
            os.mkdir(path)
            write(os.path.join(path, 'in it'), b'x')
            os.mkdir(os.path.join(path, 'below'))
        else:
            write(path, b'acl')
        subprocess.run(['setfacl', '-m', 'u:12345:rwx,g:54321:r--,m::rx', path], check=True)
    subprocess.run(['setfacl', '-d', '-m', 'u:777:rwx', os.path.join(root, 'acl directory')], check=True)
    write(os.path.join(root, 'attributes'), b'a')
    for number in range(40):
        os.setxattr(os.path.join(root, 'attributes'), f'user.name{number}', os.urandom(number * 2))
    os.setxattr(os.path.join(root, 'acl directory', 'below'), 'user.of a directory', b'\0value\0')


def links(root):
    os.mkdir(os.path.join(root, 'links'))
    os.mkdir(os.path.join(root, 'links', 'below'))
    for number in range(30):
        first = os.path.join(root, 'links', f'file{number}')
        write(first, os.urandom(number * 1000))
        for other in range(number % 4 + 1):
            os.link(first, os.path.join(root, 'links', 'below', f'{number}-{other}'))
    os.link(os.path.join(root, 'links', 'file0'), os.path.join(root, 'another name'))
    os.symlink('nowhere', os.path.join(root, 'links', 'dangling'))
    os.link(os.path.join(root, 'links', 'dangling'), os.path.join(root, 'links', 'dangling too'), follow_symlinks=False)
    os.symlink('loop2', os.path.join(root, 'loop1'))
    os.symlink('loop1', os.path.join(root, 'loop2'))
    os.symlink('.', os.path.join(root, 'itself'))
    os.symlink('/etc', os.path.join(root, 'outside'))
    os.symlink('x' * 4000, os.path.join(root, 'long target'))
    os.symlink(b'\xff\n', os.path.join(root, 'odd target'))


def special(root):
    os.mkfifo(os.path.join(root, 'fifo'), 0o640)
    with socket.socket(socket.AF_UNIX) as one:
        before = os.getcwd()
        os.chdir(root)
        one.bind('socket')
        os.chdir(before)
    if ROOT:
        os.mknod(os.path.join(root, 'null'), 0o020666, os.makedev(1, 3))
        os.mknod(os.path.join(root, 'disk'), 0o060600, os.makedev(7, 99))


def modes(root):
    os.mkdir(os.path.join(root, 'modes'))
    for mode in (0o000, 0o4755, 0o2755, 0o6711, 0o1777, 0o777, 0o666, 0o400, 0o604):
        if not mode & 0o400 and not ROOT:
            continue
        write(os.path.join(root, 'modes', f'file {mode:o}'), b'm' * mode)
        os.mkdir(os.path.join(root, 'modes', f'directory {mode:o}'))
        write(os.path.join(root, 'modes', f'directory {mode:o}', 'in it'), b'i')
        for kind in ('file', 'directory'):
            path = os.path.join(root, 'modes', f'{kind} {mode:o}')
            if ROOT:
                os.chown(path, mode + 1000, mode + 2000)
            os.chmod(path, mode | (0 if kind == 'file' or ROOT else 0o500))


def times(root):
    """Odd ones everywhere, before 1970 and far ahead too; what is deepest first."""
    chosen = random.Random(3)
    for place, folders, names in os.walk(os.fsencode(root), topdown=False):
        for name in [*folders, *names, b'.']:
            when = tuple(chosen.choice((-1, 1)) * chosen.randrange(1 << 30) * 1000000000 + chosen.randrange(1000000000)
                         for _ in range(2))
            os.utime(os.path.join(place, name), ns=when, follow_symlinks=False)


def make(root, many=20000):
    os.mkdir(root)
    for number, name in enumerate(NAMES):
        write(os.path.join(os.fsencode(root), name), name * number)
        os.makedirs(os.path.join(os.fsencode(root), b'd' + name[:200], name))
    os.mkdir(os.path.join(root, 'sizes'))
    for size in SIZES:
        write(os.path.join(root, 'sizes', str(size)), os.urandom(size))
    os.mkdir(os.path.join(root, 'holes'))
    sparse(os.path.join(root, 'holes', 'only'), [], 10 << 20)
    sparse(os.path.join(root, 'holes', 'small'), [], 5000)
    sparse(os.path.join(root, 'holes', 'ends'), [(0, b'a' * 8192)], 9 << 20)
    sparse(os.path.join(root, 'holes', 'begins'), [(7 << 20, b'b' * 4096)], (7 << 20) + 4096)
    sparse(os.path.join(root, 'holes', 'many'), [(at << 16, b'c' * 4096) for at in range(100)], 8 << 20)
    sparse(os.path.join(root, 'holes', 'within'), [(0, b'd' * 4096), (20480, b'e' * 4096)], 24576)
    os.makedirs(os.path.join(root, *['deep'] * 150))
    write(os.path.join(root, *['deep'] * 150, 'bottom'), b'bottom')
    os.makedirs(os.path.join(root, 'empty', 'empty'))
    os.mkdir(os.path.join(root, 'many'))
    for number in range(many):
        write(os.path.join(root, 'many', f'file {number}'), b'%d' % number)
    for number in range(300):
        os.makedirs(os.path.join(root, 'wide', str(number), 'x'))
    attributes(root)
    links(root)
    special(root)
    modes(root)
    times(root)
