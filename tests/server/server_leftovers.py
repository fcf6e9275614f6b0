#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What uploads and changes leave: nothing when they are refused or the disk is full; what a kill left is swept."""
import fcntl
import os
import random
import resource
import signal
import subprocess
import sys
import time

from mounted import Disk, Mounted, everything, is_locked, ours, swept
from served import Reply, Server, content, directory, eventually, head, put, run, same, test, write

LONG = bool(os.environ.get('TEST_LONG'))
BYTES = random.Random(9).randbytes(1 << 20)
OURS = '.errand-0123456789abcdef'


# ------------------------------------------------------------------------------------------ without O_TMPFILE


@test
def named(backend):
    """The way of uploads where a file cannot be without a name."""
    with Mounted() as root:
        if root is None:
            return 'no /dev/fuse'
        with Server(root, backend, '--writable', '--hidden', '--listing') as server:
            for size in (0, 1, 128 << 10, (128 << 10) + 1, 1 << 20):
                for wanted in (201, 204):
                    same(put(server, f'/{size}', BYTES[:size]).status, wanted, size)
                    same(content(root, str(size)) == BYTES[:size], True, size)
            same(put(server, '/0', b'x', 'If-None-Match: *').status, 412)
            same(put(server, '/new', b'x', 'If-None-Match: *').status, 201)
            same(put(server, '/none/x', b'x').status, 409)
            for to, wanted in (('/copy', 201), ('/copy', 204), ('/0', 204)):
                same(server.get('/1', 'COPY', destination=to).status, wanted)
                same(content(root, to[1:]), BYTES[:1])
            same(server.get('/d/', 'MKCOL').status, 201)
            same(server.get('/copy', 'MOVE', destination='/d/x', overwrite='F').status, 201)
            for to, wanted in (('/e', 201), ('/e', 409)):  # it cannot exchange names
                same(server.get('/d/', 'COPY', destination=to).status, wanted, to)
            same(server.get('/e/', 'MOVE', destination='/f').status, 201)
            same(server.get('/f/', 'DELETE').status, 204)
            eventually(swept(root))
            before = everything(root)
            with server.connect() as client:
                client.sendall(head('PUT', '/late', 'Content-Length: 1000000') + BYTES[:500000])
                eventually(lambda: len(ours(root)) == 1)
                name = ours(root)[0]
                for method in ('GET', 'DELETE', 'PUT'):
                    same(server.get(f'/{name}', method).status, 404)
                assert b'.errand' not in server.say(head('GET', '/?json', 'Connection: close'))
                with open(os.path.join(root, name), 'rb') as file:  # and so no sweep takes it
                    eventually(lambda: is_locked(file))
            eventually(swept(root))
            same(everything(root), before)
    return None


# --------------------------------------------------------------------------------------------------- the sweep


