#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Real clients of the FTP server: lftp, curl, wget, tnftp, Python's ftplib, rclone and its FUSE mount. What they fetch,
store, resume and mirror is byte for byte what it was, whatever it is called."""
import ftplib
import io
import os
import random
import shutil
import subprocess
import sys
import urllib.parse

from ftp import FtpServer
from served import SLOW, content, directory, eventually, run, same, test, write

NAMES = ['plain.txt', 'with space', '  two  spaces', 'quote"single\'back', 'grüße 日本', 'semi;colon', 'per%cent', 'ha#sh',
         'a+b&c=d', 'star*', 'que?stion', 'br[ack]et', '-dash', '$HOME', 'tab\tname', '~tilde', 'n' * 200]
SIZES = [0, 1, 4096, 65536, 65537, 1 << 20, (3 << 20) + 7]


def filled(but=(), names=()):
    """A new directory with files of many names and sizes; but: names that the client cannot say."""
    root = directory()
    generator = random.Random(23)
    for name in (*NAMES, *names):
        if name not in but:
            write(os.path.join(root, name), os.fsencode(name) * 50)
            write(os.path.join(root, 'in ' + name, name), os.fsencode(name))
    for size in SIZES:
        write(os.path.join(root, 'sizes', str(size)), generator.randbytes(size))
    os.makedirs(os.path.join(root, 'empty'))
    return root


def tree(root):
    """{relative name: content}, a directory's None."""
    found = {}
    for place, folders, names in os.walk(root):
        for name in folders:
            found[os.path.relpath(os.path.join(place, name), root)] = None
        for name in names:
            found[os.path.relpath(os.path.join(place, name), root)] = content(place, name)
    return found


def same_trees(actual, wanted):
    got, there = tree(actual), tree(wanted)
    same(sorted(set(got) ^ set(there)), [], 'names of one')
    for name, data in there.items():
        assert got[name] == data, name


def client(*command, script=None, wanted=0, cwd=None):
    """Runs one with a home of its own. Returns what it said."""
    environment = {**os.environ, 'HOME': directory(), 'LC_ALL': 'C.UTF-8', 'TERM': 'dumb'}
    done = subprocess.run(command, input=script, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment,
                          timeout=120 * SLOW, check=False, cwd=cwd)
    assert wanted is None or done.returncode == wanted, (command, done.returncode, done.stdout[-2000:])
    return done.stdout


def lftp(server, *lines):
    """Commands of lftp, the first of which that fails ends it."""
    settings = 'set cmd:fail-exit yes; set net:max-retries 2; set net:timeout 20; set mirror:set-permissions no'
    return client('lftp', '-c', f'{settings}; open ftp://127.0.0.1:{server.ftp}/; ' + '; '.join(lines))


def missing(name):
    return None if shutil.which(name) else f'{name} is not installed'


@test
def lftp_mirrors_both_ways(backend):
    """With MLSD and without, one after the other and in parallel; repeated, nothing is fetched twice."""
    if missing('lftp'):
        return missing('lftp')
    root = filled()
    with FtpServer(root, backend, '--writable') as server:
        for number, options in enumerate(('', '--parallel=4', '--use-pget-n=3')):
            here = directory()
            lftp(server, f'mirror {options} / {here}/down')
            same_trees(os.path.join(here, 'down'), root)
            same(lftp(server, f'mirror {options} --verbose / {here}/down'), b'', 'fetched again')
            lftp(server, f'mkdir up{number}', f'mirror -R {options} {here}/down /up{number}')
            same_trees(os.path.join(root, f'up{number}'), os.path.join(here, 'down'))
            lftp(server, f'rm -r /up{number}')
        here = directory()
        lftp(server, 'set ftp:use-mlsd no; set ftp:use-feat no; set ftp:use-site-utime no', f'mirror / {here}/down')
        same_trees(os.path.join(here, 'down'), root)
    return None


