# SPDX-License-Identifier: MIT
"""The other web servers, each set up as its own documentation says it serves static files at the least cost.

A peer is a function that writes its configuration and returns (command, environment). What the settings are for stands
in bench/README.md.
"""
import os
import re
import resource

import common

# The variants of nginx that serve from a hot cache, and those that hand slow reads to threads.
NGINX_WITHOUT = ["nginx sendfile", "nginx no sendfile"]
NGINX_WITH = ["nginx no sendfile, open_file_cache", "nginx sendfile, open_file_cache"]
NGINX = NGINX_WITHOUT + NGINX_WITH
NGINX_THREADS = ["nginx aio threads", "nginx no sendfile, aio threads"]
OTHERS = ["lighttpd", "h2o", "caddy"]

NGINX_CONFIGURATION = """
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
    tcp_nopush {sendfile};
    sendfile {sendfile};
    sendfile_max_chunk 2m;
    output_buffers 2 64k;
    {extra}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        root {root};
        location / {{ }}
    }}
}}
"""

LIGHTTPD_CONFIGURATION = """
server.document-root = "{root}"
server.bind = "127.0.0.1"
server.port = {port}
server.modules = ()
server.event-handler = "linux-sysepoll"
server.network-backend = "sendfile"
server.stat-cache-engine = "inotify"
server.max-fds = {descriptors}
server.max-connections = {half}
server.listen-backlog = 4096
server.max-keep-alive-requests = 65535
server.max-keep-alive-idle = 3600
server.errorlog = "{prefix}/error.log"
mimetype.assign = ( "" => "application/octet-stream" )
"""

H2O_CONFIGURATION = """
num-threads: 1
num-name-resolution-threads: 1
max-connections: {connections}
http1-request-timeout: 3600
http1-upgrade-to-http2: OFF
listen:
  host: 127.0.0.1
  port: {port}
user: root
error-log: {prefix}/error.log
hosts:
  default:
    paths:
      "/":
        file.dir: {root}
        file.dirlisting: OFF
"""

CADDY_CONFIGURATION = """
{{
    admin off
    auto_https off
    log {{
        level ERROR
    }}
    servers {{
        protocols h1
        timeouts {{
            idle 1h
        }}
    }}
}}
http://:{port} {{
    bind 127.0.0.1
    root * {root}
    file_server
}}
"""


def nginx_variants():
    """What is different in the configuration."""
    # One descriptor for each file in the cache: 20,000 do not fit where the limit is 20,000, so there one request in
    # 70 or so opens its file anew, which is within the spread.
    cache = (f"open_file_cache max={min(100000, descriptors() - 300)} inactive=1h; open_file_cache_valid 1h; "
             "open_file_cache_min_uses 1; open_file_cache_errors on;")
    return {
        "nginx sendfile": {"sendfile": "on"},
        "nginx no sendfile": {"sendfile": "off"},
        "nginx no sendfile, open_file_cache": {"sendfile": "off", "extra": cache},
        "nginx sendfile, open_file_cache": {"sendfile": "on", "extra": cache},
        "nginx aio threads": {"sendfile": "on", "extra": "aio threads;"},
        "nginx no sendfile, aio threads": {"sendfile": "off", "extra": "aio threads;"},
    }


def descriptors():
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1]


def others(bench, files=0, connections=0):
    """Those of the others that can serve so many files and connections at all with the descriptors that there are.

    lighttpd holds each file open that it was asked for lately, and answers 403 when no descriptor is left; and it takes
    no more connections than half of its descriptors.
    """
    if "lighttpd" in bench.chosen(OTHERS) and (files + 1000 > descriptors() or 2 * connections > descriptors()):
        bench.say(f"\n(next without lighttpd: {descriptors()} descriptors are too few for it)")
        return [name for name in OTHERS if name != "lighttpd"]
    return OTHERS


def nginx(name, configure):
    variant = nginx_variants()[name]
    path = configure("conf", NGINX_CONFIGURATION, cpu_mask="01", sendfile=variant["sendfile"],
                     extra=variant.get("extra", ""))
    return ["nginx", "-c", path], {}


def lighttpd(_, configure):
    return ["lighttpd", "-D", "-f", configure("conf", LIGHTTPD_CONFIGURATION)], {}


def h2o(_, configure):
    return ["h2o", "-m", "worker", "-c", configure("yaml", H2O_CONFIGURATION)], {}


def caddy(_, configure):
    path = configure("Caddyfile", CADDY_CONFIGURATION)
    env = {"GOMAXPROCS": "1", "HOME": os.path.dirname(path)}  # it writes to its home
    return ["caddy", "run", "--config", path, "--adapter", "caddyfile"], env


def command(bench, name, root, port):
    """How to start it in front of the files under root. Its configuration goes to the results."""
    program = re.match(r"\w+", name).group()
    prefix = f"{bench.work}/{program}-{port}"
    os.makedirs(prefix, exist_ok=True)

    def configure(ending, text, **more):
        text = text.format(prefix=prefix, port=port, root=root, descriptors=descriptors(),
                           connections=min(16384, descriptors() - 64), half=min(16384, descriptors() // 2), **more)
        common.write(f"{prefix}/server.{ending}", text)
        bench.keep(f"{name.replace(',', '').replace(' ', '-')}.{ending}", text)
        return f"{prefix}/server.{ending}"

    return {"nginx": nginx, "lighttpd": lighttpd, "h2o": h2o, "caddy": caddy}[program](name, configure)
