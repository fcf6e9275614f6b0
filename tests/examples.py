#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs each program of examples/ on each backend and looks at what it prints: the files that it reads, one that is
not there, and what the loop that it lives in, or that lives in it, had to do besides.

    examples.py [PART OF A NAME]...
"""
import os
import subprocess
import sys
import tempfile

BUILD = os.environ.get('TEST_BUILD', 'build-test')
BACKENDS = [name for name in ('uring', 'threads') if name in os.environ.get('TEST_BACKENDS', 'uring threads')]
LIMIT = 30 * int(os.environ.get('TEST_TIMEOUT_SCALE') or 1)
FILES = 40  # more than one errand_queue_dispatch() takes

EXAMPLES = {
    'read-file': [],
    'embed-epoll': ["the loop's timer"],
    'embed-libuv': ["the loop's timer"],
    'embed-glib': ["the loop's timer"],
    'embed-sd-event': ["the loop's timer"],
    'drive-epoll': ["the loop's timer"],
    'drive-libuv': ["the loop's timer", "the loop's work"],
}


def check(program, backend, own):
    """Returns what is wrong, or nothing."""
    with tempfile.TemporaryDirectory() as directory:
        paths, wanted = [], list(own)
        for number in range(FILES):
            paths.append(os.path.join(directory, f'file{number}'))
            with open(paths[-1], 'wb') as file:
                file.write(b'x' * number)
            wanted.append(f'{paths[-1]}: begins with {number} bytes')
        for arguments, lines in (([], list(own)), (paths, wanted)):
            done = subprocess.run([program] + arguments, env={**os.environ, 'ERRAND_BACKEND': backend}, timeout=LIMIT,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
            if done.returncode != 0 or sorted(done.stdout.splitlines()) != sorted(lines):
                return f'status {done.returncode}: {done.stdout[-2000:]}'
        missing = os.path.join(directory, 'missing')
        done = subprocess.run([program, missing], env={**os.environ, 'ERRAND_BACKEND': backend}, timeout=LIMIT,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        said = [line for line in done.stdout.splitlines() if line not in own]
        if done.returncode != 0 or len(said) != 1 or not said[0].endswith('ENOENT'):
            return f'status {done.returncode}: {done.stdout[-2000:]}'
    return ''


def main():
    source = os.environ.get('TEST_SOURCE') or os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    names = os.listdir(os.path.join(source, 'examples'))
    there = {name[:-2].replace('_', '-') for name in names if name.endswith('.c')}
    failed = there != set(EXAMPLES)
    print('not ok' if failed else 'ok', 'examples/each_is_run')
    for name, own in EXAMPLES.items():
        for backend in BACKENDS:
            full = f'examples/{name}@{backend}'
            if sys.argv[1:] and not any(part in full for part in sys.argv[1:]):
                continue
            program = os.path.join(BUILD, 'examples', 'example-' + name)
            if not os.path.exists(program):
                print(f'ok {full} # skipped: the library that it is about is not installed', flush=True)
                continue
            try:
                wrong = check(program, backend, own)
            except subprocess.TimeoutExpired as expired:
                wrong = f'did not end within {LIMIT} s: {expired.output}'
            failed = failed or bool(wrong)
            print(f'not ok {full}' if wrong else f'ok {full}', flush=True)
            for line in wrong.splitlines():
                print('# ' + line)
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
