#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The units of systemd/: what systemd itself thinks of them, and that they forbid nothing that errand serve needs.

    systemd.py [PART OF A NAME]...
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

SOURCE = os.environ.get('TEST_SOURCE') or os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.environ.get('TEST_BUILD', 'build-test')
# What the supervisor, and a serving process before it confines itself, call besides.
ITS_OWN = {'landlock_create_ruleset', 'landlock_add_rule', 'landlock_restrict_self', 'seccomp', 'prctl', 'socket',
           'bind', 'listen', 'connect', 'pipe2', 'dup', 'clone', 'clone3', 'vfork', 'execve', 'waitid', 'kill',
           'pidfd_open', 'memfd_create', 'getppid', 'prlimit64'}
EXPOSED_MOST = 20  # tenths, of `systemd-analyze security`: 0 is no service at all, 96 one without any of these lines


def read(*path):
    with open(os.path.join(*path), encoding='utf-8') as file:
        return file.read()


def analyze(*arguments):
    done = subprocess.run(['systemd-analyze', *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    return done.returncode, done.stdout


def units(folder, old='', new=''):
    """The units as they would be installed, of the program that was built; perhaps with a change. Their paths."""
    service = read(BUILD, 'systemd', 'errand.service')
    assert '@' not in re.sub(r'@[a-z-]+', '', service), 'something was not filled in'
    service = re.sub(r'/\S*/bin/errand', os.path.abspath(os.path.join(BUILD, 'cli', 'errand')), service)
    assert old in service, old
    sockets = ['errand.socket', 'errand-ftp.socket']
    paths = [os.path.join(folder, name) for name in ['errand.service', *sockets]]
    for path, text in zip(paths, (service.replace(old, new) if old else service,
                                  *(read(SOURCE, 'systemd', name) for name in sockets))):
        with open(path, 'w', encoding='utf-8') as file:
            file.write(text)
    return paths


def verified(folder):
    """systemd-analyze verify has nothing to say, but would about a mistake."""
    code, said = analyze('verify', '--man=no', *units(folder))
    assert (code, said) == (0, ''), said
    for old, new in (('ProtectSystem=strict', 'ProtectSystem=stirct'), ('KillMode', 'KilMode'),
                     ('/cli/errand serve -c', '/cli/no-such-program serve -c')):
        code, said = analyze('verify', '--man=no', *units(folder, old, new))
        assert code != 0 or said, f'nothing was said about {new}'


def hardly_exposed(folder):
    """systemd-analyze security thinks well of it, and would not of less."""
    def exposed(*change):
        service, *_ = units(folder, *change)
        return analyze('security', '--offline=yes', '--no-pager', f'--threshold={EXPOSED_MOST}', service)
    code, said = exposed()
    assert code == 0, said.splitlines()[-1:]
    assert exposed('CapabilityBoundingSet=CAP_NET_BIND_SERVICE\n', '')[0] != 0, 'it does not look at this unit'


def members(name, sets):
    """The calls of a filter set, those of the sets in it included."""
    return {call for item in sets[name] for call in (members(item, sets) if item.startswith('@') else [item])}


def filter_suffices(_):
    """What a confined server keeps by itself is in the unit's filter, too, but for what this systemd does not know."""
    sets, at = {}, None
    for line in analyze('syscall-filter')[1].splitlines():
        if re.match(r'@[\w-]+$', line):
            at = sets.setdefault(line, [])
        elif at is not None and re.match(r' +[@\w-]+$', line):
            at.append(line.strip())
    kept = set(re.findall(r'SCMP_SYS\((\w+)\)', read(SOURCE, 'server', 'operation', 'confine_calls.c')))
    assert len(kept) > 80 and 'openat2' in kept
    allowed = set()
    for item in re.search(r'^SystemCallFilter=(.*)', read(BUILD, 'systemd', 'errand.service'), flags=re.M)[1].split():
        allowed |= members(item, sets) if item.startswith('@') else {item}
    assert (kept & members('@known', sets)) <= allowed, kept - allowed
    missing = ITS_OWN - allowed
    assert not missing, missing


def names_of_sockets(_):
    """A socket unit names its descriptors as the server knows them: another name would be a web server's."""
    kinds = re.search(r'listener_kinds\[LISTENER_KINDS\] = \{(.*?)\}',
                      read(SOURCE, 'server', 'operation', 'listeners.c'))[1].replace('"', '').split(', ')
    found = {}
    for name in ('errand.socket', 'errand-ftp.socket'):
        text = read(SOURCE, 'systemd', name)
        found[name] = re.findall(r'^FileDescriptorName=(\w+)$', text, flags=re.M)
        service = re.findall(r'^Service=(\S+)$', text, flags=re.M) or [name.replace('.socket', '.service')]
        assert service == ['errand.service'], (name, service)
    assert found == {'errand.socket': ['http'], 'errand-ftp.socket': ['ftp']} and {'http', 'ftp'} < set(kinds), found


CHECKS = [verified, hardly_exposed, filter_suffices, names_of_sockets]


def main():
    failed = False
    for check in CHECKS:
        name = f'systemd/{check.__name__}'
        if sys.argv[1:] and not any(part in name for part in sys.argv[1:]):
            continue
        if not shutil.which('systemd-analyze'):
            print(f'ok {name} # skipped: there is no systemd-analyze here')
            continue
        with tempfile.TemporaryDirectory() as folder:
            try:
                check(folder)
                print(f'ok {name}', flush=True)
            except AssertionError as error:
                failed = True
                print(f'not ok {name}')
                print(''.join(f'# {line}\n' for line in str(error).splitlines()), end='', flush=True)
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
