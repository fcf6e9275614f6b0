#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Our reader of request heads against two others: h11 and httptools (nodejs' http_parser).

Heads are drawn from a seed, valid ones and ones with something broken. Where two readers see different requests, or
bodies of different lengths, one can be attacked through the other (request smuggling), so:
- what we perform, at least one of the others takes, and who takes what we take understands the same, but for OTHERS;
- what we refuse and another takes, we refuse on purpose: STRICT says why. How often is counted, and must not be never.
TEST_LONG=1 draws many more.

    differential.py [PART OF A NAME]...
"""
# Debian's python by its full path: it is the one that Debian's python3-h11 and python3-httptools are built for.
import os
import random
import re
import struct
import subprocess
import sys

PROGRAM = os.path.join(os.environ.get('TEST_BUILD', 'build-test'), 'tests', 'server', 'read_head')
COUNT = 2000000 if os.environ.get('TEST_LONG') else 100000
REGISTERED = {b'GET', b'HEAD', b'OPTIONS', b'PUT', b'DELETE', b'MKCOL', b'MOVE', b'COPY', b'POST', b'TRACE', b'CONNECT',
              b'PATCH', b'PROPFIND', b'PROPPATCH', b'LOCK', b'UNLOCK'}

# ---------------------------------------------------------------------------------------------- heads

METHODS = ['GET'] * 8 + ['HEAD', 'OPTIONS', 'PUT', 'PUT', 'DELETE', 'MKCOL', 'MOVE', 'COPY', 'POST', 'PATCH', 'BREW',
                         'get', 'CONNECT']
TARGETS = ['/', '/a/b.html', '/a?b=c&d', '//a/../b', '/%41%2f', '/a;b', 'http://b.example/x?y', 'http://b.example'] * 3
TARGETS += ['*', 'https://[::1]:8443/', 'http://u@b/', 'b.example:443', '/\xe9', '/a#b', '/a"<>', 'ftp://a/', 'a', '/?']
VERSIONS = ['HTTP/1.1'] * 15 + ['HTTP/1.0'] * 4 + ['HTTP/1.2', 'HTTP/2.0', 'HTTP/0.9', 'http/1.1', 'HTTP/1.10']
HOSTS = ['a.example', 'a.example:80', '[::1]:80', ''] * 8 + ['a b', 'a/b', 'a,b', 'u@a', '\xe9']
LENGTHS = ['0', '5', '005', '12345678901', '\t5 '] * 5 + ['+5', '-5', '0x5', '5, 5', '5 5', '', '18446744073709551616',
                                                         '9223372036854775807', '5;x', '1e3']
ENCODINGS = ['chunked'] * 12 + ['Chunked', 'gzip, chunked', 'chunked, chunked', 'identity', 'gzip', 'xchunked', '',
                                'chunked;x', '\x0bchunked', 'chunked,', '"chunked"']
FIELDS = [('Connection', ['close', 'keep-alive', 'Close, x', 'upgrade', '']), ('User-Agent', ['x/1 (y; z)', 'a\tb']),
          ('Accept', ['*/*', 'text/html;q=0.5, a/b']), ('If-None-Match', ['"a"', '*', 'W/"b", "c"']),
          ('Range', ['bytes=0-1', 'bytes=-5,7-']), ('Cookie', ['a=b; c="d"', '\xff\xfe']),
          ('X-A', ['', ' ', 'y' * 300]),
          ('Expect', ['100-continue', 'x']), ('Destination', ['/b', 'http://a/b']), ('Authorization', ['Basic YTpi'])]
SPECIAL = ['\r', '\n', '\r\n', ' ', '\t', ':', ',', '\0', '\x0b', '\x7f', '\x80', '(', '/', '#', '\r\n ', '\n\n',
           '\r\r\n', 'a', '0', ';', '_', '\xa0', '\x1f']


def valid_head(draw):
    lines = [f'{draw.choice(METHODS)} {draw.choice(TARGETS)} {draw.choice(VERSIONS)}']
    fields = [] if draw.random() < 0.05 else [('Host', draw.choice(HOSTS))]
    if draw.random() < 0.25:
        fields.append(('Content-Length', draw.choice(LENGTHS)))
    if draw.random() < 0.15:
        fields.append(('Transfer-Encoding', draw.choice(ENCODINGS)))
    for name, values in draw.sample(FIELDS, draw.randrange(4)):
        fields.append((name, draw.choice(values)))
    draw.shuffle(fields)
    for name, value in fields:
        spelled = draw.choice([name, name, name.lower(), name.upper()])
        lines.append(f'{spelled}:{draw.choice([" ", " ", "", "  "])}{value}{draw.choice(["", "", "", " "])}')
    return lines


def broken(draw, lines):
    """Changes one thing of the lines, or of the text that they are put together to."""
    kind, at = draw.randrange(9), draw.randrange(len(lines))
    if kind == 0:
        lines.insert(at, lines[draw.randrange(len(lines))])
    elif kind == 1 and len(lines) > 1:
        del lines[at]
    elif kind == 2:
        lines[at] = lines[at].replace(':', draw.choice([' :', '\t:', '', ';', '::']), 1)
    elif kind == 3:
        lines.insert(at, draw.choice(['', ' folded', '\tfolded', ': x', 'x', 'Host: b', 'Content-Length: 7',
                                      'Transfer-Encoding: chunked']))
    elif kind == 4 and lines[at]:
        cut = draw.randrange(len(lines[at]))
        lines[at] = lines[at][:cut] + lines[at][cut + 1:]
    else:
        cut = draw.randrange(len(lines[at]) + 1)
        lines[at] = lines[at][:cut] + draw.choice(SPECIAL) + lines[at][cut + (draw.random() < 0.3):]
    return lines


def heads(seed, count):
    draw = random.Random(seed)
    for _ in range(count):
        lines = valid_head(draw)
        for _ in range(draw.choice([0, 0, 0, 1, 1, 1, 2, 3])):
            lines = broken(draw, lines)
        yield '\r\n'.join(lines + ['', '']).encode('latin-1')


# -------------------------------------------------------------------------------------------- readers

class Reading:
    """What somebody makes of a head: MORE, REFUSED, or a request."""

    def __init__(self, verdict, method=b'', target=b'', version='', framing='', length=0, keeps=None):
        self.verdict, self.method, self.target, self.version = verdict, method, target, version
        self.framing, self.length, self.keeps = framing, length, keeps

    def __str__(self):
        if self.verdict != 'taken':
            return self.verdict
        return f'{self.method!r} {self.target!r} {self.version} body: {self.framing} keeps: {self.keeps}'


def ours(texts):
    given = b''.join(struct.pack('<I', len(text)) + text for text in texts)
    done = subprocess.run([PROGRAM], input=given, stdout=subprocess.PIPE, check=True)
    for line in done.stdout.decode().splitlines():
        words = line.split()
        if len(words) == 1:
            yield Reading('more' if words[0] == '0' else 'refused')
            continue
        length, method, target, version, framing, keeps = words
        # Where its body ends is unknown, so it is answered with 501 and the connection ended.
        yield Reading('refused' if framing == 'unknown' else 'taken', method.encode(),
                      b'' if target == '-' else bytes.fromhex(target), version, framing, int(length), keeps == '1')


def by_h11(text):
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(text)
    try:
        event = connection.next_event()
    except h11.RemoteProtocolError:
        return Reading('refused')
    if not isinstance(event, h11.Request):
        return Reading('more')
    kind, numbers = body_framing(event.method, event)
    framing = 'chunked' if kind == 'chunked' else str(numbers[0])
    return Reading('taken', event.method, event.target, event.http_version.decode(), framing,
                   len(text) - len(connection.trailing_data[0]))


class Seen:
    """What httptools calls."""

    def __init__(self):
        self.target, self.begun, self.complete, self.over, self.body, self.chunks = b'', 0, False, False, b'', 0

    def on_message_begin(self):
        self.begun += 1

    def on_url(self, url):
        self.target += url

    def on_headers_complete(self):
        self.complete = True

    def on_body(self, body):
        self.body += body

    def on_message_complete(self):
        self.over = True

    def on_chunk_header(self):
        self.chunks += 1


def by_httptools(text):
    """A byte of a body tells how long it thinks that the body is: a chunk's size, or content."""
    seen = Seen()
    parser = httptools.HttpRequestParser(seen)
    try:
        parser.feed_data(text)
    except httptools.HttpParserUpgrade:
        seen.over = True
    except httptools.HttpParserError:
        return Reading('refused')
    if not seen.complete:
        return Reading('more')
    keeps = parser.should_keep_alive()
    method, version = parser.get_method(), parser.get_http_version()
    framing = '0'
    if seen.body or seen.begun > 1:
        framing = 'before the end'
    elif not seen.over:
        parser.feed_data(b'1')
        framing = 'content' if seen.body else 'chunked'
    return Reading('taken', method, seen.target, version, framing, len(text), keeps)


