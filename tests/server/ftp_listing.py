#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Listings by FTP: what they say, and how nasty names are written."""
import ftplib
import io
import os
import re
import stat
import sys
import time

from ftp import FtpServer
from ftp_lists import facts, lines, names
from served import SLOW, directory, run, same, test, write

NASTY = [b'"quoted"', b"it's", b'a\nb', b'two\n\nlines', b'\n', b'x\r', b'c\rr', b'latin\xe9\xff', b'a;b=c', b' lead',
         b'trail ', b'back\\slash', 'späß \U0001f600'.encode(), b'tab\there', b'[x]', b'st*r', b'wh?t', b'-la',
         b'a -> b',
         b'x' * 255, b'\x7f', b'\x1b[2J', b'~', b'%41', b'250 End', b'226 Done']
ALL = 'type;size;modify;perm;unique;UNIX.mode;UNIX.owner;UNIX.group;'


def site(**files):
    root = directory()
    write(os.path.join(root, 'a.txt'), b'hello')
    write(os.path.join(root, 'b.txt'), b'x' * 12345)
    write(os.path.join(root, 'sub', 'in'), b'below')
    os.symlink('a.txt', os.path.join(root, 'link'))
    os.mkfifo(os.path.join(root, 'fifo'))
    for name, data in files.items():
        write(os.path.join(root, name), data)
    return root


def long_line(path, name, links=True):
    """As ls -l has it, and vsftpd."""
    found = os.lstat(path) if links else os.stat(path)
    when = '%b %d %H:%M' if time.time() - 182 * 86400 < found.st_mtime else '%b %d  %Y'
    target = f' -> {os.readlink(path)}' if stat.S_ISLNK(found.st_mode) else ''
    return (f'{stat.filemode(found.st_mode)} {found.st_nlink:4} {found.st_uid:<8} {found.st_gid:<8} {found.st_size:8} '
            f'{time.strftime(when, time.gmtime(found.st_mtime))} {name}{target}')


@test
def as_ls_has_it(backend):
    root = site()
    os.utime(os.path.join(root, 'a.txt'), (0, 1234567890.9))
    os.chmod(os.path.join(root, 'b.txt'), 0o4751)
    wanted = [long_line(os.path.join(root, name), name) for name in ('a.txt', 'b.txt', 'fifo', 'link', 'sub')]
    with FtpServer(root, backend) as server, server.control() as control:
        for command in ('LIST', 'LIST /', 'LIST .', 'LIST -la', 'LIST -R', 'LIST -a -l /', 'NLST -l', 'LIST sub/..'):
            same(names(control, command), wanted, command)
        control.command('TYPE I', 200)
        same(names(control, 'LIST'), wanted, 'of TYPE I')
        same(names(control, 'LIST a.txt'), wanted[:1])
        same(names(control, 'LIST sub/in'), [long_line(os.path.join(root, 'sub', 'in'), 'in')])
        same(names(control, 'LIST link'), [long_line(os.path.join(root, 'link'), 'link', links=False)
                                           .replace(' -> a.txt', '')], 'what it leads to')
        same(names(control, 'LIST sub'), [long_line(os.path.join(root, 'sub', 'in'), 'in')])
        same(names(control, 'LIST -r'), wanted[::-1])
        control.command('CWD sub', 250)
        same(len(names(control, 'LIST')), 1)
        control.quit()


@test
def names_alone(backend):
    root = site()
    with FtpServer(root, backend) as server, server.control() as control:
        everything = ['a.txt', 'b.txt', 'fifo', 'link', 'sub']
        same(names(control, 'NLST'), everything)
        same(names(control, 'NLST .'), everything)
        for command, wanted in (('NLST /', ['/' + name for name in everything]), ('NLST sub', ['sub/in']),
                                ('NLST sub/', ['sub/in']), ('NLST /sub', ['/sub/in']), ('NLST a.txt', ['a.txt']),
                                ('NLST ./sub/../a.txt', ['./sub/../a.txt']), ('NLST -a sub', ['sub/in'])):
            same(names(control, command), wanted, command)
        for number, name in enumerate(('b.txt', 'sub', 'a.txt', 'fifo')):
            os.utime(os.path.join(root, name), (1000 + number, 1000 + number))
        os.utime(os.path.join(root, 'link'), (1, 1), follow_symlinks=False)
        same(names(control, 'NLST -t'), ['fifo', 'a.txt', 'sub', 'b.txt', 'link'])
        same(names(control, 'NLST -rt'), ['link', 'b.txt', 'sub', 'a.txt', 'fifo'])


