# SPDX-License-Identifier: MIT
"""What tests of the server's records share: a server with a status listener, a strict reader of Prometheus's text
format, and a browser that is driven through its debugging pipe."""
import json
import os
import re
import select
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request

from served import BUILD, SLOW, Server, eventually


class Recorded(Server):
    """A server with a status listener and an access log in `log`."""

    def __init__(self, root, backend, *arguments, log=None, status=True, **options):
        self.log = log
        if log:
            arguments += ('--access-log', log)
        if status:
            arguments += ('--status', '127.0.0.1:0')
        super().__init__(root, backend, *arguments, **options)
        if status:
            line = self.process.stdout.readline().decode()
            self.status_url = re.fullmatch(r'status at (http://127\.0\.0\.1:\d+/)\n', line).group(1)
            self.status_port = int(self.status_url.rstrip('/').rsplit(':', 1)[1])

    def ask(self, path):
        """(status, type, body) of the status listener."""
        try:
            with urllib.request.urlopen(self.status_url + path, timeout=20 * SLOW) as reply:
                return reply.status, reply.headers['Content-Type'], reply.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers['Content-Type'], error.read()

    def figures(self):
        return json.loads(self.ask('status.json')[2])

    def lines(self, count, what=lambda line: line, path=None):
        """The log's lines when there are so many, each as `what` reads it."""
        path = path or self.log

        def there():
            return os.path.exists(path) and read(path).count(b'\n') >= count
        eventually(there)
        return [what(line) for line in read(path).decode('utf-8').splitlines()]

    def objects(self, count):
        return self.lines(count, json.loads)


def read(path):
    with open(path, 'rb') as file:
        return file.read()


NAME = r'[a-zA-Z_:][a-zA-Z0-9_:]*'
LABELS = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)')
NUMBER = re.compile(r'[+-]?(\d+(\.\d*)?([eE][+-]?\d+)?|Inf)|NaN')


def parse_metrics(text):
    """Prometheus's text format 0.0.4, no liberties: {(name, ((label, value), ...)): number}. HELP and TYPE before a
    metric's samples, all of which stand together; histograms whole and cumulative."""
    assert text.endswith('\n')
    samples, types, helped, family, closed = {}, {}, set(), None, set()
    for line in text.split('\n')[:-1]:
        comment = re.fullmatch(rf'# (HELP|TYPE) ({NAME}) (.*)', line)
        if comment:
            kind, name, rest = comment.groups()
            if kind == 'HELP':
                assert name not in helped, f'HELP twice: {name}'
                helped.add(name)
                closed.add(family)
                assert name not in closed, f'not in one piece: {name}'
                family = name
            else:
                assert name == family and name not in types and rest in ('counter', 'gauge', 'histogram'), line
                types[name] = rest
            continue
        match = re.fullmatch(rf'({NAME})(?:\{{(.+)\}})? (\S+)', line)
        assert match and NUMBER.fullmatch(match.group(3)), line
        name, labels, value = match.groups()
        base = re.sub(r'_(bucket|sum|count)$', '', name)
        owner = base if types.get(base) == 'histogram' else name
        assert owner == family and owner in types, f'outside its family: {line}'
        pairs = tuple(LABELS.findall(labels or ''))
        assert ','.join(f'{label}="{text}"' for label, text in pairs) == (labels or ''), line
        assert (name, pairs) not in samples, f'twice: {line}'
        samples[name, pairs] = float(value)
        if types[owner] == 'counter':
            assert name.endswith('_total') and float(value) >= 0, line
    check_histograms(samples, [name for name, kind in types.items() if kind == 'histogram'])
    return samples


def check_histograms(samples, names):
    for name in names:
        series = {}
        for (sample, labels), value in samples.items():
            if sample == name + '_bucket':
                others = tuple(pair for pair in labels if pair[0] != 'le')
                series.setdefault(others, []).append((float(dict(labels)['le']), value))
        assert series or not [1 for sample, _ in samples if sample.startswith(name)], name
        for others, buckets in series.items():
            assert buckets == sorted(buckets) and len(dict(buckets)) == len(buckets), (name, others)
            counts = [count for _, count in buckets]
            assert counts == sorted(counts) and buckets[-1][0] == float('inf'), (name, others)
            assert samples[name + '_count', others] == counts[-1] and samples[name + '_sum', others] >= 0


