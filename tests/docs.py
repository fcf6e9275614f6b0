#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The check of the manual and the guide: complete, well formed, and quoting only what is compiled.

    docs.py [PART OF A NAME]...    checks the tree, after it has shown on a small made-up tree that each rule can fail
    docs.py --write                renews what pages and chapters quote: synopses from errand.h, excerpts from examples/

A page says where a quotation comes from with  .\\" excerpt: FILE NAME  before a literal display; a chapter with
<!-- excerpt: FILE NAME --> before a fenced block. In errand.h, NAME is a struct or an enum, which is quoted without its
comments; elsewhere it names the lines between  /* excerpt: NAME */  and  /* end */.
Every rule is a function that takes a Tree and yields (file, line, what is wrong).
long file because: each rule comes with the trees on which it must speak
"""
import os
import re
import subprocess
import sys
import tempfile
import textwrap

from house import Tree, our_tree

HEADER, MAP, EXAMPLES = 'include/errand.h', 'src/errand.map', 'examples/meson.build'
KEYS, KEYS_PAGE = 'server/config/keys.c', 'man/errand.conf.5'
COLUMNS_MOST = 74  # of a quotation: with the indent of a page it fits a terminal
SECTIONS = ['NAME', 'SYNOPSIS', 'DESCRIPTION', 'RETURN VALUE', 'ERRORS', 'OWNERSHIP', 'EXAMPLE', 'SEE ALSO']
# Paragraphs of errand.h about a group of functions: a piece of their text, and what those declarations have.
SHARED = [('errand_step_...() append', r'\berrand_step_\w+\(errand_chain \*'),
          ('A `socket` is', r'\berrand_step_.*\bint socket\b'),
          ('Sources give events until', r'errand_source \*\*source\)')]
NO_ERRORS = ['errand_error_name']  # its comment has errors as examples
PAGE_QUOTE = re.compile(r'(^\.\\" excerpt: (\S+) (\S+)\n\.Bd -literal[^\n]*\n)(.*?)(^\.Ed$)', re.M | re.S)
CHAPTER_QUOTE = re.compile(r'(^<!-- excerpt: (\S+) (\S+) -->\n```c\n)(.*?)(^```$)', re.M | re.S)



class Function:
    """One that errand.h declares: its type, its parameters, and the comments that are about it."""

    def __init__(self, declaration, comment):
        match = re.match(r'ERRAND_API (.*?)\b(errand_\w+)\s*\((.*)\);$', ' '.join(declaration.split()))
        self.type, self.name = match.group(1).strip(), match.group(2)
        self.parameters = [part.strip() for part in match.group(3).split(',')]
        self.declaration, self.comment = match.group(0), comment

    def synopsis(self):
        def argument(text):
            return f'"{text}"' if ' ' in text else text
        return '\n'.join([f'.Ft {argument(self.type)}', f'.Fo {self.name}',
                          *(f'.Fa {argument(parameter)}' for parameter in self.parameters), '.Fc'])


def functions(tree):
    """Name -> Function. Its comments are those since the function before it, or else that function's, and shared."""
    text = tree.texts[HEADER]
    first = re.search(r'^ERRAND_API ', text, flags=re.M)
    if not first:
        return {}
    found, shared, comment, fresh = {}, [], '', True
    start = text.rfind('/*', 0, first.start())
    for match in re.finditer(r'/\*(.*?)\*/|^ERRAND_API [^;]*;', text[start:], flags=re.M | re.S):
        if match.group(1) is None:
            function = Function(match.group(0), comment)
            found[function.name] = function
            fresh = True
            continue
        for paragraph in re.split(r'\n *\*\n', match.group(1)):
            words = ' '.join(paragraph.replace(' * ', ' ').split())
            about = next((whose for piece, whose in SHARED if piece in words), None)
            if about:
                shared.append((about, words))
            else:
                comment, fresh = words if fresh else comment + ' ' + words, False
    for about, words in shared:
        for function in found.values():
            if re.search(about, function.declaration):
                function.comment += ' ' + words
    return found


def errors_of(name, declared):
    """What the comments name, and those of a function to which they refer: "Errors as errand_submit()"."""
    if name in NO_ERRORS or name not in declared:
        return set()
    comment = declared[name].comment
    errors = set(re.findall(r'-(E[A-Z0-9]+)\b', comment))
    for other in re.findall(r'[Ee]rrors as (errand_\w+)\(\)', comment):
        errors |= errors_of(other, declared)
    return errors


