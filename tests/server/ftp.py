# SPDX-License-Identifier: MIT
"""What the tests of the FTP server share: a strict control connection, and data connections."""
import os
import re
import socket
import struct

from served import SLOW, Server, directory, same, write

IAC, WONT, DO, DM, IP = b'\xff', b'\xff\xfc', b'\xff\xfd', b'\xf2', b'\xf4'


class FtpServer(Server):
    """A running `errand serve` with FTP on a free port: .ftp. conf: lines of the configuration's [Ftp], limits: of its
    [Limits]."""

    def __init__(self, root, backend, *arguments, listen='127.0.0.1:0', conf='', limits='', **options):
        if conf or limits:
            path = os.path.join(directory(), 'errand.conf')
            write(path, f'[Limits]\n{limits}\n[Ftp]\n{conf}\n'.encode())
            arguments = ('-c', path, *arguments)
        super().__init__(root, backend, '--ftp', listen, *arguments, **options)
        self.ftp = int(re.search(r'ftp://(?:[0-9.]+|\[[0-9a-f:]+\]):(\d+)/', self.started).group(1))

    def control(self, login=True, **options):
        return Control(self.ftp, login, **options)

    def serving(self):
        """The process that serves: with a configuration file a supervisor stands above it."""
        with open(f'/proc/{self.process.pid}/task/{self.process.pid}/children', encoding='ascii') as children:
            return int((children.read().split() or [self.process.pid])[0])

    def held(self):
        """What the process has open: how many descriptors, and how many sockets it listens on."""
        path = f'/proc/{self.serving()}/fd'
        with open('/proc/net/tcp', encoding='ascii') as table:
            listening = {line.split()[9] for line in table if line.split()[3] == '0A'}
        links = []
        for name in os.listdir(path):
            try:
                links.append(os.readlink(os.path.join(path, name)))
            except FileNotFoundError:
                pass  # closed meanwhile
        sockets = [link[8:-1] for link in links if link.startswith('socket:[')]
        return len(links), len(listening.intersection(sockets))

    def memory(self):
        """Resident, in KiB."""
        with open(f'/proc/{self.serving()}/status', encoding='ascii') as status:
            return int(re.search(r'VmRSS:\s+(\d+)', status.read()).group(1))


class Control:
    """A control connection. Replies are read as RFC 959, 4.2 has them, and nothing else is taken."""

    def __init__(self, port, login=True, host='127.0.0.1', source=None, receive_buffer=None):
        self.host = host
        self.socket = socket.socket(socket.AF_INET6 if ':' in host else socket.AF_INET)
        self.socket.settimeout(20 * SLOW)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if source:
            self.socket.bind((source, 0))
        self.socket.connect((host, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.stream = self.socket.makefile('rb')
        self.expect(220)
        if login:
            self.login()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.stream.close()
        self.socket.close()

    def reset(self):
        """Leaves without a word."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        self.close()

    def login(self):
        self.command('USER anonymous', 331)
        self.command('PASS somebody@', 230)
        self.command('TYPE I', 200)  # a session begins with TYPE A

    def raw(self, data):
        self.socket.sendall(data)

    def send(self, line):
        self.raw((line if isinstance(line, bytes) else line.encode()) + b'\r\n')

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

    def expect_all(self, *codes):
        """These replies, in this order."""
        for code in codes:
            self.expect(code)

    def command(self, line, *codes):
        self.send(line)
        return self.expect(*codes)

    def nothing_more(self):
        """No reply was given that nobody asked for: the next is NOOP's."""
        same(self.command('NOOP', 200), b'Still here.')

    def ended(self):
        """The server has closed it, with nothing more to be read."""
        return self.stream.read() == b''

    def port(self):
        """Where a data connection is waited for."""
        return int(re.fullmatch(rb'.*\(\|\|\|(\d+)\|\)\.?', self.command('EPSV', 229)).group(1))

    def passive(self):
        """A connected data connection."""
        return socket.create_connection((self.host, self.port()), 20 * SLOW)

    def fetch(self, command):
        """What a command sends over a data connection."""
        with self.passive() as data:
            self.command(command, 150)
            content = everything(data)
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


def everything(data):
    return b''.join(iter(lambda: data.recv(1 << 16), b''))


def listening(host='127.0.0.1'):
    """A socket of ours for an active data connection, and its port."""
    listener = socket.socket(socket.AF_INET6 if ':' in host else socket.AF_INET)
    listener.bind((host, 0))
    listener.listen()
    listener.settimeout(20 * SLOW)
    return listener, listener.getsockname()[1]


def port_command(port, host='127.0.0.1'):
    return f'PORT {host.replace(".", ",")},{port >> 8},{port & 255}'
