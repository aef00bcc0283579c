"""Visits an app by WebSocket over a stream of HTTP/2 (RFC 8441), at the address given, and prints what it was told, a line each."""

import socket
import sys

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, RemoteSettingsChanged, ResponseReceived, StreamEnded, StreamReset
from h2.settings import SettingCodes
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage


class Visitor:
    def __init__(self, address):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=30)
        self.http = H2Connection(H2Configuration(header_encoding="utf-8"))
        self.http.initiate_connection()
        self.flush()
        self.offered, self.status, self.ended = False, None, False
        self.websocket = Connection(ConnectionType.CLIENT)
        self.stream = self.http.get_next_available_stream_id()

    def flush(self):
        self.socket.sendall(self.http.data_to_send())

    def hear(self):
        data = self.socket.recv(65536)
        if not data:
            raise EOFError("the connection was closed")
        for event in self.http.receive_data(data):
            if isinstance(event, RemoteSettingsChanged):
                setting = event.changed_settings.get(SettingCodes.ENABLE_CONNECT_PROTOCOL)
                self.offered = self.offered or bool(setting and setting.new_value)
            elif isinstance(event, ResponseReceived):
                self.fields = dict(event.headers)
                self.status = self.fields[":status"]
            elif isinstance(event, DataReceived):
                if event.data:
                    self.websocket.receive_data(event.data)
                self.http.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, StreamEnded):
                self.ended = True
            elif isinstance(event, StreamReset):
                raise EOFError(f"the stream was reset: {event.error_code}, status {self.status}")
        self.flush()

    def open(self, path):
        while not self.offered:
            self.hear()
        fields = [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":path", path)]
        fields += [(":authority", "shop.example"), ("sec-websocket-version", "13")]
        fields.append(("sec-websocket-protocol", "chat"))
        self.http.send_headers(self.stream, fields)
        self.flush()
        while self.status is None:
            self.hear()
        return self.status

    def send(self, event):
        rest = self.websocket.send(event)
        while rest:
            room = min(self.http.local_flow_control_window(self.stream), self.http.max_outbound_frame_size)
            if room:
                self.http.send_data(self.stream, rest[:room])
                rest = rest[room:]
                self.flush()
            else:
                self.hear()

    def next(self):
        """The next message, whole."""
        parts = []
        while True:
            for event in self.websocket.events():
                if isinstance(event, (TextMessage, BytesMessage)):
                    parts.append(event.data)
                    if event.message_finished:
                        return parts[0][:0].join(bytes(part) if isinstance(part, bytearray) else part for part in parts)
                else:
                    return event
            self.hear()


def main(address):
    visitor = Visitor(address)
    print("status", visitor.open("/live"))
    print("subprotocol", visitor.fields.get("sec-websocket-protocol"))
    visitor.send(TextMessage(data="h\u00e9llo"))
    print("text", ascii(visitor.next()))
    for size in [0, 125, 65536, 1024 * 1024]:
        sent = bytes(at % 251 for at in range(size))
        visitor.send(BytesMessage(data=sent))
        print("binary", size, visitor.next() == sent)
    visitor.send(Ping(payload=b"there?"))
    answer = visitor.next()
    print("ping", isinstance(answer, Pong) and bytes(answer.payload))
    visitor.send(TextMessage(data="close"))
    closed = visitor.next()
    print("close", isinstance(closed, CloseConnection) and (closed.code, closed.reason))
    visitor.send(closed.response())
    visitor.http.end_stream(visitor.stream)
    visitor.flush()
    while not visitor.ended:
        visitor.hear()
    print("ended")


main(sys.argv[1])