@test
def lftp_resumes_and_shares(backend):
    if missing('lftp'):
        return missing('lftp')
    root, here = filled(), directory()
    path = f'sizes/{SIZES[-1]}'
    whole = content(root, path)
    with FtpServer(root, backend, '--writable') as server:
        write(os.path.join(here, 'part'), whole[:1234567])
        lftp(server, f'get -c {path} -o {here}/part', f'pget -n 5 {path} -o {here}/shared')
        assert content(here, 'part') == whole and content(here, 'shared') == whole
        write(os.path.join(root, 'rest'), whole[:999999])
        lftp(server, f'put -c {here}/shared -o rest', f'put {here}/shared -o whole')
        assert content(root, 'rest') == whole and content(root, 'whole') == whole
        lftp(server, 'mv whole "moved here"', 'mkdir made', 'chmod 600 "moved here"', 'rm rest', 'rmdir made',
             'set ftp:passive-mode no', f'get "moved here" -o {here}/active')
        assert content(here, 'active') == whole
        same((os.path.exists(os.path.join(root, 'rest')), os.stat(os.path.join(root, 'moved here')).st_mode & 0o777),
             (False, 0o600))
    return None


def url(server, name):
    return f'ftp://127.0.0.1:{server.ftp}/' + urllib.parse.quote(name)


@test
def curl(backend):
    root, here = filled(but=('tab\tname',)), directory()
    path = f'sizes/{SIZES[-1]}'
    whole = content(root, path)
    quiet = ('curl', '-sS', '--fail', '--path-as-is')
    with FtpServer(root, backend, '--writable') as server:
        for name, data in tree(root).items():
            if data is not None:
                for options in ((), ('--ftp-method', 'nocwd'), ('--disable-epsv',), ('-P', '-')):
                    assert client(*quiet, *options, url(server, name)) == data, (name, options)
        write(os.path.join(here, 'part'), whole[:1000])
        client(*quiet, '-C', '-', '-o', os.path.join(here, 'part'), url(server, path))
        assert content(here, 'part') == whole
        same(client(*quiet, '-r', '1000-1999', url(server, path)), whole[1000:2000])
        client(*quiet, '-T', os.path.join(here, 'part'), '--ftp-create-dirs', url(server, 'new/deep/file'))
        assert content(root, 'new', 'deep', 'file') == whole
        write(os.path.join(root, 'rest'), whole[:5000])
        client(*quiet, '-C', '-', '-T', os.path.join(here, 'part'), url(server, 'rest'))
        client(*quiet, '-a', '-T', os.path.join(here, 'part'), url(server, 'rest'))
        assert content(root, 'rest') == whole * 2
        head = client(*quiet, '-I', url(server, path))
        assert b'Content-Length: %d\r\n' % len(whole) in head and b'Last-Modified: ' in head, head
        same(sorted(client(*quiet, '-l', url(server, '')).decode().splitlines()), sorted(os.listdir(root)))
        client(*quiet, '-Q', '-RNFR /rest', '-Q', '-RNTO /renamed', '-Q', '-DELE /renamed', url(server, 'plain.txt'))
        assert not {'rest', 'renamed'} & set(os.listdir(root))
        same(client(*quiet, url(server, 'none'), wanted=None)[:9], b'curl: (78'[:9])
        for bad in ('plain.txt/x', 'none/x'):
            assert b'curl: (9)' in client(*quiet, url(server, bad), wanted=None)


@test
def wget(backend):
    root, here = filled(but=('  two  spaces', 'tab\tname', 'per%cent')), directory()
    path = f'sizes/{SIZES[-1]}'
    whole = content(root, path)
    with FtpServer(root, backend) as server:
        client('wget', '-nv', '-r', '-l', '9', '-nH', '--restrict-file-names=nocontrol', '--no-remove-listing',
               '-P', here, f'ftp://127.0.0.1:{server.ftp}/')
        for place, _, names in os.walk(here):
            for name in names:
                if name == '.listing':
                    os.remove(os.path.join(place, name))
        os.makedirs(os.path.join(here, 'empty'), exist_ok=True)  # it makes none
        same_trees(here, root)
        write(os.path.join(here, 'part', os.path.basename(path)), whole[:77777])
        client('wget', '-nv', '-c', '-P', os.path.join(here, 'part'), url(server, path))
        assert content(here, 'part', os.path.basename(path)) == whole
        client('wget', '-nv', '--no-passive-ftp', '-O', os.path.join(here, 'active'), url(server, path))
        assert content(here, 'active') == whole


