"""An app that speaks gRPC, on messages that are bytes. Prints its port."""

import concurrent.futures
import time

import grpc


def echo(request, context):
    context.set_trailing_metadata((("x-echoed", "yes"),))
    return request


def count(request, context):
    for number in range(int(request)):
        yield str(number).encode()


def join(requests, context):
    return b" ".join(requests)


def chat(requests, context):
    for request in requests:
        yield request


def fail(request, context):
    context.set_trailing_metadata((("x-reason-bin", b"\x00\xff"), ("x-reason", "no stock")))
    context.abort(grpc.StatusCode.FAILED_PRECONDITION, "the app's own words: 100% gone")


def sleep(request, context):
    time.sleep(float(request))
    return b"awake"


HANDLERS = {
    "Echo": grpc.unary_unary_rpc_method_handler(echo),
    "Count": grpc.unary_stream_rpc_method_handler(count),
    "Join": grpc.stream_unary_rpc_method_handler(join),
    "Chat": grpc.stream_stream_rpc_method_handler(chat),
    "Fail": grpc.unary_unary_rpc_method_handler(fail),
    "Sleep": grpc.unary_unary_rpc_method_handler(sleep),
}

if __name__ == "__main__":
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(max_workers=16))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.App", HANDLERS),))
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    server.wait_for_termination()
