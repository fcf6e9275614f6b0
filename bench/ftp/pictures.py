# SPDX-License-Identifier: MIT
"""How bench-ftp's measurements are drawn: see drawing.py."""

PEERS = ("vsftpd", "pure-ftpd", "python3-pyftpdlib")
BARS = {
    "sessions": ("per_cpu_s", 1, "sessions in a second of server CPU: more is better"),
    "sessions-list": ("per_cpu_s", 1, "sessions in a second of server CPU: more is better"),
    "downloads": ("gb_per_cpu_s", 1, "GB sent in a second of server CPU: more is better"),
    "uploads": ("us_each", 1, "µs of server CPU for a file: less is better"),
    "memory": ("bytes_each", 1 / 1024, "sessions: KiB of memory for each: less is better"),
}
LINES = {"growth": ("us_each", 1, "µs of server CPU for a RETR of 4 KiB, by the number of sessions")}
RANGES = {"stall": (("hot_p50", "hot_p99", "hot_max"), 1, "p50, p99 and the longest since it was due: less is better")}
TITLES = {
    "sessions": "Sessions: connect, log in, fetch 4 KiB, quit",
    "sessions-list": "Sessions: connect, log in, list 100 files, fetch 4 KiB, quit",
    "downloads": "64 sessions fetch files that are in memory",
    "uploads": "64 sessions store new files",
    "memory": "Memory of an idle session",
    "growth": "The same 500 transfers a second in more sessions",
    "stall": "A hot file while 64 sessions fetch from a slow filesystem",
}
