# SPDX-License-Identifier: MIT
"""The FTP servers: `errand serve`, and the others, each set up as its own documentation says it serves anonymous users
at the least cost. What the settings are for stands in bench/README.md.
"""
import glob
import os
import re
import subprocess
import sys

import common
import peers

PORT = 2199
ERRAND = ["errand uring", "errand threads"]
VSFTPD, PURE_FTPD, PYFTPDLIB = ["vsftpd", "vsftpd, one process"], "pure-ftpd", "pyftpdlib"
OTHERS = [*VSFTPD, PURE_FTPD, PYFTPDLIB]
ALL = ERRAND + OTHERS

# Of these Debian installs only one at a time, so their programs are used without being installed.
APART = {"vsftpd": "usr/sbin/vsftpd", "pure-ftpd": "usr/sbin/pure-ftpd"}
USER = "ftp:x:65500:65500::{root}:/usr/sbin/nologin"

# seccomp_sandbox has to be off: that of 3.0.3 ends the sessions on this kernel ("500 OOPS: priv_sock_get_cmd").
VSFTPD_CONFIGURATION = """
listen=YES
listen_address=127.0.0.1
listen_port={port}
background=NO
anonymous_enable=YES
local_enable=NO
anon_root={root}
secure_chroot_dir={prefix}
write_enable=YES
anon_upload_enable=YES
max_clients=0
max_per_ip=0
accept_timeout=3600
data_connection_timeout=3600
idle_session_timeout=3600
use_sendfile=YES
xferlog_enable=NO
ssl_enable=NO
tcp_wrappers=NO
seccomp_sandbox=NO
{extra}
"""
VSFTPD_ONE_PROCESS = "one_process_model=YES\nisolate=NO\nisolate_network=NO"

PYFTPDLIB_SCRIPT = """
import logging
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler
from pyftpdlib.servers import FTPServer

logging.basicConfig(level=logging.ERROR)
handler = FTPHandler
handler.authorizer = DummyAuthorizer()
handler.authorizer.add_anonymous("{root}", perm="elrw")
handler.timeout = 3600
server = FTPServer(("127.0.0.1", {port}), handler, backlog=4096)
server.max_cons = server.max_cons_per_ip = 0
server.serve_forever()
"""


# ------------------------------------------------------------------------------------------ where they come from


def apart(build):
    return f"{os.path.abspath(build)}/peers"


def fetch(build):
    """Where the network still is: the programs of APART, below the build directory."""
    place = apart(build)
    missing = [name for name in APART if not glob.glob(f"{place}/{name}_*.deb")]
    if not missing:
        return
    os.makedirs(place, exist_ok=True)
    done = subprocess.run(["apt-get", "download", *missing], cwd=place, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        sys.exit(f"bench-ftp: could not fetch {' '.join(missing)}:\n{done.stdout}")
    for name in missing:
        subprocess.run(["dpkg-deb", "-x", *glob.glob(f"{place}/{name}_*.deb"), place], check=True)


def note_versions(bench):
    """They are not among the installed packages."""
    for path in sorted(glob.glob(f"{apart(bench.args.build)}/*.deb")):
        name, version = common.output("dpkg-deb", "-f", path, "Package", "Version").splitlines()
        bench.machine["packages"][name.split()[1]] = version.split()[1]


def give_home(bench, root):
    """vsftpd and pure-ftpd take anonymous users for a user of the machine; here, in a mount namespace, there is one."""
    path = f"{bench.work}/passwd"
    users = [line for line in common.read("/etc/passwd").splitlines() if not line.startswith("ftp:")]
    common.write(path, "\n".join([*users, USER.format(root=root)]) + "\n")
    if not os.path.samefile(path, "/etc/passwd"):
        subprocess.run(["mount", "--bind", path, "/etc/passwd"], check=True)


# ------------------------------------------------------------------------------------------ starting them


def command(bench, name, root):
    if name in ERRAND:
        return [bench.errand(), "serve", "--http", "off", "--ftp", f"127.0.0.1:{PORT}", "--threads", "1", "--backend",
                name.split()[1], "--writable", root]
    program = re.match(r"[\w-]+", name).group()
    prefix = f"{bench.work}/{program}"
    os.makedirs(prefix, exist_ok=True)

    def configure(ending, text, **more):
        text = text.format(prefix=prefix, port=PORT, root=root, **more)
        common.write(f"{prefix}/server.{ending}", text)
        bench.keep(f"{name.replace(',', '').replace(' ', '-')}.{ending}", text)
        return f"{prefix}/server.{ending}"

    if name == PYFTPDLIB:
        return ["/usr/bin/python3", "-W", "ignore", configure("py", PYFTPDLIB_SCRIPT)]
    binary = f"{apart(bench.args.build)}/{APART[program]}"
    if name in VSFTPD:
        extra = VSFTPD_ONE_PROCESS if "one process" in name else ""
        return [binary, configure("conf", VSFTPD_CONFIGURATION, extra=extra)]
    most = str(peers.descriptors())
    return [binary, "--bind", f"127.0.0.1,{PORT}", "--anonymousonly", "--dontresolve", "--maxclientsnumber", most,
            "--maxclientsperip", most, "--maxidletime", "60", "--syslogfacility", "none", "--tls", "0", "--pidfile",
            f"{prefix}/pid"]


def start(bench, name, root, cgroup=None):
    """Starts a server on the server's CPU and waits until it listens."""
    give_home(bench, root)
    process = bench.start(command(bench, name, root), cpu=common.SERVER_CPU, cgroup=cgroup)
    if name in ERRAND:
        process.stdout.readline()
    bench.wait_port(PORT, process)
    return process
