#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Users of the FTP server who have a password: their homes, what they may do, how fast, how often; and who guesses."""
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

from ftp import FtpServer
from served import ERRAND, SLOW, content, directory, eventually, run, same, test, write

# Of "secret", as cheap as it can be.
HASH = '$2y$04$KBCwKxOzLha2MUDgW0PjXe/hE/UCO9qF89dOydoHjSwxcHev5LRn.'
BIG = 1 << 20


def site(users=f'anna:{HASH}:homes/anna:rw\nben:{HASH}:homes/ben\n', ftp='', more=''):
    root = directory()
    write(os.path.join(root, 'www', 'a.txt'), b'for all')
    for name in ('anna', 'ben'):
        write(os.path.join(root, 'homes', name, 'mine.txt'), name.encode())
        write(os.path.join(root, 'homes', name, '.hidden'), b'hidden')
        write(os.path.join(root, 'homes', name, 'big'), b'x' * BIG)
        os.symlink('../ben/mine.txt' if name == 'anna' else '/etc/passwd', os.path.join(root, 'homes', name, 'out'))
        os.symlink('mine.txt', os.path.join(root, 'homes', name, 'within'))
    write(os.path.join(root, 'users'), users.encode())
    write(os.path.join(root, 'errand.conf'),
          f'[Ftp]\nUsers=users\n{ftp}[Host]\nDirectory=www\n{more}'.encode())
    return root


def started(root, backend, *arguments, **options):
    return FtpServer(os.path.join(root, 'www'), backend, '-c', os.path.join(root, 'errand.conf'), *arguments, **options)


def login(server, name, password='secret', code=230):
    control = server.control(login=False)
    control.command(f'USER {name}', 331)
    control.command(f'PASS {password}', code)
    return control


def errand(*arguments, said=''):
    done = subprocess.run([ERRAND, *arguments], input=said, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          timeout=30 * SLOW, check=False)
    return done.returncode, done.stdout, done.stderr


@test
def homes(backend):
    root = site()
    with started(root, backend) as server:
        with login(server, 'anna') as anna, login(server, 'ben') as ben, server.control() as anybody:
            for control, name in ((anna, b'anna'), (ben, b'ben')):
                control.command('TYPE I', 200)
                same(control.command('PWD', 257)[:3], b'"/"')
                same(control.fetch('RETR mine.txt'), name)
                same(control.fetch('RETR /within'), name)
                same(control.fetch('RETR .hidden'), b'hidden')
                same(control.fetch('RETR ../../../mine.txt'), name)
                with control.passive():
                    control.command('RETR out', 550)
                control.command('CWD ..', 250)
                same(control.command('PWD', 257)[:3], b'"/"')
            same(anybody.fetch('RETR a.txt'), b'for all')
            anybody.command('SIZE mine.txt', 550)
        with login(server, 'anna') as control:
            control.command('USER anonymous', 331)  # another one, and in another home
            control.command('PASS me@', 230)
            same(control.fetch('RETR a.txt'), b'for all')
            control.command('REIN', 220)
            control.command('PWD', 530)
            control.command('USER ben', 331)
            control.command('PASS secret', 230)
            same(control.fetch('RETR mine.txt'), b'ben')


@test
def rights(backend):
    root = site()
    with started(root, backend) as server, login(server, 'anna') as anna, login(server, 'ben') as ben:
        anna.send('MKD made')
        code, _ = anna.reply()
        if code in (500, 502):
            return 'nothing is changed by FTP yet'
        same(code, 257)
        assert os.path.isdir(os.path.join(root, 'homes', 'anna', 'made'))
        anna.command('DELE mine.txt', 250)
        for command in ('MKD made', 'DELE mine.txt'):
            ben.command(command, 550)
        assert os.path.exists(os.path.join(root, 'homes', 'ben', 'mine.txt'))
    return None


