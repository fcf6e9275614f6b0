#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the FTP server writes down: lines in JSON and as xferlog(5) has them, figures, and the page that shows them."""
import json
import os
import re
import shutil
import signal
import socket
import struct
import sys
import time

from ftp import FtpServer
from recorded import Browser, HoldFs, Recorded, parse_metrics, read
from served import BACKENDS, SLOW, directory, eventually, run, same, test, write

BIG = 32 << 20


class FtpRecorded(Recorded, FtpServer):
    """With FTP, an access log in JSON, a log of transfers, and a status listener."""

    def __init__(self, root, backend, *arguments, transfers=None, **options):
        place = directory()
        self.transfers = transfers or os.path.join(place, 'xferlog')
        super().__init__(root, backend, '--log-format', 'json', '--transfer-log', self.transfers, *arguments,
                         log=os.path.join(place, 'access.log'), **options)

    def commands(self, count):
        """The lines of commands, when there are so many, in order: (verb, target, status, whole line)."""
        lines = [line for line in self.objects(count) if line['version'] == 'FTP']
        lines.sort(key=lambda line: line['time'])
        return [(line['method'], line.get('target'), line['status'], line) for line in lines]


def site():
    root = directory()
    write(os.path.join(root, 'small.txt'), b'hello\n')
    write(os.path.join(root, 'sub', 'two words'), b'below')
    with open(os.path.join(root, 'big'), 'wb') as file:
        file.truncate(BIG)
    return root


def fails(control, line, code):
    with control.passive():
        control.command(line, code)


@test
def commands_in_json(backend):
    with FtpRecorded(site(), backend) as server:
        began = time.time()
        with server.control(login=False) as control:
            control.command('USER anna', 331)
            control.command('PASS geheim', 530)
            control.command('USER anonymous', 331)
            control.command('PASS me@example.org', 230)
            control.command('TYPE I', 200)
            control.command('CWD sub', 250)
            same(control.fetch('RETR two words'), b'below')
            fails(control, 'RETR ../none', 550)
            fails(control, 'RETR /sub', 550)
            control.command('SIZE /small.txt', 213)
            control.quit()
        server.get('/small.txt')
        server.objects(6)
        found = server.commands(6)
        same([line[:3] for line in found], [('PASS', None, 530), ('PASS', None, 230), ('RETR', '/sub/two words', 226),
                                            ('RETR', '/none', 550), ('RETR', '/sub', 550)])
        same([line['user'] for *_, line in found], ['anna'] + ['anonymous'] * 4)
        same(['agent' in line for *_, line in found], [False, False, True, True, True])
        good, missing, folder = (line for *_, line in found[2:])
        same((good['agent'], good['client'], good['bytes']), ('me@example.org', '127.0.0.1', 5))
        same([(line['failed'], line['error']) for line in (missing, folder)], [('open', 'ENOENT'), ('stat', 'EISDIR')])
        for stage in ('wait_us', 'open_us', 'data_us', 'send_us'):
            assert 0 <= good[stage] <= good['total_us'], good
        assert 'data_us' not in missing and 'geheim' not in read(server.log).decode()
        whole = time.strptime(good['time'][:19], '%Y-%m-%dT%H:%M:%S')
        assert began - 2 < __import__('calendar').timegm(whole) < time.time() + 2, good


XFERLOG = re.compile(r'([A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}) (\d+) (\S+) (\d+) (\S+) ([ab]) _ '
                     r'([oi]) ([arg]) (\S+) ftp 0 \* ([ci])')


def xferlog(line):
    """As users of that format read it: 18 fields between blanks, of which the first five are the time. (host, size,
    name, type, direction, mode, user, completion)"""
    match = XFERLOG.fullmatch(line)
    assert match and len(line.split()) == 18, line
    time.strptime(match.group(1), '%a %b %d %H:%M:%S %Y')
    return match.groups()[2:]


