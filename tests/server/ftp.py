# SPDX-License-Identifier: MIT
"""What the tests of the FTP server share: a strict control connection, and data connections."""
import re
import socket

from served import SLOW, Server, same


class FtpServer(Server):
    """A running `errand serve` with FTP on a free port: .ftp."""

    def __init__(self, root, backend, *arguments, **options):
        super().__init__(root, backend, '--ftp', '127.0.0.1:0', *arguments, **options)
        self.ftp = int(re.search(r'ftp://127\.0\.0\.1:(\d+)/', self.started).group(1))

    def control(self, login=True):
        return Control(self.ftp, login)


class Control:
    """A control connection. Replies are read as RFC 959, 4.2 has them, and nothing else is taken."""

    def __init__(self, port, login=True, host='127.0.0.1'):
        self.socket = socket.create_connection((host, port), 20 * SLOW)
        self.stream = self.socket.makefile('rb')
        self.expect(220)
        if login:
            self.command('USER anonymous', 331)
            self.command('PASS somebody@', 230)
            self.command('TYPE I', 200)  # a session begins with TYPE A

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stream.close()
        self.socket.close()

    def send(self, line):
        self.socket.sendall((line if isinstance(line, bytes) else line.encode()) + b'\r\n')

    def reply(self):
        """The next reply: its code, and its text."""
        first = self.line()
        match = re.fullmatch(rb'([1-5][0-9][0-9])([ -])(.*)', first, re.DOTALL)
        assert match, first
        code, text = match.group(1), [match.group(3)]
        while match.group(2) == b'-' and not text[-1].startswith(code + b' '):
            text.append(self.line())
            assert text[-1].startswith((b' ', code + b' ')), text[-1]
        return int(code), b'\n'.join(text)

    def line(self):
        line = self.stream.readline()
        assert line.endswith(b'\r\n'), line
        return line[:-2]

    def expect(self, *codes):
        code, text = self.reply()
        assert code in codes, (code, text)
        return text

    def command(self, line, *codes):
        self.send(line)
        return self.expect(*codes)

    def ended(self):
        """The server has closed it, with nothing more to be read."""
        return self.stream.read() == b''

    def passive(self):
        """A connected data connection."""
        port = int(re.fullmatch(rb'.*\(\|\|\|(\d+)\|\)\.?', self.command('EPSV', 229)).group(1))
        return socket.create_connection(('127.0.0.1', port), 20 * SLOW)

    def fetch(self, command):
        """What a command sends over a data connection."""
        with self.passive() as data:
            self.command(command, 150)
            content = b''.join(iter(lambda: data.recv(1 << 16), b''))
        self.expect(226)
        return content

    def store(self, command, content):
        with self.passive() as data:
            self.command(command, 150)
            data.sendall(content)
        return self.expect(226)

    def quit(self):
        self.command('QUIT', 221)
        same(self.ended(), True)
