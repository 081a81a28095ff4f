"""A receiver of signed messages, as `evenkeel_core::jobs::wire` says what one may
rely on: checks each message as the documentation asks, takes each id once, and
prints one JSON line per delivery, also of one that it knows already.

How it answers is in the path: `/x` takes each; `/busy` answers the first attempt
of each id with 503; `/lost` takes it, but the first answer never goes out.
With a certificate and its key it speaks TLS."""

import hashlib
import hmac
import http.server
import json
import ssl
import sys
import time

KEY = sys.argv[1].encode()
SEEN = set()


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        sent, ident = self.headers["Evenkeel-Time"], self.headers["Evenkeel-Id"]
        signed = hmac.new(KEY, sent.encode() + b"." + body, hashlib.sha256).hexdigest()
        message = json.loads(body)
        good = (
            hmac.compare_digest(self.headers["Evenkeel-Signature"], "v1=" + signed)
            and abs(time.time() - int(sent)) < 300
            and message["id"] == ident
        )
        if not good:
            return self.answer(401)
        again = ident in SEEN
        SEEN.add(ident)
        delivery = {"id": ident, "again": again, "body": body.decode(), "message": message}
        print(json.dumps(delivery), flush=True)
        if not again and self.path == "/busy":
            return self.answer(503)
        if not again and self.path == "/lost":
            # Until whoever waits for the answer is gone.
            while self.rfile.read(1):
                pass
            return None
        return self.answer(204)

    def answer(self, status):
        self.send_response(status)
        self.end_headers()

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
if len(sys.argv) > 2:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[2], sys.argv[3])
    server.socket = context.wrap_socket(server.socket, server_side=True)
print("ready", server.server_address[1], flush=True)
server.serve_forever()
