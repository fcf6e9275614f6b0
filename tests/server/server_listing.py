#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Listings of directories: what they say, how nasty names are written, how they stream and end."""
import html.parser
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse

from served import Server, directory, eventually, read_all, run, same, test, write

LONG = bool(os.environ.get('TEST_LONG'))
# What AddressSanitizer holds back of freed memory is not the server's.
os.environ['ASAN_OPTIONS'] = os.environ.get('ASAN_OPTIONS', '') + ':quarantine_size_mb=1'
NASTY = [b'"quoted"', b"it's", b'a\nb', b'<script>alert(1)<', b'&amp;', b'latin\xe9\xff', b'javascript:alert(1)',
         b'%41', b'a?b#c', b'back\\slash', 'späß \U0001f600'.encode(), b'tab\there', b'\xed\xa0\x80', b' ',
         b'\xe2\x80\xaeevil', b'x' * 255, b'\x7f', b'<img src=x>', b'mailto:a@b', b'C:', b'~',
         b'\xf4\x90\x80\x80']


class Page(html.parser.HTMLParser):
    """What a listing's page says: rows of (link, text of the name, size, time), and what else is looked at."""

    def __init__(self, text):
        super().__init__()
        self.rows, self.tags, self.links, self.nonces, self.times, self.where = [], [], [], [], [], None
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.tags.append(tag)
        if tag in ('script', 'style'):
            self.nonces.append(values.get('nonce'))
        if tag == 'a':
            self.links.append(values['href'])
        if tag == 'tr' and 'data-d' in values:
            self.rows.append([None, '', '', None])
            self.where = 0
        if tag == 'td':
            self.where += 1
        if tag == 'a' and self.where:
            self.rows[-1][0] = values['href']
        if tag == 'time':
            self.rows[-1][3] = values['datetime']

    def handle_endtag(self, tag):
        if tag == 'tr':
            self.where = None

    def handle_data(self, data):
        if self.where in (1, 2):
            self.rows[-1][self.where] += data

    def names(self):
        return [row[1] for row in self.rows]


def unchunked(body):
    """The content of a chunked body, which has to be whole."""
    content, at = [], 0
    while True:
        end = body.index(b'\r\n', at)
        size = int(body[at:end], 16)
        content.append(body[end + 2:end + 2 + size])
        same(body[end + 2 + size:end + 4 + size], b'\r\n', 'behind a chunk')
        at = end + 4 + size
        if size == 0:
            same(body[at:], b'', 'behind the last chunk')
            return b''.join(content)


def request(path, method='GET', version='1.1', **headers):
    lines = [f'{method} {path} HTTP/{version}', 'Host: test', 'Connection: close']
    lines += [f'{name.replace("_", "-")}: {value}' for name, value in headers.items()]
    return ('\r\n'.join(lines) + '\r\n\r\n').encode()


def ask(server, path, method='GET', version='1.1', **headers):
    """Status, headers and content of one reply, chunked or not."""
    head, _, body = server.say(request(path, method, version, **headers), end=False).partition(b'\r\n\r\n')
    lines = head.decode('latin-1').split('\r\n')
    fields = dict((name.lower(), value) for name, value in (line.split(': ', 1) for line in lines[1:]))
    if fields.get('transfer-encoding') == 'chunked' and method != 'HEAD':
        body = unchunked(body)
    return int(lines[0][9:12]), fields, body


def listed(server, path, **headers):
    status, fields, body = ask(server, path, **headers)
    same((status, fields['content-type']), (200, 'text/html; charset=utf-8'), path)
    return Page(body.decode())


def objects(server, path, **headers):
    status, fields, body = ask(server, path, **headers)
    same((status, fields['content-type']), (200, 'application/json'), path)
    return json.loads(body.decode())


def site(files, dirs=()):
    root = directory()
    for name, data in files.items():
        write(os.path.join(root, name), data)
    for name in dirs:
        os.makedirs(os.path.join(root, name))
    return root


def fill(root, count):
    os.mkdir(os.path.join(root, 'many'))
    fd = os.open(os.path.join(root, 'many'), os.O_RDONLY)
    for i in range(count):
        os.close(os.open(f'file-{i:07}', os.O_CREAT | os.O_WRONLY, 0o644, dir_fd=fd))
    os.close(fd)
    return root


LARGE = 1000000 if LONG else 20000
large = {}