# ----------------------------------------------------------------------------------------- comparing

# Why we refuse what another takes: the first that fits is counted.
STRICT = [
    ('a line that ends with LF alone', re.compile(rb'(?<!\r)\n')),
    ('a folded line', re.compile(rb'\n[ \t]')),
    ('several empty lines before the request', re.compile(rb'\A(\r\n){2}')),
    ('a control character in a field', re.compile(rb'(?s)\n.*[\0-\x08\x0b\x0c\x0e-\x1f\x7f]')),
    ('a CR within a line', re.compile(rb'\r[^\n]')),
    ('blanks before a colon', re.compile(rb'(?m)^[!-9;-~]+[ \t]+:')),
    ('a name of a field that is no token', re.compile(rb'(?m)\n(?!\r)[^:\r]*[^-!#$%&\'*+.^_`|~0-9A-Za-z:\r][^:\r]*:')),
    ('no name of a field, or no colon', re.compile(rb'\n(:|[^:\r]+\r)')),
    ('no Host in HTTP/1.1', re.compile(rb'(?is)\A(?!.*\nhost:)')),
    ('a Host twice', re.compile(rb'(?is)\nhost:.*\nhost:')),
    ('a host with what no host has', re.compile(rb'(?i)(\nhost:[ \t]*|\A(\r\n)?\S+ https?://)[^/?\r\n ]*'
                                                rb'[^-A-Za-z0-9._~:\[\]%!$&\'()*+;=\r\n\t ?/]')),
    ('a Host with a blank or a slash in it', re.compile(rb'(?i)\nhost:([^\r\n]*[/?]|'
                                                        rb'[^\r\n]*[^ \t\r\n][ \t]+[^ \t\r\n])')),
    ('two Content-Lengths, even if they are the same', re.compile(rb'(?is)\ncontent-length:.*\ncontent-length:')),
    ('a Content-Length of more than digits', re.compile(rb'(?i)\ncontent-length:[ \t]*([0-9]*[^0-9\r\n \t]|\r|'
                                                        rb'[0-9]+[ \t]+[^\r])')),
    ('a Content-Length of 19 digits', re.compile(rb'(?i)\ncontent-length:[ \t]*[0-9]{19}')),
    ('Content-Length and Transfer-Encoding', re.compile(rb'(?is)(?=.*\ncontent-length:).*\ntransfer-encoding:')),
    ('Transfer-Encoding in HTTP/1.0', re.compile(rb'(?is) HTTP/1\.0\r.*\ntransfer-encoding:')),
    ('another Transfer-Encoding than chunked', re.compile(rb'(?is)\ntransfer-encoding:')),
    ('a request line with another number of blanks', re.compile(rb'\A(\r\n)?(?!\S+ \S+ \S+\r)')),
    ('a version that is not 1.0 or 1.1', re.compile(rb'\A(\r\n)?[^\r\n]* (?!HTTP/1\.[01]\r)\S*\r')),
    ('a target of another form', re.compile(rb'\A(\r\n)?\S+ (?!(/|(?i:https?)://[^/?@]+|\*))')),
    ('a target with "#"', re.compile(rb'\A(\r\n)?\S+ \S*#')),
    ('a "*" of another method than OPTIONS', re.compile(rb'\A(\r\n)?(?!OPTIONS \* )\S+ \*')),
    ('Authorization or Destination twice', re.compile(rb'(?is)\n(authorization|destination):.*\n\1:')),
    ('a condition twice, of a method that changes something', re.compile(rb'(?is)\n(range|if-none-match):.*\n\1:')),
]

