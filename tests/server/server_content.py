#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the configuration does to content: hosts, rules, tries, compressed siblings, logins, redirects, pages, CORS."""
import base64
import os
import subprocess
import sys

from served import Server, directory, run, same, test, write

SITE = {
    'www/a.txt': b'hello\n', 'www/style.css': b'body{}' * 50, 'www/style.css.br': b'br', 'www/style.css.gz': b'gzip',
    'www/page.html': b'a page', 'www/app.html': b'the application', 'www/404.html': b'nothing here',
    'www/sub/start.htm': b'started', 'www/.secret': b'secret', 'www/.errand-0123': b'half', 'www/old/x y.txt': b'old',
    'other/a.txt': b'other', 'wild/a.txt': b'wild',
}


def served(backend, config, **options):
    """A server of SITE; config follows the default host's section."""
    root = directory()
    for name, data in SITE.items():
        write(os.path.join(root, name), data)
    write(os.path.join(root, 'errand.conf'), f'[Host]\nDirectory=www\n{config}'.encode())
    return Server(os.path.join(root, 'www'), backend, '-c', os.path.join(root, 'errand.conf'), **options)


def body(server, path, **headers):
    reply = server.get(path, **headers)
    return reply.status, reply.body


@test
def hosts(backend):
    config = '[Host other.example]\nDirectory=other\n[Host *.wild.example]\nDirectory=wild\n'
    with served(backend, config) as server:
        for host, wanted in (('other.example', b'other'), ('OTHER.example:80', b'other'), ('a.wild.example', b'wild'),
                             ('unknown', b'hello\n')):
            answer = server.say(f'GET /a.txt HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n'.encode())
            assert answer.endswith(b'\r\n\r\n' + wanted), (host, answer)
        answer = server.say(b'GET http://other.example/a.txt HTTP/1.1\r\nHost: unknown\r\nConnection: close\r\n\r\n')
        assert answer.endswith(b'\r\n\r\nother'), answer


@test
def index_tries_and_fallback(backend):
    with served(backend, 'Index=index.html start.htm\nTryFiles=$path.html\nFallback=/app.html\n') as server:
        same(body(server, '/sub/'), (200, b'started'))
        same(body(server, '/page'), (200, b'a page'))
        same(body(server, '/a.txt'), (200, b'hello\n'))
        reply = server.get('/no/such/thing')
        same((reply.status, reply.body), (200, b'the application'))
        same(reply.headers['content-type'], 'text/html; charset=utf-8')
        same(server.get('/sub').headers['location'], '/sub/')


@test
def compressed_siblings(backend):
    with served(backend, 'Precompressed=yes\n') as server:
        plain = SITE['www/style.css']
        for accepted, wanted, coding in (
                ('gzip, br', b'br', 'br'), ('gzip', b'gzip', 'gzip'), ('br;q=0.1, gzip', b'gzip', 'gzip'),
                ('zstd', plain, None), ('identity', plain, None), ('br;q=0', plain, None), (None, plain, None)):
            reply = server.get('/style.css', **({'accept_encoding': accepted} if accepted else {}))
            same((reply.status, reply.body, reply.headers.get('content-encoding')), (200, wanted, coding), accepted)
            same((reply.headers['vary'], reply.headers['content-type']),
                 ('Accept-Encoding', 'text/css; charset=utf-8'), accepted)
        same(server.get('/style.css', accept_encoding='identity;q=0').status, 406)
        same(server.get('/style.css', accept_encoding='identity;q=0, gzip').body, b'gzip')
        one, other = (server.get('/style.css', accept_encoding=c).headers['etag'] for c in ('br', 'gzip'))
        assert one != other
        same(server.get('/style.css', accept_encoding='br', if_none_match=one).status, 304)
        same(server.get('/style.css', accept_encoding='gzip', if_none_match=one).status, 200)


@test
def rules(backend):
    config = ('[Path /**]\nHeader=X-All: 1\n[Path *.css]\nCacheControl=max-age=60\nType=text/x-other\n'
              '[Path /sub/**]\nDeny=yes\n[Path /old/*]\nRedirect=308 /new/$1\n[Path /away]\n'
              'Redirect=302 https://example.org/\n')
    with served(backend, config) as server:
        reply = server.get('/style.css')
        same([reply.headers.get(name) for name in ('x-all', 'cache-control', 'content-type')],
             ['1', 'max-age=60', 'text/x-other'])
        reply = server.get('/a.txt', if_none_match=server.get('/a.txt').headers['etag'])
        same((reply.status, reply.headers.get('x-all'), reply.headers.get('cache-control')), (304, '1', None))
        same(server.get('/sub/start.htm').status, 403)
        for path, status, to in (('/old/x%20y.txt', 308, '/new/x%20y.txt'), ('/away', 302, 'https://example.org/'),
                                 ('/old/%0d%0aSet-Cookie:%20a', 308, '/new/%0D%0ASet-Cookie:%20a')):
            reply = server.get(path)
            same((reply.status, reply.headers['location']), (status, to), path)