def many(count=20000):
    """A site with a large directory, made once for all tests that only read it."""
    if count not in large:
        large[count] = tempfile.TemporaryDirectory(prefix='errand-serve-')
        os.chmod(large[count].name, 0o755)
        fill(large[count].name, count)
    return large[count].name


@test
def both_formats(backend):
    root = site({'sub/a.txt': b'hello', 'sub/b': b'x' * 12345, 'with/index.html': b'an index', 'z': b''}, ['sub/dir'])
    os.symlink('/etc/passwd', os.path.join(root, 'sub/link'))
    os.mkfifo(os.path.join(root, 'sub/fifo'))
    os.utime(os.path.join(root, 'sub/a.txt'), (0, 1234567890.9))
    with Server(root, backend, '--listing') as server:
        page = listed(server, '/sub/')
        same(page.names(), ['dir/', 'a.txt', 'b', 'fifo', 'link@'])
        same([row[0] for row in page.rows], ['./dir/', './a.txt', './b', './fifo', './link'])
        same([row[2] for row in page.rows], ['', '5 B', '12.3 kB', '', ''])
        same(page.rows[1][3], '2009-02-13T23:31:30Z')
        for tag in ('main', 'nav', 'h1', 'table', 'thead', 'tbody'):
            same(page.tags.count(tag), 1, tag)
        assert '/' in page.links and '../' in page.links, page.links
        wanted = [['dir', 'directory', None], ['a.txt', 'file', 5], ['b', 'file', 12345], ['fifo', 'other', None],
                  ['link', 'link', None]]
        for entries in (objects(server, '/sub/?json'), objects(server, '/sub/', accept='application/json')):
            same([[e['name'], e['type'], e['size']] for e in entries], wanted)
            same(entries[1]['modified'], '2009-02-13T23:31:30Z')
            same(set(entries[0]), {'name', 'type', 'size', 'modified'})
        listed(server, '/sub/', accept='text/html, application/json;q=0.9')
        same(listed(server, '/').names(), ['sub/', 'with/', 'z'])
        same(ask(server, '/with/')[2], b'an index')
        same(ask(server, '/sub')[1]['location'], '/sub/')
        same(ask(server, '/none/')[0], 404)
        same(ask(server, '/z/')[0], 404)


@test
def policy(backend):
    root = site({'a': b'1'})
    with Server(root, backend, '--listing') as server:
        _, fields, body = ask(server, '/')
        nonces = Page(body.decode()).nonces
        same(len(nonces), 2)
        assert nonces[0] == nonces[1] and len(nonces[0]) == 32, nonces
        rule = fields['content-security-policy']
        same(rule.count(f"'nonce-{nonces[0]}'"), 2, rule)
        assert "default-src 'none'" in rule and 'unsafe' not in rule, rule
        assert Page(ask(server, '/')[2].decode()).nonces[0] != nonces[0]
    with Server(root, backend) as server:
        same(ask(server, '/')[0], 404, 'not asked for')


def few(text):
    """How many U+FFFD stand for some bad bytes is open."""
    return re.sub('\ufffd+', '\ufffd', text)


@test
def nasty_names(backend):
    root = os.fsencode(directory())
    folder = os.path.join(root, b'<&"\xff ;')
    os.mkdir(folder)
    for name in NASTY:
        write(os.path.join(folder, name), name)
    with Server(os.fsdecode(root), backend, '--listing') as server:
        base = listed(server, '/').rows[0][0][1:]
        _, _, body = ask(server, base)
        text = body.decode()
        page = Page(text)
        same(text.count('<script'), 1)
        same(sorted(urllib.parse.unquote_to_bytes(row[0][2:]) for row in page.rows), sorted(NASTY))
        for row in page.rows:
            assert row[0].startswith('./') and re.fullmatch(r'[!-~]+', row[0]), row[0]
            same(ask(server, base + row[0][2:])[2], urllib.parse.unquote_to_bytes(row[0][2:]), row[0])
        entries = objects(server, base + '?json')
        same(sorted(few(e['name']) for e in entries), sorted(few(name.decode('utf-8', 'replace')) for name in NASTY))
        shown = [few(re.sub('[\0-\x1f\x7f]', '\ufffd', name.decode('utf-8', 'replace'))) for name in NASTY]
        same(sorted(few(name) for name in page.names()), sorted(shown))


