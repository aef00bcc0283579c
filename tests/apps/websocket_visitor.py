"""Visits an app that speaks WebSocket, at the address given, and prints what it was told, a line each."""

import asyncio
import sys

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed


async def main(address):
    async with asyncio.timeout(60):
        async with connect(f"ws://{address}/live", subprotocols=["chat"], max_size=None) as app:
            print("subprotocol", app.subprotocol)
            print("deflate", "permessage-deflate" in app.response.headers.get("Sec-WebSocket-Extensions", ""))
            await app.send("h\u00e9llo")
            print("text", ascii(await app.recv()))
            for size in [0, 1, 125, 126, 65535, 65536, 5 * 1024 * 1024]:
                sent = bytes(at % 251 for at in range(size))
                await app.send(sent)
                print("binary", size, await app.recv() == sent)
            await app.send(["a", "b", "c"])
            print("fragments", await app.recv())
            await app.send("fragments")
            print("fragments", [piece async for piece in app.recv_streaming() if piece])
            await (await app.ping(b"from the visitor"))
            await app.send("ping")
            print("ping", await app.recv())
            await app.send("close")
            try:
                await app.recv()
            except ConnectionClosed as closed:
                print("close", closed.rcvd.code, closed.rcvd.reason)
        async with connect(f"ws://{address}/live", subprotocols=["chat"], compression=None) as app:
            await app.send("plain")
            print("uncompressed", await app.recv())
            await app.close(4002, "enough")
            print("close", app.close_code, app.close_reason)


asyncio.run(main(sys.argv[1]))