@test
def patterns(backend):
    root = site(**{'c[1]': b'', 'ä.txt': b'', 'sub/x.txt': b''})
    with FtpServer(root, backend) as server, server.control() as control:
        for pattern, wanted in (('*.txt', 'a.txt b.txt ä.txt'), ('?.txt', 'a.txt b.txt ä.txt'),
                                ('[ab]*', 'a.txt b.txt'), ('[!ab]*', 'c[1] fifo link sub ä.txt'),
                                ('sub/*', 'sub/in sub/x.txt'),
                                ('/sub/*.txt', '/sub/x.txt'), ('*', 'a.txt b.txt c[1] fifo link sub ä.txt'),
                                ('c[1]', 'c[1]'), ('*[*', 'c[1]'), ('s*b', 'sub'), ('*none*', ''), ('../*b', '../sub')):
            same(names(control, f'NLST {pattern}'), wanted.split(), pattern)
            listed = [line.split()[8] for line in names(control, f'LIST {pattern}')]
            same(listed, [name.rpartition('/')[2] for name in wanted.split()], pattern)
        for pattern in ('none/*', '*/in'):
            with control.passive():
                control.command(f'NLST {pattern}', 550)
        os.mkdir(os.path.join(root, 'long'))
        write(os.path.join(root, 'long', 'a' * 255), b'')
        for pattern in ('a*' * 100 + 'b', '*a' * 127, '[a]*' * 60 + 'x', '*' * 255):
            same(len(names(control, f'NLST long/{pattern}')), pattern[-1] in 'a*', pattern[:10])


@test
def by_facts(backend):
    root = site()
    with FtpServer(root, backend) as server, server.control() as control:
        for command in ('MLSD', 'MLSD /', 'MLSD sub/..'):
            found = {name.decode(): fact for fact, name in map(facts, lines(control.fetch(command)))}
            same(sorted(found), ['a.txt', 'b.txt', 'fifo', 'link', 'sub'])
        for name, kind in (('a.txt', 'file'), ('sub', 'dir'), ('fifo', 'OS.unix=pipe'),
                           ('link', 'OS.unix=slink:a.txt')):
            status, fact = os.lstat(os.path.join(root, name)), found[name]
            same(fact['type'], kind)
            same(fact['modify'], time.strftime('%Y%m%d%H%M%S', time.gmtime(int(status.st_mtime))))
            same(fact.get('size'), str(status.st_size) if kind == 'file' else None)
            same(int(fact['unix.mode'], 8), status.st_mode & 0o7777)
            same((fact['unix.owner'], fact['unix.group']), (str(status.st_uid), str(status.st_gid)))
            same(fact['perm'], {'file': 'r', 'dir': 'el'}.get(kind, ''))
        same(len({fact['unique'] for fact in found.values()}), 5)
        same(facts(lines(control.fetch('MLSD sub'))[0])[1], b'in')
        for name in ('a.txt', 'link'):
            with control.passive():
                control.command(f'MLSD {name}', 501)
        with control.passive():
            control.command('MLSD none', 550)
    with FtpServer(root, backend, '--writable') as server, server.control() as control:
        found = {name: fact['perm'] for fact, name in map(facts, lines(control.fetch('MLSD')))}
        same((found[b'a.txt'], found[b'sub']), ('adfrw', 'cdeflmp'))