@test
def sorting(backend):
    root = site({'b': b'333', 'a': b'1', 'c': b'22', 'dz/x': b'', 'da/x': b''})
    for number, name in enumerate(('c', 'a', 'b', 'dz', 'da')):
        os.utime(os.path.join(root, name), (1000 + number, 1000 + number))
    with Server(root, backend, '--listing') as server:
        for query, wanted in (('', 'da dz a b c'), ('?sort=name&order=desc', 'dz da c b a'),
                              ('?sort=size&order=asc', 'da dz a c b'), ('?sort=size&order=desc', 'dz da b c a'),
                              ('?sort=time', 'dz da c a b'), ('?sort=time&order=desc', 'da dz b a c'),
                              ('?sort=what&x', 'da dz a b c')):
            same([name.rstrip('/') for name in listed(server, '/' + query).names()], wanted.split(), query)
            same([e['name'] for e in objects(server, f'/{query or "?"}&json')], wanted.split(), query)
        page = listed(server, '/?sort=size&order=asc')
        assert '?sort=size&order=desc' in page.links and '?sort=time&order=asc' in page.links, page.links


@test
def hidden_denied_and_empty(backend):
    root = site({'www/.secret': b'', 'www/.errand-01': b'', 'www/seen': b'', 'www/deny.key': b'', 'www/priv/x': b''},
                ['www/empty'])
    config = '[Host]\nDirectory=www\nListing=yes\n[Path *.key]\nDeny=yes\n[Path /priv/**]\nDeny=yes\n'
    for hidden, wanted in (('', ['empty/', 'seen']), ('Hidden=yes\n', ['empty/', '.secret', 'seen'])):
        write(os.path.join(root, 'errand.conf'), config.replace('Listing', hidden + 'Listing').encode())
        with Server(os.path.join(root, 'www'), backend, '-c', os.path.join(root, 'errand.conf')) as server:
            same(listed(server, '/').names(), wanted)
            same(listed(server, '/empty/').names(), [])
            same(objects(server, '/empty/?json'), [])
            same(ask(server, '/priv/')[0], 403)


@test
def before_the_fallback(backend):
    root = site({'www/app.html': b'the application', 'www/sub/a': b''})
    write(os.path.join(root, 'errand.conf'), b'[Host]\nDirectory=www\nListing=yes\nFallback=/app.html\n')
    with Server(os.path.join(root, 'www'), backend, '-c', os.path.join(root, 'errand.conf')) as server:
        same(listed(server, '/sub/').names(), ['a'])
        same(ask(server, '/none/')[2], b'the application')


@test
def head_old_and_kept(backend):
    root = site({'a': b'1'})
    with Server(root, backend, '--listing') as server:
        status, fields, body = ask(server, '/', 'HEAD')
        same((status, fields['transfer-encoding'], body), (200, 'chunked', b''))
        same(ask(server, '/?json', 'HEAD')[1]['content-type'], 'application/json')
        status, fields, body = ask(server, '/?json', version='1.0', connection='keep-alive')
        same((status, fields.get('transfer-encoding'), fields['connection']), (200, None, 'close'))
        same([e['name'] for e in json.loads(body)], ['a'])
        two = b'GET /?json HTTP/1.1\r\nHost: test\r\n\r\n' * 2
        answer = server.say(two + request('/a'))
        same(answer.count(b'HTTP/1.1 200 OK'), 3)
        same(answer.count(b'0\r\n\r\n'), 2)
        assert answer.endswith(b'\r\n\r\n1'), answer[-50:]


@test
def unreadable(backend):
    root = site({'shut/a': b'', 'open/a': b''})
    os.chmod(os.path.join(root, 'shut'), 0o311)
    user = 65534 if os.geteuid() == 0 else None
    try:
        with Server(root, backend, '--listing', user=user) as server:
            same(ask(server, '/shut/')[0], 403)
            same(listed(server, '/open/').names(), ['a'])
    except PermissionError:
        return 'cannot become another user'
    finally:
        os.chmod(os.path.join(root, 'shut'), 0o755)


def memory(server):
    with open(f'/proc/{server.process.pid}/status', encoding='ascii') as file:
        return int(re.search(r'VmRSS:\s+(\d+) kB', file.read()).group(1))


