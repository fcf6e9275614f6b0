# SPDX-License-Identifier: MIT
"""What the tests of the supervisor share: a service, with a site, that is reloaded and upgraded."""
import http.client
import os
import re
import shutil
import signal
import subprocess
import sys

from served import CONFINED, ERRAND, NO_FTP, SLOW, directory, eventually, same, without_leaks, write

LONG = bool(os.environ.get('TEST_LONG'))
MEBIBYTE = 1 << 20


def configuration(backend, root, listen='127.0.0.1:0', more=''):
    return (f'[Server]\nListen={listen}\nBackend={backend}\nThreads=2\n{more}\n'
            f'[Host]\nDirectory={root}/www\n')


class Service:
    """errand serve -c FILE, as a service: the supervisor is self.process. Leaving the block stops it. ftp: as the file
    says, or not at all."""

    def __init__(self, root, text, program=ERRAND, prefix=(), quiet=True, ftp=False, env=os.environ, **options):
        self.file = os.path.join(root, 'errand.conf')
        self.messages = os.path.join(root, 'messages')
        self.quiet = quiet
        write(self.file, text.encode())
        with open(self.messages, 'wb') as messages:
            command = [*prefix, program, 'serve', '-c', self.file, *([] if ftp else NO_FTP), *CONFINED]
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=messages, stderr=messages,
                                            env=without_leaks(command, env), **options)
        try:
            eventually(lambda: 'backend ' in self.said() or self.process.poll() is not None)
            assert self.process.poll() is None, self.said()
            self.port = int((re.search(r'http://[^ ]*:(\d+)/', self.said()) or [0, 0])[1])
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise

    def said(self):
        with open(self.messages, encoding='utf-8') as file:
            return file.read()

    def complaints(self):
        return [line for line in self.said().splitlines()
                if not line.startswith(('errand 0', 'backend ', 'status at ')) and not line.endswith(': ok')]

    def starts(self):
        return self.said().count('backend ')

    def children(self):
        with open(f'/proc/{self.process.pid}/task/{self.process.pid}/children', encoding='ascii') as file:
            return [int(pid) for pid in file.read().split()]

    def alone(self):
        """The serving process, when the ones before have gone."""
        eventually(lambda: len(self.children()) == 1)
        return self.children()[0]

    def tell(self, number):
        self.process.send_signal(number)

    def reload(self, text=None, number=signal.SIGHUP):
        if text is not None:
            write(self.file, text.encode())
        before = self.starts()
        self.tell(number)
        eventually(lambda: self.starts() > before, 30)

    def answers(self, body):
        """From now on: a reload is over when the process before accepts nobody any more."""
        eventually(lambda: self.get() == (200, body))

    def get(self, path='/a.txt', port=None):
        client = http.client.HTTPConnection('127.0.0.1', port or self.port, timeout=20 * SLOW)
        client.request('GET', path)
        reply = client.getresponse()
        body = reply.read()
        client.close()
        return reply.status, body

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if self.process.poll() is None:
            self.process.terminate()
        code = self.ended()
        if kind is not None:
            sys.stdout.write(''.join(f'# server: {line}\n' for line in self.said().splitlines()))
            return
        same(code, 0, 'exit code')
        if self.quiet:
            same(self.complaints(), [])

    def ended(self):
        try:
            return self.process.wait(20 * SLOW)
        except subprocess.TimeoutExpired:
            for pid in self.children():
                os.kill(pid, signal.SIGKILL)
            self.process.kill()
            self.process.wait()
            return 'did not end in time'


def site(big=0):
    root = directory()
    write(os.path.join(root, 'www', 'a.txt'), b'hello\n')
    write(os.path.join(root, 'other', 'www', 'a.txt'), b'other\n')
    if big:
        with open(os.path.join(root, 'www', 'big'), 'wb') as file:
            file.truncate(big)
    return root


def gone(pid):
    return not os.path.exists(f'/proc/{pid}')


def installed(root, source=ERRAND):
    """A copy of the program, to be replaced, as a package does: by a rename."""
    path = os.path.join(root, 'errand')
    shutil.copy(source, path + '.new')
    os.rename(path + '.new', path)
    return path
