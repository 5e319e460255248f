"""An HTTP server and client on asyncio's streams, as somebody would write them in an afternoon.

peer.py serve FOLDER PORT    says "listening" and serves the files of a folder
peer.py fetch HOST PORT NAME writes a file to standard output
"""

import asyncio
import os
import sys

BLOCK = 1 << 16


async def answer(folder, reader, writer):
    name = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode().lstrip("/")
    path = os.path.join(folder, name)
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {os.path.getsize(path)}\r\nConnection: close\r\n\r\n"
    writer.write(head.encode())
    with open(path, "rb") as file:
        while block := file.read(BLOCK):
            writer.write(block)
            await writer.drain()
    writer.write_eof()
    await reader.read()
    writer.close()


async def serve(folder, port):
    server = await asyncio.start_server(lambda r, w: answer(folder, r, w), "0.0.0.0", port)
    print("listening", flush=True)
    await server.serve_forever()


async def fetch(host, port, name):
    reader, writer = await asyncio.open_connection(host, port)
    request = f"GET /{name} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    writer.write(request.encode())
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.split()[1] == b"200", head
    while block := await reader.read(BLOCK):
        sys.stdout.buffer.write(block)
    writer.close()
    await writer.wait_closed()


if sys.argv[1] == "serve":
    asyncio.run(serve(sys.argv[2], int(sys.argv[3])))
else:
    asyncio.run(fetch(sys.argv[2], int(sys.argv[3]), sys.argv[4]))
