#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Uploads and changes: PUT, DELETE, MKCOL of a server that may be written to."""
import base64
import os
import random
import subprocess
import sys

from served import Reply, Server, content, directory, eventually, head, put, read_all, run, same, test, write

LONG = bool(os.environ.get('TEST_LONG'))
BYTES = random.Random(7).randbytes(5 << 20)


def writable(backend, *arguments, root=None, **options):
    root = root or directory()
    return root, Server(root, backend, '--writable', *arguments, **options)


def configured(backend, config):
    root = directory()
    os.mkdir(os.path.join(root, 'www'))
    write(os.path.join(root, 'errand.conf'), f'[Host]\nDirectory=www\nWritable=yes\n{config}'.encode())
    www = os.path.join(root, 'www')
    return www, Server(www, backend, '-c', os.path.join(root, 'errand.conf'))


def names(root):
    return sorted(os.listdir(root))


def chunked(data, size):
    pieces = [data[at:at + size] for at in range(0, len(data), size)]
    return b''.join(b'%x\r\n%s\r\n' % (len(piece), piece) for piece in pieces) + b'0\r\n\r\n'


@test
def sizes(backend):
    root, server = writable(backend)
    with server:
        for size in (0, 1, 64 << 10, (128 << 10) - 1, 128 << 10, (128 << 10) + 1, 5 << 20):
            for wanted in (201, 204):
                reply = put(server, f'/{size}', BYTES[:size])
                same(reply.status, wanted, size)
                same(content(root, str(size)) == BYTES[:size], True, size)
                same(server.get(f'/{size}').headers['etag'], reply.headers['etag'], size)
        same(put(server, '/a%20b%C3%A4', b'x').status, 201)
        same(content(root, 'a bä'), b'x')


@test
def curl(backend):
    root, server = writable(backend)
    file = os.path.join(directory(), 'file')
    data = BYTES * 40 if LONG else BYTES
    write(file, data)
    with server:
        for name, more in (('length', ['-T', file]), ('chunked', ['-T', '-']),
                           ('expect', ['-T', file, '-H', 'Expect: 100-continue'])):
            with open(file, 'rb') as stream:
                done = subprocess.run(['curl', '-sS', '-w', '%{http_code}', *more, server.url + name], stdin=stream,
                                      stdout=subprocess.PIPE, check=True)
            same(done.stdout[-3:], b'201', name)
            same(content(root, name) == data, True, name)


@test
def dribbled_and_pipelined(backend):
    root, server = writable(backend)
    write(os.path.join(root, 'b'), b'here')
    get = head('GET', '/b', 'Connection: close')
    body = BYTES[:3000]
    plain = head('PUT', '/a', 'Content-Length: 3000') + body + get
    coded = head('PUT', '/a', 'Transfer-Encoding: chunked') + chunked(body, 700) + get
    with server:
        for data in (plain, coded):
            for piece in (1, 7, 1000, len(data)):
                with server.connect() as client, client.makefile('rb') as stream:
                    for at in range(0, len(data), piece):
                        client.sendall(data[at:at + piece])
                    assert Reply(stream).status in (201, 204)
                    same(Reply(stream).body, b'here', piece)
                same(content(root, 'a') == body, True, piece)


@test
def expectations(backend):
    root, server = writable(backend)
    with server:
        with server.connect() as client, client.makefile('rb') as stream:
            client.sendall(head('PUT', '/a', 'Content-Length: 3', 'Expect: 100-continue'))
            same(stream.readline() + stream.readline(), b'HTTP/1.1 100 Continue\r\n\r\n')
            client.sendall(b'abc')
            same(Reply(stream).status, 201)
        for line in ('If-None-Match: *', 'If-Match: "x"'):
            same(server.status(head('PUT', '/a', 'Content-Length: 3', 'Expect: 100-continue', line)), 412, line)
        same(content(root, 'a'), b'abc')


