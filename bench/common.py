# SPDX-License-Identifier: MIT
"""What the benchmarks share: processes, CPU time, statistics, tables, plots and the record of a run."""
import glob
import json
import os
import platform
import random
import re
import shlex
import signal
import socket
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SERVER_CPU, CLIENT_CPU = 0, 1
TICKS = os.sysconf("SC_CLK_TCK")


def output(*command):
    """What a command prints, on standard output or error; empty if there is no such command."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return done.stdout.strip()
    except FileNotFoundError:
        return ""


def read(path, default=""):
    try:
        with open(path) as file:
            return file.read().strip()
    except OSError:
        return default


def write(path, text):
    with open(path, "w") as file:
        file.write(text)


class Spread:
    """Median, smallest and largest of some figures."""

    def __init__(self, values):
        self.values = list(values)
        self.median, self.low, self.high = statistics.median(self.values), min(self.values), max(self.values)

    def __str__(self):
        return f"{figure(self.median)} ({figure(self.low)}..{figure(self.high)})"


def figure(value):
    digits = 0 if abs(value) >= 1000 else 1 if abs(value) >= 100 else 2
    return f"{value:.{digits}f}"


def ratio(of, to):
    """The spread of the ratios of what was measured in the same round."""
    return Spread(a / b for a, b in zip(of, to))


class Bench:
    def __init__(self, args):
        self.args, self.name, self.results, self.work = args, args.name, args.inner, args.work
        self.build = os.path.abspath(args.build)
        self.children, self.commands, self.data, self.lines = [], [], {}, []
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        write("/proc/sys/net/ipv4/tcp_congestion_control", "cubic")
        self.machine = machine(self.work)
        self.command = command_line(sys.argv[1:])
        # The namespace's setting is read back: it goes into the record.
        self.machine["congestion_control"] = read("/proc/sys/net/ipv4/tcp_congestion_control")

    def rounds(self, default):
        return self.args.rounds or default

    def seconds(self, default):
        return self.args.seconds or default

    def wanted(self, names):
        """Those of the names that --only lets through."""
        only = [part for part in self.args.only.split(",") if part]
        return [name for name in names if not only or any(part in name for part in only)]

    def chosen(self, names):
        """As wanted(), where --only also chooses among other things: all of the names if it speaks of none of them."""
        return self.wanted(names) or list(names)

    def only_known(self, names):
        """Ends with a message if --only asks for what there is not."""
        for part in self.args.only.split(","):
            if part and not any(part in name for name in names):
                sys.exit(f"bench-{self.name}: --only {part}: nothing has that in its name. There are: "
                         f"{'; '.join(names)}")

    def program(self, name):
        return f"{self.build}/bench/{name}"

    def errand(self):
        return f"{self.build}/cli/errand"

    # ------------------------------------------------------------------------------------------ processes

    def start(self, command, cpu=None, env=None, cgroup=None, stdin=None, stdout=subprocess.PIPE, quiet=False):
        """Starts a process, on one CPU if told so and in a cgroup if told so; notes its exact command once."""
        command = ["taskset", "-c", str(cpu), *command] if cpu is not None else list(command)
        shown = " ".join([*(f"{key}={value}" for key, value in (env or {}).items()), shlex.join(command)])
        shown = shown.replace(f"{os.path.dirname(HERE)}/", "").replace(self.work, "$WORK")
        if shown not in self.commands:
            self.commands.append(shown)

        def enter():
            if cgroup:
                write(f"{cgroup}/cgroup.procs", "0")

        errors = open(f"{self.work}/errors", "a")
        process = subprocess.Popen(command, env={**os.environ, **(env or {})}, stdin=stdin, stdout=stdout,
                                   stderr=subprocess.DEVNULL if quiet else errors, text=True, preexec_fn=enter)
        errors.close()
        self.children.append(process)
        return process

    def run(self, command, cpu=None, env=None, check=True):
        """Runs a program that prints one line of JSON, and returns it."""
        return self.finished(self.start(command, cpu, env), check=check)

    def finished(self, process, text=None, check=True):
        """The line of JSON that a program prints before it ends, which it does when it has read the text, if any."""
        output, _ = process.communicate(text)
        self.children.remove(process)
        if check and process.returncode != 0:
            sys.exit(f"bench: {shlex.join(process.args)} failed ({process.returncode}): {output}\n"
                     f"{read(f'{self.work}/errors')[-2000:]}")
        return json.loads(output.strip().splitlines()[-1]) if output.strip() else {}

    def stop(self, process, number=signal.SIGTERM, wait=15):
        """SIGKILL is for its children, too: nginx's worker would go on listening without its master."""
        for pid in descendants(process.pid)[1:] if number == signal.SIGKILL else []:
            os.kill(pid, number)
        process.send_signal(number)
        try:
            process.wait(wait)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process in self.children:
            self.children.remove(process)

    def stop_all(self):
        for process in self.children[:]:
            process.kill()
        subprocess.run(["umount", "--lazy", "--recursive", *glob.glob(f"{self.work}/mounts/*")],
                       stderr=subprocess.DEVNULL)

    def wait_port(self, port, process, seconds=10):
        """Until the process, and not one that was left from before, listens there."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with socket.socket() as client:
                if client.connect_ex(("127.0.0.1", port)) == 0 and listens(process.pid, port):
                    return
            if process.poll() is not None:
                break
            time.sleep(0.02)
        sys.exit(f"bench: no server on port {port}: {shlex.join(process.args)}\n"
                 f"{read(f'{self.work}/errors')[-2000:]}")

    # --------------------------------------------------------------------------------------------- record

    def say(self, line=""):
        print(line, flush=True)
        self.lines.append(line)

    def table(self, header, rows):
        rows = [[str(cell) for cell in row] for row in [header, *rows]]
        widths = [max(len(row[i]) for row in rows) for i in range(len(header))]
        for row in rows:
            self.say("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())

    def target(self, what, value, limit, at_least=True):
        met = value >= limit if at_least else value <= limit
        self.data.setdefault("targets", []).append({"what": what, "value": value, "limit": limit, "met": met})
        self.say(f"  {'met   ' if met else 'MISSED'}  {what}: {figure(value)}, "
                 f"{'at least' if at_least else 'at most'} {figure(limit)}")

    def bound(self, what, value, limit):
        """What nothing of ours is part of, but bounds what we can reach: whether the target can be met at all here."""
        self.data.setdefault("bounds", []).append({"what": what, "value": value, "limit": limit})
        beyond = "" if value >= limit else f", so {figure(limit)} is out of reach here"
        self.say(f"  bound   {what}: {figure(value)}{beyond}")

    def keep(self, name, text):
        """Keeps a file (a peer's configuration, a trace) with the results."""
        write(f"{self.results}/{name}", text)

    def finish(self):
        self.data.update(benchmark=self.name, machine=self.machine, commands=self.commands, command=self.command)
        self.keep("data.json", json.dumps(self.data, indent=1) + "\n")
        self.keep("summary.txt", "\n".join(self.lines) + "\n")

    # ---------------------------------------------------------------------------------------------- plots

    def gnuplot(self, name, script):
        """Draws results/.../NAME.svg. Grey text and strong colours on no background read on light and dark pages."""
        head = f"""set terminal svg size 860,420 font "sans-serif,13" noenhanced
set output "{self.results}/{name}.svg"
set border 3 lc rgb "#888888"; set tics nomirror tc rgb "#888888"; set grid ytics lc rgb "#888888" lw 0.3
set key tc rgb "#888888" top left; set title tc rgb "#888888"; set ylabel tc rgb "#888888"
set xlabel tc rgb "#888888"
"""
        self.keep(f"{name}.gnuplot", head + script)
        done = subprocess.run(["gnuplot", f"{self.results}/{name}.gnuplot"], stderr=subprocess.PIPE, text=True)
        if done.returncode:
            self.say(f"  (no plot: {done.stderr.strip()})")

    def bars(self, name, title, label, bars):
        """bars: (label, Spread, ours) each."""
        lines = [f'"{text}" {i} {s.median} {s.low} {s.high} {"0x2a9d8f" if ours else "0xe76f51"}'
                 for i, (text, s, ours) in enumerate(bars)]
        self.gnuplot(name, "$data << END\n" + "\n".join(lines) + f"""
END
set title "{title}"; set ylabel "{label}"; set yrange [0:*]; set style fill solid 0.85 noborder; set boxwidth 0.7
set xtics rotate by -20 left; set bmargin 9; set rmargin 18; set offsets 0, 0, graph 0.1, 0; unset key
plot $data using 2:3:6:xtic(1) with boxes lc rgb variable, $data using 2:3:4:5 with yerrorbars lc rgb "#888888" pt 0, \\
     $data using 2:5:(sprintf("%.3g", $3)) with labels offset 0,0.8 tc rgb "#888888"
""")


def command_line(arguments):
    """How this run was asked for: without what bench/run added for itself."""
    return shlex.join(["bench/run", *arguments[:arguments.index("--inner")]])


def machine(work):
    cpu = [line.split(":", 1)[1].strip() for line in read("/proc/cpuinfo").splitlines() if "model name" in line]
    packages = "liburing2 libuv1 nginx-light nginx-core nginx lighttpd h2o caddy wrk fuse3 libfuse3-3 gcc " \
        "python3-pyftpdlib".split()
    found = output("dpkg-query", "-W", "-f", "${Package} ${Version} ${Status}\n", *packages)
    versions = dict(line.split()[:2] for line in found.splitlines() if line.endswith("ok installed"))
    return {"kernel": platform.release(), "version": platform.version(), "cpu": cpu[0] if cpu else "", "cpus": len(cpu),
            "memory": read("/proc/meminfo").splitlines()[0], "filesystem": output("stat", "-f", "-c", "%T", work),
            "distribution": read("/etc/os-release").splitlines()[0], "load": os.getloadavg(), "packages": versions,
            "commit": output("git", "describe", "--always", "--dirty"), "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "mitigations": {name.rsplit("/", 1)[1]: read(name)
                            for name in glob.glob("/sys/devices/system/cpu/vulnerabilities/*")}}


