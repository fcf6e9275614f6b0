#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What is installed is what a program needs: the header in C and C++, pkg-config, both libraries, the manual.

    install.py [PART OF A NAME]...    makes a release build and installs it, both in a temporary folder
"""
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

SOURCE = os.environ.get('TEST_SOURCE') or os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
STRICT = ['-Wall', '-Wextra', '-pedantic', '-Werror', '-fsyntax-only']
# Uses every macro, each of which is an expression in either language.
PROBE = r'''
#include <errand.h>
#include <errand.h>
static int64_t sum(void)
{
    return ERRAND_VERSION_MAJOR + ERRAND_VERSION_MINOR + ERRAND_VERSION_PATCH + %s;
}
int main(void)
{
    return errand_version() != 0 && sum() != 0;
}
'''
EXAMPLE = 'examples/read_file.c'
UNITS = '/usr/lib/systemd/system'


def run(command, **more):
    """Returns what it says; raises with that if it fails."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors='replace', check=False, **more)
    if done.returncode:
        raise AssertionError(f'{shlex.join(command)}: {done.returncode}\n{done.stdout}')
    return done.stdout


def read(name):
    with open(os.path.join(SOURCE, name), encoding='utf-8') as file:
        return file.read()


def probe():
    """A program with every macro of the header that has a value."""
    names = re.findall(r'^#define (ERRAND_\w+) (?!__)\S', read('include/errand.h'), flags=re.M)
    calls = re.findall(r'^#define (ERRAND_\w+)\(\w+\)', read('include/errand.h'), flags=re.M)
    assert names and calls, 'errand.h has no macro that this test can see'
    return PROBE % ' + '.join(f'(int64_t)sizeof({value})' for value in names + [f'{call}(1)' for call in calls])


class Installed:
    """A release build, installed beneath a folder as a packager would (DESTDIR)."""

    def __init__(self, scratch):
        self.scratch, self.stage = scratch, os.path.join(scratch, 'stage')
        environment = {**os.environ, 'CC': 'gcc', 'DESTDIR': self.stage}
        build = os.path.join(scratch, 'build')
        run(['meson', 'setup', build, SOURCE, '--buildtype=release', '--prefix=/usr', '--libdir=lib',
             f'-Dsystemd_unit_dir={UNITS}'], env=environment)
        run(['ninja', '-C', build], env=environment)
        run(['meson', 'install', '-C', build, '--no-rebuild'], env=environment)
        self.lib = os.path.join(self.stage, 'usr/lib')
        self.shared = os.path.join(self.lib, 'liberrand.so')
        self.environment = {**os.environ, 'PKG_CONFIG_PATH': os.path.join(self.lib, 'pkgconfig'),
                            'PKG_CONFIG_SYSROOT_DIR': self.stage, 'PKG_CONFIG_ALLOW_SYSTEM_LIBS': '1',
                            'PKG_CONFIG_ALLOW_SYSTEM_CFLAGS': '1'}

    def flags(self, *options):
        # Meson lists what a static program needs besides; the sysroot prefixes their folders, too: harmless.
        return shlex.split(run(['pkg-config', '--cflags', '--libs', *options, 'errand'], env=self.environment))

    def works(self, name, command, **environment):
        """Builds the example and runs it on its own source."""
        program = os.path.join(self.scratch, name)
        run([*command[:1], os.path.join(SOURCE, EXAMPLE), '-o', program, *command[1:]])
        text = run([program, os.path.join(SOURCE, EXAMPLE)], env={**os.environ, **environment})
        assert 'begins with 64 bytes' in text, text
        return program


def header(_):
    """errand.h compiles without a warning in every language that may include it."""
    with tempfile.TemporaryDirectory() as scratch:
        path = os.path.join(scratch, 'probe')
        with open(path, 'w', encoding='utf-8') as file:
            file.write(probe())
        for compiler, language, standards in (('gcc', 'c', ('c11', 'c17', 'gnu17')),
                                              ('g++', 'c++', ('c++11', 'c++20'))):
            for standard in standards:
                run([compiler, *STRICT, f'-std={standard}', '-I' + os.path.join(SOURCE, 'include'), '-x', language,
                     path])


def shared(installed):
    """A program builds with what pkg-config says, and runs with the shared library."""
    program = installed.works('shared', ['gcc', *installed.flags()], LD_LIBRARY_PATH=installed.lib)
    needed = run(['readelf', '-d', program])
    assert f'[liberrand.so.{soversion()}]' in needed, needed