@test
def tnftp(backend):
    """Debian's ftp."""
    if missing('tnftp'):
        return missing('tnftp')
    root, here = filled(), directory()
    whole = content(root, 'sizes', str(SIZES[-1]))
    write(os.path.join(here, 'reget'), whole[:100000])
    script = (f'user anonymous me\nbinary\nget sizes/{SIZES[-1]} got\nreget sizes/{SIZES[-1]} reget\nput got stored\n'
              'mkdir made\ncd made\nput got "with space"\nls\nmls . listed\nmodtime "with space"\nsize "with space"\n'
              'rename "with space" other\nchmod 640 other\ncd ..\npassive off\nget stored active\npassive on\n'
              'rmdir made\ndelete stored\nascii\nget plain.txt lines\nquit\n')
    with FtpServer(root, backend, '--writable') as server:
        said = client('tnftp', '-n', '-v', '-i', '127.0.0.1', str(server.ftp), script=script.encode(), cwd=here)
        for name in ('got', 'reget', 'active'):
            assert content(here, name) == whole, (name, said)
        assert content(root, 'made', 'other') == whole, said
        same((os.listdir(os.path.join(root, 'made')), 'stored' in os.listdir(root)), (['other'], False), said)
        same(content(here, 'lines'), content(root, 'plain.txt'))
        assert b'550 ' in said and b'with space' in said, said  # the directory is not empty
    return None