@test
def facts_of_one(backend):
    root = site(**{'new\nline': b'', 'with "quotes"': b''})
    write(os.path.join(os.fsencode(root), b'i\xffac'), b'')
    with FtpServer(root, backend) as server, server.control() as control:
        def told(argument):
            reply = control.command(f'MLST{argument}', 250).split(b'\n')
            same(len(reply), 3)
            assert reply[1].startswith(b' '), reply
            return facts(reply[1][1:])

        same(told(' a.txt')[1], b'/a.txt')
        same(told(' a.txt')[0]['size'], '5')
        same(told(' link')[0]['type'], 'file')
        same((told('')[0]['type'], told('')[1]), ('dir', b'/'))
        control.command('CWD sub', 250)
        same((told('')[0]['type'], told('')[1]), ('dir', b'/sub'))
        same(told(' in')[1], b'/sub/in')
        same(told(' /with "quotes"')[1], b'/with "quotes"')
        same(told(' /new\0line')[1], b'/new\0line')
        same(facts(control.command(b'MLST /i\xff\xffac', 250).split(b'\n')[1][1:])[1], b'/i\xff\xffac')
        for name in ('none', 'in/x'):
            control.command(f'MLST {name}', 550)


@test
def facts_are_chosen(backend):
    with FtpServer(site(), backend) as server, server.control(login=False) as control:
        def offered():
            return re.search(rb'\n MLST ([^\n]*)\n', control.command('FEAT', 211)).group(1).decode()

        same(offered(), ALL.replace(';', '*;'))
        same(control.command('OPTS MLST Size;type;nonsense;', 200), b'MLST OPTS type;size;')
        same(offered(), 'type*;size*;modify;perm;unique;UNIX.mode;UNIX.owner;UNIX.group;')
        control.command('USER anonymous', 331)
        control.command('PASS me@', 230)
        assert b'type=file;size=5; a.txt\r\n' in control.fetch('MLSD')
        same(control.command('MLST a.txt', 250).split(b'\n')[1], b' type=file;size=5; /a.txt')
        same(control.command('OPTS MLST', 200), b'MLST OPTS')
        same(lines(control.fetch('MLSD sub')), [b' in'])
        same(control.command('opts mlst ' + ALL, 200), b'MLST OPTS ' + ALL.encode())
        control.command('OPTS MLST type;', 200)
        control.command('REIN', 220)
        same(offered(), ALL.replace(';', '*;'))
        control.command('OPTS MLSTX', 501)
        assert b'LIST' in control.command('HELP LIST', 214)
        assert re.search(rb' MLSD\b', control.command('HELP', 214))


@test
def on_the_control_connection(backend):
    with FtpServer(site(), backend) as server, server.control() as control:
        same(control.command('STAT /', 213).split(b'\n')[1:-1], [b' ' + line for line in lines(control.fetch('LIST'))])
        same(len(control.command('STAT -l a.txt', 213).split(b'\n')), 3)
        same([line.split()[8] for line in control.command('STAT *.txt', 213).split(b'\n')[1:-1]],
             [b'a.txt', b'b.txt'])
        control.command('STAT none', 550)
        control.quit()


@test
def nasty_names(backend):
    root = os.fsencode(directory())
    for name in NASTY:
        write(os.path.join(root, name), name)
        write(os.path.join(root, b'dir-' + name[:200], b'in'), name)
    with FtpServer(os.fsdecode(root), backend) as server, server.control() as control:
        wanted = sorted(NASTY + [b'dir-' + name[:200] for name in NASTY])
        control.command('TYPE I', 200)
        same(sorted(lines(control.fetch('NLST'))), wanted)
        same(sorted(facts(line)[1] for line in lines(control.fetch('MLSD'))), wanted)
        listed = [re.fullmatch(rb'\S+ +1 \S+ +\S+ +\d+ \w{3} \d\d \d\d:\d\d (.*)', line, re.DOTALL)
                  for line in lines(control.fetch('LIST')) if line.startswith(b'-')]
        same(sorted(match.group(1) for match in listed), sorted(NASTY))
        for name in NASTY:
            said = name.replace(b'\r', b'\r\0').replace(b'\n', b'\0').replace(b'\xff', b'\xff\xff')
            same(control.fetch(b'RETR ' + said), name)
            same(control.fetch(b'NLST ./' + said), b'./' + name.replace(b'\n', b'\0') + b'\r\n')
            same(lines(control.fetch(b'MLSD dir-' + said.replace(name, name[:200])))[0].split(b' ', 1)[1], b'in')


