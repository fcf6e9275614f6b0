# SPDX-License-Identifier: MIT
"""What the tests of FTP's listings share: large directories, and taking listings apart."""
import os
import re
import tempfile

LONG = bool(os.environ.get('TEST_LONG'))
MANY, HUGE = 40000, 1000000 if LONG else 100000


def fill(root, count, name='many'):
    os.mkdir(os.path.join(root, name))
    fd = os.open(os.path.join(root, name), os.O_RDONLY)
    for i in range(count):
        name, first = f'file-{i:07}', f'file-{i - i % 50000:07}'
        if name == first:
            os.close(os.open(name, os.O_CREAT | os.O_WRONLY, 0o644, dir_fd=fd))
        else:
            os.link(first, name, src_dir_fd=fd, dst_dir_fd=fd)  # faster than many files
    os.close(fd)
    return root


large = []


def many():
    """A site with two large directories, more than sockets hold; made once for all tests that only read it."""
    if not large:
        large.append(tempfile.TemporaryDirectory(prefix='errand-serve-'))
        os.chmod(large[0].name, 0o755)
        fill(large[0].name, MANY)
        fill(large[0].name, HUGE, 'huge')
    return large[0].name


def lines(content):
    """Those of a listing. LF in a name came as NUL."""
    assert content == b'' or content.endswith(b'\r\n'), content[-50:]
    return [line.replace(b'\0', b'\n') for line in content.split(b'\r\n')[:-1]]


def names(control, command):
    return [name.decode() for name in lines(control.fetch(command))]


def facts(line):
    """Of one line, as RFC 3659, 7.2 has it: (facts by their names in lower case, the name)."""
    match = re.fullmatch(rb'((?:[A-Za-z.]+=[^;]*;)*) (.+)', line, re.DOTALL)
    assert match, line
    return {fact.partition('=')[0].lower(): fact.partition('=')[2]
            for fact in match.group(1).decode().split(';')[:-1]}, match.group(2)