@test
def by_ftplib(backend):
    root = filled()
    with FtpServer(root, backend, '--writable') as server, ftplib.FTP(encoding='utf-8') as session:
        session.connect('127.0.0.1', server.ftp, 20 * SLOW)
        session.login()
        for place, folders, names in os.walk(root):
            here = '/' + os.path.relpath(place, root).removeprefix('.')
            entries = {name: facts for name, facts in session.mlsd(here) if name not in ('.', '..')}
            same(sorted(entries), sorted(folders + names))
            same(sorted(os.path.basename(name) for name in session.nlst(here)), sorted(folders + names))
            for name in names:
                path, size = os.path.join(here, name), os.path.getsize(os.path.join(place, name))
                same(int(entries[name]['size']), size)
                for rest in (None, 0, size // 3, size):
                    got = io.BytesIO()
                    session.retrbinary(f'RETR {path}', got.write, rest=rest)
                    assert got.getvalue() == content(place, name)[rest or 0:], path
        session.mkd('up')
        session.cwd('up')
        for name in NAMES:
            session.storbinary(f'STOR {name}', io.BytesIO(name.encode() * 1000))
            session.storbinary(f'APPE {name}', io.BytesIO(b'more'))
            session.rename(name, name + '.new')
            same(session.size(name + '.new'), len(name.encode()) * 1000 + 4)
            same(content(root, 'up', name + '.new'), name.encode() * 1000 + b'more')
            session.delete(name + '.new')
        session.storlines('STOR lines', io.BytesIO(b'one\ntwo\n'))
        lines = []
        session.retrlines('RETR lines', lines.append)
        same((lines, content(root, 'up', 'lines')), (['one', 'two'], b'one\ntwo\n'))
        session.delete('lines')
        session.cwd('..')
        session.rmd('up')
        same(session.pwd(), '/')
        session.quit()


def said(name):
    """As a line has it (RFC 2640, 3.1, and servers before)."""
    return name.replace(b'\r', b'\r\0').replace(b'\n', b'\0').replace(b'\xff', b'\xff\xff')


def copy(control, path, to):
    """What is at the path, by MLSD and RETR, to another directory of the server, by MKD and STOR."""
    for line in control.fetch(b'MLSD ' + said(path)).split(b'\r\n')[:-1]:
        facts, name = line.split(b' ', 1)
        name = name.replace(b'\0', b'\n')
        if b'type=dir;' in facts:
            control.command(b'MKD ' + said(to + b'/' + name), 257)
            copy(control, path + b'/' + name, to + b'/' + name)
        elif b'type=file;' in facts:
            control.store(b'STOR ' + said(to + b'/' + name), control.fetch(b'RETR ' + said(path + b'/' + name)))


@test
def any_name(backend):
    """The clients above cannot say a line's end in a name; the protocol can."""
    names = ['new\nline', 'return\rname', '\r', '\n\n', 'a\r\nb', ' ', '\udcff', 'latin\udce4', '\x01\x1b[2J']
    root = filled(names=names)
    wanted = tree(root)
    with FtpServer(root, backend, '--writable') as server, server.control() as control:
        control.command('MKD /from', 257)
        for name in os.listdir(root):
            if name != 'from':
                control.command(b'RNFR ' + said(os.fsencode(name)), 350)
                control.command(b'RNTO /from/' + said(os.fsencode(name)), 250)
        control.command('MKD /to', 257)
        copy(control, b'/from', b'/to')
    assert tree(os.path.join(root, 'from')) == wanted
    same_trees(os.path.join(root, 'to'), os.path.join(root, 'from'))


def rclone(server, *arguments):
    return [shutil.which('rclone'), '--config', '/dev/null', '--ftp-host', '127.0.0.1', '--ftp-port', str(server.ftp),
            '--ftp-user', 'anonymous', '--ftp-pass', 'HRbIMFUYDJjGIDxgoBKYOa0NvBk', '--retries', '1',
            '--ftp-encoding', 'Slash', *arguments]


@test
def rclone_syncs_both_ways(backend):
    if missing('rclone'):
        return missing('rclone')
    root = filled()
    with FtpServer(root, backend, '--writable') as server:
        here = os.path.join(directory(), 'down')
        client(*rclone(server, 'sync', '--create-empty-src-dirs', ':ftp:/', here))
        same_trees(here, root)
        client(*rclone(server, 'sync', '--create-empty-src-dirs', here, ':ftp:/up'))
        same_trees(os.path.join(root, 'up'), here)
        client(*rclone(server, 'check', '--download', here, ':ftp:/up'))
        client(*rclone(server, 'purge', ':ftp:/up'))
        same('up' in os.listdir(root), False)
    return None


@test
def fuse_mount(backend):
    """As a filesystem: listings, reads in any order, files written, renamed and removed."""
    if missing('rclone') or not os.access('/dev/fuse', os.R_OK | os.W_OK) or missing('fusermount3'):
        return 'no rclone, or no FUSE'
    root, place = filled(but=('tab\tname',)), directory()
    generator = random.Random(3)
    with FtpServer(root, backend, '--writable') as server:
        options = ('--vfs-cache-mode', 'off', '--dir-cache-time', '0')
        mount = subprocess.Popen(rclone(server, 'mount', ':ftp:/', place, *options), stdin=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL, env={**os.environ, 'HOME': directory()})
        try:
            eventually(lambda: os.path.ismount(place) or mount.poll() is not None, 20)
            same_trees(place, root)
            path = os.path.join('sizes', str(SIZES[-1]))
            whole = content(root, path)
            with open(os.path.join(place, path), 'rb') as file:
                for _ in range(20):
                    at = generator.randrange(len(whole))
                    file.seek(at)
                    same(file.read(5000), whole[at:at + 5000])
            write(os.path.join(place, 'made', 'new file'), whole)
            assert content(root, 'made', 'new file') == whole
            os.rename(os.path.join(place, 'made', 'new file'), os.path.join(place, 'made', 'other'))
            same(os.listdir(os.path.join(root, 'made')), ['other'])
            os.remove(os.path.join(place, 'made', 'other'))
            os.rmdir(os.path.join(place, 'made'))
            same('made' in os.listdir(root), False)
        finally:
            subprocess.run(['fusermount3', '-u', '-z', place], check=False)
            mount.terminate()
            mount.wait()
    return None


if __name__ == '__main__':
    sys.exit(run(__file__))