@test
def transfers_in_xferlog(backend):
    with FtpRecorded(site(), backend, threads=1) as server:
        with server.control() as control:
            control.command('TYPE A', 200)
            same(control.fetch('RETR sub/two words'), b'below')
            control.command('TYPE I', 200)
            fails(control, 'RETR none', 550)
            control.command('REST 2', 350)
            same(control.fetch('RETR small.txt'), b'llo\n')
            with control.passive():
                control.command('RETR big', 150)
                control.command('ABOR', 426)
                control.expect(226)
            control.quit()
        lines = server.lines(3, xferlog, server.transfers)
        same(lines[:2], [('127.0.0.1', '5', '/sub/two_words', 'a', 'o', 'a', 'somebody@', 'c'),
                         ('127.0.0.1', '4', '/small.txt', 'b', 'o', 'a', 'somebody@', 'c')])
        same(lines[2][2:], ('/big', 'b', 'o', 'a', 'somebody@', 'i'))
        assert int(lines[2][1]) < BIG, lines[2]
        same(len(lines), 3, 'what could not be opened is no transfer')


@test
def uploads_and_changes(backend):
    with FtpRecorded(site(), backend, '--writable', threads=1) as server, server.control() as control:
        control.command('TYPE I', 200)
        control.store('STOR sub/new', b'x' * 100000)
        control.command('DELE small.txt', 250)
        control.command('MKD made', 257)
        fails(control, 'STOR none/new', 550)
        assert b'made' in control.fetch('LIST -l /')
        control.command('SITE CHMOD 600 sub/new', 200)
        found = server.commands(7)
        same([line[:3] for line in found[1:]], [('STOR', '/sub/new', 226), ('DELE', '/small.txt', 250),
                                                ('MKD', '/made', 257), ('STOR', '/none/new', 550), ('LIST', '/', 226),
                                                ('SITE', 'CHMOD 600 sub/new', 200)])
        same(found[1][3]['bytes'], 100000)
        assert 'receive_us' in found[1][3] and 'send_us' not in found[1][3], found[1][3]
        same(server.lines(1, xferlog, server.transfers),
             [('127.0.0.1', '100000', '/sub/new', 'b', 'i', 'a', 'somebody@', 'c')])
        eventually(lambda: server.figures()['ftp']['bytes']['up'] == 100000)
        same(server.figures()['ftp']['transfers']['upload'],
             {'complete': 1, 'broken': 0, 'unconnected': 0, 'refused': 1})


@test
def users_with_a_password(backend):
    """Their names are told, their passwords never; and that they are nobody anonymous."""
    place = directory()
    config, log, transfers = (os.path.join(place, name) for name in ('errand.conf', 'log', 'xferlog'))
    write(os.path.join(place, 'home', 'mine'), b'mine')
    # "secret", as cheap as it can be
    write(os.path.join(place, 'users'), b'anna:$2y$04$KBCwKxOzLha2MUDgW0PjXe/hE/UCO9qF89dOydoHjSwxcHev5LRn.:home\n')
    write(config, f'[Log]\nFormat=json\nAccess={log}\nTransfers={transfers}\n[Ftp]\nUsers=users\n[Host]\n'.encode())
    with FtpServer(site(), backend, '-c', config, threads=1) as server, server.control(login=False) as control:
        control.command('USER anna', 331)
        control.command('PASS wrong-one', 530)
        control.command('USER anna', 331)
        control.command('PASS secret', 230)
        control.command('TYPE I', 200)
        same(control.fetch('RETR mine'), b'mine')
        control.quit()
    lines = [json.loads(line) for line in read(log).splitlines()]
    same([(line['method'], line['user'], line['status']) for line in lines],
         [('PASS', 'anna', 530), ('PASS', 'anna', 230), ('RETR', 'anna', 226)])
    assert b'wrong-one' not in read(log) and b'secret' not in read(log) and lines[0]['total_us'] > 900e3, lines[0]
    same(xferlog(read(transfers).decode().removesuffix('\n')),
         ('127.0.0.1', '4', '/mine', 'b', 'o', 'r', 'anna', 'c'))


