# SPDX-License-Identifier: MIT
"""Compares two trees by what the kernel says of them, with nothing of the library's. differences() lists what differs."""
import errno
import os
import stat


def layout(path):
    """The file's data, as the kernel tells data from holes: (offset, end) pairs."""
    found, at = [], 0
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NOATIME)
    try:
        end = os.fstat(fd).st_size
        while at < end:
            try:
                begin = os.lseek(fd, at, os.SEEK_DATA)
            except OSError as error:
                if error.errno == errno.ENXIO:
                    break
                raise
            at = os.lseek(fd, begin, os.SEEK_HOLE)
            found.append((begin, at))
    finally:
        os.close(fd)
    return found


def content(path):
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NOATIME)
    with os.fdopen(fd, 'rb') as file:
        return file.read()


def attributes(path):
    return {name: os.getxattr(path, name, follow_symlinks=False)
            for name in os.listxattr(path, follow_symlinks=False)}


def walk(root):
    """Every name beneath root, as bytes, relative; and b'' for root itself. Deep trees too."""
    root_fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    os.close(root_fd)
    found, left = [b''], [b'']
    while left:
        place = left.pop()
        for entry in os.scandir(os.path.join(os.fsencode(root), place) if place else os.fsencode(root)):
            name = os.path.join(place, entry.name)
            found.append(name)
            if entry.is_dir(follow_symlinks=False):
                left.append(name)
    return sorted(found)


def groups(root, names):
    """The sets of names that are one file."""
    by_inode = {}
    for name in names:
        about = os.lstat(os.path.join(os.fsencode(root), name))
        if not stat.S_ISDIR(about.st_mode) and about.st_nlink > 1:
            by_inode.setdefault((about.st_dev, about.st_ino), []).append(name)
    return sorted(sorted(group) for group in by_inode.values() if len(group) > 1)


def differences(one, other, owners=True, layouts=True):
    """What is not the same, as text; an empty list: the trees are alike."""
    names, others = walk(one), walk(other)
    wrong = [f'missing: {name!r}' for name in names if name not in set(others)]
    wrong += [f'too many: {name!r}' for name in others if name not in set(names)]
    if wrong:
        return wrong
    for name in names:
        left, right = (os.path.join(os.fsencode(root), name) if name else os.fsencode(root) for root in (one, other))
        a, b = os.lstat(left), os.lstat(right)
        for field in ('st_mode', 'st_mtime_ns', 'st_atime_ns', *(('st_uid', 'st_gid') if owners else ())):
            if field == 'st_atime_ns' and (stat.S_ISDIR(a.st_mode) or stat.S_ISLNK(a.st_mode)):
                continue  # this very walk, or whoever looks, may set it
            if getattr(a, field) != getattr(b, field):
                wrong.append(f'{name!r}: {field} {getattr(a, field)} became {getattr(b, field)}')
        if attributes(left) != attributes(right):
            wrong.append(f'{name!r}: attributes {attributes(left)} became {attributes(right)}')
        if stat.S_ISLNK(a.st_mode) and os.readlink(left) != os.readlink(right):
            wrong.append(f'{name!r}: points elsewhere')
        if stat.S_ISBLK(a.st_mode) or stat.S_ISCHR(a.st_mode):
            if a.st_rdev != b.st_rdev:
                wrong.append(f'{name!r}: another device')
        if stat.S_ISREG(a.st_mode):
            if a.st_size != b.st_size:
                wrong.append(f'{name!r}: {a.st_size} bytes became {b.st_size}')
            elif content(left) != content(right):
                wrong.append(f'{name!r}: other content')
            if layouts and layout(left) != layout(right):
                wrong.append(f'{name!r}: holes {layout(left)[:4]} became {layout(right)[:4]}')
    if groups(one, names) != groups(other, names):
        wrong.append(f'hard links: {groups(one, names)} became {groups(other, names)}')
    return wrong