@test
def streamed(backend):
    with Server(many(LARGE), backend, '--listing', threads=1) as server:
        before, descriptors = memory(server), server.descriptors()
        with server.connect() as client, client.makefile('rb') as stream:
            client.sendall(request('/many/?json'))
            while stream.readline() != b'\r\n':
                pass
            found, most = 0, 0
            while size := int(stream.readline(), 16):
                assert size < 64 << 10, size
                found += stream.read(size + 2).count(b'"size":0,')
                most = max(most, memory(server)) if LONG else 0
            same(found, LARGE)
        if LONG:
            assert most < before + (16 << 10), (before, most)
        else:
            page = listed(server, '/many/')
            same(sorted(page.names()), [f'file-{i:07}' for i in range(LARGE)])
            same(page.tags.count('p'), 2, 'the note')
        eventually(lambda: server.descriptors() <= descriptors + 1)


@test
def slow_reader(backend):
    root = many()
    with Server(root, backend, '--listing', threads=1) as server:
        with server.connect(receive_buffer=4096) as client:
            client.sendall(request('/many/'))
            time.sleep(0.5)
            same(ask(server, '/many/?json')[0], 200, 'another one meanwhile')
            answer = read_all(client)
        same(len(Page(unchunked(answer.partition(b'\r\n\r\n')[2]).decode()).rows), 20000)


@test
def stalled_reader(backend):
    root = many()
    config = os.path.join(directory(), 'errand.conf')
    write(config, f'[Limits]\nSendTimeout=1s\n[Host]\nDirectory={root}\nListing=yes\n'.encode())
    with Server(root, backend, '-c', config, threads=1) as server:
        ask(server, '/many/')
        before = server.descriptors()
        with server.connect(receive_buffer=4096) as client:
            client.sendall(request('/many/'))
            time.sleep(3)
            try:
                answer = read_all(client)
            except ConnectionResetError:
                answer = b''
            assert not answer.endswith(b'0\r\n\r\n'), 'it was to be cut off'
        eventually(lambda: server.descriptors() <= before)


@test
def clients_that_leave(backend):
    root = many()
    with Server(root, backend, '--listing', threads=1) as server:
        ask(server, '/many/')
        before = server.descriptors()
        for wait in (0, 0, 0.001, 0.003, 0.01, 0.02, 0.05, 0.1) * 4:
            client = server.connect(receive_buffer=4096)
            client.sendall(request('/many/'))
            time.sleep(wait)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')
            client.close()
        eventually(lambda: server.descriptors() <= before)
        same(ask(server, '/many/')[0], 200)


@test
def stop_in_the_middle(backend):
    root = many()
    for wait in (0, 0.01, 0.05):
        with Server(root, backend, '--listing') as server:
            clients = [server.connect(receive_buffer=4096) for _ in range(4)]
            for client in clients:
                client.sendall(request('/many/'))
            time.sleep(wait)
            server.process.terminate()
            server.process.terminate()
            time.sleep(0.1)
            server.process.terminate()
            server.ended()
            for client in clients:
                client.close()


@test
def files_removed_meanwhile(backend):
    root = fill(directory(), 6000)
    with Server(root, backend, '--listing', threads=1) as server:
        with server.connect(receive_buffer=4096) as client:
            client.sendall(request('/many/?json'))
            for i in range(0, 6000, 2):
                os.unlink(os.path.join(root, 'many', f'file-{i:07}'))
            entries = json.loads(unchunked(read_all(client).partition(b'\r\n\r\n')[2]))
        names = {e['name'] for e in entries}
        assert names >= {f'file-{i:07}' for i in range(1, 6000, 2)}, len(names)
        same(len(objects(server, '/many/?json')), 3000)


@test
def in_a_browser(backend):
    chromium = next((p for p in ('/usr/bin/chromium', '/usr/bin/chromium-browser') if os.path.exists(p)), None)
    if chromium is None:
        return 'no chromium'
    with Server(site({'b': b'333', 'a': b'1'}), backend, '--listing') as server:
        done = subprocess.run([chromium, '--headless', '--no-sandbox', '--disable-gpu', '--dump-dom',
                               f'--user-data-dir={directory()}', server.url], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=120, check=True)
        same(Page(done.stdout.decode()).names(), ['a', 'b'])
        assert b'Content Security Policy' not in done.stderr, done.stderr
    return None


if __name__ == '__main__':
    sys.exit(run(__file__))
