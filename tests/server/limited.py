# SPDX-License-Identifier: MIT
"""What tests of the server's limits share: a server that has some, and clients that may come from anywhere."""
import os
import socket

from recorded import Recorded
from served import SLOW, Reply, directory, write

ASK = b'GET /a.txt HTTP/1.1\r\nHost: a\r\n\r\n'
LAST = b'GET /a.txt HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'
BIG = b'GET /big HTTP/1.1\r\nHost: a\r\n\r\n'


def limited(backend, limits='', proxies='', *arguments, www=None, rules='', **options):
    """A server with these lines of its configuration, a log and a status."""
    root = directory()
    write(os.path.join(root, 'www', 'a.txt'), b'hello\n')
    with open(os.path.join(root, 'www', 'big'), 'wb') as file:
        file.truncate(64 << 20)
    config = os.path.join(root, 'errand.conf')
    text = f'[Server]\n{proxies}\n[Limits]\n{limits}\n[Log]\nFormat=json\n[Host]\nDirectory=www\n'
    write(config, f'{text}Writable=yes\n{rules}'.encode())
    return Recorded(www or os.path.join(root, 'www'), backend, '-c', config, *arguments, log=os.path.join(root, 'log'),
                    **options)


def connect(server, source=None, path=None, receive_buffer=None):
    client = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
    client.settimeout(20 * SLOW)
    if receive_buffer:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    if source:
        client.bind((source, 0))
    client.connect(path or ('127.0.0.1', server.port))
    if not path:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client


def ask(client, request=ASK):
    """One request on a connection that stays. The reply."""
    client.sendall(request)
    with client.makefile('rb') as stream:
        return Reply(stream)
