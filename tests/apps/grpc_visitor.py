"""Calls an app that speaks gRPC, at the address given, and prints what each call came to, as JSON, a line each."""

import json
import sys

import grpc

DEADLINE = 30


def say(call, **told):
    print(json.dumps({"call": call, **told}), flush=True)


def metadata(pairs):
    return {key: value.hex() if isinstance(value, bytes) else value for key, value in pairs or ()}


def failed(call, error):
    say(call, status=error.code().name, details=error.details(), trailers=metadata(error.trailing_metadata()))


def attempt(name, call):
    try:
        call()
    except grpc.RpcError as error:
        failed(name, error)


def main(address):
    with grpc.insecure_channel(address) as channel:
        def echo():
            heard, call = channel.unary_unary("/test.App/Echo").with_call(b"hello", timeout=DEADLINE)
            say("echo", heard=heard.decode(), trailers=metadata(call.trailing_metadata()))

        def large():
            sent = bytes(at % 251 for at in range(3 * 1024 * 1024))
            say("large", same=channel.unary_unary("/test.App/Echo")(sent, timeout=DEADLINE) == sent)

        def count():
            heard = channel.unary_stream("/test.App/Count")(b"5", timeout=DEADLINE)
            say("count", heard=[each.decode() for each in heard])

        def join():
            heard = channel.stream_unary("/test.App/Join")(iter([b"a", b"b", b"c"]), timeout=DEADLINE)
            say("join", heard=heard.decode())

        def chat():
            heard = channel.stream_stream("/test.App/Chat")(iter([b"1", b"2", b"3"]), timeout=DEADLINE)
            say("chat", heard=[each.decode() for each in heard])

        def fail():
            channel.unary_unary("/test.App/Fail")(b"", timeout=DEADLINE)

        def missing():
            channel.unary_unary("/test.App/Missing")(b"", timeout=DEADLINE)

        def late():
            channel.unary_unary("/test.App/Sleep")(b"20", timeout=0.3)

        for call in [echo, large, count, join, chat, fail, missing, late]:
            attempt(call.__name__, call)


main(sys.argv[1])
