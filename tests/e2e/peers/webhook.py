"""A receiver of signed messages: checks each as the documentation asks, and
prints one JSON line per message that it takes."""

import hashlib
import hmac
import http.server
import json
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
        if good and ident not in SEEN:
            SEEN.add(ident)
            print(json.dumps(message), flush=True)
        self.send_response(204 if good else 401)
        self.end_headers()

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
print("ready", server.server_address[1], flush=True)
server.serve_forever()
