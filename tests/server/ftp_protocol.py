#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The FTP server's protocol: every command in every state, whatever way its bytes come, and what its replies are."""
import os
import socket
import sys
import time

from ftp import DM, DO, IAC, IP, WONT, FtpServer, everything, listening, port_command
from served import SLOW, directory, run, same, test, write

LINE_MAX = 4096 + 64
ANY = {'USER x': 331, 'PASS x': 503, 'ACCT x': 202, 'REIN': 220, 'NOOP': 200, 'SYST': 215, 'FEAT': 211, 'HELP': 214,
       'HELP RETR': 214, 'HELP XYZ': 502, 'OPTS UTF8 ON': 200, 'OPTS XYZ': 501,
       'OPTS HASH XYZ': 504, 'OPTS HASH SHA-512': 200, 'OPTS MLST size;': 200, 'QUIT': 221}
# What is answered to who has logged in and said TYPE A. Without an argument where one is needed: 501.
ROWS = {
    **ANY, 'PWD': 257, 'XPWD': 257, 'CWD sub': 250, 'XCWD sub': 250, 'CWD none': 550, 'CWD small.txt': 550,
    'CDUP': 250, 'XCUP': 250, 'TYPE A': 200, 'TYPE A N': 200, 'TYPE I': 200, 'TYPE L 8': 200, 'TYPE E': 504,
    'TYPE A T': 504, 'TYPE L 7': 504, 'MODE S': 200, 'MODE B': 504, 'MODE C': 504, 'STRU F': 200, 'STRU P': 504,
    'ALLO 5': 200, 'REST 0': 350, 'REST 5': 504, 'STAT': 211, 'ABOR': 226, 'EPSV': 229, 'EPSV 1': 229, 'EPSV 2': 522,
    'EPSV 3': 522, 'EPSV 99999': 522, 'EPSV X': 501, 'EPSV 1 2': 501, 'EPSV ALL': 200, 'PASV': 227,
    'PORT 127,0,0,1,200,1': 200, 'EPRT |1|127.0.0.1|50000|': 200, 'RETR small.txt': 425, 'SIZE small.txt': 550,
    'HOST none': 503, 'MDTM small.txt': 213, 'MDTM none': 550, 'LIST': 425, 'LIST none': 425, 'NLST': 425,
    'MLSD': 425, 'MLST': 250, 'MLST small.txt': 250, 'MLST none': 550, 'STAT small.txt': 213, 'STAT sub': 213,
    'STAT none': 550, 'STOR new': 425, 'STOU': 425, 'APPE new': 425, 'ALLO x': 501, 'DELE small.txt': 250,
    'DELE none': 550, 'DELE sub': 550, 'MKD new': 257, 'MKD sub': 550, 'XMKD new': 257, 'RMD empty': 250,
    'RMD sub': 550, 'RMD small.txt': 550, 'RMD none': 550, 'XRMD empty': 250, 'RNFR small.txt': 350,
    'RNFR none': 550, 'RNTO new': 503, 'MFMT 20200101000000 small.txt': 213, 'MFMT 20200101000000 none': 550,
    'MFMT 20201301000000 small.txt': 501, 'MFMT small.txt': 501, 'HASH small.txt': 213, 'HASH none': 550,
    'SITE HELP': 214, 'SITE XYZ': 504, 'SITE CHMOD 600 small.txt': 200, 'SITE CHMOD 999 small.txt': 501,
    'SITE CHMOD 600 none': 550, 'SITE UTIME 20200101000000 small.txt': 200,
}
NOT_THERE = ('AUTH TLS', 'SMNT /', 'FROG', 'LANG')  # 500 of whoever


def site(root=None):
    """A new one, or one as it was."""
    root = root or directory()
    for name in ('new', 'small.txt', 'empty'):
        path = os.path.join(root, name)
        if os.path.isdir(path):
            os.rmdir(path)
        elif os.path.exists(path):
            os.remove(path)
    write(os.path.join(root, 'small.txt'), b'hello\n')
    write(os.path.join(root, 'sub', 'in'), b'below')
    os.mkdir(os.path.join(root, 'empty'))
    with open(os.path.join(root, 'large'), 'wb') as file:
        file.truncate(32 << 20)
    return root