@test
def hidden_names(backend):
    with served(backend, '') as server:
        same(server.get('/.secret').status, 404)
    with served(backend, 'Hidden=yes\n') as server:
        same(body(server, '/.secret'), (200, b'secret'))
        same(server.get('/.errand-0123').status, 404, 'what an upload left')


@test
def error_pages(backend):
    with served(backend, 'ErrorPage=404 /404.html\nErrorPage=403 /missing.html\n[Path /sub/**]\nDeny=yes\n') as server:
        for path in ('/none', '/none/', '/.secret'):
            reply = server.get(path)
            same((reply.status, reply.body), (404, b'nothing here'), path)
        reply = server.get('/none', 'HEAD')
        same((reply.status, reply.length), (404, len(b'nothing here')))
        reply = server.get('/none', range='bytes=0-1', if_none_match='*')
        same((reply.status, reply.body), (404, b'nothing here'))
        reply = server.get('/sub/x')
        assert reply.status == 403 and b'403 Forbidden' in reply.body, reply.body


@test
def logins(backend):
    done = subprocess.run(['openssl', 'passwd', '-6', 'geheim'], stdout=subprocess.PIPE, check=True)
    root = directory()
    write(os.path.join(root, 'users'), b'anna:' + done.stdout)
    with served(backend, f'[Path /sub/**]\nUsers={root}/users\nRealm=the house\n') as server:
        reply = server.get('/sub/start.htm')
        same((reply.status, reply.headers['www-authenticate']), (401, 'Basic realm="the house", charset="UTF-8"'))
        for name, password, status in (('anna', 'geheim', 200), ('anna', 'falsch', 401), ('otto', 'geheim', 401),
                                       ('anna', 'geheim', 200)):
            said = base64.b64encode(f'{name}:{password}'.encode()).decode()
            same(server.get('/sub/start.htm', authorization=f'Basic {said}').status, status, f'{name} {password}')
        same(server.get('/sub/start.htm', authorization='Basic !!').status, 401)
        same(server.get('/sub/start.htm', authorization='Bearer x').status, 401)
        same(server.get('/a.txt').status, 200)


@test
def other_origins(backend):
    with served(backend, '[Path *.css]\nAllowOrigin=https://a.example\n[Path *.txt]\nAllowOrigin=*\n') as server:
        reply = server.get('/style.css', origin='https://a.example')
        same((reply.headers['access-control-allow-origin'], reply.headers['vary']), ('https://a.example', 'Origin'))
        reply = server.get('/style.css', origin='https://b.example')
        same((reply.status, reply.headers.get('access-control-allow-origin')), (200, None))
        same(server.get('/a.txt', origin='https://b.example').headers['access-control-allow-origin'], '*')
        same(server.get('/page.html', origin='https://b.example').headers.get('access-control-allow-origin'), None)
        reply = server.get('/a.txt', 'OPTIONS', origin='https://b.example', access_control_request_method='GET',
                           access_control_request_headers='x-one')
        same((reply.status, reply.headers['access-control-allow-methods'],
              reply.headers['access-control-allow-headers']), (204, 'GET, HEAD, OPTIONS', 'x-one'))
        same(server.get('/a.txt', 'OPTIONS').headers['allow'], 'GET, HEAD, OPTIONS')


@test
def conditions(backend):
    with served(backend, '') as server:
        reply = server.get('/a.txt')
        tag, date = reply.headers['etag'], reply.headers['last-modified']
        for headers, status in (({'if_match': tag}, 200), ({'if_match': '"x"'}, 412), ({'if_match': '*'}, 200),
                                ({'if_unmodified_since': date}, 200),
                                ({'if_unmodified_since': 'Thu, 01 Jan 1970 00:00:00 GMT'}, 412),
                                ({'if_range': tag, 'range': 'bytes=0-1'}, 206),
                                ({'if_range': '"x"', 'range': 'bytes=0-1'}, 200),
                                ({'if_match': '"x"', 'if_none_match': tag}, 412), ({'if_none_match': tag}, 304)):
            same(server.get('/a.txt', **headers).status, status, str(headers))


if __name__ == '__main__':
    sys.exit(run(__file__))
