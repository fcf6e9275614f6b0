#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""MOVE, COPY, and DELETE of collections: of files and of trees, where a server may be written to."""
import base64
import os
import random
import stat
import subprocess
import sys

from served import Server, directory, eventually, run, same, test, write

BYTES = random.Random(8).randbytes(1 << 20)


def writable(backend, *arguments, **options):
    root = directory()
    return root, Server(root, backend, '--writable', *arguments, **options)


def configured(backend, config, host='Writable=yes'):
    top = directory()
    root = os.path.join(top, 'www')
    os.mkdir(root)
    write(os.path.join(top, 'errand.conf'), f'[Host]\nDirectory=www\n{host}\n{config}'.encode())
    return root, Server(root, backend, '-c', os.path.join(top, 'errand.conf'))


def shape(root, path='.'):
    """All that is beneath, by its path: content, or what a link says, or None for a directory."""
    found = {}
    for at, directories, files in os.walk(os.path.join(root, path)):
        for name in directories + files:
            full = os.path.join(at, name)
            key = os.path.relpath(full, os.path.join(root, path))
            if os.path.islink(full):
                found[key] = os.readlink(full)
            elif os.path.isdir(full):
                found[key] = None
            else:
                with open(full, 'rb') as file:
                    found[key] = file.read()
    return found


def tree(root, path, files=40):
    for number in range(files):
        write(os.path.join(root, path, f'd{number % 5}', str(number)), BYTES[:number * 1000])
    os.mkdir(os.path.join(root, path, 'empty'))
    os.symlink('d1/1', os.path.join(root, path, 'link'))
    write(os.path.join(root, path, '.hidden'), b'h')
    return shape(root, path)


def ask(server, method, path, to=None, **headers):
    if to is not None:
        headers['destination'] = to
    return server.get(path, method, **headers)


def settled(root):
    """What was replaced or deleted goes after the reply."""
    eventually(lambda: not [at for at, directories, _ in os.walk(root)
                            if any(name.startswith('.errand-') for name in directories)])


@test
def files(backend):
    root, server = writable(backend)
    write(os.path.join(root, 'a'), BYTES)
    os.chmod(os.path.join(root, 'a'), 0o640)
    os.utime(os.path.join(root, 'a'), ns=(10**18, 10**18 + 7))
    os.mkdir(os.path.join(root, 'd'))
    with server:
        for method, path, to, wanted in (
                ('COPY', '/a', '/b', 201), ('COPY', '/a', '/b', 204), ('COPY', '/a', '/d/c%20%C3%A4', 201),
                ('MOVE', '/b', '/d/b', 201), ('COPY', '/a', '/e', 201), ('MOVE', '/e', '/d/b', 204)):
            reply = ask(server, method, path, to)
            same(reply.status, wanted, f'{method} {path} {to}')
            if method == 'COPY':
                same(reply.headers['etag'], server.get(to).headers['etag'], to)
        same(shape(root), {'a': BYTES, 'd': None, 'd/b': BYTES, 'd/c ä': BYTES})
        for name in ('b', 'c ä'):
            status = os.stat(os.path.join(root, 'd', name))
            same((stat.S_IMODE(status.st_mode), status.st_mtime_ns), (0o640, 10**18 + 7), name)


@test
def destinations(backend):
    """Where it may lead, and how it may be said."""
    root, server = writable(backend)
    write(os.path.join(root, 'a'), b'1')
    write(os.path.join(root, 'd', 'x'), b'2')
    os.symlink('/tmp', os.path.join(root, 'out'))
    with server:
        host = 'test'  # as the requests say
        for to, wanted in (
                (f'http://{host}/b', 201), (f'HTTPS://{host}/b', 204), ('/b', 204), ('/./d/../b', 204),
                ('http://test:8080/b', 502),
                ('http://127.0.0.1/b', 502), ('http://other.example/b', 502), (f'http://{host}.example/b', 502),
                (f'http://u@{host}/b', 502), (None, 400), ('', 400), ('b', 400), (f'ftp://{host}/b', 400),
                ('/b?x', 400), ('/b%', 400), ('/b c', 400), ('/b%00', 400), ('/../b', 400), ('//b', 204),
                (f'http://{host}', 403), ('/', 403), ('/a', 403), ('/%61', 403), ('/a/b', 403), ('/.hidden', 403),
                ('/.errand-0123456789abcdef', 403), ('/d/', 409), ('/d', 409), ('/none/b', 409), ('/d/x/b', 409),
                ('/b/', 409), ('/out/b', 403), ('/d%2fx', 403)):
            same(ask(server, 'COPY', '/a', to).status, wanted, str(to))
        same(shape(root), {'a': b'1', 'b': b'1', 'd': None, 'd/x': b'2', 'out': '/tmp'})
        same(ask(server, 'MOVE', '/b', '/out').status, 204)  # a link is replaced, not followed
        for path, wanted in (('/none', 404), ('/none/', 404), ('/d', 409), ('/a/', 409), ('/out/x', 404)):
            for method in ('COPY', 'MOVE'):
                same(ask(server, method, path, '/new').status, wanted, f'{method} {path}')
        twice = 'MOVE /a HTTP/1.1\r\nHost: x\r\nDestination: /b\r\nDestination: /c\r\n\r\n'
        same(server.status(twice.encode()), 400)
        same(shape(root), {'a': b'1', 'out': b'1', 'd': None, 'd/x': b'2'})