@test
def every_command_after_login(backend):
    root = site()
    with FtpServer(root, backend, '--writable') as server:
        with server.control() as control:
            listed = set(control.command('HELP', 214).decode().split()) - {'Commands:', '214', 'End'}
        same(listed, {row.split()[0] for row in ROWS})
        for row, code in [*ROWS.items(), *((row, 500) for row in NOT_THERE)]:
            verb, *argument = row.split(' ', 1)
            for spelled in (row, ' '.join([verb.lower(), *argument])):
                site(root)
                with server.control() as control:
                    control.command('TYPE A', 200)
                    control.command(spelled, code)
        alone = {'PASS', 'ACCT', 'HELP', 'EPSV', 'STAT', 'LIST', 'MLST'}
        for verb in sorted({row.split()[0] for row in ROWS if ' ' in row} - alone):
            with server.control() as control:
                control.command(verb, 501)
                control.command(verb + ' ', 501)
                control.nothing_more()


@test
def every_command_before_login(backend):
    with FtpServer(site(), backend) as server:
        for row in [*ROWS, *NOT_THERE]:
            code = 500 if row in NOT_THERE else 504 if row == 'HOST none' else ANY.get(row, 530)
            with server.control(login=False) as control:
                control.command(row, code)
            with server.control(login=False) as control:
                control.command('USER anonymous', 331)
                control.command(row, 230 if row.startswith('PASS') else code)


@test
def every_command_waits_for_a_transfer(backend):
    """All but ABOR and STAT: their replies come after the transfer's."""
    root = site()
    with FtpServer(root, backend, '--writable') as server:
        for row, code in ROWS.items():
            site(root)
            with server.control() as control:
                control.command('TYPE A', 200)
                port = control.port()
                control.command('RETR small.txt', 150)
                control.send(row)
                if row == 'ABOR':
                    control.expect_all(426, 226)
                    continue
                if row.startswith('STAT'):
                    control.expect(213)
                with socket.create_connection(('127.0.0.1', port), 20 * SLOW) as data:
                    same(everything(data), b'hello\r\n')
                control.expect(226)
                if not row.startswith('STAT'):
                    control.expect(code)


@test
def every_command_after_rnfr(backend):
    """It is answered as ever, and RNTO may still come."""
    root = site()
    with FtpServer(root, backend, '--writable') as server:
        for row, code in ROWS.items():
            site(root)
            with server.control() as control:
                control.command('TYPE A', 200)
                control.command('RNFR large', 350)
                control.command(row, 250 if row == 'RNTO new' else code)
                if row != 'QUIT':
                    after = {'USER x': 530, 'REIN': 530, 'RNTO new': 503, 'RNFR none': 503}
                    control.command('RNTO /renamed', after.get(row, 250))


@test
def after_epsv_all(backend):
    with FtpServer(site(), backend) as server, server.control() as control:
        control.command('epsv all', 200)
        for line in ('PASV', 'PORT 127,0,0,1,200,1', 'EPRT |1|127.0.0.1|50000|'):
            control.command(line, 503)
        same(control.fetch('RETR small.txt'), b'hello\n')
        control.command('REIN', 220)  # a new user, and nothing of what the last one said
        control.login()
        control.command('PASV', 227)


@test
def logging_in(backend):
    with FtpServer(site(), backend) as server:
        with server.control(login=False) as control:
            control.command('PASS x', 503)
            control.command('USER ftp', 331)
            control.command('PASS', 230)
            control.command('PASS again', 503)
            control.command('CWD sub', 250)
            control.command('USER anonymous', 331)
            control.command('PWD', 530)
            control.command('PASS x', 230)
            same(control.command('PWD', 257)[:3], b'"/"')
            control.command('REIN', 220)
            control.command('PASS x', 503)
            control.command('RETR small.txt', 530)
        with server.control(login=False) as control:
            for last in (530, 530, 421):
                control.command('USER root', 331)
                control.command('PASS toor', last)
            same(control.ended(), True)


