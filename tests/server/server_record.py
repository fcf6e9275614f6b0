#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the server writes down: its access log, its figures, and the page that shows them."""
import base64
import json
import os
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

from recorded import Browser, HoldFs, Recorded, parse_metrics, read
from served import (BACKENDS, ERRAND, NO_FTP, SLOW, Reply, Server, directory, eventually, read_all,
                    run, same, test, write)

BIG = 64 << 20


def site():
    root = directory()
    write(os.path.join(root, 'a.txt'), b'hello\n')
    os.mkdir(os.path.join(root, 'sub'))
    with open(os.path.join(root, 'big'), 'wb') as file:
        file.truncate(BIG)
    return root


def log_in(folder):
    return os.path.join(folder, 'access.log')


@test
def lines_in_json(backend):
    with Recorded(site(), backend, '--cache', 'off', '--log-format', 'json', log=log_in(directory())) as server:
        began = time.time()
        server.get('/a.txt', Referer='http://example.org/"x', User_Agent='me')
        tag = server.get('/a.txt', method='HEAD').headers['etag']
        server.get('/a.txt?q', If_None_Match=tag)
        server.get('/none')
        server.get('/sub')
        server.get('/a.txt', Range='bytes=1-2')
        server.get('/a.txt', method='DELETE')
        server.say(b'NONSENSE "\x01\xff\r\n\r\n', end=False)
        server.say(b'GET /../.. HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n', end=False)
        lines = server.objects(9)
        same([(line['method'], line['target'], line['status']) for line in in_order(lines) if 'method' in line],
             [('GET', '/a.txt', 200), ('HEAD', '/a.txt', 200), ('GET', '/a.txt?q', 304), ('GET', '/none', 404),
              ('GET', '/sub', 301), ('GET', '/a.txt', 206), ('DELETE', '/a.txt', 405), ('GET', '/../..', 400)])
        by_status = {line['status']: line for line in in_order(lines) if line.get('method') != 'HEAD'}
        same([by_status[status]['bytes'] for status in (200, 206, 304)], [6, 2, 0])
        same((by_status[200]['referer'], by_status[200]['agent'], by_status[200]['host']),
             ('http://example.org/"x', 'me', 'test'))
        same((by_status[404]['failed'], by_status[404]['error']), ('open', 'ENOENT'))
        same([line['target'] for line in lines if 'method' not in line], ['NONSENSE "\x01\ufffd'])
        for line in lines:
            same((line['client'], line.get('version', 'HTTP/1.1')), ('127.0.0.1', 'HTTP/1.1'))
            assert began - 2 < timestamp(line) < time.time() + 2, line
            assert 0 <= line['total_us'] < 20e6 * SLOW, line
            stages = sum(line.get(stage + '_us', 0) for stage in ('wait', 'open', 'stat', 'send'))
            assert line['total_us'] - 4 <= stages <= line['total_us'], line
        assert 'open_us' in by_status[200] and 'send_us' in by_status[200], by_status[200]


def timestamp(line):
    whole, fraction = re.fullmatch(r'(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.(\d{6})Z', line['time']).groups()
    return __import__('calendar').timegm(time.strptime(whole, '%Y-%m-%dT%H:%M:%S')) + int(fraction) / 1e6


def in_order(lines):
    """Each worker writes its own: by the time at which the requests began."""
    return sorted(lines, key=timestamp)


@test
def who_it_was(backend):
    """A name is written down when its password was right: the first time, and while that is remembered."""
    place = directory()
    config, done = os.path.join(place, 'errand.conf'), subprocess.run(
        ['openssl', 'passwd', '-6', 'geheim'], stdout=subprocess.PIPE, check=True)
    write(os.path.join(place, 'users'), b'anna:' + done.stdout)
    write(config, b'[Log]\nFormat=json\nAccess=access.log\n[Host]\n[Path /a.txt]\nUsers=users\n')
    with Recorded(site(), backend, '-c', config, status=False, threads=1) as server:
        server.log = log_in(place)
        for password in ('geheim', 'geheim', 'falsch'):
            said = base64.b64encode(f'anna:{password}'.encode()).decode()
            server.get('/a.txt', authorization=f'Basic {said}')
        server.get('/sub')
        same([(line.get('user'), line['status']) for line in server.objects(4)],
             [('anna', 200), ('anna', 200), (None, 401), (None, 301)])


COMBINED = re.compile(r'(\S+) (\S+) (\S+) \[(\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})\] '
                      r'"([^"]*)" (\d{3}) (\d+) "([^"]*)" "([^"]*)"')