@test
def overwrite_and_conditions(backend):
    root, server = writable(backend)
    with server:
        for path in ('a', 'b', 'd/x', 'e/y'):
            write(os.path.join(root, path), path.encode())
        before = shape(root)
        tag = server.get('/a').headers['etag']
        for method in ('COPY', 'MOVE'):
            for path, to, headers, wanted in (
                    ('/a', '/b', {'overwrite': 'F'}, 412), ('/d/', '/e/', {'overwrite': 'F'}, 412),
                    ('/a', '/b', {'overwrite': 'x'}, 412), ('/a', '/c', {'if_match': '"x"'}, 412),
                    ('/a', '/c', {'if_none_match': '*'}, 412), ('/a', '/c', {'if_none_match': tag}, 412),
                    ('/a', '/c', {'if_unmodified_since': 'Sat, 01 Jan 2000 00:00:00 GMT'}, 412),
                    ('/a', '/c', {'depth': '1'}, 400), ('/d/', '/f/', {'depth': '1'}, 400)):
                same(ask(server, method, path, to, **headers).status, wanted, f'{method} {path} {headers}')
        same(server.get('/d/', 'DELETE', depth='0').status, 400)
        same(shape(root), before)
        same(ask(server, 'COPY', '/a', '/c', overwrite='F', if_match=tag).status, 201)
        same(ask(server, 'MOVE', '/c', '/b', overwrite='T', if_match='*', depth='infinity').status, 204)
        same(ask(server, 'COPY', '/d/', '/f', overwrite='F', depth='0').status, 201)
        same(ask(server, 'COPY', '/d/', '/e/', depth='0').status, 204)
        settled(root)
        same(shape(root), {'a': b'a', 'b': b'a', 'd': None, 'd/x': b'd/x', 'e': None, 'f': None})


@test
def trees(backend):
    root, server = writable(backend)
    made = tree(root, 'from')
    os.chmod(os.path.join(root, 'from', 'd1'), 0o750)
    os.symlink('from', os.path.join(root, 'way'))
    with server:
        for method, path, to, wanted in (
                ('COPY', '/from/', '/one/', 201), ('COPY', '/from/', '/one', 204), ('MOVE', '/one/', '/two/', 201),
                ('COPY', '/from/', '/one/', 201), ('MOVE', '/one/', '/two/', 204), ('COPY', '/way/', '/three/', 201)):
            same(ask(server, method, path, to).status, wanted, f'{method} {path} {to}')
        settled(root)
        same(sorted(os.listdir(root)), ['from', 'three', 'two', 'way'])
        for copy in ('from', 'two', 'three'):
            same(shape(root, copy) == made, True, copy)
            same(stat.S_IMODE(os.stat(os.path.join(root, copy, 'd1')).st_mode), 0o750, copy)
        for method, path, to, wanted in (
                ('COPY', '/from/', '/from/d1/', 403), ('MOVE', '/from/', '/from/new/', 403),
                ('COPY', '/from/d1/', '/from/', 403), ('MOVE', '/from/', '/from/', 403), ('COPY', '/', '/new/', 403),
                ('MOVE', '/from/', '/', 403), ('COPY', '/from/', '/none/new/', 409), ('MOVE', '/two/', '/none/x/', 409),
                ('COPY', '/from/', '/two/.hidden', 403), ('COPY', '/from/d1/', '/two/d1/1', 409),
                ('MOVE', '/from/', '/way/new/', 403), ('COPY', '/from/', '/way/new/', 403)):
            same(ask(server, method, path, to).status, wanted, f'{method} {path} {to}')
        settled(root)
        same(server.get('/two/', 'DELETE').status, 204)
        same(server.get('/two/', 'DELETE').status, 404)
        same(os.path.exists(os.path.join(root, 'two')), False)
        same(server.get('/three/d1/', 'DELETE').status, 204)
        settled(root)
        same(sorted(os.listdir(root)), ['from', 'three', 'way'])
        same(shape(root, 'from') == made, True)
        same(shape(root, 'three') == {name: made[name] for name in made if not name.startswith('d1')}, True)