@test
def arguments(backend):
    """What is wrong is refused, and leaves what was right before."""
    with FtpServer(site(), backend) as server, server.control() as control:
        same(control.command('PWD', 257)[:3], b'"/"')
        control.command('TYPE I', 200)
        for line in ('PORT', 'PORT 1', 'PORT 127,0,0,1', 'PORT 127,0,0,1,200', 'PORT 127,0,0,1,200,1,1',
                     'PORT 256,0,0,1,200,1', 'PORT 127,0,0,1,256,1', 'PORT 127,0,0,1,200,-1', 'PORT 127,0,0,1,,1',
                     'PORT 127, 0,0,1,200,1', 'PORT +127,0,0,1,200,1', 'PORT 0127,0,0,1,200,1', 'PORT a,b,c,d,e,f',
                     'PORT 127,0,0,1,200,1 ', 'PORT ' + '1,' * 2000, 'PORT 99999999999999999999,0,0,1,200,1',
                     'EPRT', 'EPRT |', 'EPRT ||||', 'EPRT |1|127.0.0.1|50000', 'EPRT |1|127.0.0.1|65536|',
                     'EPRT |1|127.0.0.1|-1|', 'EPRT |1|127.0.0.1||', 'EPRT |1|localhost|50000|', 'EPRT |1|::1|50000|',
                     'EPRT |1|127.0.0.1|50000|x', 'EPRT 1|127.0.0.1|50000|', 'EPRT |1|' + '1' * 4000 + '|50000|',
                     'EPRT |11|127.0.0.1|50000|', 'REST', 'REST -1', 'REST x', 'REST 1x', 'REST  1', 'REST +1',
                     f'REST {1 << 63}', f'REST {1 << 64}', f'REST {(1 << 64) - 1}', 'REST ' + '9' * 4000, 'REST 1 2'):
            control.command(line, 501)
        for line in ('EPRT |2|::1|50000|', 'EPRT |3|127.0.0.1|50000|', 'EPRT |0|127.0.0.1|50000|', 'EPSV 0'):
            control.command(line, 522)
        control.command('EPRT !1!127.0.0.1!50000!', 200)
        control.command(f'REST {(1 << 63) - 1}', 350)
        with control.passive():
            control.command('RETR small.txt', 554)
        same(control.fetch('RETR small.txt'), b'hello\n')
        control.command('REST 2', 350)
        same(control.fetch('RETR small.txt'), b'llo\n')
        same(control.fetch('RETR small.txt'), b'hello\n')
        control.command('REST 6', 350)
        same(control.fetch('RETR small.txt'), b'')


@test
def by_ipv6(backend):
    with FtpServer(site(), backend, listen='[::1]:0') as server, server.control(host='::1') as control:
        same(control.fetch('RETR small.txt'), b'hello\n')
        control.command('PASV', 425)
        for line in ('EPSV 1', 'EPSV 3', 'EPSV 0', 'EPRT |1|127.0.0.1|50000|', 'EPRT |3|::1|50000|'):
            assert control.command(line, 522).endswith(b'(2).'), line
        control.command('EPRT |2|::2|50000|', 504)
        control.command('EPSV 2', 229)
        listener, port = listening('::1')
        with listener:
            control.command(f'EPRT |2|::1|{port}|', 200)
            control.command('RETR small.txt', 150)
            with listener.accept()[0] as data:
                same(everything(data), b'hello\n')
            control.expect(226)


SCRIPT = (b'USER anonymous\r\nPASS x\r\nPWD\r\nCWD sub\r\nPWD\r\nFROG\r\n\r\nTYPE\r\nTYPE I\r\nSIZE in\r\nNOOP\r\n'
          b'CDUP\r\nMDTM none\r\nREST 7\r\nPORT 1\r\nRETR in\r\nABOR\r\nSTAT\r\nHELP\r\nQUIT\r\n')
ANSWERS = (331, 230, 257, 250, 257, 500, 500, 501, 200, 213, 200, 250, 550, 350, 501, 425, 226, 211, 214, 221)