@test
def conditions(backend):
    root, server = writable(backend)
    with server:
        tag = put(server, '/a', b'1', 'If-None-Match: *').headers['etag']
        for line, wanted in (('If-None-Match: *', 412), ('If-Match: "x"', 412), (f'If-None-Match: {tag}', 412)):
            same(put(server, '/a', b'2', line).status, wanted, line)
        same(put(server, '/a', b'2', f'If-Match: {tag}').status, 204)
        same(put(server, '/a', b'3', f'If-Match: {tag}').status, 412)
        same(put(server, '/none', b'3', 'If-Match: *').status, 412)
        same(server.get('/a', 'DELETE', if_match=tag).status, 412)
        same((names(root), content(root, 'a')), (['a'], b'2'))
        with server.connect() as client, client.makefile('rb') as stream:
            client.sendall(head('PUT', '/late', 'Content-Length: 2', 'If-None-Match: *', 'Expect: 100-continue'))
            stream.readline()
            stream.readline()
            write(os.path.join(root, 'late'), b'first')
            client.sendall(b'xx')
            same(Reply(stream).status, 412)
        same(content(root, 'late'), b'first')


@test
def refused(backend):
    root, server = writable(backend)
    os.mkdir(os.path.join(root, 'dir'))
    os.symlink('/tmp', os.path.join(root, 'out'))
    with server:
        for path, lines, wanted in (('/none/a', (), 409), ('/dir', (), 405), ('/dir/', (), 405), ('/out/a', (), 403),
                                    ('/out', (), 403), ('/.errand-1', (), 404), ('/.hidden', (), 404),
                                    ('/a', ('Content-Range: bytes 0-1/2',), 400)):
            same(put(server, path, b'x', *lines).status, wanted, path)
        same(server.status(head('PUT', '/a', 'Connection: close')), 411)
        for line, wanted in (('Expect: x', 417), ('Transfer-Encoding: gzip', 501)):
            for method in ('PUT', 'MOVE', 'COPY'):
                same(server.status(head(method, '/a', 'Connection: close', line)), wanted, line)
        for body in (b'x\r\n', b'1\r\nab\r\n0\r\n\r\n', b'-1\r\na\r\n', b'1 \r\na\r\n0\r\n\r\n'):
            same(server.status(head('PUT', '/a', 'Transfer-Encoding: chunked') + body), 400, body)
        same(names(root), ['dir', 'out'])
        small = head('PUT', '/none/a', 'Content-Length: 4') + b'GET ' + head('GET', '/x', 'Connection: close')
        same(server.say(small).count(b'HTTP/1.1 4'), 2, 'a small refused body is passed over')
    with Server(root, backend) as server:
        same(put(server, '/a', b'x').status, 405)
        same(server.get('/dir/', 'DELETE').status, 405)


@test
def limits(backend):
    root, server = configured(backend, 'UploadMax=1K\n[Limits]\nBodyTimeout=1s\n')
    with server:
        same(put(server, '/a', BYTES[:1024]).status, 201)
        same(server.status(head('PUT', '/b', 'Content-Length: 1025')), 413)
        same(server.status(head('PUT', '/b', 'Transfer-Encoding: chunked') + chunked(BYTES[:1025], 100)), 413)
        same(server.status(head('PUT', '/b', 'Content-Length: 3') + b'x'), 408)
        eventually(lambda: names(root) == ['a'])  # a named temporary file goes a little later
    root, server = configured(backend, 'UploadSpace=1000T\n')
    with server:
        same(put(server, '/a', b'x').status, 507)
        same(names(root), [])


@test
def interrupted(backend):
    root, server = writable(backend)
    with server:
        put(server, '/warm', b'x')
        before = server.descriptors()
        for length in (0, 1, 1000, 200 << 10, 3 << 20):
            for field, data in (('Content-Length: 5242880', BYTES[:length]),
                                ('Transfer-Encoding: chunked', b'500000\r\n' + BYTES[:length])):
                with server.connect() as client:
                    client.sendall(head('PUT', '/a', field) + data)
        eventually(lambda: server.descriptors() <= before)
        same(names(root), ['warm'])