@test
def links(backend):
    """Two names of a file: rename(2) would take neither away."""
    root, server = writable(backend)
    write(os.path.join(root, 'a'), b'1')
    os.link(os.path.join(root, 'a'), os.path.join(root, 'b'))
    os.symlink('a', os.path.join(root, 'link'))
    os.mkfifo(os.path.join(root, 'fifo'))
    with server:
        for method in ('MOVE', 'COPY'):
            same(ask(server, method, '/a', '/b').status, 403, method)
            same(ask(server, method, '/fifo', '/c').status, 403, method)
            same(ask(server, method, '/a', '/fifo').status, 403, method)
        same(ask(server, 'COPY', '/link', '/c').status, 201)
        same(ask(server, 'MOVE', '/link', '/l').status, 201)
        os.unlink(os.path.join(root, 'fifo'))
        same(shape(root), {'a': b'1', 'b': b'1', 'c': b'1', 'l': 'a'})


RULES = '''
[Path /open/**]
Writable=yes
[Path /open/locked/**]
Writable=no
[Path /secret/**]
Deny=yes
[Path /dots/**]
Writable=yes
Hidden=yes
[Path /mixed/deep/*.key]
Deny=yes
[Path /mixed/**]
Writable=yes
'''


@test
def rules(backend):
    root, server = configured(backend, RULES, 'Writable=no')
    for path in ('plain/a', 'open/a', 'open/locked/a', 'open/free/a', 'secret/a', 'dots/.a', 'open/t/.a',
                 'mixed/deep/a.key', 'mixed/other/a'):
        write(os.path.join(root, path), path.encode())
    before = shape(root)
    with server:
        for method, path, to, wanted in (
                ('COPY', '/plain/a', '/plain/b', 405), ('MOVE', '/plain/a', '/open/b', 405),
                ('COPY', '/open/a', '/plain/b', 403), ('MOVE', '/open/a', '/plain/b', 403),
                ('COPY', '/secret/a', '/open/b', 403), ('COPY', '/open/a', '/secret/b', 403),
                ('COPY', '/open/a', '/open/locked/b', 403), ('MOVE', '/open/locked/a', '/open/b', 405),
                ('COPY', '/open/a', '/open/.b', 403), ('COPY', '/open/.b', '/open/a', 404),
                ('COPY', '/open/', '/dots/new/', 403), ('COPY', '/open/t/', '/dots/new/', 403),
                ('MOVE', '/open/t/', '/dots/new/', 403), ('COPY', '/mixed/deep/', '/open/free/x/', 403),
                ('COPY', '/mixed/other/', '/mixed/deep/', 403), ('COPY', '/', '/open/x/', 403)):
            same(ask(server, method, path, to).status, wanted, f'{method} {path} {to}')
        for path, wanted in (('/open/', 403), ('/plain/', 405), ('/secret/', 403), ('/mixed/', 403),
                             ('/mixed/deep/', 403), ('/open/locked/', 405)):
            same(server.get(path, 'DELETE').status, wanted, path)
        same(shape(root), before)
        same(ask(server, 'COPY', '/plain/a', '/open/b').status, 201)
        same(ask(server, 'COPY', '/plain/', '/open/plain/').status, 201)
        same(ask(server, 'MOVE', '/mixed/other/', '/mixed/moved/').status, 201)
        same(ask(server, 'MOVE', '/dots/.a', '/dots/.b').status, 201)
        same(server.get('/open/free/', 'DELETE').status, 204)
        settled(root)
        same(shape(root, 'open/plain'), {'a': b'plain/a'})
        same(server.get('/open/', 'OPTIONS').headers['allow'],
             'GET, HEAD, OPTIONS, PUT, DELETE, MKCOL, MOVE, COPY')
        same(server.get('/plain/', 'OPTIONS').headers['allow'], 'GET, HEAD, OPTIONS')