@test
def in_one_piece(backend):
    with FtpServer(site(), backend) as server:
        for script in (SCRIPT, SCRIPT.replace(b'\r\n', b'\n'), SCRIPT + b'NOOP\r\n' * 10000):
            with server.control(login=False) as control:
                control.raw(script)
                control.expect_all(*ANSWERS)
                same(control.ended(), True)


@test
def in_pieces(backend):
    """In single bytes, and cut in two at each place."""
    with FtpServer(site(), backend) as server:
        with server.control(login=False) as control:
            for byte in SCRIPT:
                control.raw(bytes([byte]))
            control.expect_all(*ANSWERS)
            same(control.ended(), True)
        for at in range(1, len(SCRIPT), 3):
            with server.control(login=False) as control:
                control.raw(SCRIPT[:at])
                for code in ANSWERS[:SCRIPT[:at].count(b'\n')]:
                    control.expect(code)
                control.raw(SCRIPT[at:])
                control.expect_all(*ANSWERS[SCRIPT[:at].count(b'\n'):])
                same(control.ended(), True)


@test
def half_closed(backend):
    """Who has said all that he had to say is answered, to the last reply."""
    with FtpServer(site(), backend) as server:
        for script in (SCRIPT[:-len(b'QUIT\r\n')], SCRIPT[:-len(b'QUIT\r\n')] + b'NOOP without an end'):
            with server.control(login=False) as control:
                control.raw(script)
                control.socket.shutdown(socket.SHUT_WR)
                control.expect_all(*ANSWERS[:-1])
                same(control.ended(), True)
        with server.control() as control:
            port = control.port()
            control.send('RETR large')
            control.socket.shutdown(socket.SHUT_WR)
            control.expect(150)
            with socket.create_connection(('127.0.0.1', port), 20 * SLOW) as data:
                same(len(everything(data)), 32 << 20)
            control.expect(226)
            same(control.ended(), True)


@test
def pipelined_transfers(backend):
    with FtpServer(site(), backend) as server, server.control() as control:
        listener, port = listening()
        with listener:
            line = port_command(port).encode() + b'\r\n'
            three = line + b'RETR small.txt\r\n' + line + b'RETR none\r\n' + line + b'RETR sub/in\r\n'
            control.raw(three * 20 + b'QUIT\r\n')
            for _ in range(20):
                for name in (b'hello\n', None, b'below'):
                    control.expect(200)
                    if name is None:
                        control.expect(550)
                        continue
                    control.expect(150)
                    with listener.accept()[0] as data:
                        same(everything(data), name)
                    control.expect(226)
            control.expect(221)
            same(control.ended(), True)


@test
def bytes_of_names(backend):
    """A name may have any byte: CR NUL stands for CR, NUL for LF, IAC comes twice (RFC 959, 2640)."""
    root = site()
    names = {b'a\xffb': b'a\xff\xffb', b'c\rd': b'c\r\0d', b'n\nl': b'n\0l', b'q"q': b'q"q', b' s p ': b' s p ',
             b'226 Transfer\n226 x': b'226 Transfer\x00226 x', b'\x01\x1b[2J': b'\x01\x1b[2J', b'%s%n': b'%s%n',
             'grüße ✓'.encode(): 'grüße ✓'.encode(), b'x' * 255: b'x' * 255}
    for name in names:
        write(os.path.join(os.fsencode(root), name, b'in ' + name[:200]), b'content of ' + name)
    with FtpServer(root, backend) as server, server.control() as control:
        control.command('TYPE I', 200)
        for name, said in names.items():
            control.command(b'CWD /' + said, 250)
            shown = said.replace(b'"', b'""')
            assert control.command('PWD', 257).startswith(b'"/' + shown + b'" '), name
            file = said[:200]
            same(control.fetch(b'RETR in ' + file), b'content of ' + name)
            same(control.command(b'SIZE /' + said + b'/in ' + file, 213), b'%d' % (11 + len(name)))
            control.command(b'CWD /none' + said[:200], 550)
        control.nothing_more()


