# SPDX-License-Identifier: MIT
"""What the tests of FTP that change files share: a site that may be written to, and how its server is set up."""
import os
import random
import socket
import struct

from ftp import FtpServer
from served import directory, write

BYTES = random.Random(5).randbytes(3 << 20)


def site():
    root = directory()
    write(os.path.join(root, 'old'), b'old')
    write(os.path.join(root, 'd', 'in'), b'below')
    return root


def writable(backend, **options):
    root = site()
    return root, FtpServer(root, backend, '--writable', **options)


def configured(backend, config):
    """With these lines of the host, or sections that follow it."""
    root = site()
    file = os.path.join(directory(), 'errand.conf')
    write(file, f'[Host]\nDirectory={root}\n{config}'.encode())
    return root, FtpServer(root, backend, '-c', file)


def reset(client):
    """Closes a connection as one that is broken."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    client.close()