@test
def roots_come_and_go(backend):
    users = ''.join(f'u{number}:{HASH}:homes/h{number}\n' for number in range(150))
    root = site(users)
    for number in range(150):
        write(os.path.join(root, 'homes', f'h{number}', 'name'), str(number).encode())
    with started(root, backend, threads=1) as server:
        process = int(content(f'/proc/{server.process.pid}/task/{server.process.pid}/children'))

        def descriptors():
            return len(os.listdir(f'/proc/{process}/fd'))
        with login(server, 'u0') as control:
            same(control.fetch('RETR name'), b'0')
        before = descriptors()
        controls = [login(server, f'u{number}') for number in range(150)]
        twice = login(server, 'u7')
        for number, control in enumerate(controls):
            same(control.fetch('RETR name'), str(number).encode())
        assert descriptors() >= before + 290, (before, descriptors())  # a socket and a root each
        controls[7].quit()
        same(twice.fetch('RETR name'), b'7')
        for control in (*controls, twice):
            control.socket.close()
            control.stream.close()

        def all_gone():
            return descriptors() <= before + 2  # what a ring or an idle port keeps
        eventually(all_gone)


@test
def wrong_passwords(backend):
    root = site()
    with started(root, backend) as server:
        with server.control(login=False) as one, server.control(login=False) as other:
            others = ('anna\r\nPASS ' + 'x' * 600, 'nobody\r\nPASS secret', 'x' * 300 + '\r\nPASS x')
            for number, words in enumerate(others):
                begun = time.monotonic()
                for control, said in ((one, 'anna\r\nPASS Secret'), (other, words)):
                    control.send('USER ' + said)
                for control in (one, other):
                    control.expect(331)
                    control.expect(421 if number == 2 else 530)
                    assert time.monotonic() - begun >= 1 << number, 'each time twice as long'
                    if number < 2:
                        control.command('PWD', 530)
            same((one.ended(), other.ended()), (True, True))
        with server.control(login=False) as control:
            control.command('PASS secret', 503)
            control.send('USER anna\r\nPASS wrong\r\nUSER anna\r\nPASS secret\r\nPWD')  # all in one: they wait
            for code in (331, 530, 331, 230, 257):
                control.expect(code)
            control.command('PASS secret', 503)
        gone = [server.control(login=False) for _ in range(8)]
        for control in gone:  # who is verified, and does not wait for it
            control.send('USER anna\r\nPASS wrong')
            control.socket.close()
            control.stream.close()
        with login(server, 'ben') as control:
            same(control.fetch('RETR mine.txt'), b'ben')


@test
def guesses_of_an_address(backend):
    root = site(ftp='FailuresPerAddress=4\n')
    with started(root, backend) as server:
        known = login(server, 'ben')
        controls = [server.control(login=False) for _ in range(6)]
        for control in controls:
            control.send('USER anna\r\nPASS wrong')
        codes = []
        for control in controls:
            control.expect(331)
            codes.append(control.reply()[0])
        same(sorted(codes), [421, 421, 530, 530, 530, 530])
        with server.control(login=False) as control:
            control.command('USER anna', 331)
            control.command('PASS secret', 421)  # not even looked at
            same(control.ended(), True)
        same(known.fetch('RETR mine.txt'), b'ben')
        login(server, 'anonymous', 'me@').quit()
        for control in (*controls, known):
            control.socket.close()


@test
def sessions_at_once(backend):
    root = site(f'anna:{HASH}:homes/anna:sessions=3\nben:{HASH}:homes/ben\n', 'SessionsPerUser=2\n')
    with started(root, backend) as server:
        for name, most in (('anna', 3), ('ben', 2)):
            controls = [login(server, name) for _ in range(most)]
            one_more = login(server, name, code=530)
            one_more.command('PWD', 530)
            controls[0].quit()

            def has_room():
                one_more.command(f'USER {name}', 331)
                one_more.send('PASS secret')
                return one_more.reply()[0] == 230
            eventually(has_room)
            same(one_more.fetch('RETR mine.txt'), name.encode())
            login(server, name, code=530).quit()
            for control in (*controls[1:], one_more):
                control.quit()


def fetched(server, name, done):
    with login(server, name) as control:
        same(len(control.fetch('RETR big')), BIG)
        done.append(time.monotonic())


def upload(connection):
    with connection:
        connection.sendall(b'u' * BIG)