@test
def telnet_codes(backend):
    """They are taken out of commands, wherever they stand, and change nothing (RFC 1123, 4.1.2.12)."""
    with FtpServer(site(), backend) as server, server.control() as control:
        for line in (IAC + IP + b'NOOP', b'NO' + DO + b'\x01' + b'OP', b'NOOP' + WONT + b'\x06', DO + b'N' + b'NOOP',
                     IAC + b'\xf1' + IAC + b'\xf9' + b'NOOP', b'NOOP' + IAC, b'NOOP ' + IAC + IAC):
            control.command(line, 200)
        for line in (IAC + IAC + b'NOOP', b'NOOP' + IAC + IAC, IAC, b'\0NOOP', b'NOOP\0', b'\rNOOP', b'NOOP\r\0',
                     b'NOOP\r', b'', b' NOOP', b'NOOP\t', b'NO OP', b'NOOPS', b'N', b'1234', b'\x80\x81\x82\x83'):
            control.command(line, 500)
        control.nothing_more()


@test
def long_lines(backend):
    """One reply each, and then all is as before."""
    with FtpServer(site(), backend) as server, server.control() as control:
        control.command(b'NOOP ' + b'x' * (LINE_MAX - 5), 200)
        control.command(b'NOOP ' + b'x' * (LINE_MAX - 4), 500)
        control.command(b'NOOP ' + (IAC + b'\xf1') * 5000 + b'x', 200, 500)
        for length in (LINE_MAX, 2 * LINE_MAX - 1, 2 * LINE_MAX, 2 * LINE_MAX + 1, 3 * LINE_MAX, 1 << 20, 3 << 20):
            control.command(b'x' * length, 500)
            control.nothing_more()
        control.raw(b'y' * 100000)
        control.raw(b'y' * 100000 + b'\r\nPWD\r\n' + b'z' * 300000 + b'\nPWD\n')
        control.expect_all(500, 257, 500, 257)
        control.raw(IAC * (1 << 20) + b'\r\n')
        control.expect(500)
        control.raw(b'\0' * (1 << 20) + b'\r\n')
        control.expect(500)
        control.command('TYPE I', 200)
        for line in (b'CWD ' + b'd/' * 2000, b'CWD ' + b'x' * 4000, b'RETR ' + b'd/' * 2040, b'SIZE ' + b'x' * 256):
            with control.passive():
                control.command(line, 550, 553)
        same(control.fetch(b'RETR ' + b'./' * 2000 + b'small.txt'), b'hello\n')
        same(control.fetch(b'RETR ' + b'../' * 1300 + b'small.txt'), b'hello\n')


@test
def abort(backend):
    """ABOR, plainly or with the Telnet codes that RFC 959 wants before it, urgent or not, twice, and too late."""
    with FtpServer(site(), backend) as server, server.control() as control:
        def plain():
            control.raw(b'ABOR\r\n')

        def telnet():
            control.raw(IAC + IP + IAC + DM + b'ABOR\r\n')

        def urgent():
            control.raw(IAC + IP)
            control.socket.send(IAC, socket.MSG_OOB)
            control.raw(DM + b'ABOR\r\n')

        def urgent_as_others():
            control.raw(IAC + IP + IAC)
            control.socket.send(DM, socket.MSG_OOB)
            control.raw(b'ABOR\r\n')

        for way in (plain, telnet, urgent, urgent_as_others):
            with control.passive() as data:
                control.command('RETR large', 150)
                data.recv(100)
                way()
                control.expect_all(426, 226)
                assert len(everything(data)) < 32 << 20
            control.nothing_more()
            way()
            control.expect(226)
        port = control.port()  # nobody has come to it
        control.command('RETR large', 150)
        control.raw(b'ABOR\r\nABOR\r\nSTAT\r\nNOOP\r\nABOR\r\n')
        control.expect_all(426, 226, 226, 211, 200, 226)
        refused(port)
        control.port()
        control.command('ABOR', 226)
        control.command('RETR small.txt', 425)
        with control.passive() as data:
            control.raw(b'RETR small.txt\r\nABOR\r\n')  # before it, or behind it: three replies, or two
            codes = []
            while codes[-1:] != [226] or len(codes) < 2 or (codes[-2] == 150):
                codes.append(control.reply()[0])
            assert codes in ([150, 226, 226], [150, 426, 226], [426, 226]), codes
        control.nothing_more()
        same(control.fetch('RETR small.txt'), b'hello\n')


