#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every regular file beneath a directory, fetched with wget and with curl from a list, comes out byte for byte."""
import filecmp
import os
import shutil
import subprocess
import sys
import urllib.parse

from served import SLOW, Server, directory, run, same, test, write

NAMES = ['plain', 'with space', 'per%cent', '%41', 'a+b&c=d;e', 'quote"single\'back\\slash', 'que?stion', 'ha#sh',
         'br[ack]et{s}', 'new\nline', 'tab\tname', 'gr\u00fc\u00dfe \u65e5\u672c', '~tilde', 'a:b@c',
         '-dash', '$HOME`x`', 'star*',
         'n' * 255, 'UPPER.HTML', 'trailing.', 'two..dots', 'semi;colon', 'co,mma', 'pi|pe', '<angle>', '^caret']
SIZES = [0, 1, 4095, 4096, 4097, 16383, 16384, 16385, 65535, 65536, 65537, 262143, 262144, 262145, 3 << 20]


def made_up():
    root = directory()
    for number, name in enumerate(NAMES):
        write(os.path.join(root, name), f'{number} {name}'.encode())
        write(os.path.join(root, 'in ' + name[:200], 'file'), name.encode() * 100)
    write(os.path.join(os.fsencode(root), b'not utf-8 \xff\xfe'), b'latin')
    for size in SIZES:
        write(os.path.join(root, 'sizes', str(size)), os.urandom(size))
    deep = os.path.join(root, *['d'] * 200)
    write(os.path.join(deep, 'deep'), b'deep')
    return root


def regular_files(root):
    """Relative names, as bytes, of what is served: no symlinks, nothing hidden."""
    found = []
    for place, folders, names in os.walk(os.fsencode(root)):
        folders[:] = [name for name in folders if not name.startswith(b'.')]
        for name in names:
            path = os.path.join(place, name)
            if not name.startswith(b'.') and os.path.isfile(path) and not os.path.islink(path):
                found.append(os.path.relpath(path, os.fsencode(root)))
    return sorted(found)


def fetch_all(server, root, files):
    urls = [server.url + urllib.parse.quote(name) for name in files]
    place = directory()
    # curl: each to a numbered file.
    config = os.path.join(place, 'config')
    with open(config, 'w', encoding='utf-8') as file:
        for number, url in enumerate(urls):
            file.write(f'url = "{url}"\noutput = "{place}/c{number}"\n')
    done = subprocess.run(['curl', '--silent', '--show-error', '--fail', '--globoff', '--path-as-is', '-K', config],
                          stderr=subprocess.PIPE, timeout=300 * SLOW, check=False)
    same((done.returncode, done.stderr), (0, b''), 'curl')
    for number, name in enumerate(files):
        got, original = f'{place}/c{number}', os.path.join(os.fsencode(root), name)
        if os.path.getsize(original) == 0 and not os.path.exists(got):
            continue  # curl makes no file for an empty body
        assert filecmp.cmp(got, original, shallow=False), f'curl: {name!r} differs'
        os.unlink(got)
    # wget: one document of all, in order, which is what it must equal.
    listing = os.path.join(place, 'list')
    with open(listing, 'w', encoding='utf-8') as file:
        file.write('\n'.join(urls) + '\n')
    everything = os.path.join(place, 'all')
    done = subprocess.run(['wget', '--quiet', '--no-proxy', '--tries=1', '--no-config', '--input-file', listing,
                           '--output-document', everything], timeout=300 * SLOW, check=False)
    same(done.returncode, 0, 'wget')
    with open(everything, 'rb') as got:
        for name in files:
            with open(os.path.join(os.fsencode(root), name), 'rb') as original:
                data = original.read()
            assert got.read(len(data)) == data, f'wget: {name!r} differs'
        same(got.read(1), b'', 'after the last file')


@test
def awkward_names_and_sizes(backend):
    root = made_up()
    files = regular_files(root)
    assert len(files) >= 2 * len(NAMES) + len(SIZES)
    with Server(root, backend) as server:
        fetch_all(server, root, files)


@test
def a_real_directory(backend):
    root = '/usr/share/doc'
    files = regular_files(root) if os.path.isdir(root) else []
    if not files:
        return 'no /usr/share/doc'
    with Server(root, backend) as server:
        fetch_all(server, root, files)
        for place, _, names in os.walk(root):
            for name in names:
                path = os.path.join(place, name)
                if os.path.islink(path) and not os.path.realpath(path).startswith(root + '/'):
                    url = '/' + urllib.parse.quote(os.path.relpath(path, root))
                    same(server.get(url).status, 404, path)
    return None


@test
def downloads_continue(backend):
    """curl -C - and wget -c finish half a download."""
    root = directory()
    data = os.urandom(300000)
    write(os.path.join(root, 'file.bin'), data)
    with Server(root, backend) as server:
        for command in (['curl', '-sS', '-C', '-', '-o', 'file.bin'], ['wget', '-q', '--no-proxy', '-c']):
            if not shutil.which(command[0]):
                continue
            place = directory()
            write(os.path.join(place, 'file.bin'), data[:123456])
            done = subprocess.run(command + [server.url + 'file.bin'], cwd=place, timeout=60 * SLOW, check=False)
            same(done.returncode, 0, command[0])
            with open(os.path.join(place, 'file.bin'), 'rb') as file:
                same(file.read() == data, True, command[0])


if __name__ == '__main__':
    sys.exit(run(__file__))