def interleaved(rounds, names):
    """The order of measurements: A B C, B C A, C A B, ... so that each comes after each, and a drift hits all alike."""
    for number in range(rounds):
        shift = number % len(names)
        yield number, names[shift:] + names[:shift]


# ------------------------------------------------------------------------------------------------------- /proc


def descendants(pid):
    """A process and all its children's children."""
    found, parents = [], {}
    for path in glob.glob("/proc/[0-9]*/stat"):
        fields = read(path).rpartition(")")[2].split()
        if fields:
            parents.setdefault(int(fields[1]), []).append(int(path.split("/")[2]))
    queue = [pid]
    while queue:
        found.append(queue.pop())
        queue += parents.get(found[-1], [])
    return found


def listens(pid, port):
    """Whether a process of the tree holds a socket that listens on the port."""
    inodes = {line.split()[9] for line in read("/proc/net/tcp").splitlines()[1:]
              if line.split()[3] == "0A" and int(line.split()[1].rpartition(":")[2], 16) == port}
    links = (os.readlink(path) for each in descendants(pid) for path in glob.glob(f"/proc/{each}/fd/*")
             if os.path.islink(path))
    return any(link == f"socket:[{inode}]" for link in links for inode in inodes)


def cpu_seconds(pid):
    """User and system time of a process tree: all threads, the kernel's io_uring workers among them, ended ones too."""
    total = 0
    for each in descendants(pid):
        fields = read(f"/proc/{each}/stat").rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12]) if fields else 0
    return total / TICKS


