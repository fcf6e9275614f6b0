#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tests/PROOFS.md says which test shows what: each that it names is one, and each command of FTP has its row."""
import ast
import collections
import glob
import os
import re
import sys

SOURCE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROOFS = 'tests/PROOFS.md'


def read(*path):
    with open(os.path.join(SOURCE, *path), encoding='utf-8') as file:
        return file.read()


def script_tests(path):
    """The functions that a script marks with @test."""
    for node in ast.walk(ast.parse(read(path))):
        if isinstance(node, ast.FunctionDef) and any(isinstance(mark, ast.Name) and mark.id == 'test'
                                                     for mark in node.decorator_list):
            yield node.name


def all_tests():
    """{program: names}, the server's C programs by the name that they are built under."""
    found = collections.defaultdict(set)
    for path in glob.glob('tests/**/*.py', root_dir=SOURCE, recursive=True):
        found[os.path.splitext(os.path.basename(path))[0]].update(script_tests(path))
    for path in glob.glob('tests/**/*.c', root_dir=SOURCE, recursive=True):
        stem = os.path.splitext(os.path.basename(path))[0]
        program = {'server': f'server_{stem}', 'fuzz': f'fuzz_{stem}'}.get(path.split('/')[1], stem)
        found[program].update(re.findall(r'^TEST\w*\((\w+)', read(path), flags=re.M))
    found['fuzz'].update(os.listdir(os.path.join(SOURCE, 'tests/fuzz/corpus')))
    return found


def named(text):
    """What the tables name in backticks that looks like a test: program/test, or a program alone."""
    for cell in re.findall(r'`([a-z_]+(?:/[a-z_0-9]+)?)`', text):
        yield cell


def problems(text, tests):
    for name in named(text):
        program, _, one = name.partition('/')
        if program not in tests and any(name in names for names in tests.values()):
            yield f'`{name}` is a test, but of which program?'
        elif program not in tests or (one and one not in tests[program]):
            yield f'there is no test `{name}`'


def commands_without_proof(text, source):
    """Those of the server's table, and the rows of the table of proofs, that have no other half."""
    there = set(re.findall(r'^    \{"([A-Z]+)", ', source, flags=re.M))
    rows = re.findall(r'^\| ([A-Z, ]+) \| `', text.partition('## Commands of FTP')[2], flags=re.M)
    shown = {name for row in rows for name in row.split(', ')}
    for name in sorted(there - shown):
        yield f'what shows the command {name}?'
    for name in sorted(shown - there):
        yield f'there is no command {name}'


def main():
    tests, text = all_tests(), read(PROOFS)
    wanted = sys.argv[1:]
    failed = False
    source = read('server/ftp/command.c')
    for name, found in (('names', list(problems(text, tests))),
                        ('commands', list(commands_without_proof(text, source))),
                        ('selftest', [] if list(problems('`server_http/nothing_like_it` `nowhere`', tests)) ==
                         ['there is no test `server_http/nothing_like_it`', 'there is no test `nowhere`']
                         else ['a name that is no test was taken for one']),
                        ('commands_selftest', [] if list(commands_without_proof(
                            '## Commands of FTP\n| FROG, PASS | `x` |\n', '    {"PASS", 0},\n    {"USER", 0},\n')) ==
                         ['what shows the command USER?', 'there is no command FROG']
                         else ['a command was overlooked'])):
        if wanted and not any(part in f'proofs/{name}' for part in wanted):
            continue
        failed = failed or bool(found)
        print(f'{"not ok" if found else "ok"} proofs/{name}')
        print(''.join(f'# {PROOFS}: {line}\n' for line in found), end='')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