def refused(port):
    """A data connection there is not served."""
    with socket.create_connection(('127.0.0.1', port), 20 * SLOW) as data:
        try:
            same(data.recv(100), b'')
        except ConnectionResetError:
            pass


@test
def status_in_a_transfer(backend):
    """As often as it is asked for, never before the transfer's own reply."""
    with FtpServer(site(), backend) as server, server.control() as control:
        for times in (1, 2, 100):
            with control.passive() as data:
                control.raw(b'RETR large\r\n' + b'STAT\r\n' * times)
                control.expect(150)
                control.expect_all(*[213] * times)
                same(len(everything(data)), 32 << 20)
                control.expect(226)
        control.raw(b'EPSV\r\nRETR none\r\nSTAT\r\n')
        control.expect_all(229, 550, 211)


@test
def quit_in_a_transfer(backend):
    """It is finished first (RFC 959, QUIT)."""
    with FtpServer(site(), backend) as server, server.control() as control:
        with control.passive() as data:
            control.raw(b'RETR large\r\nQUIT\r\nNOOP\r\n')
            control.expect(150)
            same(len(everything(data)), 32 << 20)
        control.expect_all(226, 221)
        same(control.ended(), True)


@test
def data_connections_that_fail(backend):
    with FtpServer(site(), backend, limits='SendTimeout=1s') as server, server.control() as control:
        listener, port = listening()
        listener.close()
        control.command(port_command(port), 200)  # nobody is there
        control.command('RETR small.txt', 150)
        control.expect(425)
        control.port()
        control.command('RETR small.txt', 150)  # nobody comes
        control.expect(425)
        with control.passive() as data:  # he takes nothing
            control.command('RETR large', 150)
            control.expect(426)
        data = control.passive()  # he is gone
        control.command('RETR large', 150)
        data.close()
        control.expect(426)
        control.command('RETR small.txt', 425)
        same(control.fetch('RETR small.txt'), b'hello\n')


@test
def idle_sessions_end(backend):
    with FtpServer(site(), backend, conf='IdleTimeout=1s\nLoginTimeout=20s') as server:
        with server.control() as control:
            with control.passive() as data:  # a transfer is not idle, however slow
                control.command('RETR large', 150)
                time.sleep(3)
                same(len(everything(data)), 32 << 20)
            control.expect(226)
            control.expect(421)
            same(control.ended(), True)


@test
def logins_take_no_longer(backend):
    """The time for it runs from the beginning, whatever is said meanwhile."""
    with FtpServer(site(), backend, conf='IdleTimeout=20s\nLoginTimeout=1s') as server:
        with server.control(login=False) as quiet, server.control(login=False) as busy, server.control() as known:
            began = time.monotonic()
            busy.socket.settimeout(0.05)
            code, answer = 0, b''
            while code != 421 and time.monotonic() - began < 10 * SLOW:
                try:
                    busy.raw(b'USER x\r\n')
                    answer += busy.socket.recv(1000)
                    code = 421 if b'\r\n421 ' in answer else 0
                except TimeoutError:
                    pass
            same(code, 421)
            quiet.expect(421)
            same(quiet.ended(), True)
            known.nothing_more()


@test
def stopped(backend):
    """Who waits is told; who fetches gets all of it, and is told then."""
    with FtpServer(site(), backend) as server:
        with server.control() as idle, server.control(login=False) as new, server.control() as fetches:
            with fetches.passive() as data:
                fetches.command('RETR large', 150)
                server.process.terminate()
                for control in (idle, new):
                    control.expect(421)
                    same(control.ended(), True)
                same(len(everything(data)), 32 << 20)
            fetches.expect_all(226, 421)
            same(fetches.ended(), True)


if __name__ == '__main__':
    sys.exit(run(__file__))
