#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""errand passwd: lines of a file of users, made, changed and taken out; on a terminal, too."""
import os
import pty
import re
import stat
import subprocess
import sys

from served import BACKENDS, ERRAND, SLOW, Server, content, directory, run, same, test, write

HASH = r'\$y\$j9T\$[./A-Za-z0-9]+\$[./A-Za-z0-9]{43}'


def passwd(*arguments, said='word\n'):
    done = subprocess.run([ERRAND, 'passwd', *arguments], input=said.encode(), stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=30 * SLOW, check=False)
    same(done.stdout, b'')
    return done.returncode, done.stderr.decode()


def lines(path):
    return content(path).decode().split('\n')


@test
def made_and_changed(backend):
    if backend != BACKENDS[0]:
        return 'does not depend on it'
    root = directory()
    path = os.path.join(root, 'users')
    same(passwd(path, 'anna'), (0, ''))
    same(stat.S_IMODE(os.stat(path).st_mode), 0o600)
    assert re.fullmatch(f'anna:{HASH}\n', content(path).decode()), content(path)
    write(path, b'# people\n\n' + content(path) + b'zoe:broken')  # without an end of line
    os.chmod(path, 0o640)
    same(passwd(path, 'ben', '--home', '/srv/b en', '--read-write', '--rate', '1M', '--sessions', '4'), (0, ''))
    anna, zoe, ben = lines(path)[2:5]
    same((lines(path)[:2], zoe, lines(path)[5:]), (['# people', ''], 'zoe:broken', ['']))
    assert re.fullmatch(f'ben:{HASH}:/srv/b en:rw,rate=1048576,sessions=4', ben), ben
    same(stat.S_IMODE(os.stat(path).st_mode), 0o640)
    same(passwd(path, 'ben', '--rate', 'off', said='other'), (0, ''))  # no end of line there
    changed = lines(path)[4]
    assert re.fullmatch(f'ben:{HASH}:/srv/b en:rw,sessions=4', changed) and changed[:80] != ben[:80], changed
    same(passwd('-k', path, 'ben', '--sessions', '0', '--read-only', '--home', 'b', said=''), (0, ''))
    same(lines(path)[4], changed.split(':')[0] + ':' + changed.split(':')[1] + ':b:ro')
    same(lines(path)[2], anna)
    same(passwd('--delete', path, 'ben', said=''), (0, ''))
    same(lines(path)[2:], [anna, 'zoe:broken', ''])
    same(passwd(path, 'zoe'), (0, ''))  # it is mended
    assert re.fullmatch(f'zoe:{HASH}', lines(path)[3]), lines(path)
    os.symlink('users', os.path.join(root, 'link'))
    same(passwd('--delete', os.path.join(root, 'link'), 'zoe', said=''), (0, ''))
    assert os.path.islink(os.path.join(root, 'link')) and len(lines(path)) == 4, lines(path)
    same(sorted(os.listdir(root)), ['link', 'users'])
    return None


@test
def refused(backend):
    if backend != BACKENDS[0]:
        return 'does not depend on it'
    root = directory()
    path = os.path.join(root, 'users')
    write(path, b'anna:broken\n')
    for arguments, said, status, words in (
            ([path], '', 2, 'want FILE and NAME'), ([path, 'a:b'], '', 2, 'without a colon'),
            ([path, ''], '', 2, 'want a name'), ([path, '#a'], '', 2, 'no # at its beginning'),
            ([path, 'n' * 256], '', 2, 'at most 255'), ([path, 'b', '--home', 'x:y'], '', 2, 'without a colon'),
            ([path, 'b', '--home', 'x\ny:z'], '', 2, 'path of a directory'),
            ([path, 'b', '--rate', 'x'], '', 2, '512K'),
            ([path, 'b', '--sessions', '-1'], '', 2, 'number of sessions'), ([path, 'b', '--what'], '', 2, '--help'),
            ([path, 'b', '--delete'], '', 2, 'is not in the file'), ([path, 'b', '-k'], '', 2, 'is not in the file'),
            ([path, 'anna', '-k'], '', 2, 'want a hash'), ([path, 'b'], '', 1, 'no password'),
            ([path, 'b'], '\n', 1, 'no password'), ([path, 'b'], 'x' * 600 + '\n', 1, 'no password'),
            ([os.path.join(root, 'no', 'users'), 'b'], 'x\n', 1, 'No such file'), ([root, 'b'], 'x\n', 1, 'directory')):
        code, err = passwd(*arguments, said=said)
        same((code, words in err), (status, True), f'{arguments}: {err}')
        same(content(path), b'anna:broken\n')
    write(path, b'anna:x\n\0\nben:y\n')
    same(passwd(path, 'b')[0], 2)
    same(content(path), b'anna:x\n\0\nben:y\n')
    same(os.listdir(root), ['users'])
    return None


def on_a_terminal(path, *answers):
    """What it says there, and its status."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(ERRAND, [ERRAND, 'passwd', path, 'anna'])
    said = b''
    try:
        for answer in answers:
            while not said.endswith(b': '):
                said += os.read(terminal, 1000)
            os.write(terminal, answer)
            said += b'|'
        while True:
            said += os.read(terminal, 1000)
    except OSError:  # it has ended
        pass
    os.close(terminal)
    return said.decode(), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@test
def asked_for(backend):
    if backend != BACKENDS[0]:
        return 'does not depend on it'
    path = os.path.join(directory(), 'users')
    same(on_a_terminal(path, b'word\n', b'sword\n'),
         ('New password: |\r\nAgain: |\r\nerrand passwd: that was another one; nothing was changed\r\n', 1))
    said, status = on_a_terminal(path, b'wo\003')
    assert status == 1 and 'no password was given' in said and 'wo' not in said.split('|')[1][:3], said
    assert not os.path.exists(path)
    same(on_a_terminal(path, b'word\n', b'word\n'), ('New password: |\r\nAgain: |\r\n', 0))
    assert re.fullmatch(f'anna:{HASH}\n', content(path).decode())
    return None


@test
def several_at_once(backend):
    if backend != BACKENDS[0]:
        return 'does not depend on it'
    path = os.path.join(directory(), 'users')
    running = [subprocess.Popen([ERRAND, 'passwd', path, f'u{number}'], stdin=subprocess.PIPE) for number in range(12)]
    for process in running:
        process.stdin.write(b'word\n')
        process.stdin.close()
    same([process.wait(30 * SLOW) for process in running], [0] * 12)
    same(sorted(line.split(':')[0] for line in lines(path)[:-1]), sorted(f'u{number}' for number in range(12)))
    return None


@test
def for_the_web_server(backend):
    """One file is good for both servers."""
    root = directory()
    write(os.path.join(root, 'www', 'shut', 'in'), b'in')
    same(passwd(os.path.join(root, 'users'), 'anna', '--home', '/'), (0, ''))
    write(os.path.join(root, 'errand.conf'), b'[Host]\nDirectory=www\n[Path /shut/**]\nUsers=users\n')
    with Server(os.path.join(root, 'www'), backend, '-c', os.path.join(root, 'errand.conf')) as server:
        same(server.get('/shut/in').status, 401)
        same(server.get('/shut/in', authorization='Basic YW5uYTp3b3Jk').body, b'in')
        same(server.get('/shut/in', authorization='Basic YW5uYTp3b3Jl').status, 401)


if __name__ == '__main__':
    sys.exit(run(__file__))
