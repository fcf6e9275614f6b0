#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The check of our own habits: who may include whom, what may be called where, what is documented and exported.

    house.py [PART OF A NAME]...    checks the tree, after it has shown on small made-up trees that each rule can fail

Every rule is a function that takes a Tree and yields (file, line, what is wrong).
"""
import os
import re
import subprocess
import sys
import tempfile

LINES_MOST = 500
COLUMNS_MOST = 120

# Each floor may include what stands before it in this list (and itself). The public header is everyone's.
FLOORS = ['base', 'chain', 'worker', 'backend', 'queue', 'source', 'job']
SIBLINGS = [('backend/uring', 'backend/threads'), ('backend/uring', 'backend/sim'), ('backend/threads', 'backend/sim'),
            ('server/http', 'server/ftp')]
# These stand on the public header alone, and on headers of their own folder.
# What stands on errand.h alone may have besides: the struct-copying that the library's own jobs share; what `errand
# serve` is made of; the one part of the server that is measured by itself.
ALSO = [('src', 'base/sized.h'), ('cli', 'server/server.h'), ('cli', 'server/config/config.h'),
        ('cli', 'server/operation/supervisor.h'), ('cli', 'server/users.h'),
        ('bench', 'server/cache/store.h')]
PUBLIC_ONLY = ['src/job', 'server', 'cli', 'bench', 'examples']

BANNED_ANYWHERE = {
    'strcpy': 'no bound', 'strcat': 'no bound', 'sprintf': 'no bound', 'vsprintf': 'no bound', 'gets': 'no bound',
    'strtok': 'keeps a global', 'alloca': 'no bound', 'rand': 'keeps a global', 'srand': 'keeps a global',
    'atoi': 'cannot fail', 'atol': 'cannot fail', 'atoll': 'cannot fail', 'strncpy': 'may leave no NUL',
    'gethostbyname': 'keeps a global', 'localtime': 'keeps a global', 'gmtime': 'keeps a global', 'ctime': 'a global',
    'asctime': 'keeps a global', 'tmpnam': 'a race', 'mktemp': 'a race',
}
BANNED_IN_LIBRARY = {
    'signal': 'installs a handler', 'sigaction': 'installs a handler', 'exit': 'ends the program',
    '_exit': 'ends the program', 'abort': 'ends the program', 'printf': 'writes', 'fprintf': 'writes',
    'vfprintf': 'writes', 'puts': 'writes', 'putchar': 'writes', 'perror': 'writes', 'syslog': 'writes',
    'atexit': 'outlives the queue', 'setenv': 'a global of the program', 'putenv': 'a global of the program',
    'sleep': 'waits', 'usleep': 'waits', 'system': 'runs a program', 'fork': 'not a library\'s',
}
# What makes a floor impure. mmap and munmap are how the base gets memory.
SYSTEM_CALLS = (
    'open openat openat2 creat read pread preadv readv write pwrite writev pwritev close dup dup2 dup3 fcntl ioctl '
    'stat fstat lstat fstatat statx statfs fstatfs lseek send sendto sendmsg recv recvfrom recvmsg sendfile splice tee '
    'accept accept4 connect bind listen socket socketpair shutdown getsockopt setsockopt poll ppoll select '
    'epoll_create1 epoll_ctl epoll_wait epoll_pwait eventfd timerfd_create timerfd_settime signalfd inotify_init1 '
    'io_uring_setup io_uring_enter syscall clock_gettime clock_nanosleep nanosleep time gettimeofday getpid gettid '
    'pthread_create pthread_mutex_lock pthread_cond_wait kill fsync fdatasync unlink rename posix_fadvise getenv'
).split()
PURE = {'src/base': SYSTEM_CALLS, 'src/backend/sim': SYSTEM_CALLS,
        'src/chain': SYSTEM_CALLS + ['mmap', 'munmap', 'mremap', 'madvise']}
# A file of the base that is about a system call says so, and why, in its first lines.
PURE_EXCEPTION = re.compile(r'system call here because: \S+')

SOURCE_KINDS = ('.c', '.h', '.py', '.sh', '.build', '.map')
NO_LICENSE_LINE = ('.build', '.map')


class Tree:
    """The files under a root that are ours, without comments and strings where code is asked for."""

    def __init__(self, root, names):
        self.root = root
        self.texts = {}
        for name in names:
            path = os.path.join(root, name)
            if not os.path.isfile(path) or os.path.islink(path):
                continue
            with open(path, encoding='utf-8', errors='replace') as file:
                self.texts[name] = file.read()
        self.codes = {}

    def c_files(self, *folders):
        return [name for name in sorted(self.texts)
                if name.endswith(('.c', '.h')) and (not folders or name.startswith(tuple(f + '/' for f in folders)))]

    def scripts(self):
        return [name for name, text in sorted(self.texts.items()) if text.startswith('#!')]

    def code(self, name):
        """The text with comments and the insides of strings blanked; lines stay where they are."""
        if name not in self.codes:
            def blank(match):
                found = match.group(0)
                if found.startswith(('"', "'")):
                    return found[0] + ' ' * (len(found) - 2) + found[-1]
                return re.sub(r'[^\n]', ' ', found)
            pattern = r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\''
            self.codes[name] = re.sub(pattern, blank, self.texts[name], flags=re.S)
        return self.codes[name]

    def calls(self, name):
        """Every NAME( that is not a member, a declaration's macro or part of a longer name: (line, name)."""
        for number, line in enumerate(self.code(name).splitlines(), 1):
            if line.lstrip().startswith('#'):
                continue
            for match in re.finditer(r'(?<![\w.>])(?<!->)([A-Za-z_]\w*)\s*\(', line):
                yield number, match.group(1)


def includes(tree, name):
    for number, line in enumerate(tree.texts[name].splitlines(), 1):
        match = re.match(r'\s*#\s*include\s*"([^"]+)"', line)
        if match:
            yield number, match.group(1)


def resolve(tree, name, target):
    """The file of the tree that an include means: relative to its own folder, to src/, to include/ or to the root."""
    for base in (os.path.dirname(name), name.split('/')[0], 'include', 'tests/harness', 'tests/support', '.'):
        path = os.path.normpath(os.path.join(base, target))
        if path in tree.texts:
            return path
    return None


def floors(tree):
    """A floor includes only floors under it, the public floors only errand.h, and siblings never each other."""
    for name in tree.c_files('src', 'server', 'cli', 'bench', 'examples'):
        for number, target in includes(tree, name):
            if target == 'errand.h':
                continue
            path = resolve(tree, name, target)
            if path is None:
                yield name, number, f'includes "{target}", which is not in the tree'
                continue
            public = next((folder for folder in PUBLIC_ONLY if name.startswith(folder + '/')), None)
            if public and not path.startswith(public + '/') and (name.split('/')[0], target) not in ALSO:
                yield name, number, f'{public} stands on errand.h alone, but includes "{target}"'
            if name.startswith('src/') and path.startswith('src/'):
                own, other = name.split('/')[1], path.split('/')[1]
                if own in FLOORS and other in FLOORS and FLOORS.index(other) > FLOORS.index(own):
                    yield name, number, f'{own} is under {other} and must not include "{target}"'
            if name.startswith('src/') and not path.startswith('src/'):
                yield name, number, f'the library includes "{target}" from outside src/'
            for one, other in SIBLINGS:
                for left, right in ((one, other), (other, one)):
                    if f'/{left}/' in '/' + name and f'/{right}/' in '/' + path:
                        yield name, number, f'{left} and {right} are siblings: "{target}"'
    for name in tree.c_files('src'):
        folder = name.split('/')[1]
        if folder not in FLOORS:
            yield name, 1, f'{folder} is no floor that this check knows'


def public_functions(tree):
    """The functions that errand.h declares: name -> (line, whether a comment stands directly at it)."""
    text = tree.texts.get('include/errand.h', '')
    lines = text.splitlines()
    found = {}
    for match in re.finditer(r'^ERRAND_API\b[^;]*?\b(errand_\w+)\s*\(', text, flags=re.M | re.S):
        number = text.count('\n', 0, match.start()) + 1
        at = number - 2
        # A type that only this function needs may stand between it and its comment.
        while at >= 0 and lines[at].startswith(('typedef ', 'ERRAND_API ')):
            at -= 1
            if lines[at + 1].startswith('ERRAND_API ') and not lines[at + 1].rstrip().endswith(';'):
                break
        found[match.group(1)] = (number, at >= 0 and lines[at].rstrip().endswith('*/'))
    return found


def documented(tree):
    """Every exported function has a comment directly at it, is in the symbol map, and the reverse."""
    functions = public_functions(tree)
    mapped = re.findall(r'^\s*(errand_\w+);', tree.texts.get('src/errand.map', ''), flags=re.M)
    if not functions:
        yield 'include/errand.h', 1, 'declares no function that this check can see'
    for function, (number, comment) in functions.items():
        if not comment:
            yield 'include/errand.h', number, f'{function} has no comment directly before it'
        if function not in mapped:
            yield 'src/errand.map', 1, f'{function} is missing'
    for function in mapped:
        if function not in functions:
            yield 'src/errand.map', 1, f'{function} is not in errand.h'
    if mapped != sorted(mapped):
        yield 'src/errand.map', 1, 'not in order'


def defined(tree):
    """What errand.h declares is defined exactly once in src/, and nothing else is ERRAND_API there."""
    everything = {}
    for name in tree.c_files('src'):
        if name.endswith('.c'):
            definition = r'^[A-Za-z_][\w \t*]*?\b(errand_\w+)\s*\([^;{]*\)\s*\{'
            for match in re.finditer(definition, tree.code(name), flags=re.M):
                everything.setdefault(match.group(1), []).append(name)
    for function, (number, _) in public_functions(tree).items():
        places = everything.get(function, [])
        if len(places) != 1:
            yield 'include/errand.h', number, f'{function} is defined {len(places)} times: {", ".join(places)}'


def banned(tree):
    """Calls that nobody makes, and those that the library does not make."""
    for name in tree.c_files():
        for number, call in tree.calls(name):
            if call in BANNED_ANYWHERE:
                yield name, number, f'{call}(): {BANNED_ANYWHERE[call]}'
            if name.startswith('src/') and call in BANNED_IN_LIBRARY:
                yield name, number, f'{call}() in the library: {BANNED_IN_LIBRARY[call]}'


def pure(tree):
    """The lowest floors make no system call."""
    for folder, calls in PURE.items():
        for name in tree.c_files(folder):
            if folder == 'src/base' and PURE_EXCEPTION.search('\n'.join(tree.texts[name].splitlines()[:12])):
                continue
            for number, call in tree.calls(name):
                if call in calls:
                    yield name, number, f'{call}(): {folder} makes no system call'


def length(tree):
    """No long files without a reason, no long lines, no tabs, no blanks at the end, a newline at the end."""
    for name in sorted(set(tree.c_files()) | set(tree.scripts())):
        lines = tree.texts[name].split('\n')
        if len(lines) > LINES_MOST and 'long file because: ' not in '\n'.join(lines[:30]):
            yield name, len(lines), f'over {LINES_MOST} lines, and no "long file because: ..." near its beginning'
        for number, line in enumerate(lines, 1):
            if len(line) > COLUMNS_MOST:
                yield name, number, f'{len(line)} columns'
            if '\t' in line:
                yield name, number, 'a tab'
            if line != line.rstrip():
                yield name, number, 'blanks at the end'
        if tree.texts[name] and not tree.texts[name].endswith('\n'):
            yield name, len(lines), 'no newline at the end'


def unfinished(tree):
    """What is not done is an issue, not a note in the code."""
    words = re.compile(r'\b(' + '|'.join(('TO' + 'DO', 'FIX' + 'ME', 'X' * 3, 'HA' + 'CK')) + r')\b')
    for name, text in sorted(tree.texts.items()):
        if name.endswith(SOURCE_KINDS) or text.startswith('#!'):
            for number, line in enumerate(text.splitlines(), 1):
                if words.search(line):
                    yield name, number, 'unfinished: ' + line.strip()[:60]


def license_line(tree):
    """Every source says its license first, then what it is."""
    for name in sorted(set(tree.c_files()) | set(tree.scripts())):
        if name.endswith(NO_LICENSE_LINE):
            continue
        lines = tree.texts[name].splitlines()[:2]
        if not any('SPDX-License-Identifier: MIT' in line for line in lines):
            yield name, 1, 'no SPDX-License-Identifier line first'


def guards(tree):
    """Every header has an include guard."""
    for name in tree.c_files():
        if name.endswith('.h') and not re.search(r'#ifndef (\w+_H)\n#define \1\n', tree.texts[name]):
            yield name, 1, 'no include guard'


def architecture(tree):
    """Every folder of src/, and every program's folder, has a line in ARCHITECTURE.md."""
    text = tree.texts.get('ARCHITECTURE.md')
    if text is None:
        return
    folders = {os.path.dirname(name) for name in tree.c_files('src', 'server', 'cli', 'bench', 'examples', 'tests')}
    for folder in sorted(folders):
        if folder.startswith('tests/'):
            folder = 'tests'
        short = folder[4:] if folder.startswith('src/') else folder
        if f'{folder}/' not in text and f'{short}/' not in text:
            yield 'ARCHITECTURE.md', 1, f'says nothing of {folder}/'


RULES = [floors, documented, defined, banned, pure, length, unfinished, license_line, guards, architecture]

# For each rule: trees on which it must speak, as changes to a good tree; a file of None is absent.
MIT = '/* SPDX-License-Identifier: MIT */\n'


def header(guard, body=''):
    return f'{MIT}#ifndef {guard}_H\n#define {guard}_H\n{body}#endif\n'


GOOD = {
    'include/errand.h': header('ERRAND', '#define ERRAND_API\n/* Opens. */\nERRAND_API int errand_open(void);\n'
                               '/* Calls. */\ntypedef int (*errand_call)(void);\n'
                               'ERRAND_API int errand_go(errand_call c);\n'),
    'src/errand.map': 'X {\nglobal:\n    errand_go;\n    errand_open;\n};\n',
    'src/base/list.h': header('LIST'),
    'src/base/slab.c': MIT + '#include "base/list.h"\n#include "errand.h"\nvoid *f(void) { return mmap(0, 1); }\n',
    'src/chain/chain.h': header('CHAIN', '#include "base/list.h"\n'),
    'src/chain/run.c': MIT + '#include "chain/chain.h"\nint g(struct x *x) { return x->read(1) + x.close(); }\n',
    'src/backend/backend.h': header('BACKEND', '#include "chain/chain.h"\n'),
    'src/backend/uring/ring.h': header('RING'),
    'src/backend/uring/ring.c': MIT + '#include "backend/backend.h"\n#include "backend/uring/ring.h"\n',
    'src/backend/threads/calls.h': header('CALLS'),
    'src/backend/sim/sim.c': MIT + '#include "backend/backend.h"\n',
    'src/queue/open.c': MIT + '#include "backend/backend.h"\n/* exit() */\nconst char *s = "printf(";\n'
                              'int errand_open(void)\n{\n    return 0;\n}\n'
                              'int errand_go(errand_call c)\n{\n    return c();\n}\n',
    'src/job/send.c': MIT + '#include "errand.h"\n',
    'server/listen.h': header('LISTEN'),
    'server/listen.c': MIT + '#include "errand.h"\n#include "listen.h"\n',
    'cli/errand.c': MIT + '#include "errand.h"\nint main(void) { printf("x"); return 0; }\n',
    'tests/run': '#!/bin/sh\n# SPDX-License-Identifier: MIT\n',
    'ARCHITECTURE.md': 'src/base/ src/chain/ src/backend/ backend/uring/ backend/threads/ backend/sim/ '
                       'src/queue/ src/job/ server/ '
                       'cli/ tests/\n',
}
ADD = '+'  # a text that begins so is added to the file's end
BAD = {
    'floors': [
        {'src/base/list.h': header('LIST', '#include "chain/chain.h"\n')},
        {'src/chain/run.c': ADD + '#include "backend/backend.h"\n'},
        {'src/backend/uring/ring.c': ADD + '#include "backend/threads/calls.h"\n'},
        {'src/backend/threads/calls.h': header('CALLS', '#include "../uring/ring.h"\n')},
        {'src/backend/sim/sim.c': ADD + '#include "backend/threads/calls.h"\n'},
        {'src/job/send.c': ADD + '#include "base/list.h"\n'},
        {'server/listen.c': ADD + '#include "chain/chain.h"\n'},
        {'cli/errand.c': ADD + '#include "../server/listen.h"\n'},
        {'src/queue/open.c': ADD + '#include "../server/listen.h"\n'},
        {'src/queue/open.c': ADD + '#include "nowhere.h"\n'},
        {'src/attic/old.c': MIT},
    ],
    'documented': [
        {'include/errand.h': header('ERRAND', 'ERRAND_API int errand_open(void);\n')},
        {'include/errand.h': header('ERRAND', '/* One. */\nERRAND_API int errand_open(void);\n\n'
                                    'ERRAND_API int errand_go(void);\n')},
        {'include/errand.h': header('ERRAND')},
        {'src/errand.map': 'X {\nglobal:\n    errand_open;\n};\n'},
        {'src/errand.map': 'X {\nglobal:\n    errand_go;\n    errand_more;\n    errand_open;\n};\n'},
        {'src/errand.map': 'X {\nglobal:\n    errand_open;\n    errand_go;\n};\n'},
    ],
    'defined': [
        {'src/queue/open.c': MIT},
        {'src/queue/more.c': MIT + 'int errand_open(void)\n{\n}\n'},
    ],
    'banned': [
        {'cli/errand.c': ADD + 'void f(void) { strcpy(a, b); }\n'},
        {'tests/lib/a.c': MIT + 'void f(void) { x = atoi (b); }\n'},
        {'src/queue/open.c': ADD + 'void f(void) { abort(); }\n'},
        {'src/queue/open.c': ADD + 'void f(void) { if (x)exit(1); }\n'},
        {'src/base/slab.c': ADD + 'void f(void) { signal(SIGPIPE, SIG_IGN); }\n'},
    ],
    'pure': [
        {'src/base/slab.c': ADD + 'int h(void) { return close(3); }\n'},
        {'src/chain/run.c': ADD + 'int h(void) { return mmap(0, 1); }\n'},
        {'src/chain/run.c': ADD + 'int h(void) { return clock_gettime(0, &t); }\n'},
        {'src/backend/sim/sim.c': ADD + 'int h(void) { return fsync(3); }\n'},
    ],
    'length': [
        {'src/base/slab.c': MIT + '\n' * LINES_MOST},
        {'src/base/slab.c': ADD + '/' * 121 + '\n'},
        {'tests/run': ADD + '\techo\n'},
        {'src/base/slab.c': ADD + 'int x; \n'},
        {'src/base/slab.c': ADD + 'int x;'},
    ],
    'unfinished': [{'src/base/slab.c': ADD + '/* TO' + 'DO: more */\n'}, {'tests/run': ADD + '# FIX' + 'ME\n'}],
    'license_line': [{'src/base/slab.c': '#include "base/list.h"\n'}, {'tests/run': '#!/bin/sh\n'}],
    'guards': [{'src/base/list.h': MIT}],
    'architecture': [{'src/worker/pool.c': MIT}, {'bench/load.c': MIT}],
}


def tree_of(files):
    with tempfile.TemporaryDirectory() as root:
        for name, text in files.items():
            os.makedirs(os.path.join(root, os.path.dirname(name)), exist_ok=True)
            with open(os.path.join(root, name), 'w', encoding='utf-8') as file:
                file.write(text)
        return Tree(root, sorted(files))


def selftest():
    """Every rule is silent on the good tree and speaks on each of its bad ones."""
    wrong = []
    for rule in RULES:
        for complaint in rule(tree_of(GOOD)):
            wrong.append(f'{rule.__name__} speaks on a good tree: {complaint}')
        if not BAD.get(rule.__name__):
            wrong.append(f'{rule.__name__} was never shown to fail')
        for number, change in enumerate(BAD.get(rule.__name__, [])):
            files = dict(GOOD)
            for name, text in change.items():
                files[name] = files.get(name, '') + text[1:] if text.startswith(ADD) else text
            if not list(rule(tree_of(files))):
                wrong.append(f'{rule.__name__} is silent on bad tree {number}')
    return wrong


def our_tree():
    """What git knows, or would, of this tree (a tarball has no git: then everything but build directories)."""
    root = os.environ.get('TEST_SOURCE') or os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    listed = subprocess.run(['git', '-c', 'safe.directory=*', 'ls-files', '--cached', '--others', '--exclude-standard'],
                            cwd=root, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
    names = listed.stdout.splitlines()
    if listed.returncode or not names:
        names = []
        for folder, folders, files in os.walk(root):
            folders[:] = [name for name in folders if name != '.git' and not name.startswith('build')]
            names += [os.path.relpath(os.path.join(folder, name), root) for name in files]
    return Tree(root, sorted(names))


def main():
    parts = sys.argv[1:]
    tree = our_tree()
    results = [('selftest', selftest)]
    for rule in RULES:
        results.append((rule.__name__, lambda rule=rule: [f'{name}:{line}: {text}' for name, line, text in rule(tree)]))
    failed = False
    for name, check in results:
        full = f'house/{name}'
        if parts and not any(part in full for part in parts):
            continue
        wrong = check()
        failed = failed or bool(wrong)
        print('not ok' if wrong else 'ok', full)
        for line in wrong:
            print('# ' + line)
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