@test
def lines_in_combined(backend):
    with Recorded(site(), backend, log=log_in(directory()), threads=1, status=False) as server:
        server.get('/a.txt?x=%22', User_Agent='a "quoted" \\ agent')
        server.say(b'x\x1b[31m\n', end=False)
        first, second = server.lines(2, lambda line: COMBINED.fullmatch(line).groups())
        same(first[:3] + first[4:], ('127.0.0.1', '-', '-', 'GET /a.txt?x=%22 HTTP/1.1', '200', '6', '-',
                                     r'a \x22quoted\x22 \x5C agent'))
        same(second[4:6], (r'x\x1B[31m', '400'))


@test
def no_line_can_be_forged(backend):
    """Random bytes: what is logged is read back, and is one object a request."""
    draw = random.Random(7)
    count = 150
    with Recorded(site(), backend, '--log-format', 'json', log=log_in(directory()), status=False) as server:
        sent = []
        for number in range(count):
            noise = bytes(draw.randrange(256) for _ in range(draw.randrange(1, 60)))
            noise = noise.replace(b'\n', b'').replace(b' ', b'') or b'?'
            line = b'\x01%d|' % number + noise
            sent.append(line.removesuffix(b'\r').decode('utf-8', 'replace'))
            server.say(line + b'\r\n{"status":200}\r\n\r\n', end=False)
        lines = server.objects(count)
        same(len(lines), count)
        same({line['status'] for line in lines}, {400})
        got = {int(line['target'][1:].split('|')[0]): line['target'] for line in lines}
        for number, text in enumerate(sent):
            same(squeeze(got[number]), squeeze(text), number)


def squeeze(text):
    """Readers differ in how many U+FFFD a broken sequence is."""
    return re.sub('\ufffd+', '\ufffd', text)


@test
def an_aborted_client(backend):
    with Recorded(site(), backend, '--log-format', 'json', log=log_in(directory())) as server:
        for reset in (True, False):
            with server.connect(receive_buffer=4096) as client:
                client.sendall(b'GET /big HTTP/1.1\r\nHost: a\r\n\r\n')
                client.recv(100)
                if reset:
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        lines = server.objects(2)
        for line in lines:
            same((line['status'], line['failed']), (200, 'sendfile'))
            assert line['error'] in ('ECONNRESET', 'EPIPE', 'ECANCELED'), line
            assert 0 < line['bytes'] < BIG, line
        eventually(lambda: server.figures()['errors'].get('sendfile') == 2)


@test
def rotated_under_load(backend):
    """Renamed and reopened again and again: each request has its line in one of the files."""
    folder = directory()
    log = log_in(folder)
    count, clients = 1500, 4

    def ask(number):
        with server.connect() as client, client.makefile('rb') as stream:
            for i in range(count):
                client.sendall(b'GET /a.txt?%d.%d HTTP/1.1\r\nHost: a\r\n\r\n' % (number, i))
                Reply(stream)

    with Recorded(site(), backend, '--log-format', 'json', log=log) as server:
        threads = [threading.Thread(target=ask, args=(number,)) for number in range(clients)]
        for thread in threads:
            thread.start()
        rotations = 0
        while any(thread.is_alive() for thread in threads):
            if os.path.exists(log):
                os.rename(log, f'{log}.{rotations}')
                rotations += 1
                server.process.send_signal(signal.SIGUSR1)
            time.sleep(0.02)
        for thread in threads:
            thread.join()
        same(server.get('/a.txt').status, 200)
    lines = []
    for name in os.listdir(folder):
        lines += [json.loads(line) for line in read(os.path.join(folder, name)).splitlines()]
    targets = [line['target'] for line in lines if 'target' in line]
    dropped = sum(line.get('dropped', 0) for line in lines)  # by a disk that did not keep up, and told
    same(len(targets) + dropped, count * clients + 1)
    if dropped == 0:
        same(set(targets), {f'/a.txt?{number}.{i}' for number in range(clients) for i in range(count)} | {'/a.txt'})
    same(len(set(targets)), len(targets))
    assert rotations > 2, rotations


def many_requests(connect, count, size=900):
    """Answers how long the slowest took."""
    slowest = 0
    with connect() as client, client.makefile('rb') as stream:
        for i in range(count):
            began = time.monotonic()
            client.sendall(b'GET /a.txt?%d HTTP/1.1\r\nHost: a\r\nReferer: %s\r\n\r\n' % (i, b'r' * size))
            same(Reply(stream).status, 200)
            slowest = max(slowest, time.monotonic() - began)
    return slowest


