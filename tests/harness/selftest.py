#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Shows that the harness and the runner can fail: each of harness/broken.c's tests must be reported as what it is,
nothing of theirs may be left behind, and the runner must fail when a test fails and when nothing ran."""
import os
import subprocess
import sys
import tempfile

build = os.environ['TEST_BUILD']
source = os.environ['TEST_SOURCE']
os.environ.pop('TEST_BACKENDS', None)  # what is tested here counts its tests on every backend
parts = sys.argv[1:]


# What the harness must say about each, among other things.
REASONS = {
    'bad_check': 'does not hold: 1 > 2', 'bad_int': '-2 (-ENOENT), expected 0', 'bad_string': 'expected "(null)"',
    'bad_bytes': 'differs at byte 2 of 3', 'bad_require': 'does not hold', 'bad_call': 'No such file',
    'bad_failure_before_skip': 'does not hold: false', 'bad_descriptor': 'descriptor leaked', 'bad_crash': '',
    'bad_abort': 'Aborted', 'bad_exit_zero': 'ended by itself with status 0', 'bad_hang': 'over its time limit',
    'bad_child': 'child processes were left', 'bad_daemon': 'left 1 processes behind',
    'bad_thread': 'threads were left behind', 'bad_mount': 'left 1 mounts behind', 'bad_heap': 'heap-use-after-free',
    'bad_leak': 'detected memory leaks',
}


def run(name, check):
    if parts and not any(part in name for part in parts):
        return True
    problem = check()
    print(f'not ok {name}\n# {problem}' if problem else f'ok {name}', flush=True)
    return not problem


def harness():
    with tempfile.TemporaryDirectory() as directory:
        program = os.path.join(build, 'tests', 'broken')
        done = subprocess.run([program], env={**os.environ, 'TMPDIR': directory}, stdout=subprocess.PIPE, text=True)
        lines = [line for line in done.stdout.splitlines() if not line.startswith('#')]
        wrong = []
        for line in lines:
            ok, name = not line.startswith('not '), line.split('broken/')[1]
            skipped = '# skipped: ' in line
            if ok != name.startswith(('good_', 'skip_')) or skipped != name.startswith('skip_'):
                wrong.append(line)
        for block in done.stdout.split('not ok broken/')[1:]:
            name = block.split()[0]
            if REASONS.get(name, '(none)') not in block:
                wrong.append(f'{name} for another reason')
        expected = subprocess.run([program, '--list'], stdout=subprocess.PIPE, text=True).stdout.split()
        if len(lines) != len(expected) or len(lines) < 19:
            wrong.append(f'{len(lines)} results for {len(expected)} tests')
        if done.returncode == 0:
            wrong.append('the program exits with 0 though tests failed')
        left = os.listdir(directory)
        if left or directory in open('/proc/self/mountinfo', encoding='utf-8').read():
            wrong.append(f'left behind: {left}')
        return '; '.join(wrong)


def runner():
    """Runs the runner on lists of its own: (what it runs, whether it must succeed, its last line)."""
    broken = os.path.join(build, 'tests', 'broken')
    cases = [
        ('good', f'program {broken}', ['good_'], True, '3 passed, 0 failed'),
        ('one fails', f'program {broken}', ['good_plain', 'bad_check'], False, '1 passed, 1 failed'),
        ('none selected', f'program {broken}', ['no such test'], False, '0 passed, 0 failed'),
        ('empty list', '', [], False, '0 passed, 0 failed'),
        ('skipped alone', f'program {broken}', ['skip_it'], False, '0 passed, 0 failed, 1 skipped'),
        ('with skipped', f'program {broken}', ['skip_it', 'good_plain'], True, '1 passed, 0 failed, 1 skipped'),
        ('no such program', 'program /does/not/exist', [], False, '0 passed, 1 failed'),
        ('program that crashes', 'script ' + write('kill -SEGV $$'), [], False, '0 passed, 1 failed'),
        ('fails without saying so', 'script ' + write('echo ok a; exit 3'), [], False, '1 passed, 1 failed'),
        ('says nothing', 'script ' + write('exit 0'), [], False, '0 passed, 1 failed'),
        ('says not ok, exits 0', 'script ' + write('echo not ok a'), [], False, '0 passed, 1 failed'),
    ]
    wrong = []
    for name, text, arguments, success, last in cases:
        listing = os.path.join(scratch, 'programs.txt')
        with open(listing, 'w', encoding='utf-8') as file:
            file.write(text + '\n')
        done = subprocess.run([os.path.join(source, 'tests', 'run'), '--programs', listing, build] + arguments,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        line = done.stdout.strip().splitlines()[-1] if done.stdout.strip() else ''
        if (done.returncode == 0) != success or line != last:
            wrong.append(f'{name}: status {done.returncode}, "{line}", expected "{last}"')
    return '; '.join(wrong)


def write(text):
    write.count += 1
    path = os.path.join(scratch, f'script{write.count}')
    with open(path, 'w', encoding='utf-8') as file:
        file.write('#!/bin/sh\n' + text + '\n')
    os.chmod(path, 0o755)
    return path


write.count = 0
with tempfile.TemporaryDirectory() as scratch:
    results = [run('selftest/harness', harness), run('selftest/runner', runner)]
sys.exit(0 if all(results) else 1)