class HoldFs:
    """tests/fuse/holdfs.c, mounted."""

    def __init__(self, place):
        self.place = place
        os.makedirs(place)
        self.process = subprocess.Popen([os.path.join(BUILD, 'tests', 'holdfs'), place], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, bufsize=1)
        if self.process.stdout.readline() != 'ready\n':
            raise AssertionError('holdfs did not start')

    def tell(self, command):
        self.process.stdin.write(command + '\n')
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(20 * SLOW)
        self.process.stdout.close()


class Browser:
    """A headless Chromium with one page. What it complains of and what it asks for is in `complaints`, `asked`."""

    def __init__(self):
        self.profile = tempfile.mkdtemp(prefix='errand-browser-')
        here, theirs = os.pipe(), os.pipe()
        command = ['chromium', '--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run',
                   '--disable-background-networking', '--disable-extensions', '--remote-debugging-pipe',
                   f'--user-data-dir={self.profile}', 'about:blank']
        # It reads commands from descriptor 3 and writes to 4.
        move = ('import os, sys; a, b = os.dup(int(sys.argv[1])), os.dup(int(sys.argv[2])); '
                'a, b = os.dup(a), os.dup(b); os.dup2(a, 3); os.dup2(b, 4); os.execvp(sys.argv[3], sys.argv[3:])')
        self.process = subprocess.Popen(
            [sys.executable, '-c', move, str(here[0]), str(theirs[1]), *command], pass_fds=(here[0], theirs[1]),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        os.close(here[0])
        os.close(theirs[1])
        self.into, self.outof = here[1], theirs[0]
        self.buffer, self.number, self.session = b'', 0, None
        self.complaints, self.asked = [], []
        target = self.call('Target.createTarget', url='about:blank')['targetId']
        self.session = self.call('Target.attachToTarget', targetId=target, flatten=True)['sessionId']
        for domain in ('Page', 'Runtime', 'Log', 'Network'):
            self.call(domain + '.enable')

    def message(self):
        while b'\0' not in self.buffer:
            if not select.select([self.outof], [], [], 60 * SLOW)[0]:
                raise AssertionError('the browser does not answer')
            data = os.read(self.outof, 1 << 20)
            if not data:
                raise AssertionError('the browser has ended')
            self.buffer += data
        text, self.buffer = self.buffer.split(b'\0', 1)
        return json.loads(text)

    def call(self, method, **parameters):
        self.number += 1
        command = {'id': self.number, 'method': method, 'params': parameters}
        if self.session:
            command['sessionId'] = self.session
        os.write(self.into, json.dumps(command).encode() + b'\0')
        while True:
            message = self.message()
            if message.get('id') == self.number:
                assert 'error' not in message, (method, message)
                return message['result']
            self.note(message.get('method'), message.get('params'))

    def note(self, method, event):
        if method == 'Runtime.exceptionThrown':
            self.complaints.append(event['exceptionDetails'])
        elif method == 'Runtime.consoleAPICalled' and event['type'] in ('error', 'warning', 'assert'):
            self.complaints.append(event['args'])
        elif method == 'Log.entryAdded' and event['entry']['level'] in ('error', 'warning'):
            self.complaints.append(event['entry'])
        elif method == 'Network.requestWillBeSent' and not event['request']['url'].startswith('data:'):
            self.asked.append(event['request']['url'])

    def run(self, script):
        result = self.call('Runtime.evaluate', expression=script, returnByValue=True, awaitPromise=True)
        assert 'exceptionDetails' not in result, result
        return result['result'].get('value')

    def text(self, identifier):
        return self.run(f"document.getElementById('{identifier}').textContent")

    def key(self, key, code=None, text=None):
        for kind in ('keyDown', 'keyUp'):
            extra = {'text': text} if text and kind == 'keyDown' else {}
            self.call('Input.dispatchKeyEvent', type=kind, key=key, code=code or key, **extra)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.into)
        os.close(self.outof)
        try:
            os.killpg(self.process.pid, 15)
            self.process.wait(20)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            os.killpg(self.process.pid, 9)
            self.process.wait()
        shutil.rmtree(self.profile, ignore_errors=True)