@test
def logins(backend):
    """Whoever asks must be let in where it comes from, and where it goes."""
    def users(*names):
        path = os.path.join(directory(), 'users')
        lines = []
        for name in names:
            done = subprocess.run(['openssl', 'passwd', '-6', name], stdout=subprocess.PIPE, check=True)
            lines.append(name.encode() + b':' + done.stdout)
        write(path, b''.join(lines))
        return path
    root, server = configured(backend, f'[Path /a/**]\nUsers={users("anna", "both")}\n'
                                       f'[Path /b/**]\nUsers={users("bert", "both")}\n')
    for path in ('a/x', 'b/x', 'c/x'):
        write(os.path.join(root, path), path.encode())
    before = shape(root)

    def said(name):
        return {'authorization': 'Basic ' + base64.b64encode(f'{name}:{name}'.encode()).decode()}
    with server:
        for path, to, names in (('/a/x', '/b/y', ('anna', 'bert', 'c')), ('/b/x', '/a/y', ('anna', 'bert')),
                                ('/c/x', '/b/y', ('anna',)), ('/a/x', '/c/y', ('bert',)), ('/a/', '/b/new/', ('anna',)),
                                ('/', '/c/new/', ('both',))):
            for name in names:
                status = ask(server, 'COPY', path, to, **said(name)).status
                same(status, 403 if path == '/' else 401, f'{path} {to} {name}')
                if path != '/':
                    same(ask(server, 'MOVE', path, to).status, 401, f'{path} {to}')
        same(shape(root), before)
        for wanted in (201, 204):  # found out, then remembered
            same(ask(server, 'COPY', '/a/x', '/b/y', **said('both')).status, wanted)
        same(ask(server, 'COPY', '/c/x', '/b/z', **said('bert')).status, 201)
        same(ask(server, 'COPY', '/a/', '/b/new/', **said('both')).status, 201)
        settled(root)
        same(shape(root, 'b'), {'x': b'b/x', 'y': b'a/x', 'z': b'c/x', 'new': None, 'new/x': b'a/x'})


@test
def abandoned(backend):
    """A client that goes away during the copy of a tree leaves nothing."""
    root, server = writable(backend)
    tree(root, 'from', 400)
    with server:
        server.get('/')
        before = server.descriptors()
        for delay in range(12):
            with server.connect() as client:
                client.sendall(b'COPY /from/ HTTP/1.1\r\nHost: x\r\nDestination: /to/\r\n\r\n')
                client.setsockopt(1, 13, b'\1\0\0\0\0\0\0\0')  # SO_LINGER: a reset
                if delay:
                    eventually(lambda: [name for name in os.listdir(root) if name.startswith('.errand-')] or
                               os.path.exists(os.path.join(root, 'to')))
        eventually(lambda: server.descriptors() <= before)
        settled(root)
        assert set(os.listdir(root)) <= {'from', 'to'}
        if os.path.exists(os.path.join(root, 'to')):
            same(shape(root, 'to') == shape(root, 'from'), True)


@test
def stopped(backend):
    """The end waits for what is being removed."""
    root, server = writable(backend)
    for number in range(3000):
        write(os.path.join(root, f't/{number % 7}/{number}'), b'')
    with server:
        same(server.get('/t/', 'DELETE').status, 204)
    same(os.listdir(root), [])


@test
def curl(backend):
    root, server = writable(backend)
    tree(root, 'from')
    with server:
        for method, path, to, wanted in (('COPY', 'from/', 'copy/', '201'), ('MOVE', 'copy/d1/1', 'copy/moved', '201'),
                                         ('MOVE', 'copy/', 'moved/', '201'), ('DELETE', 'from/', None, '204')):
            more = ['-H', f'Destination: {server.url}{to}'] if to else []
            done = subprocess.run(['curl', '-sS', '-o', '-', '-w', '%{http_code}', '-X', method, *more,
                                   server.url + path], stdout=subprocess.PIPE, check=True)
            same(done.stdout.decode()[-3:], wanted, f'{method} {path}')
        settled(root)
        same(os.listdir(root), ['moved'])
        same(shape(root, 'moved')['moved'], BYTES[:1000])


if __name__ == '__main__':
    sys.exit(run(__file__))