@test
def collections(backend):
    root, server = writable(backend)
    write(os.path.join(root, 'd', 'a'), b'x')
    os.symlink('d', os.path.join(root, 'link'))
    with server:
        for method, path, wanted in (
                ('MKCOL', '/new/', 201), ('MKCOL', '/new', 405), ('MKCOL', '/no/new', 409), ('MKCOL', '/', 405),
                ('DELETE', '/new', 409), ('DELETE', '/new/', 204), ('DELETE', '/new/', 404), ('DELETE', '/', 403),
                ('DELETE', '/d', 409), ('DELETE', '/link/', 409), ('DELETE', '/link', 204), ('DELETE', '/d/a', 204),
                ('DELETE', '/d/', 204), ('DELETE', '/none/a', 404)):
            same(server.get(path, method).status, wanted, f'{method} {path}')
        with server.connect() as client:
            client.sendall(head('MKCOL', '/m', 'Content-Length: 1', 'Connection: close') + b'x')
            same(read_all(client)[:12], b'HTTP/1.1 415')
        eventually(lambda: names(root) == [])  # what was deleted is removed behind the reply


@test
def logged(backend):
    """The bytes of a log's line are those of the reply, not of the upload."""
    log = os.path.join(directory(), 'log')
    _, server = writable(backend, '--access-log', log, threads=1)
    with server:
        sent = [put(server, '/a', BYTES), put(server, '/a', b'x'), server.get('/a', 'COPY', destination='/c'),
                server.get('/c')]
    lines = content(log).decode().splitlines()
    same([int(line.split()[9]) for line in lines], [len(reply.body) for reply in sent])


@test
def symlinks(backend):
    """A link is replaced as a file is: who may write here may not write wherever it leads."""
    root, server = writable(backend)
    write(os.path.join(root, 'd', 'a'), b'kept')
    for target, name in (('d/a', 'file'), ('none', 'dangling'), ('d', 'dir'), ('/etc/passwd', 'out')):
        os.symlink(target, os.path.join(root, name))
    with server:
        for path, wanted in (('/file', 204), ('/dangling', 201), ('/dir', 405), ('/out', 403), ('/dir/b', 201)):
            same(put(server, path, b'new').status, wanted, path)
        same((content(root, 'file'), content(root, 'dangling'), content(root, 'd', 'a')), (b'new', b'new', b'kept'))
        same([name for name in names(root) if os.path.islink(os.path.join(root, name))], ['dir', 'out'])
        same(names(os.path.join(root, 'd')), ['a', 'b'])


@test
def logins(backend):
    done = subprocess.run(['openssl', 'passwd', '-6', 'geheim'], stdout=subprocess.PIPE, check=True)
    users = os.path.join(directory(), 'users')
    write(users, b'anna:' + done.stdout)
    root, server = configured(backend, f'[Path /**]\nUsers={users}\n')
    good, bad = (base64.b64encode(said).decode() for said in (b'anna:geheim', b'anna:falsch'))
    with server:
        same(put(server, '/a', b'x').status, 401)
        same(put(server, '/a', b'x', f'Authorization: Basic {bad}').status, 401)
        same(server.status(head('PUT', '/a', 'Content-Length: 1', 'Expect: 100-continue')), 401)
        same(server.get('/d', 'MKCOL', authorization=f'Basic {bad}').status, 401)
        same(names(root), [])
        for wanted in (201, 204):  # found out by a worker, then remembered
            same(put(server, '/a', BYTES, f'Authorization: Basic {good}').status, wanted)
        same(server.get('/d', 'MKCOL', authorization=f'Basic {good}').status, 201)
        same(content(root, 'a') == BYTES, True)


if __name__ == '__main__':
    sys.exit(run(__file__))