@test
def no_line_can_be_forged(backend):
    """Names of users and of files, with all that could end a line or begin a terminal's command."""
    root = site()
    names = [b'a\nb', b'a\r\nc', b'\x1b[31m', 'ä\u2028ö'.encode(), b'\xff\xfe', b'"}{\\', b'a b\tc',
             'C1\u009b'.encode()]
    for name in names:
        with open(os.path.join(os.fsencode(root), name), 'wb') as file:
            file.write(b'x')
    with FtpRecorded(root, backend, threads=1) as server:
        with server.control(login=False) as control:
            for name in (b'eve\x1b]0;x\x07', b'eve"}', b'e v e'):
                control.command(b'USER ' + name, 331)
                control.command(b'PASS x', 530, 421)
        with server.control(login=False) as control:
            control.command('USER anonymous', 331)
            control.command(b'PASS a\x00b c\x1b"\r\x00d', 230)
            for name in names:
                said = name.replace(b'\xff', b'\xff\xff').replace(b'\r', b'\r\0').replace(b'\n', b'\0')
                same(control.fetch(b'RETR ' + said), b'x', str(name))
        found = server.commands(4 + len(names))
        same([line['user'] for *_, line in found[:3]], ['eve\x1b]0;x\x07', 'eve"}', 'e v e'])
        same([squeeze(target) for _, target, *_ in found[4:]],
             [squeeze('/' + name.decode('utf-8', 'replace')) for name in names])
        assert re.search(rb'[\x00-\x09\x0b-\x1f\x7f]', read(server.log)) is None
        lines = server.lines(len(names), xferlog, server.transfers)
        same([line[2] for line in lines], ['/a_b', '/a__c', '/_[31m', '/ä_ö', '/__', '/"}{\\', '/a_b_c', '/C1_'])
        same({line[6] for line in lines}, {'a_b_c_"_d'})


def squeeze(text):
    """Readers differ in how many U+FFFD a broken sequence is."""
    return re.sub('\ufffd+', '\ufffd', text)


@test
def a_client_that_is_gone(backend):
    """A reset of the data connection, or of the control connection: one line each, and where it had come to."""
    with FtpRecorded(site(), backend, threads=1) as server:
        for lost in ('data', 'control'):
            with server.control() as control, control.passive() as data:
                control.command('TYPE I', 200)
                control.command('RETR big', 150)
                data.recv(10)
                if lost == 'data':
                    reset(data)
                    control.expect(426)
                else:
                    control.stream.close()
                    reset(control.socket)
                    eventually(lambda: server.figures()['ftp']['sessions'] == 0)
        found = [line for verb, _, _, line in server.commands(4) if verb == 'RETR']
        same([line['status'] for line in found], [426, 0])
        for line in found:
            same(line['failed'], 'sendfile')
            assert line['error'] in ('ECONNRESET', 'EPIPE', 'ECANCELED') and 0 < line['bytes'] < BIG, line
        same([line[-1] for line in server.lines(2, xferlog, server.transfers)], ['i', 'i'])
        eventually(lambda: server.figures()['ftp']['transfers']['download']['broken'] == 2)
        eventually(lambda: server.figures()['ftp']['sessions'] == 0)


def reset(client):
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    client.shutdown(socket.SHUT_RD)
    client.close()


@test
def a_data_connection_that_never_comes(backend):
    place = directory()
    config = os.path.join(place, 'errand.conf')
    write(config, b'[Limits]\nSendTimeout=500ms\n[Host]\n')
    with FtpRecorded(site(), backend, '-c', config) as server, server.control() as control:
        control.command('EPSV', 229)
        control.command('RETR small.txt', 150)
        control.expect(425)
        line = server.commands(2)[1][3]
        same((line['status'], line['failed'], line['error'], line['bytes']), (425, 'await', 'ETIMEDOUT', 0))
        assert 400e3 < line['data_us'] <= line['total_us'], line
        eventually(lambda: server.figures()['ftp']['transfers']['download']['unconnected'] == 1)
        same(os.path.exists(server.transfers) and read(server.transfers), b'')


@test
def logs_are_renamed(backend):
    with FtpRecorded(site(), backend, threads=1) as server, server.control() as control:
        same(control.fetch('RETR small.txt'), b'hello\n')
        server.lines(1, xferlog, server.transfers)
        server.commands(2)
        for path in (server.log, server.transfers):
            os.rename(path, path + '.1')
        server.process.send_signal(signal.SIGUSR1)
        same(control.fetch('RETR small.txt'), b'hello\n')
        server.lines(1, xferlog, server.transfers)
        same([line[0] for line in server.commands(1)], ['RETR'])


@test
def the_log_of_transfers_alone(backend):
    place = directory()
    path = os.path.join(place, 'xferlog')
    with FtpServer(site(), backend, '--transfer-log', path) as server:
        with server.control() as control:
            same(control.fetch('RETR small.txt'), b'hello\n')
        server.get('/small.txt')
    same(xferlog(read(path).decode().removesuffix('\n'))[1:3], ('6', '/small.txt'))  # written at the end at the latest