@test
def a_log_that_hangs(backend):
    """Its filesystem answers no more: requests do not notice, and the end comes nevertheless."""
    if not os.access('/dev/fuse', os.R_OK | os.W_OK):
        return 'no /dev/fuse'
    with HoldFs(os.path.join(directory(), 'held')) as held:
        with Recorded(site(), backend, log=os.path.join(held.place, 'f0'), threads=1, quiet=False) as server:
            same(held.tell('hold write'), 'ok')
            slowest = many_requests(server.connect, 400)
            assert slowest < 2 * SLOW, slowest
            figures = server.figures()['log']
            same(figures['lines'], 0)
            assert 200 < figures['dropped'] < 400, figures
            same(server.figures()['requests'], {'GET': {'2xx': 400}})
            same(held.tell('pass'), 'ok')
            eventually(lambda: server.figures()['log']['lines'] + figures['dropped'] == 400)
            same(held.tell('hold write'), 'ok')
            many_requests(server.connect, 5)
            eventually(lambda: 'write 1' in held.tell('status'))
            began = time.monotonic()
            server.process.terminate()
            eventually(lambda: 'lines of the access log were not written' in server.said())
            assert time.monotonic() - began < 6 * SLOW
            same(held.tell('pass'), 'ok')  # FUSE lets a process with a request that is being served die only after it
            same(server.ended(), 0)
    return None


@test
def a_pipe_that_nobody_reads(backend):
    """Standard output is full: later the log says how many lines are missing, and where."""
    count = 600
    command = [ERRAND, 'serve', '--http', '127.0.0.1:0', '--backend', backend, '--threads', '1', '--log-format', 'json',
               '--access-log', '-', *NO_FTP, site()]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        port = int(re.search(rb':(\d+)/\n', process.stdout.readline()).group(1))
        process.stdout.readline()
        assert many_requests(lambda: socket.create_connection(('127.0.0.1', port), 20 * SLOW), count) < 2 * SLOW
        process.terminate()
        lines = [json.loads(line) for line in process.stdout.read().splitlines()]
        same(process.wait(20 * SLOW), 0)
    missing, expected = 0, 0
    for line in lines:
        if 'dropped' in line:
            missing += line['dropped']
            expected += line['dropped']
        else:
            same(line['target'], f'/a.txt?{expected}')
            expected += 1
    assert missing > 100, missing
    same(len([line for line in lines if 'dropped' not in line]) + missing, count)


@test
def log_files_that_cannot_be(backend):
    if backend != BACKENDS[0]:
        return 'does not depend on it'
    for path, words in (('/nonexistent/log', 'No such file'), (directory(), 'Is a directory')):
        done = subprocess.run([ERRAND, 'serve', '-p', '0', *NO_FTP, '--access-log', path, site()],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=30 * SLOW, check=False)
        same((done.returncode, done.stdout), (1, ''))
        assert 'cannot write the access log' in done.stderr and words in done.stderr, done.stderr
    for option, value in (('--log-format', 'xml'), ('--status', 'here')):
        done = subprocess.run([ERRAND, 'serve', option, value], stderr=subprocess.PIPE, text=True, check=False)
        same(done.returncode, 2)
        assert option in done.stderr, done.stderr
    return None


# ------------------------------------------------------------------------------------------ figures

@test
def the_cache_is_told(backend):
    with Recorded(site(), backend, '--cache', '8M', threads=1) as server:
        for _ in range(5):
            same(server.get('/a.txt').status, 200)
            same(server.get('/none').status, 404)

        def counted():
            cache = json.loads(server.ask('status.json')[2])['cache']
            return cache['hits'] >= 6 and cache['misses'] >= 1 and cache['entries'] >= 1 and cache['bytes'] > 0
        eventually(counted)


