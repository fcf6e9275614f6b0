#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""errand copy: everything comes out as it was; what cannot be done is told; nothing is left open."""
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time

sys.dont_write_bytecode = True
import made
from compare import differences
from made import ERRAND, ROOT, errand, write
from served import SLOW, directory, run, same, test

NOBODY = 65534


def source(backend, many=200):
    root = directory()
    os.umask(0o022)
    made.make(os.path.join(root, 'src'), many)
    return root, os.path.join(root, 'src')


@test
def everything(backend):
    root, src = source(backend, 20000)
    same(errand('copy', src, f'{root}/dst', backend=backend), (0, b'', b''), 'copy')
    same(differences(src, f'{root}/dst'), [], 'the copy')


@test
def as_somebody(backend):
    """Without privileges: owners cannot be kept, the rest is."""
    if not ROOT:
        return 'needs root to become somebody else'
    root, src = source(backend)
    os.chmod(root, 0o777)
    for name in ('null', 'disk'):
        os.unlink(f'{src}/{name}')
    shutil.rmtree(f'{src}/modes')
    os.mkdir(f'{src}/theirs')
    write(f'{src}/theirs/readable', b'of root')
    os.chmod(f'{src}/theirs/readable', 0o6755)
    for place, folders, names in os.walk(os.fsencode(src)):
        for name in [*folders, *names, b'.']:
            if not place.endswith(b'theirs'):
                os.chown(os.path.join(place, name), NOBODY, NOBODY, follow_symlinks=False)
    made.times(src)
    same(errand('copy', src, f'{root}/dst', backend=backend, user=NOBODY), (0, b'', b''), 'copy')
    same(oct(os.stat(f'{root}/dst/theirs/readable').st_mode & 0o7777), '0o755', 'another owner, so not setuid')
    wrong = [line for line in differences(src, f'{root}/dst')
             if not any(word in line for word in ('theirs', 'st_gid', 'st_atime'))]  # reading theirs leaves traces
    same(wrong, [], 'the copy')
    return None


@test
def into_a_directory_that_inherits(backend):
    """Default access control lists of where the copy lies are not the copy's."""
    root, src = source(backend)
    os.mkdir(f'{root}/place')
    subprocess.run(['setfacl', '-d', '-m', 'u:4321:rwx', f'{root}/place'], check=True)
    same(errand('copy', src, f'{root}/place', backend=backend), (0, b'', b''), 'copy')
    same(differences(src, f'{root}/place/src'), [], 'the copy')


@test
def another_filesystem(backend):
    """To a tmpfs: by memory; holes by another filesystem's units."""
    if not ROOT:
        return 'needs root to mount'
    root, src = source(backend)
    os.mkdir(f'{root}/tmpfs')
    for name in ('attributes', 'acl directory/below'):
        for attribute in os.listxattr(f'{src}/{name}'):
            if attribute.startswith('user.'):
                os.removexattr(f'{src}/{name}', attribute)
    made.times(src)
    subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=200m', 'none', f'{root}/tmpfs'], check=True)
    try:
        same(errand('copy', src, f'{root}/tmpfs/dst', backend=backend), (0, b'', b''), 'copy')
        same(differences(src, f'{root}/tmpfs/dst', layouts=False), [], 'the copy')
    finally:
        subprocess.run(['umount', f'{root}/tmpfs'], check=True)
    return None


@test
def single_files(backend):
    root, src = source(backend, 0)
    for number, name in enumerate(('plain', 'fifo', 'loop1', 'outside', 'sizes/65537', 'another name', 'acl file')):
        os.makedirs(f'{root}/{number}/a'), os.makedirs(f'{root}/{number}/b')
        same(errand('copy', f'{src}/{name}', f'{root}/{number}/b/copy', backend=backend), (0, b'', b''), name)
        a, b = os.lstat(f'{src}/{name}'), os.lstat(f'{root}/{number}/b/copy')
        same((b.st_mode, b.st_size, b.st_mtime_ns), (a.st_mode, a.st_size, a.st_mtime_ns), name)
        if stat.S_ISLNK(a.st_mode):
            same(os.readlink(f'{root}/{number}/b/copy'), os.readlink(f'{src}/{name}'), name)


