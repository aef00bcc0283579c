"""A shop on Python's own HTTP server that shows its tracebacks to everybody. Prints its port."""

import http.server
import traceback

PASSWORD = "tulip-harbour-42"


def charge(items, password):
    raise RuntimeError(f"payment gateway refused {password!r} for {len(items)} items")


class Shop(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        try:
            self.say(200, self.page())
        except Exception:
            self.say(500, traceback.format_exc())

    def page(self):
        if self.path == "/order":
            charge(["teapot"], PASSWORD)
        return "Welcome to the shop.\n"

    def say(self, status, text):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Shop)
    print(server.server_port, flush=True)
    server.serve_forever()