@test
def metrics(backend):
    with Recorded(site(), backend, '--cache', 'off') as server:
        for _ in range(5):
            server.get('/a.txt')
        server.get('/none')
        server.get('/a.txt', method='HEAD')
        server.get('/a.txt', method='PUT')
        code, kind, body = server.ask('metrics')
        same((code, kind), (200, 'text/plain; version=0.0.4; charset=utf-8'))
        samples = parse_metrics(body.decode('ascii'))
        for method, status, count in (('GET', '2xx', 5), ('GET', '4xx', 1), ('HEAD', '2xx', 1), ('PUT', '4xx', 1)):
            same(samples['errand_requests_total', (('method', method), ('code', status))], count, method + status)
        same(sum(value for (name, _), value in samples.items() if name == 'errand_requests_total'), 8)
        same(samples['errand_request_duration_seconds_count', ()], 8)
        same(samples['errand_connections_accepted_total', ()], 8)
        same(samples['errand_chain_errors_total', (('step', 'open'),)], 1)
        same(samples['errand_stage_duration_seconds_count', (('stage', 'wait'),)], 7)
        same(samples['errand_workers', ()], 2)
        assert samples['errand_sent_bytes_total', ()] > 8 * 150 and samples['errand_received_bytes_total', ()] > 8 * 50
        later = parse_metrics(server.ask('metrics')[2].decode('ascii'))
        for name in ('errand_connections_accepted_total', 'errand_received_bytes_total'):
            same(later[name, ()], samples[name, ()], 'asking is no traffic of the service')


@test
def what_is_under_way(backend):
    with Recorded(site(), backend) as server:
        with server.connect(receive_buffer=4096) as slow, server.connect() as idle:
            slow.sendall(b'GET /big HTTP/1.1\r\nHost: a\r\n\r\n')
            idle.sendall(b'GET /a.txt HTTP/1.1\r\nHost: a\r\n\r\n')
            idle.recv(1000)

            def told():
                figures = server.figures()
                return (figures['connections']['open'], figures['steps'], figures['busy']) == (2, {'sendfile': 1}, 1)
            eventually(told)
        eventually(lambda: (server.figures()['connections']['open'], server.figures()['steps']) == (0, {}))


@test
def health(backend):
    with Recorded(site(), backend) as server:
        same(server.ask('health'), (200, 'text/plain; charset=utf-8', b'ok\n'))
        same(server.ask('nothing')[0], 404)
        with server.connect() as client, client.makefile('rb') as stream:
            client.sendall(b'GET /big HTTP/1.1\r\nHost: a\r\n\r\n')
            eventually(lambda: server.figures()['busy'] == 1)
            server.process.terminate()
            eventually(lambda: server.ask('health')[0] == 503)
            same(server.ask('health')[2], b'stopping\n')
            assert parse_metrics(server.ask('metrics')[2].decode())['errand_stopping', ()] == 1
            Reply(stream)


@test
def several_addresses_of_the_status(backend):
    """One is a socket in the filesystem: all are there until the server's end, and then nothing is left of them."""
    place = directory()
    path, config = os.path.join(place, 'status'), os.path.join(place, 'errand.conf')
    write(config, f'[Status]\nListen=127.0.0.1:0\nListen=127.0.0.1:0\nListen=unix:{path}\n'.encode())
    with Server(site(), backend, '-c', config) as server:
        line = server.process.stdout.readline().decode()
        url = r'http://127\.0\.0\.1:(\d+)/'
        ports = re.fullmatch(rf'status at {url}, {url}, unix:{path}\n', line).groups()
        addresses = [(socket.AF_INET, ('127.0.0.1', int(port))) for port in ports] + [(socket.AF_UNIX, path)]

        def codes():
            return [health_at(*address) for address in addresses]
        same(codes(), [200] * 3)
        same(server.get('/a.txt').status, 200)
        with server.connect() as client, client.makefile('rb') as stream:
            client.sendall(b'GET /big HTTP/1.1\r\nHost: a\r\n\r\n')
            stream.read(1)
            server.process.terminate()
            eventually(lambda: codes() == [503] * 3)
    assert not os.path.exists(path)


def health_at(family, address):
    with socket.socket(family) as client:
        client.settimeout(20 * SLOW)
        client.connect(address)
        client.sendall(b'GET /health HTTP/1.1\r\nHost: a\r\n\r\n')
        return int(read_all(client)[9:12])


@test
def bad_requests_for_the_status(backend):
    with Recorded(site(), backend) as server:
        for request, code in ((b'POST /metrics HTTP/1.1\r\nHost: a\r\n\r\n', 405), (b'x\r\n\r\n', 400),
                              (b'GET /' + b'a' * 9000 + b' HTTP/1.1\r\nHost: a\r\n\r\n', 414),
                              (b'HEAD / HTTP/1.1\r\nHost: a\r\n\r\n', 200), (b'GET /%2e%2e HTTP/1.0\r\n\r\n', 404)):
            with socket.create_connection(('127.0.0.1', server.status_port), 20 * SLOW) as client:
                for at in range(0, len(request), 1000): # in pieces
                    client.sendall(request[at:at + 1000])
                answer = read_all(client)
                same(int(answer[9:12]), code, request[:30])
                assert b'\r\nConnection: close\r\n' in answer
                same(answer.endswith(b'\r\n\r\n'), code == 200)
        # More than it takes, all idle: they hinder neither the service, nor, when they are gone, the next, nor the end.
        many = [socket.create_connection(('127.0.0.1', server.status_port)) for _ in range(80)]
        same(server.get('/a.txt').status, 200)
        for client in many[:40]:
            client.close()
        same(server.ask('health')[0], 200)
        many += [socket.create_connection(('127.0.0.1', server.status_port)) for _ in range(60)]
        same(server.ask('health')[0], 200, 'room is made for it')
        server.process.terminate()
        same(server.ended(), 0)
        for client in many[40:]:
            client.close()


