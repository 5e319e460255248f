"""A receiver that knows of TCP and of nothing else.

Reads one connection to its end; prints how much came, its SHA-256, and when, in milliseconds of the
monotonic clock. Arguments: port, and bytes of SO_RCVBUF (0: the kernel decides).
"""
import hashlib
import json
import socket
import sys
import time

port, recv_buffer = int(sys.argv[1]), int(sys.argv[2])
listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
if recv_buffer:
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, recv_buffer)
listener.bind(("0.0.0.0", port))
listener.listen()
print("ready", flush=True)
connection, _ = listener.accept()
digest, total, chunks = hashlib.sha256(), 0, []
while data := connection.recv(1 << 18):
    digest.update(data)
    total += len(data)
    chunks.append([time.monotonic_ns() // 1000, len(data)])
connection.close()
print(json.dumps({"bytes": total, "sha256": digest.hexdigest(), "chunks": chunks}))