def memory(pid):
    """Bytes of a process tree: private memory; that with its shares of what several map (PSS); and mappings of
    io_uring's rings, which are in neither."""
    private = shared_out = rings = 0
    for each in descendants(pid):
        rollup = read(f"/proc/{each}/smaps_rollup")
        private += sum(int(size) for size in re.findall(r"^Private_(?:Clean|Dirty):\s+(\d+) kB", rollup, re.M))
        shared_out += sum(int(size) for size in re.findall(r"^Pss:\s+(\d+) kB", rollup, re.M))
        for mapping in re.split(r"\n(?=[0-9a-f]+-[0-9a-f]+ )", read(f"/proc/{each}/smaps")):
            if "[io_uring]" in mapping.split("\n")[0]:
                sizes = dict(re.findall(r"^(\w+):\s+(\d+) kB", mapping, re.M))
                rings += int(sizes["Size"]) - int(sizes["Private_Clean"]) - int(sizes["Private_Dirty"])
    return {"private": private * 1024, "shared_out": shared_out * 1024, "rings": rings * 1024}


# ------------------------------------------------------------------------------------------------------- cgroups


def cpu_group(bench):
    """A cgroup (v2) for one server at a time; remove_cgroups() removes it."""
    mounted = [path for path in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified") if os.path.exists(f"{path}/cgroup.procs")
               and os.path.exists(f"{path}/cgroup.controllers")]
    if not mounted:
        sys.exit(f"bench-{bench.name}: no cgroup v2 here (/sys/fs/cgroup, /sys/fs/cgroup/unified)")
    path = f"{mounted[0]}/{os.path.basename(bench.work)}"
    os.makedirs(path, exist_ok=True)
    return path