# Who takes a head and understands something else than we do: who, what, of which heads, and why that is all right.
OTHERS = [
    ('httptools', 'the body', re.compile(rb'\A(\r\n)?CONNECT '),
     'what follows CONNECT is a tunnel to it; we answer 405, and end the connection if a body is announced'),
    ('httptools', 'whether the connection stays', re.compile(rb'(?i)\nconnection:([^\r\n]*\t|[ \t]*,)'),
     'it does not know a tab beside "close", or an empty element before it'),
]

# What we perform though both others refuse it.
LENIENT = [
    # h11 wants a target in ASCII; people type others. http_parser takes those, but has then to take the rest alone: it
    # refuses "Transfer-Encoding0: x", for instance.
    re.compile(rb'\A(\r\n)?\S+ \S*[\x80-\xff]'),
]


def is_explained(head, name, what):
    return any(name == whom and what == which and pattern.search(head) for whom, which, pattern, _ in OTHERS)


def differences(us, them, name):
    """What they understand differently, both having taken the head."""
    if us.length != them.length:
        yield 'the end of the head'
    method = us.method
    if (them.method in REGISTERED) != (method != b'?') or (method not in (b'?', b'!') and method != them.method):
        yield 'the method'
    if us.target != them.target:
        yield 'the target'
    if us.version != them.version:
        yield 'the version'
    framing = us.framing
    if name == 'httptools' and framing not in ('0', 'chunked'):
        framing = 'content'
    if framing != them.framing:
        yield 'the body'
    if them.keeps is not None and us.keeps != them.keeps:
        yield 'whether the connection stays'