def static(installed):
    """A wholly static program builds with what pkg-config --static says."""
    program = installed.works('static', ['gcc', '-static', *installed.flags('--static')])
    assert '(NEEDED)' not in run(['readelf', '-d', program])


def archive_only(installed):
    """A program that links the archive alone: its own names never meet the library's."""
    path = os.path.join(installed.lib, 'liberrand.a')
    listed = run(['nm', '--defined-only', '--extern-only', path])
    names = set(re.findall(r'^[0-9a-f]+ [A-Z] (\S+)', listed, flags=re.M))
    assert names == exported(), f'liberrand.a: {sorted(names ^ exported())}'


def soversion():
    """The symbols' version is ERRAND_N where the library is liberrand.so.N: both change with the ABI."""
    return re.match(r'ERRAND_(\d+) \{', read('src/errand.map')).group(1)


def exported():
    return set(re.findall(r'^\s*(errand_\w+);', read('src/errand.map'), flags=re.M))


def soname(installed):
    """The shared library is called liberrand.so.N, and is found by that name and by those that lead to it."""
    name = f'liberrand.so.{soversion()}'
    assert f'soname: [{name}]' in run(['readelf', '-d', installed.shared])
    for link in (installed.shared, os.path.join(installed.lib, name)):
        assert os.path.islink(link) and os.path.isfile(link), link


def symbols(installed):
    """It exports exactly what src/errand.map lists, each with a version."""
    version = re.match(r'(\w+) \{', read('src/errand.map')).group(1)
    listed = run(['nm', '--dynamic', '--defined-only', '--with-symbol-versions', installed.shared])
    names = set(re.findall(r'^[0-9a-f]+ [A-Z] (\S+)', listed, flags=re.M)) - {f'{version}@@{version}', version}
    wanted = {f'{name}@@{version}' for name in exported()}
    assert names == wanted, f'missing or too many: {sorted(names ^ wanted)}'


def manual(installed):
    """Every exported function has a page that man finds."""
    for name in sorted(exported()):
        path = os.path.join(installed.stage, 'usr/share/man/man3', name + '.3')
        with open(path, encoding='utf-8') as file:
            text = file.read()
        alias = re.fullmatch(r'\.so (man3/\S+)\n', text)
        if alias:
            path = os.path.join(installed.stage, 'usr/share/man', alias.group(1))
            with open(path, encoding='utf-8') as file:
                text = file.read()
        assert re.search(rf'^\.Nm {name}\b', text, flags=re.M), f'{path} is not about {name}'
    for name in ('man1/errand.1', 'man5/errand.conf.5', 'man7/errand.7', 'man7/errand_lifetimes.7'):
        assert os.path.isfile(os.path.join(installed.stage, 'usr/share/man', name)), name


def command(installed):
    """The program is installed, and says the version of the package."""
    said = run([os.path.join(installed.stage, 'usr/bin/errand'), '--version']).split()
    wanted = run(['pkg-config', '--modversion', 'errand'], env=installed.environment).split()
    assert said[-1:] == wanted, (said, wanted)


def units(installed):
    """The units are where they were asked for, and start the program that was installed."""
    folder = os.path.join(installed.stage, UNITS.lstrip('/'))
    assert sorted(os.listdir(folder)) == ['errand-ftp.socket', 'errand.service', 'errand.socket'], os.listdir(folder)
    with open(os.path.join(folder, 'errand.service'), encoding='utf-8') as file:
        assert '\nExecStart=/usr/bin/errand serve -c /etc/errand.conf\n' in file.read()


TESTS = [header, shared, static, archive_only, soname, symbols, manual, command, units]


def main():
    parts = sys.argv[1:]
    wanted = [test for test in TESTS if not parts or any(part in f'install/{test.__name__}' for part in parts)]
    if not wanted:
        return 0
    if os.environ.get('TEST_VARIANT', 'gcc') != 'gcc':
        print('ok install/all # skipped: the same in every variant')
        return 0
    failed, installed = False, None
    scratch = tempfile.mkdtemp(prefix='errand-install-')
    try:
        for test in wanted:
            try:
                if test is not header and installed is None:
                    installed = Installed(scratch)
                test(installed)
                print(f'ok install/{test.__name__}', flush=True)
            except (AssertionError, OSError) as error:
                failed = True
                print(f'not ok install/{test.__name__}')
                for line in str(error).splitlines()[-40:]:
                    print('# ' + line)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