def cpu_of_group(path):
    """User and system time of all processes that ever were in it, in seconds."""
    return int(re.search(r"^usage_usec (\d+)", read(f"{path}/cpu.stat"), re.M).group(1)) / 1e6


def end_group(bench, path):
    """Kills whoever is in it, until nobody is."""
    while pids := read(f"{path}/cgroup.procs").split():
        for pid in pids:
            try:
                os.kill(int(pid), signal.SIGKILL)
            except ProcessLookupError:
                pass
        reap_orphans(bench)
        time.sleep(0.01)
    reap_orphans(bench)


def reap_orphans(bench):
    """Whose parent has ended is our child: we are the first process of the namespace. Unwaited for, they keep their
    numbers, of which there are only so many."""
    known = {process.pid for process in bench.children}
    while True:
        try:
            found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if found is None or found.si_pid in known:
            return
        os.waitpid(found.si_pid, 0)


def remove_cgroups(name):
    for path in [*glob.glob(f"/sys/fs/cgroup/*/{name}"), *glob.glob(f"/sys/fs/cgroup/{name}")]:
        for _ in range(50):
            try:
                os.rmdir(path)
                break
            except OSError:
                time.sleep(0.05)


def remove_loop_devices(work):
    for line in output("losetup", "--list", "--noheadings", "--output", "NAME,BACK-FILE").splitlines():
        if work in line:
            subprocess.run(["losetup", "--detach", line.split()[0]])


# ------------------------------------------------------------------------------------------------------- files


def many_files(directory, count, size, per_directory=100):
    """Writes DIR/dNNN/fNN, each beginning with its number; size: bytes, or a function of the number. Returns a list."""
    filler, made = random.Random(1).randbytes(1 << 16), []
    for number in range(count):
        name = f"d{number // per_directory:03}/f{number % per_directory:02}"
        if number % per_directory == 0:
            os.makedirs(f"{directory}/d{number // per_directory:03}")
        length = size(number) if callable(size) else size
        content = number.to_bytes(8, "little") + filler
        with open(f"{directory}/{name}", "wb") as file:
            file.write((content * (length // len(content) + 1))[:length])
        made.append((f"/{name}", length))
    return made
