# SPDX-License-Identifier: MIT
"""bench-tree: copying and removing 100,000 small files, hot and cold, against cp -a, rm -rf and the bare calls."""
import os
import random
import resource
import shutil
import subprocess
import sys
import time

import common

DIRECTORIES, EACH, LARGEST = 1000, 100, 8192
ROUNDS = 5
IMAGE = 6 << 30


def fill(root):
    """1000 directories of 100 files of 0 to 8 KiB, 32 directories in one."""
    chosen = random.Random(1)
    filler = chosen.randbytes(1 << 16)
    for directory in range(DIRECTORIES):
        place = f"{root}/g{directory // 32:02}/d{directory:03}"
        os.makedirs(place)
        for number in range(EACH):
            length, at = chosen.randrange(LARGEST + 1), chosen.randrange(1 << 15)
            with open(f"{place}/f{number:02}", "wb") as file:
                file.write(filler[at:at + length])


def forget():
    """Nothing of any file stays in memory."""
    os.sync()
    common.write("/proc/sys/vm/drop_caches", "3")


def timed(bench, command):
    """Runs it; returns its wall and CPU seconds. What it left for the disk to write is not its own."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    process = bench.start(command, stdout=subprocess.DEVNULL)
    if process.wait():
        sys.exit(f"bench-tree: failed: {' '.join(command)}")
    wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    bench.children.remove(process)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def commands(bench):
    """name -> (copy, remove), without paths."""
    found = {"cp/rm": (["cp", "-a"], ["rm", "-rf"]),
             "bare": ([bench.program("tree-bare"), "copy"], [bench.program("tree-bare"), "remove"])}
    for backend in ("uring", "threads"):
        found[backend] = tuple([bench.errand(), verb, "--quiet", "--backend", backend] for verb in ("copy", "remove"))
    return found


def one(bench, place, name, copy, remove, cold):
    """A copy, compared with its source, and its removal: (copy's wall, CPU, removal's wall, CPU)."""
    made = f"{place}/copy"
    os.sync()
    if cold:
        forget()
    copied = timed(bench, [*copy, f"{place}/tree", made])
    if subprocess.run(["diff", "-r", f"{place}/tree", made], stdout=subprocess.DEVNULL).returncode:
        sys.exit(f"bench-tree: {name}'s copy is not like its source")
    os.sync()
    if cold:
        forget()
    removed = timed(bench, [*remove, made])
    if os.path.exists(made):
        sys.exit(f"bench-tree: {name} left something")
    return *copied, *removed


def show(bench, cold, figures, names):
    for index, what in ((0, "copy"), (2, "remove")):
        rows = []
        for name in names:
            wall, cpu = ([each[index + at] for each in figures[name]] for at in (0, 1))
            row = [name, common.Spread(wall), common.Spread(cpu)]
            for other in ("cp/rm", "bare"):
                if other in figures:
                    row += [common.ratio([each[index + at] for each in figures[other]], mine)
                            for at, mine in ((0, wall), (1, cpu))]
            rows.append(row)
        bench.say(f"{what}, {'cold' if cold else 'hot'}: seconds; how many times faster than cp -a or rm -rf, than bare")
        bench.table(["", "wall", "CPU", "cp/rm wall", "cp/rm CPU", "bare wall", "bare CPU"][:3 + 2 * len(
            [other for other in ("cp/rm", "bare") if other in figures])], rows)
        for name in names:
            if name in ("uring", "threads") and "cp/rm" in figures:
                for at, unit in ((0, "wall"), (1, "CPU")):
                    if what == "copy" or unit == "wall":
                        ratio = common.ratio([each[index + at] for each in figures["cp/rm"]],
                                             [each[index + at] for each in figures[name]])
                        bench.target(f"{what}, {'cold' if cold else 'hot'}, {name}: {unit}, times", ratio.median, 1.0)
        bench.say()


def measure(bench):
    """On an ext4 of its own, fresh, on a loop device: nothing else's files are in its groups and its journal."""
    place, image = f"{bench.work}/tree", f"{bench.work}/tree.img"
    os.mkdir(place)
    with open(image, "wb") as file:
        file.truncate(IMAGE)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-N", "600000", "-E", "lazy_itable_init=0,lazy_journal_init=0", image],
                   check=True)
    subprocess.run(["mount", "-o", "loop,noatime", image, place], check=True)
    try:
        fill(f"{place}/tree")
        every = commands(bench)
        names = bench.wanted(list(every))
        for cold in (False, True):
            figures = {name: [] for name in names}
            one(bench, place, names[0], *every[names[0]], False)  # warms up
            for _, order in common.interleaved(bench.rounds(ROUNDS), names):
                for name in order:
                    figures[name].append(one(bench, place, name, *every[name], cold))
            bench.data["cold" if cold else "hot"] = {
                "columns": ["copy wall", "copy CPU", "remove wall", "remove CPU"], "seconds": figures}
            show(bench, cold, figures, names)
    finally:
        subprocess.run(["umount", place], check=False)
        shutil.rmtree(place, ignore_errors=True)
