"""An app that speaks WebSocket: it echoes, and does what it is told. Prints its port."""

import asyncio

from websockets.asyncio.server import serve


async def talk(connection):
    async for message in connection:
        if message == "close":
            await connection.close(4001, "as you say")
        elif message == "fragments":
            await connection.send(["one ", "two ", "three"])
        elif message == "ping":
            await (await connection.ping(b"from the app"))
            await connection.send("ponged")
        else:
            await connection.send(message)


async def main():
    async with serve(talk, "127.0.0.1", 0, subprotocols=["chat"], max_size=None) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()


asyncio.run(main())