def compare(head, us, counts):
    """Yields what is wrong with one head."""
    text = head[:us.length] if us.verdict == 'taken' else head
    others = {'h11': by_h11(text), 'httptools': by_httptools(text)}
    taken = {name: them for name, them in others.items() if them.verdict == 'taken'}
    if us.verdict == 'taken':
        counts['taken'] = counts.get('taken', 0) + 1
        performed = us.method not in (b'?', b'!')  # which are answered with 501 and 405
        if performed and not taken and not any(pattern.search(head) for pattern in LENIENT):
            yield 'we take what both refuse'
        for name, them in taken.items():
            for what in differences(us, them, name):
                if not is_explained(head, name, what):
                    yield f'{name} understands {what} differently: {them}'
    elif taken:
        head = head[:head.index(b'\r\n\r\n', 4) + 2]
        reason = next((reason for reason, pattern in STRICT if pattern.search(head)), None)
        if reason is None:
            yield f'taken by {" and ".join(taken)}: {next(iter(taken.values()))}'
        counts[reason] = counts.get(reason, 0) + 1


def main():
    name = 'differential/heads'
    parts = sys.argv[1:]
    if parts and not any(part in name for part in parts):
        return 0
    if h11 is None:
        print(f'ok {name} # skipped: needs Debian\'s python3-h11 and python3-httptools')
        return 0
    counts, wrong = {}, []
    for seed in range(0, COUNT, 20000):
        texts = list(heads(seed, 20000))
        for head, us in zip(texts, ours(texts)):
            wrong += [f'{head!r}: {what}; we: {us}' for what in compare(head, us, counts)]
    wrong += [f'never seen: {reason}' for reason, _ in STRICT if reason not in counts]
    print('not ok' if wrong else 'ok', name)
    for line in wrong[:40]:
        print('# ' + line)
    for reason in ['taken'] + [reason for reason, _ in STRICT]:
        print(f'# {counts.get(reason, 0):6} {"refused: " if reason != "taken" else ""}{reason}')
    return 1 if wrong else 0


try:
    import h11
    import httptools
    from h11._connection import _body_framing as body_framing
except ImportError:
    h11 = None

if __name__ == '__main__':
    sys.exit(main())