@test
def a_shared_rate(backend):
    """Three at once get no more than one alone; and when two go, who is left gets all."""
    rate = BIG
    root = site(f'anna:{HASH}:homes/anna:rw,rate={rate}\nben:{HASH}:homes/ben\n')
    with started(root, backend) as server:
        login(server, 'anna').quit()  # known from now on, by one of the workers
        begun, done = time.monotonic(), []
        threads = [threading.Thread(target=fetched, args=(server, 'anna', done)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        same(len(done), 3)
        # each may begin with a piece of a sixteenth of what its rate was then, before others came
        assert max(done) - begun >= (3 * BIG - 3 * (rate / 16 + 1024)) / rate - 0.1, max(done) - begun
        slow = [login(server, 'anna') for _ in range(19)]
        data = [control.passive() for control in slow]
        for control in slow:
            control.command('RETR big', 150)
        begun = time.monotonic()
        last = threading.Thread(target=fetched, args=(server, 'anna', done))
        last.start()
        for control, connection in zip(slow, data):
            connection.close()
            control.expect(226, 426)
            control.quit()
        last.join()
        assert done[-1] - begun < 10 * BIG / rate, 'its share of a twentieth was never more'
        with login(server, 'anna') as one, login(server, 'anna') as other:  # uploads have their share, too
            begun, data = time.monotonic(), [one.passive(), other.passive()]
            for control in (one, other):
                control.command('TYPE I', 200)
                control.command(f'STOR up{control is one}', 150)
            for connection in data:
                threading.Thread(target=upload, args=(connection,)).start()
            for control in (one, other):
                control.expect(226)
            assert time.monotonic() - begun >= (2 * BIG - 2 * (rate / 16 + 1024)) / rate - 0.1


@test
def limits_of_all(backend):
    """[Limits] count FTP's connections, too, and [Path] slows down what matches."""
    root = site(more='[Path /slow/**]\nRate=200000\n[Limits]\nConnectionsPerAddress=3\n')
    write(os.path.join(root, 'www', 'slow', 'file'), b's' * 200000)
    with started(root, backend) as server:
        controls = [server.control() for _ in range(2)] + [login(server, 'anna')]
        with socket.create_connection(('127.0.0.1', server.ftp), 20 * SLOW) as one_more:
            assert one_more.makefile('rb').read().startswith(b'421 '), 'it is one too many'
        begun = time.monotonic()
        same(len(controls[0].fetch('RETR slow/file')), 200000)
        assert time.monotonic() - begun >= 0.8
        for control in controls:
            control.quit()

        def has_room():
            with socket.create_connection(('127.0.0.1', server.ftp), 20 * SLOW) as client:
                return client.recv(4) == b'220 '
        eventually(has_room)


@test
def hosts(backend):
    root = site(more='[Host one.example *.two.example]\nDirectory=one\n[Path /shut/**]\nDeny=yes\n')
    write(os.path.join(root, 'one', 'b.txt'), b'one')
    write(os.path.join(root, 'one', 'shut', 'in'), b'shut')
    with started(root, backend) as server, server.control(login=False) as control:
        control.command('HOST', 501)
        control.command('HOST three.example', 504)
        for name in ('one.example', 'ONE.EXAMPLE', 'a.two.example'):
            control.command(f'HOST {name}', 220)
            control.command('USER ftp', 331)
            control.command('PASS me@', 230)
            same(control.fetch('RETR b.txt'), b'one')
            control.command('SIZE a.txt', 550)
            control.command('SIZE shut/in', 550)
            control.command(f'HOST {name}', 503)
            control.command('REIN', 220)
        control.command('USER ftp', 331)
        control.command('PASS me@', 230)
        same(control.fetch('RETR a.txt'), b'for all')
        assert b'HOST' in control.command('FEAT', 211)


@test
def tested(backend):
    if backend != 'threads':
        return 'does not depend on it'
    for users, words in ((f'anna:{HASH}\n', 'users:1: anna has no home; want NAME:HASH:HOME'),
                         (f'# people\nanna:{HASH}:nowhere\n', 'users:2: the home '),
                         (f'anna:{HASH}:nowhere\n', 'nowhere: No such file or directory; make it, or name another'),
                         (f'anna:{HASH}:users\n', 'users: not a directory'),
                         (f'anna:{HASH}:homes:fast\n', 'users:1: want options rw, ro, rate=SIZE'),
                         ('anna:secret:homes\n', 'users:1: want a hash by bcrypt'),
                         ('', 'users: nobody is in it')):
        root = site(users)
        for test_only in (['-t'], ['--http', '127.0.0.1:0', '--ftp', '127.0.0.1:0']):
            status, out, err = errand('serve', *test_only, '-c', os.path.join(root, 'errand.conf'))
            assert status != 0 and out == '' and words in err, (status, out, err)
    return None


@test
def reloaded(backend):
    root = site(f'anna:{HASH}:homes/anna\n')
    with started(root, backend, quiet=False) as server:
        login(server, 'ben', code=530).quit()
        same(errand('passwd', os.path.join(root, 'users'), 'ben', '--home', 'homes/ben', said='word\n'), (0, '', ''))
        server.process.send_signal(signal.SIGHUP)

        def is_known():
            with server.control(login=False) as control:
                control.command('USER ben', 331)
                control.send('PASS word')
                return control.reply()[0] == 230
        eventually(is_known, 30)
        with login(server, 'anna') as control:
            same(control.fetch('RETR mine.txt'), b'anna')


def services(root):
    """A folder of PAM's services: ours asks a script, which knows one password, and says who came from where."""
    script = os.path.join(root, 'script')
    write(script, f'''#!/bin/sh
password=$(tr -d '\\000')
echo "$PAM_USER $PAM_RHOST $PAM_TTY" >> {root}/came
test "$password" = 'a b"c'
'''.encode())
    os.chmod(script, 0o755)
    write(os.path.join(root, 'came'), b'')
    os.chmod(os.path.join(root, 'came'), 0o666)
    write(os.path.join(root, 'pam', 'errand'), f'auth required pam_exec.so quiet expose_authtok {script}\n'
          'account required pam_permit.so\n'.encode())
    return os.path.join(root, 'pam')


@test
def users_of_the_system(backend):
    games = pwd.getpwnam('games')
    root = site(ftp=f'LocalHome={os.path.dirname(games.pw_dir)}\n')
    if not os.path.isdir(games.pw_dir):
        return 'the user games has no home here'
    os.environ['ERRAND_PAM_DIRECTORY'] = services(root)
    try:
        status, _, err = errand('serve', '-t', '-c', os.path.join(root, 'errand.conf'))
        same((status, err), (0, ''))
        try:
            server = started(root, backend, '--landlock', 'auto', '--seccomp', 'yes', quiet=False)
        except AssertionError as error:
            if 'was built without it' in str(error):
                return 'it was built without PAM'
            raise
        with server:
            check_local(server, games)
        same(set(content(root, 'came').decode().split('\n')),
             {'games 127.0.0.1 ftp', 'root 127.0.0.1 ftp', 'nobody 127.0.0.1 ftp', 'no-such-user 127.0.0.1 ftp', ''})
    finally:
        del os.environ['ERRAND_PAM_DIRECTORY']
    return None


def check_local(server, games):
    controls = [login(server, 'games', 'a b"c') for _ in range(3)]
    name = os.listdir(games.pw_dir)[0] if os.listdir(games.pw_dir) else None
    for control in controls:
        same(control.command('PWD', 257)[:3], b'"/"')
        control.command('CWD ..', 250)
        control.command('SIZE share', 550)  # beside his home
        control.command('MKD made', 550)  # it is for reading only
        if name:
            assert name in control.fetch('NLST').decode().split('\r\n')
    with login(server, 'games', 'a bc', code=530) as control:
        control.command('PWD', 530)
    login(server, 'root', 'a b"c', code=530).quit()
    login(server, 'nobody', 'a b"c', code=530).quit()  # whose home is elsewhere
    login(server, 'no-such-user', 'a b"c', code=530).quit()
    with login(server, 'anna') as control:  # of the file, and no question for PAM
        control.command('TYPE I', 200)
        same(control.fetch('RETR mine.txt'), b'anna')
    login(server, 'anna', 'a b"c', code=530).quit()
    for control in controls:
        control.quit()
    assert 'cannot open the home of nobody: EXDEV' in server.said(), server.said()


@test
def a_home_that_went(backend):
    root = site()
    with started(root, backend, '--landlock', 'no', quiet=False) as server:
        home = os.path.join(root, 'homes', 'anna')
        os.rename(home, home + '.away')
        with login(server, 'anna', code=530) as control:
            control.command('PWD', 530)
            os.rename(home + '.away', home)
            control.command('USER anna', 331)
            control.command('PASS secret', 230)
            same(control.fetch('RETR mine.txt'), b'anna')
            shutil.rmtree(home)  # meanwhile: it is this directory, whatever gets its name
            write(os.path.join(home, 'mine.txt'), b'another')
            control.command('SIZE mine.txt', 550)
        assert 'cannot open the home of anna: ENOENT' in server.said(), server.said()


if __name__ == '__main__':
    sys.exit(run(__file__))