def exported(tree):
    return re.findall(r'^\s*(errand_\w+);', tree.texts[MAP], flags=re.M)


# ------------------------------------------------------------------------------------------- what the pages say

def pages(tree, section='[1357]'):
    return [name for name in sorted(tree.texts) if re.fullmatch(rf'man/[\w.-]+\.{section}', name)]


def sections(text):
    """Title -> body."""
    parts = re.split(r'^\.Sh (.*)\n', text, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


def names(text):
    """What a page is about: the first is its own, the others are aliases of it."""
    return re.findall(r'^\.Nm (\S+)', sections(text).get('NAME', ''), flags=re.M)


def line_of(text, position):
    return text.count('\n', 0, position) + 1


def complete(tree):
    """Every exported function has a page, no page is about another, and every page is installed."""
    covered, installed = {}, tree.texts.get('man/meson.build', '')
    declared = functions(tree)
    for page in pages(tree):
        own = os.path.basename(page)[:-2]
        called = names(tree.texts[page])
        if called[:1] != [own]:
            yield page, 1, f'its first name is not {own}'
        if f"'{own}'" not in installed and f"'{os.path.basename(page)}'" not in installed:
            yield 'man/meson.build', 1, f'does not install {page}'
        for name in called if page.endswith('.3') else []:
            if name in covered:
                yield page, 1, f'{name} has a page: {covered[name]}'
            if name not in declared:
                yield page, 1, f'{name} is not in errand.h'
            covered[name] = page
    for name in exported(tree):
        if name not in covered:
            yield MAP, 1, f'{name} has no page in section 3'


def sectioned(tree):
    """Pages of functions have the same sections, in the same order."""
    for page in pages(tree, '3'):
        found = list(sections(tree.texts[page]))
        if found != SECTIONS:
            yield page, 1, f'has sections {found}, not {SECTIONS}'


def synopsis_of(page_text, declared):
    return '.In errand.h\n' + '\n'.join(declared[name].synopsis() for name in names(page_text) if name in declared)


def synopses(tree):
    """A synopsis declares what errand.h declares."""
    declared = functions(tree)
    for page in pages(tree, '3'):
        text = tree.texts[page]
        if sections(text).get('SYNOPSIS', '').strip() != synopsis_of(text, declared):
            yield page, 1, 'its SYNOPSIS is not that of errand.h: tests/docs.py --write'


def errors(tree):
    """Every error that errand.h names for a function is explained on its page."""
    declared = functions(tree)
    for page in pages(tree, '3'):
        text = tree.texts[page]
        listed = set(re.findall(r'\.It Bq Er (E[A-Z0-9]+)', sections(text).get('ERRORS', '')))
        for name in names(text):
            for error in sorted(errors_of(name, declared) - listed):
                yield page, 1, f'ERRORS has no {error}, which errand.h names for {name}'


def members(tree):
    """Every member of a struct that a page shows is explained on it."""
    for page in pages(tree, '3'):
        text = tree.texts[page]
        explained = set(re.findall(r'\bVa (\w+)', text))
        for match in PAGE_QUOTE.finditer(text):
            shown = quoted(tree, match.group(2), match.group(3)) if match.group(2) == HEADER else None
            for name in re.findall(r'(\w+)\)?(?:\([^)]*\))?(?=[;,](?![^(]*\)))', shown or ''):
                if shown.startswith('struct') and name not in explained:
                    yield page, line_of(text, match.start()), f'does not explain {name} of struct {match.group(3)}'


def references(tree):
    """A page refers only to pages that there are."""
    known = set()
    for page in pages(tree):
        known |= {(name, page[-1]) for name in names(tree.texts[page])}
    for page in pages(tree):
        for match in re.finditer(r'^\.Xr (errand\S*) (\d)', tree.texts[page], flags=re.M):
            if match.groups() not in known:
                yield page, line_of(tree.texts[page], match.start()), f'refers to {match.group(1)}({match.group(2)})'


def keys(tree):
    """errand.conf(5) explains every key of the server's table in its section, and no other."""
    table = re.findall(r'\{CONFIG_([A-Z]+), "(\w+)"', tree.texts.get(KEYS, ''))
    known = {(section.capitalize(), key) for section, key in table}
    text, section, explained = tree.texts.get(KEYS_PAGE, ''), '', set()
    for number, line in enumerate(text.splitlines(), 1):
        heading, item = re.match(r'\.Ss .*\[(\w+)', line), re.match(r'\.It Ic (\w+)=', line)
        section = heading.group(1) if heading else section
        if item and (section, item.group(1)) not in known:
            yield KEYS_PAGE, number, f'{item.group(1)} is no key of [{section}]'
        if item and (section, item.group(1)) in explained:
            yield KEYS_PAGE, number, f'explains {item.group(1)} of [{section}] twice'
        explained |= {(section, item.group(1))} if item else set()
    for section, key in sorted(known - explained):
        yield KEYS, 1, f'{KEYS_PAGE} does not explain {key} of [{section}]'


def options(tree):
    """errand(1) explains every long option of errand serve."""
    text = tree.texts.get('cli/serve.c', '')
    explained = tree.texts.get('man/errand.1', '')
    for name in re.findall(r'^ *\{"([\w-]+)", |\}, +\{"([\w-]+)", ', text, flags=re.M):
        option = next(filter(None, name))
        if f'Fl Fl {option}' not in explained:
            yield 'man/errand.1', 1, f'does not explain --{option}'


def well_formed(tree):
    """mandoc has nothing to warn of."""
    for page in pages(tree):
        try:
            done = subprocess.run(['mandoc', '-Tlint', '-W', 'warning'], input=tree.texts[page], text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        except FileNotFoundError:
            yield page, 1, 'mandoc is missing: scripts/setup test'
            return
        for line in done.stdout.splitlines():
            match = re.match(r'mandoc: <stdin>:(\d+):\d+: (.*)', line)
            yield page, match.group(1) if match else 1, match.group(2) if match else line


# ---------------------------------------------------------------------------------------------------- quotations

def quoted(tree, file, name):
    """The text that an excerpt of a file is to have, or None."""
    text = tree.texts.get(file, '')
    if file == HEADER:
        match = re.search(rf'^(?:struct|enum) {name} \{{\n.*?^\}};\n', text, flags=re.M | re.S)
        bare = re.sub(r'/\*.*?\*/', '', match.group(0), flags=re.S) if match else ''
        return re.sub(r'[ \t]*\n(\s*\n)*', '\n', bare) or None
    match = re.search(rf'^ */\* excerpt: {re.escape(name)} \*/\n(.*?)^ */\* end \*/$', text, flags=re.M | re.S)
    return textwrap.dedent(match.group(1)) if match else None


def escaped(text):
    """As roff wants it, so that what a reader copies from a terminal is what we wrote."""
    text = text.replace('\\', '\\e').replace('-', '\\-')
    for plain, named in (("'", '\\(aq'), ('`', '\\(ga'), ('^', '\\(ha'), ('~', '\\(ti')):
        text = text.replace(plain, named)
    return re.sub(r'^\.', r'\\&.', text, flags=re.M)


def documents(tree):
    """Every file that quotes: (name, pattern of its quotations, how they are written)."""
    for name in pages(tree):
        yield name, PAGE_QUOTE, escaped
    for name in sorted(tree.texts):
        if re.fullmatch(r'docs/guide/[\w-]+\.md', name):
            yield name, CHAPTER_QUOTE, lambda text: text


def quotations(tree):
    """What a page or chapter quotes is what stands in the source now; an EXAMPLE, or C in a chapter, is a quotation."""
    for name, pattern, written in documents(tree):
        text = tree.texts[name]
        found = list(pattern.finditer(text))
        for match in found:
            wanted = quoted(tree, match.group(2), match.group(3))
            number = line_of(text, match.start())
            if wanted is None:
                yield name, number, f'there is no excerpt {match.group(3)} in {match.group(2)}'
            elif match.group(4) != written(wanted):
                yield name, number, f'is not what {match.group(2)} says: tests/docs.py --write'
            elif max(map(len, wanted.splitlines()), default=0) > COLUMNS_MOST:
                yield name, number, f'a line of over {COLUMNS_MOST} columns in {match.group(2)}'
        if name.endswith('.3') and not PAGE_QUOTE.search(sections(text).get('EXAMPLE', '')):
            yield name, 1, 'its EXAMPLE is no excerpt'
        if name.endswith('.md') and text.count('```c\n') != len(found):
            yield name, 1, 'has C that is no excerpt'


def compiled(tree):
    """What is quoted is built. Only what needs a function that is not exported yet may wait."""
    built = re.findall(r"^  '(\w+)': ", tree.texts[EXAMPLES], flags=re.M)
    for name in tree.c_files('examples'):
        missing = {call for _, call in tree.calls(name) if call.startswith('errand_')} - set(exported(tree))
        if not missing and os.path.basename(name)[:-2] not in built:
            yield EXAMPLES, 1, f'does not build {name}, though all that it calls is exported'
    for name, pattern, _ in documents(tree):
        for match in pattern.finditer(tree.texts[name]):
            file = match.group(2)
            if file != HEADER and file not in tree.c_files('examples'):
                yield name, line_of(tree.texts[name], match.start()), f'quotes {file}, which is no example'


def write(tree):
    """Renews the synopses and the quotations."""
    declared = functions(tree)
    for name, pattern, written in documents(tree):
        text = tree.texts[name]
        if name.endswith('.3'):
            text = re.sub(r'(^\.Sh SYNOPSIS\n).*?(?=^\.Sh )',
                          lambda match, text=text: match.group(1) + synopsis_of(text, declared) + '\n', text,
                          flags=re.M | re.S)

        def renewed(match, written=written):
            wanted = quoted(tree, match.group(2), match.group(3))
            return match.group(0) if wanted is None else match.group(1) + written(wanted) + match.group(5)
        text = pattern.sub(renewed, text)
        if text != tree.texts[name]:
            with open(os.path.join(tree.root, name), 'w', encoding='utf-8') as file:
                file.write(text)
            print('wrote', name)


RULES = [complete, sectioned, synopses, errors, members, references, keys, options, well_formed, quotations, compiled]

# For each rule: changes to a good tree on which it must speak.
PAGE = r""".Dd November 25, 2026
.Dt ERRAND_OPEN 3
.Os errand
.Sh NAME
.Nm errand_open ,
.Nm errand_shut
.Nd open and shut
.Sh SYNOPSIS
.In errand.h
.Ft int
.Fo errand_open
.Fa "const char *path"
.Fa int
.Fc
.Ft void
.Fo errand_shut
.Fa void
.Fc
.Sh DESCRIPTION
.\" excerpt: include/errand.h errand_kind
.Bd -literal
enum errand_kind {
    ERRAND_ONE,
};
.Ed
.\" excerpt: include/errand.h errand_pair
.Bd -literal
struct errand_pair {
    int a, b;
    void (*c)(int d, int e);
};
.Ed
.Bl -tag -width Ds
.It Va a , Va b
Two.
.It Va c
One.
.El
.Sh RETURN VALUE
None.
.Sh ERRORS
.Bl -tag -width Er
.It Bq Er EBADF
Bad.
.It Bq Er EPERM
No.
.El
.Sh OWNERSHIP
None.
.Sh EXAMPLE
.\" excerpt: examples/open.c errand_open
.Bd -literal
errand_open("\e0", \-1);
.Ed
.Sh SEE ALSO
.Xr errand 7
"""
OVERVIEW = '''.Dd November 25, 2026
.Dt ERRAND 7
.Os errand
.Sh NAME
.Nm errand
.Nd all of it
.Sh SEE ALSO
.Xr errand_shut 3
'''
CONF_PAGE = '''.Dd November 25, 2026
.Dt ERRAND.CONF 5
.Os errand
.Sh NAME
.Nm errand.conf
.Nd what the server does
.Sh SECTIONS
.Ss [Server]
.Bl -tag -width Ds
.It Ic Listen= Ns Ar ADDR
Where.
.El
.Ss [Log]
.Bl -tag -width Ds
.It Ic Format= Ns Ar WORD
How.
.El
'''
COMMAND = '''.Dd November 25, 2026
.Dt ERRAND 1
.Os errand
.Sh NAME
.Nm errand
.Nd serve
.Sh DESCRIPTION
.Fl Fl http ,
.Fl Fl port
'''
GOOD = {
    HEADER: '/* -ENOTUS */\n#define ERRAND_API\nenum errand_kind {\n    ERRAND_ONE, /* one */\n};\n'
            'struct errand_pair {\n    int a, b;\n    void (*c)(int d, int e); /* f */\n};\n'
            '/* Opens: -EBADF. */\nERRAND_API int errand_open(const char *path, int);\n'
            '/* Shuts. Errors as errand_open(), -EPERM */\nERRAND_API void errand_shut(void);\n',
    MAP: 'X {\nglobal:\n    errand_open;\n};\n',
    EXAMPLES: "examples = {\n  'open': [],\n}\n",
    'examples/open.c': 'int main(void)\n{\n    /* excerpt: errand_open */\n    errand_open("\\0", -1);\n'
                       '    /* end */\n}\n',
    'examples/later.c': 'int main(void)\n{\n    errand_later();\n}\n',
    'man/errand_open.3': PAGE,
    'man/errand.7': OVERVIEW,
    KEYS: 'x[] = {\n    {CONFIG_SERVER, "Listen", parse},\n    {CONFIG_LOG, "Format", parse},\n};\n',
    KEYS_PAGE: CONF_PAGE,
    'cli/serve.c': '    {"http", required_argument},   {"port", 1},\n',
    'man/errand.1': COMMAND,
    'man/meson.build': "pages = ['errand_open']\ninstall_man('errand.7', 'errand.1', 'errand.conf.5')\n",
    'docs/guide/one.md': '# One\n<!-- excerpt: examples/open.c errand_open -->\n```c\nerrand_open("\\0", -1);\n```\n',
}
BAD = {
    'complete': [(MAP, 'open;', 'open;\n    errand_other;'), ('man/errand_open.3', 'Nm errand_open', 'Nm errand_opens'),
                 (HEADER, 'errand_shut(', 'errand_close('), ('man/meson.build', 'errand.7', 'errand.8')],
    'sectioned': [('man/errand_open.3', 'OWNERSHIP', 'OWNERS')],
    'synopses': [(HEADER, '*path', '*name'), ('man/errand_open.3', '.Fa int', '.Fa long')],
    'errors': [(HEADER, '-EBADF', '-EBADF, -EINVAL'), ('man/errand_open.3', 'Er EPERM', 'Er EACCES'),
               (HEADER, '/* Shuts', '/* -EFAULT */\n/* Shuts')],
    'members': [(HEADER, 'a, b', 'a, x'), (HEADER, '(*c)', '(*x)'), ('man/errand_open.3', 'Va a ,', 'Va x ,')],
    'references': [('man/errand.7', 'Xr errand_shut', 'Xr errand_shuts'),
                   ('man/errand_open.3', 'errand 7', 'errand 5')],
    'keys': [(KEYS, '"Listen"', '"Listens"'), (KEYS, 'parse},\n}', 'parse},\n    {CONFIG_LOG, "Access", parse},\n}'),
             (KEYS_PAGE, 'Ic Format', 'Ic Listen'), (KEYS_PAGE, '.Ss [Log]', '.Ss [Host]')],
    'options': [('cli/serve.c', '"port"', '"ports"'), ('man/errand.1', 'Fl Fl http', 'Fl h')],
    'well_formed': [('man/errand_open.3', '.El\n', '')],
    'quotations': [('examples/open.c', '-1', '-2'), ('examples/open.c', 'excerpt: errand_open', 'excerpt: other'),
                   (HEADER, 'ONE', 'TWO'), ('docs/guide/one.md', '-1', '-2'),
                   ('docs/guide/one.md', '# One', '```c\nint x;\n```'),
                   ('man/errand_open.3', '.\\" excerpt: examples', '.\\" from: examples')],
    'compiled': [(EXAMPLES, "'open'", "'shut'"), (MAP, 'open;', 'open;\n    errand_later;'),
                 ('docs/guide/one.md', 'examples/open.c', 'src/open.c')],
}


def tree_of(files):
    with tempfile.TemporaryDirectory() as root:
        for name, text in files.items():
            os.makedirs(os.path.join(root, os.path.dirname(name)), exist_ok=True)
            with open(os.path.join(root, name), 'w', encoding='utf-8') as file:
                file.write(text)
        return Tree(root, sorted(files))


def selftest():
    """Every rule is silent on the good tree and speaks on each change for the worse."""
    wrong = []
    for rule in RULES:
        for complaint in rule(tree_of(GOOD)):
            wrong.append(f'{rule.__name__} speaks on a good tree: {complaint}')
        if not BAD.get(rule.__name__):
            wrong.append(f'{rule.__name__} was never shown to fail')
        for number, (name, old, new) in enumerate(BAD.get(rule.__name__, [])):
            changed = {**GOOD, name: GOOD[name].replace(old, new)}
            if changed == GOOD or not list(rule(tree_of(changed))):
                wrong.append(f'{rule.__name__} is silent on bad tree {number}')
    return wrong


def main():
    parts = sys.argv[1:]
    tree = our_tree()
    if parts == ['--write']:
        write(tree)
        return 0
    checks = [('selftest', selftest)]
    for rule in RULES:
        checks.append((rule.__name__, lambda rule=rule: [f'{name}:{line}: {text}' for name, line, text in rule(tree)]))
    failed = False
    for name, check in checks:
        full = f'docs/{name}'
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
