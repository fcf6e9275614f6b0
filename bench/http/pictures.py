# SPDX-License-Identifier: MIT
"""How bench-http's measurements are drawn: see drawing.py."""

PEERS = ("nginx", "lighttpd", "h2o", "caddy")
BARS = {
    "hot-small": ("us_per_request", 1, "µs of server CPU for a request: less is better"),
    "hot-many": ("us_per_request", 1, "µs of server CPU for a request: less is better"),
    "connection-each": ("us_per_request", 1, "µs of server CPU for a request: less is better"),
    "cold": ("requests_per_s", 1, "requests a second: more is better"),
    "large": ("gb_per_cpu_s", 1, "GB sent in a second of server CPU: more is better"),
}
LINES = {
    "connections": ("us_per_request", 1, "µs of server CPU for a request, by the number of connections"),
    "growth": ("us_per_request", 1, "µs of server CPU for a request, by the number of files"),
}
RANGES = {
    "latency": (("us_p50", "us_p99", "us_p999"), 1e-3,
                "p50, p99 and p99.9 since a request was due, at {rate:,} requests a second: less is better"),
}
TITLES = {
    "hot-small": "1,000 small files (8 KiB) in memory, connections kept",
    "hot-many": "20,000 small files (8 KiB) in memory, connections kept",
    "connection-each": "1,000 small files (8 KiB) in memory, a connection for each request",
    "cold": "15,000 small files (8 KiB), not in memory",
    "large": "Large files in memory",
    "connections": "The same 20,000 requests a second on more connections",
    "growth": "More files (1 KiB), each as likely as any other",
    "latency": "How long a request waits",
}
