"""An app of HTTP/2 (Hypercorn) that speaks WebSocket over its streams (RFC 8441): it echoes. Prints its port."""

import asyncio
import socket

from hypercorn.asyncio import serve
from hypercorn.config import Config


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        return
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": scope["http_version"].encode()})
        return
    await receive()
    protocols = [protocol for protocol in scope["subprotocols"] if protocol == "chat"]
    await send({"type": "websocket.accept", "subprotocol": next(iter(protocols), None)})
    while (event := await receive())["type"] == "websocket.receive":
        if event.get("text") == "close":
            await send({"type": "websocket.close", "code": 4001, "reason": "as you say"})
        else:
            await send({"type": "websocket.send", "text": event.get("text"), "bytes": event.get("bytes")})


async def main():
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    config = Config()
    config.bind = [f"fd://{listener.fileno()}"]
    config.loglevel = "WARNING"
    config.websocket_max_message_size = 16 * 1024 * 1024
    print(listener.getsockname()[1], flush=True)
    await serve(app, config)


asyncio.run(main())