@test
def leftovers(backend):
    """Only what is ours, older than the process, and used by nobody."""
    root = directory()
    for name in ('.errand-0123456789ABCDEF', '.errand-0123456789abcde', '.errand-0123456789abcdef0', 'x' + OURS,
                 'a/file', 'a/b/c/file', 'a/.hidden/file'):
        write(os.path.join(root, name), b'x')
    os.symlink('a', os.path.join(root, '.errand-1111111111111111'))
    os.mkfifo(os.path.join(root, '.errand-2222222222222222'))
    os.symlink('/', os.path.join(root, 'out'))
    kept = everything(root)
    for place in ('', 'a/b/c', 'a/.hidden'):
        write(os.path.join(root, place, OURS), b'x')
        write(os.path.join(root, place, '.errand-00000000000000ff', 'c', 'deep', 'x'), b'x')
    used, young = os.path.join(root, 'a', '.errand-3333333333333333'), os.path.join(root, '.errand-4444444444444444')
    write(os.path.join(used, 'c', 'x'), b'x')
    lock = os.open(used, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    in_use = ['a/.errand-3333333333333333' + more for more in ('', '/c', '/c/x')]
    with Server(root, backend, '--writable') as server:
        time.sleep(0.02)  # the clock of files is some milliseconds late
        write(young, b'x')
        wanted = sorted({*kept, *in_use, os.path.basename(young)})
        eventually(lambda: len(everything(root)) <= len(wanted))
        same(everything(root), wanted)
        same(server.get('/' + OURS).status, 404)
    os.close(lock)
    with Server(root, backend, '--writable'):
        eventually(lambda: everything(root) == sorted(kept))


@test
def leftovers_elsewhere(backend):
    """Where nobody may write nothing is looked for. What comes later in the configuration is looked at later."""
    top = directory()
    for host in ('one', 'two', 'three'):
        write(os.path.join(top, host, 'd', OURS), b'x')
    write(os.path.join(top, 'errand.conf'), b'[Host]\nDirectory=one\n[Host two]\nDirectory=two\n[Path /d/**]\n'
          b'Writable=yes\n[Host three]\nDirectory=three\nWritable=yes\n')
    with Server(os.path.join(top, 'one'), backend, '-c', os.path.join(top, 'errand.conf')):
        eventually(lambda: not ours(os.path.join(top, 'three')))
        eventually(lambda: not ours(os.path.join(top, 'two')))
        same(ours(os.path.join(top, 'one')), ['d/' + OURS])


@test
def two_servers(backend):
    """One that starts, as in an upgrade, takes nothing away from one that is at work."""
    with Mounted() as root:
        if root is None:
            return 'no /dev/fuse'
        write(os.path.join(root, 'd', OURS), b'x')
        with Server(root, backend, '--writable') as old, old.connect() as client, client.makefile('rb') as stream:
            client.sendall(head('PUT', '/a', 'Content-Length: 1000000') + BYTES[:500000])
            eventually(lambda: len(ours(root)) == 2)
            name = ours(root)[0]
            with open(os.path.join(root, name), 'rb') as file:
                eventually(lambda: is_locked(file))
            eventually(lambda: 'd/' + OURS not in ours(root))  # its own start's sweep
            write(os.path.join(root, 'd', OURS), b'x')
            time.sleep(0.02)  # the clock of files is some milliseconds late
            with Server(root, backend, '--writable'):
                eventually(lambda: 'd/' + OURS not in ours(root))
                same(ours(root), [name])
            client.sendall(BYTES[500000:1000000])
            same(Reply(stream).status, 201)
            same(content(root, 'a') == BYTES[:1000000], True)
    return None


# ------------------------------------------------------------------------------------------- no room for more


@test
def full_disk(backend):
    with Mounted('4m') as root:
        if root is None:
            return 'may not mount'
        write(os.path.join(root, 't', 'a'), BYTES)
        write(os.path.join(root, 't', 'b'), BYTES[:400000])
        config = os.path.join(directory(), 'errand.conf')
        write(config, f'[Host]\nDirectory={root}\nWritable=yes\nUploadSpace=0\n'.encode())
        with Server(root, backend, '-c', config) as server:
            before = os.statvfs(root).f_bfree
            for at in (1 << 20, 3 << 20):  # known at once, or found out by a write
                chunks = b''.join(b'80000\r\n%s\r\n' % BYTES[:0x80000] for _ in range(8)) + b'0\r\n\r\n'
                length = head('PUT', '/x', f'Content-Length: {4 << 20}', 'Connection: close') + (BYTES * 4)[:at]
                same(server.say(length + b'x' * ((4 << 20) - at), end=False)[9:12], b'507')
                same(server.say(head('PUT', '/x', 'Transfer-Encoding: chunked') + chunks, end=False)[9:12], b'507')
            eventually(lambda: os.statvfs(root).f_bfree == before)  # what was refused is freed behind the reply
            same(server.get('/t/', 'COPY', destination='/u/').status, 201)
            same(server.get('/t/', 'COPY', destination='/v/').status, 507)
            eventually(swept(root))  # what there was of it goes after the reply
            for to, wanted in (('/u/c', 201), ('/u/d', 507)):
                same(server.get('/t/a', 'COPY', destination=to).status, wanted)
            eventually(swept(root))
            same(everything(root), ['t', 't/a', 't/b', 'u', 'u/a', 'u/b', 'u/c'])
            same(server.get('/t/', 'DELETE').status, 204)
            eventually(swept(root))
            same(put(server, '/x', BYTES).status, 201)  # the room is free again
    return None


@test
def file_too_large(backend):
    """The limit of the process on a file's size: refused like UploadMax, not the end of the server."""
    root = directory()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (600000, before[1]))
    try:
        server = Server(root, backend, '--writable')
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    with server:
        chunks = b'80000\r\n%s\r\n' % BYTES[:0x80000] + b'80000\r\n%s\r\n' % BYTES[:0x80000] + b'0\r\n\r\n'
        same(server.say(head('PUT', '/x', 'Transfer-Encoding: chunked') + chunks, end=False)[9:12], b'413')
        same(put(server, '/x', BYTES[:600000]).status, 201)
        write(os.path.join(root, 'big'), BYTES)
        same(server.get('/big', 'COPY', destination='/y').status, 413)
        eventually(lambda: everything(root) == ['big', 'x'])