# ------------------------------------------------------------------------------------------ the page

@test
def page(backend):
    """In a browser: figures change without a reload, by keyboard too; nothing is asked of anyone else."""
    if not shutil.which('chromium'):
        return 'no chromium'
    if backend != BACKENDS[0]:
        return 'does not depend on it'
    with Recorded(site(), backend) as server, Browser() as browser:
        stop = threading.Event()

        def load():
            with server.connect() as client, client.makefile('rb') as stream:
                while not stop.wait(0.005):
                    client.sendall(b'GET /a.txt HTTP/1.1\r\nHost: a\r\n\r\n')
                    Reply(stream)
        browser.call('Emulation.setDeviceMetricsOverride', width=360, height=740, deviceScaleFactor=1, mobile=True)
        browser.call('Page.navigate', url=server.status_url)
        eventually(lambda: browser.run('document.readyState') == 'complete' and browser.text('state') == 'serving', 30)
        same(browser.text('rate'), '0')
        browser.run('window.mark = 1')
        thread = threading.Thread(target=load)
        thread.start()
        try:
            eventually(lambda: browser.text('connections') == '1' and browser.text('rate') not in ('0', '–'), 20)
            eventually(lambda: browser.run("document.querySelectorAll('#histogram rect').length") > 0)
            first = browser.text('replies')
            eventually(lambda: browser.text('replies') != first)
            assert 'GET 2xx' in first, first
            assert re.search(r'99 %: [\d.]+ .?s', browser.text('quantiles')), browser.text('quantiles')
            same(browser.run('document.documentElement.scrollWidth'), 360, 'as wide as the telephone')
            same(browser.run('window.mark'), 1, 'not loaded again')
            check_looks(browser)
            check_keyboard(browser)
        finally:
            stop.set()
            thread.join()
        assert len(browser.asked) > 3, browser.asked
        same({url.replace(server.status_url, '') for url in browser.asked}, {'', 'status.json'})
        same(browser.complaints, [])
        server.process.terminate()
        same(server.ended(), 0)
        eventually(lambda: browser.text('state') == 'does not answer')
    return None


def check_looks(browser):
    colours = set()
    for scheme in ('light', 'dark'):
        browser.call('Emulation.setEmulatedMedia', features=[{'name': 'prefers-color-scheme', 'value': scheme}])
        colours.add(browser.run('getComputedStyle(document.body).backgroundColor'))
        assert browser.run("""(() => {
            const light = c => c.match(/\\d+/g).slice(0, 3).map(v => (v /= 255) <= .04045 ? v / 12.92 :
                ((v + .055) / 1.055) ** 2.4).reduce((all, v, i) => all + v * [.2126, .7152, .0722][i], 0);
            const card = light(getComputedStyle(document.querySelector('section')).backgroundColor);
            return ['dd', 'dt', '#quantiles'].every(what => {
                const text = light(getComputedStyle(document.querySelector(what)).color);
                return (Math.max(text, card) + .05) / (Math.min(text, card) + .05) >= 4.5; }); })()"""), scheme
    same(len(colours), 2)


def check_keyboard(browser):
    reached = []
    for _ in range(4):
        browser.key('Tab')
        reached.append(browser.run('document.activeElement.id'))
    same(reached[:3], ['pause', 'stage', 'span'])
    browser.run("document.getElementById('pause').focus()")
    browser.key('p', 'KeyP', 'p')
    same(browser.run("document.getElementById('pause').getAttribute('aria-pressed')"), 'true')
    time.sleep(0.3)  # what was asked for already may still come
    still = browser.text('replies')
    time.sleep(1.5)
    same(browser.text('replies'), still)
    browser.key('p', 'KeyP', 'p')
    eventually(lambda: browser.text('replies') != still)
    same(browser.text('state'), 'serving')


if __name__ == '__main__':
    sys.exit(run(__file__))
