# SPDX-License-Identifier: MIT
"""The servers that are measured: `errand serve`, and nginx as it serves static files at the least cost."""
import os
import resource

import common

# Each file is opened for each request, or comes from memory.
ERRAND = ["errand uring", "errand threads"]
CACHED = ["errand uring, cache", "errand threads, cache"]

CONFIGURATION = """
daemon off;
user root;
worker_processes 1;
worker_cpu_affinity {cpu_mask};
worker_rlimit_nofile {descriptors};
error_log {prefix}/error.log crit;
pid {prefix}/pid;
events {{ use epoll; worker_connections {connections}; multi_accept on; }}
http {{
    include /etc/nginx/mime.types;
    default_type application/octet-stream;
    access_log off;
    log_not_found off;
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
    tcp_nodelay on;
    tcp_nopush {nopush};
    sendfile {sendfile};
    output_buffers 2 64k;
    {extra}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        root {root};
        location / {{ }}
    }}
}}
"""


def variants():
    """Its variants: what is different in the configuration."""
    # One descriptor for each file in the cache: 20,000 do not fit where the limit is 20,000, so there one request in
    # 70 or so opens its file anew, which is within the spread.
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    cache = (f"open_file_cache max={min(100000, limit - 300)} inactive=1h; open_file_cache_valid 1h; "
             "open_file_cache_min_uses 1; open_file_cache_errors on;")
    return {
        "nginx sendfile": {"sendfile": "on"},
        "nginx no sendfile": {"sendfile": "off"},
        "nginx no sendfile, open_file_cache": {"sendfile": "off", "extra": cache},
        "nginx sendfile, open_file_cache": {"sendfile": "on", "extra": cache},
        "nginx aio threads": {"sendfile": "on", "extra": "aio threads;"},
    }


def start(bench, name, root, port, cgroup=None):
    """Starts a server on the server's CPU and waits until it listens. nginx's configuration goes to the results."""
    if name in ERRAND + CACHED:
        command = [bench.errand(), "serve", "--http", f"127.0.0.1:{port}", "--threads", "1", "--backend",
                   name.split()[1].rstrip(","), "--cache", "256M" if name in CACHED else "off", root]
    else:
        command = ["nginx", "-c", configure(bench, name, root, port)]
    process = bench.start(command, cpu=common.SERVER_CPU, cgroup=cgroup)
    if name in ERRAND + CACHED:
        process.stdout.readline()  # it prints its address when it listens for good; before, it tries the port
    bench.wait_port(port, process)
    return process


def configure(bench, name, root, port):
    prefix = f"{bench.work}/nginx-{port}"
    os.makedirs(prefix, exist_ok=True)
    setting = variants()[name]
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    text = CONFIGURATION.format(
        cpu_mask="01", descriptors=limit, connections=min(16384, limit - 64), prefix=prefix, port=port, root=root,
        sendfile=setting["sendfile"], nopush=setting["sendfile"], extra=setting.get("extra", ""))
    common.write(f"{prefix}/nginx.conf", text)
    bench.keep(name.replace(",", "").replace(" ", "-") + ".conf", text)
    return f"{prefix}/nginx.conf"