@test
def what_is_not_listed(backend):
    root = directory()
    for name in ('www/.secret', 'www/.errand-0123456789abcdef', 'www/seen', 'www/deny.key', 'www/priv/x',
                 'www/.well-known/x'):
        write(os.path.join(root, name), b'')
    os.mkdir(os.path.join(root, 'www', 'empty'))
    os.symlink('/etc', os.path.join(root, 'www', 'out'))
    config = os.path.join(root, 'errand.conf')
    for hidden, plain, dotted in (('no', ['empty', 'out', 'seen'], ['.well-known', 'empty', 'out', 'seen']),
                                  ('yes', ['empty', 'out', 'seen'],
                                   ['.secret', '.well-known', 'empty', 'out', 'seen'])):
        write(config, f'[Host]\nDirectory={root}/www\nHidden={hidden}\n[Path *.key]\nDeny=yes\n'
                      '[Path /priv/**]\nDeny=yes\n'.encode())
        with FtpServer(os.path.join(root, 'www'), backend, '-c', config) as server, server.control() as control:
            same(names(control, 'NLST'), plain)
            same(names(control, 'NLST -a'), dotted)
            same([facts(line)[1].decode() for line in lines(control.fetch('MLSD'))], dotted)
            if hidden == 'yes':
                same(names(control, 'NLST .w*'), ['.well-known'])
            same(names(control, 'NLST d*'), [])
            for command in ('LIST', 'NLST', 'MLSD'):
                same(control.fetch(f'{command} empty'), b'')
                for name in ('none', 'priv', 'deny.key', 'out', 'out/passwd', '.errand-0123456789abcdef', 'seen/x',
                             'x' * 300):
                    with control.passive():
                        control.command(f'{command} {name}', 501, 550, 553)
            same(names(control, 'NLST ../../..'), [f'../../../{name}' for name in plain])
            control.command('LIST', 425)
            same(control.command('STAT empty', 213).split(b'\n')[1:], [b'213 End'])


@test
def unreadable(backend):
    root = site()
    write(os.path.join(root, 'shut', 'in'), b'')
    write(os.path.join(root, 'blind', 'in'), b'')
    os.chmod(os.path.join(root, 'shut'), 0o311)
    os.chmod(os.path.join(root, 'blind'), 0o644)
    user = 65534 if os.geteuid() == 0 else None
    try:
        with FtpServer(root, backend, user=user) as server, server.control() as control:
            for command in ('LIST', 'MLSD', 'STAT'):
                with control.passive():
                    control.command(f'{command} shut', 550)
            same(names(control, 'NLST sub'), ['sub/in'])
            same(names(control, 'NLST blind'), ['blind/in'])
            same(names(control, 'MLSD blind'), ['type=file;perm=r; in'])
            same(names(control, 'LIST blind'), ['----------    0 0        0               0 Jan 01  1970 in'])
    except PermissionError:
        return 'cannot become another user'
    finally:
        os.chmod(os.path.join(root, 'shut'), 0o755)
        os.chmod(os.path.join(root, 'blind'), 0o755)
    return None


@test
def by_ftplib(backend):
    root = site()
    with FtpServer(root, backend) as server, ftplib.FTP(encoding='utf-8') as client:
        client.connect('127.0.0.1', server.ftp, 20 * SLOW)
        client.login()
        for passive in (True, False):
            client.set_pasv(passive)
            same(client.nlst(), ['a.txt', 'b.txt', 'fifo', 'link', 'sub'])
            same(client.nlst('sub'), ['sub/in'])
            found = dict(client.mlsd(facts=['type', 'size']))
            same(found['a.txt'], {'type': 'file', 'size': '5'})
            same(found['sub'], {'type': 'dir'})
            said = []
            client.dir(said.append)
            same(said[0], long_line(os.path.join(root, 'a.txt'), 'a.txt'))
            same(len(said), 5)
        out = io.BytesIO()
        client.retrbinary('RETR a.txt', out.write)
        same(out.getvalue(), b'hello')
        client.quit()


if __name__ == '__main__':
    sys.exit(run(__file__))