# -------------------------------------------------------------------------------------------------------- kills


# What is asked for, and what must be there after the power went: names and the content of files.
CUTS = (
    (('PUT', '/new', None), {'new': BYTES}), (('PUT', '/d/a', None), {'d/a': BYTES}),
    (('COPY', '/d/a', '/c'), {'c': b'old', 'd/a': b'old'}), (('COPY', '/big', '/d/a'), {'d/a': BYTES}),
    (('COPY', '/t/', '/d/u'), {'d/u/x/1': BYTES[:70000], 'd/u/2': b'2', 'd/u/x/link': '1', 't/2': b'2'}),
    (('COPY', '/t/', '/v/'), {'v/x/1': BYTES[:70000], 'v/2': b'2', 'v/old': None}),
    (('MOVE', '/big', '/d/a'), {'d/a': BYTES, 'big': None}), (('MOVE', '/late', '/d/a'), {'d/a': BYTES, 'late': None}),
    (('MOVE', '/late', '/n'), {'n': BYTES, 'late': None}), (('MOVE', '/d/a', '/n'), {'n': b'old', 'd/a': None}),
    (('MOVE', '/t/', '/d/u'), {'d/u/2': b'2', 't': None}), (('MOVE', '/t/', '/v/'), {'v/2': b'2', 't': None}),
    (('DELETE', '/d/a', None), {'d/a': None}), (('DELETE', '/t/', None), {'t': None}),
    (('MKCOL', '/m/', None), {'m': True}))


def after_cut(backend, disk, request, wanted):
    root = disk.place
    for name, data in (('d/a', b'old'), ('big', BYTES), ('t/x/1', BYTES[:70000]), ('t/2', b'2'), ('v/old', b'x')):
        write(os.path.join(root, name), data)
    os.symlink('1', os.path.join(root, 't', 'x', 'link'))
    subprocess.run(['sync', '-f', root], check=True)
    server = Server(root, backend, '--writable', threads=1)
    write(os.path.join(root, 'late'), BYTES)  # nobody made the disk keep it
    method, path, to = request
    reply = put(server, path, BYTES) if method == 'PUT' else \
        server.get(path, method, **({'destination': to} if to else {}))
    assert reply.status in (201, 204), (request, reply.status)
    disk.cut()
    server.process.send_signal(signal.SIGKILL)
    server.ended()
    disk.again()
    for name, data in wanted.items():
        place = os.path.join(root, name)
        if data is None or data is True:
            same(os.path.lexists(place), data is True, f'{request} {name}')
        elif isinstance(data, str):
            same(os.readlink(place), data, f'{request} {name}')
        else:
            same(content(place) == data, True, f'{request} {name}')
    for name in os.listdir(root):
        if name != 'lost+found':
            subprocess.run(['rm', '-rf', os.path.join(root, name)], check=True)


@test
def power_cuts(backend):
    """What was acknowledged is there after the power went."""
    with Disk() as disk:
        if disk.place is None:
            return 'may not mount'
        for request, wanted in CUTS:
            after_cut(backend, disk, request, wanted)
    return None