@test
def errors_are_told(backend):
    root, src = source(backend, 0)
    code, out, err = errand('copy', f'{src}/nothing', f'{root}/dst', backend=backend)
    same((code, out), (1, b''), 'no source')
    assert b'No such file' in err and b'nothing' in err, err
    code, out, err = errand('copy', '-T', src, f'{root}/src/sizes', backend=backend)
    same(code, 2, 'into itself')
    os.mkdir(f'{root}/there')
    code, out, err = errand('copy', '-T', src, f'{root}/there', backend=backend)
    same(code, 1, 'there is one')
    assert b'mkdir' in err and b'File exists' in err and b'choose another name' in err, err
    same(os.listdir(f'{root}/there'), [], 'nothing is replaced')
    for arguments in ([src], [], [src, 'a', 'b'], ['--workers', '0', src, 'a'], ['--what', src, 'a'],
                      ['/', f'{root}/x']):
        same(errand('copy', *arguments, backend=backend)[0], 2, str(arguments))


@test
def unreadable(backend):
    """One file and one directory that may not be read: told, each by its path, and all the others are copied."""
    if not ROOT:
        return 'needs root to become somebody else'
    root = directory()
    os.chmod(root, 0o777)
    os.makedirs(f'{root}/src/closed')
    for number in range(100):
        write(f'{root}/src/{number}', b'%d' % number)
    write(f'{root}/src/closed/in', b'x')
    os.chmod(f'{root}/src/closed', 0o700)
    os.chmod(f'{root}/src/50', 0o600)
    code, out, err = errand('copy', '--json', f'{root}/src', f'{root}/dst', backend=backend, user=NOBODY)
    same((code, err), (1, b''), 'exit code')
    lines = [json.loads(line) for line in out.splitlines()]
    told = sorted((line['path'], line['error'], line['step']) for line in lines if line['state'] == 'error')
    same(told, [(f'{root}/src/50', 'EACCES', 'open'), (f'{root}/src/closed', 'EACCES', 'open')], 'errors')
    same((lines[-1]['state'], lines[-1]['files'], lines[-1]['errors']), ('failed', 99, 2), 'the last line')
    same(sorted(os.listdir(f'{root}/dst'), key=str), sorted(map(str, set(range(100)) - {50})), 'the others')
    same(errand('copy', '--stop', f'{root}/src', f'{root}/dst2', backend=backend, user=NOBODY)[0], 1, '--stop')
    return None


@test
def full(backend):
    if not ROOT:
        return 'needs root to mount'
    root = directory()
    os.mkdir(f'{root}/tmpfs')
    os.mkdir(f'{root}/src')
    for number in range(40):
        write(f'{root}/src/{number}', bytes(100000))
    subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=1m', 'none', f'{root}/tmpfs'], check=True)
    try:
        code, _, err = errand('copy', f'{root}/src', f'{root}/tmpfs/dst', backend=backend)
        same(code, 1, 'exit code')
        assert b'copy: No space left on device; make room' in err, err
    finally:
        subprocess.run(['umount', f'{root}/tmpfs'], check=True)
    return None


@test
def json_names(backend):
    root = directory()
    name = b'quote" back\\ new\n \xff\xc3 gr\xc3\xbc\xc3\x9fe \xed\xa0\x80'
    code, out, _ = errand('copy', '--json', os.path.join(os.fsencode(root), name), f'{root}/dst', backend=backend)
    same(code, 1, 'exit code')
    line = json.loads(out.splitlines()[0])
    same(line['path'].encode('utf-8', 'surrogateescape'), os.path.join(os.fsencode(root), name), 'path')


@test
def cancelled(backend):
    """In the middle: it ends at once, with nothing of it open (the sanitizer looks for memory)."""
    root = directory()
    for place in range(60):
        os.makedirs(f'{root}/src/{place}')
        for number in range(200):
            write(f'{root}/src/{place}/{number}', b'x' * 500)
    for number, wait in enumerate((0.0, 0.02, 0.05, 0.1, 0.2)):
        with subprocess.Popen([ERRAND, 'copy', '--backend', backend, '--json', f'{root}/src', f'{root}/dst{number}'],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            limit = time.monotonic() + 10 * SLOW
            while wait and not os.path.exists(f'{root}/dst{number}/0') and time.monotonic() < limit and \
                    process.poll() is None:
                time.sleep(0.001)
            time.sleep(wait)
            process.send_signal(signal.SIGTERM)
            out, err = process.communicate(timeout=30 * SLOW)
            if process.returncode == -signal.SIGTERM and not wait:
                continue  # it had not come to asking for signals yet
            same(err, b'', 'standard error')
            last = json.loads(out.splitlines()[-1])
            same((process.returncode, last['state']) in ((1, 'cancelled'), (0, 'done')), True, str(last))


if __name__ == '__main__':
    sys.exit(run(__file__))
