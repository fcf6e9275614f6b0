# SPDX-License-Identifier: MIT
"""Starts the servers that are measured: `errand serve`, bare loops on io_uring, and the peers of peers.py."""
import common
import peers

# Each file is opened for each request, or comes from memory.
ERRAND = ["errand uring", "errand threads"]
CACHED = ["errand uring, cache", "errand threads, cache"]
# By hand on io_uring, with nothing but the work itself (bench/http/bare.c): what an answer costs the kernel.
BARE = {"bare, from memory": "memory", "bare, opening each": "open"}
ALL = [*CACHED, *ERRAND, *BARE, *peers.nginx_variants(), *peers.OTHERS]


def command(bench, name, root, port):
    if name in ERRAND + CACHED:
        return [bench.errand(), "serve", "--http", f"127.0.0.1:{port}", "--threads", "1", "--backend",
                name.split()[1].rstrip(","), "--cache", "256M" if name in CACHED else "off", "--ftp", "off",
                root], {}
    if name in BARE:
        return [bench.program("bare"), BARE[name], str(port), root], {}
    return peers.command(bench, name, root, port)


def start(bench, name, root, port, cgroup=None):
    """Starts a server on the server's CPU and waits until it listens."""
    line, env = command(bench, name, root, port)
    process = bench.start(line, cpu=common.SERVER_CPU, env=env, cgroup=cgroup)
    if name in ERRAND + CACHED:
        process.stdout.readline()  # it prints its address when it listens for good; before, it tries the port
    bench.wait_port(port, process)
    return process