@test
def a_log_that_hangs(backend):
    """Its filesystem answers no more: transfers do not notice, and it is told how many lines are missing."""
    if not os.access('/dev/fuse', os.R_OK | os.W_OK):
        return 'no /dev/fuse'
    root, name, count = site(), 'n' * 250, 700
    write(os.path.join(root, name), b'x')
    with HoldFs(os.path.join(directory(), 'held')) as held:
        path = os.path.join(held.place, 'f0')
        with FtpRecorded(root, backend, transfers=path, threads=1) as server, server.control() as control:
            same(held.tell('hold write'), 'ok')
            slowest = 0
            for _ in range(count):
                began = time.monotonic()
                same(control.fetch(f'RETR {name}'), b'x')
                slowest = max(slowest, time.monotonic() - began)
            assert slowest < 2 * SLOW, slowest
            dropped = server.figures()['log']['dropped']
            assert 50 < dropped < count, dropped
            same(held.tell('pass'), 'ok')
            eventually(lambda: server.figures()['log']['lines'] + dropped == 1 + 2 * count)  # in both logs
    return None


# ------------------------------------------------------------------------------------------ figures

@test
def metrics(backend):
    with FtpRecorded(site(), backend) as server, server.control() as one, server.control() as other:
        for _ in range(3):
            same(one.fetch('RETR small.txt'), b'hello\n')
        fails(one, 'RETR none', 550)
        other.command('EPSV', 229)
        with server.control(login=False) as stranger:
            stranger.command('USER anna', 331)
            stranger.command('PASS x', 530)

            def told():
                ftp = server.figures()['ftp']
                return (ftp['sessions'], ftp['ports'], ftp['logins']) == (3, 1, {'good': 2, 'failed': 1})
            eventually(told)
        samples = parse_metrics(server.ask('metrics')[2].decode('ascii'))
        for outcome, count in (('complete', 3), ('refused', 1), ('broken', 0), ('unconnected', 0)):
            same(samples['errand_ftp_transfers_total', (('kind', 'download'), ('outcome', outcome))], count, outcome)
        same(samples['errand_ftp_transfer_duration_seconds_count', (('kind', 'download'),)], 3)
        same(samples['errand_ftp_stage_duration_seconds_count', (('stage', 'data'),)], 3)
        same(samples['errand_ftp_stage_duration_seconds_count', (('stage', 'open'),)], 4)
        same(samples['errand_ftp_bytes_total', (('direction', 'down'),)], 18)
        same(samples['errand_ftp_logins_total', (('result', 'failed'),)], 1)
        assert ('errand_requests_total' not in {name for name, _ in samples}), 'commands are no requests'


@test
def under_way(backend):
    """What a slow client's transfer is at is told with those of HTTP."""
    with FtpRecorded(site(), backend) as server, server.control() as control, control.passive() as data:
        control.command('TYPE I', 200)
        control.command('RETR big', 150)
        data.recv(10)
        eventually(lambda: (server.figures()['busy'], server.figures()['steps']) == (1, {'sendfile': 1}))


@test
def page(backend):
    if not shutil.which('chromium'):
        return 'no chromium'
    if backend != BACKENDS[0]:
        return 'does not depend on it'
    with FtpRecorded(site(), backend) as server, Browser() as browser:
        browser.call('Page.navigate', url=server.status_url)
        eventually(lambda: browser.run('document.readyState') == 'complete' and browser.text('state') == 'serving', 30)
        same(browser.text('ftp'), 'nobody has come')
        with server.control() as control:
            for _ in range(5):
                same(control.fetch('RETR small.txt'), b'hello\n')
            eventually(lambda: 'downloads complete5' in browser.text('ftp'), 20)
            text = browser.text('ftp')
            for words in ('sessions1', 'logins1', 'sent30 B'):
                assert words in text, text
            assert 'uploads' not in text, text
            browser.run("document.getElementById('stage').value = 'download'")
            browser.run("document.getElementById('stage').dispatchEvent(new Event('change'))")
            assert re.search(r'99 %: [\d.]+ .?s', browser.text('quantiles')), browser.text('quantiles')
            fails(control, 'RETR none', 550)
            eventually(lambda: 'downloads refused1' in browser.text('ftp'), 20)
        eventually(lambda: 'sessions0' in browser.text('ftp'), 20)
        same(browser.run('document.documentElement.scrollWidth <= window.innerWidth'), True)
        same(browser.complaints, [])
    return None


if __name__ == '__main__':
    sys.exit(run(__file__))