def killed_uploads(backend, root, chance, turn):
    """One server, killed among uploads to two names. Returns how many were acknowledged."""
    one, two = b'1' * 300000, b'2' * 300000
    last, count = None, 0
    server = Server(root, backend, '--writable', threads=1)
    client, other = server.connect(), server.connect()
    limit = time.monotonic() + chance.random() * 0.05
    with client, other, client.makefile('rb') as stream:
        other.sendall(head('PUT', f'/other{turn}', 'Content-Length: 300000') + one[:chance.randrange(300001)])
        while time.monotonic() < limit:
            last = two if last == one else one
            client.sendall(head('PUT', f'/{turn}', f'Content-Length: {len(last)}') + last)
            assert Reply(stream).status in (201, 204)
            count += 1
        client.sendall(head('PUT', f'/{turn}', 'Content-Length: 300000') + one[:chance.randrange(300001)])
        time.sleep(chance.random() * 0.003)
        server.process.send_signal(signal.SIGKILL)
        server.ended()
    if last is not None or os.path.exists(os.path.join(root, str(turn))):
        assert content(root, str(turn)) in (one, last), turn
    if os.path.exists(os.path.join(root, f'other{turn}')):
        assert content(root, f'other{turn}') == one, turn
    return count


def killed(backend, root, turns):
    """What was acknowledged is there, and whole, whenever the server is killed; the next start sweeps up."""
    chance = random.Random(backend + str(root is None))
    count = sum(killed_uploads(backend, root, chance, turn) for turn in range(turns))
    left = len(ours(root))
    names = {name for turn in range(turns) for name in (str(turn), f'other{turn}')}
    assert {name for name in everything(root) if '.errand-' not in name} <= names
    with Server(root, backend, '--writable') as server:
        for name in everything(root)[:20]:
            same(server.get('/' + name).status, 404 if '.errand-' in name else 200, name)
        eventually(swept(root))
    if LONG:
        print(f'# {backend}: {turns} kills, {count} uploads acknowledged, {left} names left and swept')


@test
def kills(backend):
    killed(backend, directory(), 1000 if LONG else 30)


@test
def kills_without_tmpfile(backend):
    with Mounted() as root:
        if root is None:
            return 'no /dev/fuse'
        killed(backend, root, 1000 if LONG else 15)
    return None


@test
def killed_changes(backend):
    """Collections appear, are replaced and go as a whole, whenever the server is killed."""
    root, chance = directory(), random.Random(backend)
    for number in range(12):
        write(os.path.join(root, 'from', f'd{number % 3}', str(number)), b'x' * 20000)
    whole = [name.removeprefix('from/') for name in everything(root)][1:]
    steps = (('COPY', '/from/', '/a/', 'a'), ('COPY', '/from/', '/b/', 'b'), ('MOVE', '/a/', '/b/', 'b'),
             ('COPY', '/from/', '/b/', 'b'), ('DELETE', '/b/', None, None))
    for turn in range(200 if LONG else 12):
        server = Server(root, backend, '--writable', threads=1)
        there = set()
        with server.connect() as client, client.makefile('rb') as stream:
            for name in 'ab':
                client.sendall(head('DELETE', f'/{name}/'))
                assert Reply(stream).status in (204, 404)
            for number in range(chance.randrange(1, 12)):
                method, path, to, makes = steps[number % len(steps)]
                client.sendall(head(method, path, *([f'Destination: {to}'] if to else [])))
                assert Reply(stream).status in (201, 204), (method, path)
                there = ({*there, makes} - {None}) - ({path.strip('/')} if method != 'COPY' else set())
            method, path, to, makes = steps[(number + 1) % len(steps)]
            client.sendall(head(method, path, *([f'Destination: {to}'] if to else [])))
            time.sleep(chance.random() * 0.03)
            server.process.send_signal(signal.SIGKILL)
            server.ended()
        touched = {makes} | ({path.strip('/')} if method != 'COPY' else set())
        names = {name for name in os.listdir(root) if not name.startswith('.errand-')}
        assert there - touched <= names - {'from'} <= there | touched, (turn, there, method, path, names)
        for name in names:
            same(everything(os.path.join(root, name)), whole, f'{turn} {name}')
    with Server(root, backend, '--writable'):
        eventually(swept(root))
        same(everything(os.path.join(root, 'from')), whole)


if __name__ == '__main__':
    sys.exit(run(__file__))
