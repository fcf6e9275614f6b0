#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""errand remove: nothing is left, nothing outside is touched, what cannot be removed is told."""
import os
import subprocess
import sys

sys.dont_write_bytecode = True
import made
from compare import walk
from made import ROOT, errand, write
from served import directory, run, same, test

NOBODY = 65534


@test
def everything(backend):
    root = directory()
    made.make(f'{root}/tree', 20000)
    os.makedirs(f'{root}/outside/below')
    write(f'{root}/outside/below/file', b'stays')
    os.symlink(f'{root}/outside', f'{root}/tree/to outside')
    os.symlink(f'{root}/outside/below/file', f'{root}/tree/to a file')
    same(errand('remove', f'{root}/tree', backend=backend), (0, b'', b''), 'remove')
    same(os.listdir(root), ['outside'], 'what is left')
    same(walk(f'{root}/outside'), [b'', b'below', b'below/file'], 'outside')


@test
def names_itself(backend):
    """A symlink, a file, an empty directory: what is named is removed, not what it points to."""
    root = directory()
    os.mkdir(f'{root}/outside')
    write(f'{root}/outside/file', b'stays')
    os.symlink(f'{root}/outside', f'{root}/link')
    write(f'{root}/file', b'x')
    os.mkdir(f'{root}/empty')
    for name in ('link/', 'file', 'empty'):
        same(errand('remove', f'{root}/{name}', backend=backend), (0, b'', b''), name)
    same(walk(root), [b'', b'outside', b'outside/file'], 'what is left')


@test
def refuses(backend):
    root = directory()
    os.mkdir(f'{root}/d')
    for path in ('/', '//', '/.', '/..', '.', '..', f'{root}/d/.', f'{root}/d/..', '', '/proc/self/root'):
        code, _, err = errand('remove', path, backend=backend, cwd=f'{root}/d')
        if path == '/proc/self/root':  # a symlink, which nobody can remove
            same(code, 1, path)
        else:
            same((code, b'refuses' in err), (2, True), path)
    code, _, err = errand('remove', f'{root}/nothing', backend=backend)
    same((code, b'No such file' in err), (1, True), 'nothing')


@test
def what_stays_is_told(backend):
    """A directory that may not be changed: it and what is above it stay, and only what failed itself is told."""
    if not ROOT:
        return 'needs root to become somebody else'
    root = directory()
    os.chmod(root, 0o777)
    os.makedirs(f'{root}/tree/fixed')
    os.makedirs(f'{root}/tree/free')
    for number in range(30):
        write(f'{root}/tree/fixed/{number}', b'x')
        write(f'{root}/tree/free/{number}', b'x')
    for path in (f'{root}/tree', f'{root}/tree/free'):
        os.chown(path, NOBODY, NOBODY)
    code, _, err = errand('remove', f'{root}/tree', backend=backend, user=NOBODY)
    same((code, len(err.splitlines())), (1, 30), 'exit code, and a line for each')
    assert all(b'/tree/fixed/' in line and b'unlink: Permission denied; run it as' in line for line in err.splitlines())
    same(os.listdir(f'{root}/tree'), ['fixed'], 'what is left')
    return None


@test
def mounted(backend):
    if not ROOT:
        return 'needs root to mount'
    root = directory()
    os.makedirs(f'{root}/tree/mount')
    subprocess.run(['mount', '-t', 'tmpfs', 'none', f'{root}/tree/mount'], check=True)
    try:
        code, _, err = errand('remove', f'{root}/tree', backend=backend)
        same((code, b'rmdir: Device or resource busy; it is mounted' in err), (1, True), str(err))
    finally:
        subprocess.run(['umount', f'{root}/tree/mount'], check=True)
    return None


@test
def a_million(backend):
    """One directory of a million files (TEST_LONG=1): copied and removed in memory that does not grow with it."""
    if not os.environ.get('TEST_LONG'):
        return 'only with TEST_LONG=1'
    root = directory()
    most = {}
    for count in (10000, 1000000):
        os.mkdir(f'{root}/tree')
        for number in range(count):
            os.close(os.open(f'{root}/tree/{number}', os.O_CREAT | os.O_WRONLY))
        commands = (['copy', f'{root}/tree', f'{root}/copy'], ['remove', f'{root}/copy'], ['remove', f'{root}/tree'])
        for command in commands:
            usage = []
            code, out, err = errand(*command, backend=backend, limit=1500, measure=usage)
            same((code, out, err), (0, b'', b''), command[0])
            most[command[0], count] = max(usage[0], most.get((command[0], count), 0))
    for command in ('copy', 'remove'):
        small, large = most[command, 10000], most[command, 1000000]
        assert large < small * 1.5 + 4096, f'{command}: {small} KiB became {large} KiB'
    return None


if __name__ == '__main__':
    sys.exit(run(__file__))
