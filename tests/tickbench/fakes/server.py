"""A stand-in for a backend: prints the ready line and answers /stats. ``--behaviour`` says what goes wrong."""

import json
import os
import signal
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

FLAGS = dict(zip(sys.argv[1::2], sys.argv[2::2], strict=True))


class Stats(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps({"settings": {"flags": FLAGS, "cpus": sorted(os.sched_getaffinity(0))}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    behaviour = FLAGS.get("--behaviour", "good")
    if behaviour == "refuses":
        sys.exit("error: --behaviour refuses; anything else would be right")
    if behaviour == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    else:
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    if behaviour == "parent":
        say(f"child {subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']).pid}")
    server = HTTPServer(("127.0.0.1", int(FLAGS.get("--port", 0))), Stats)
    say(f"tickbench fake listening on http://127.0.0.1:{server.server_port}")
    if behaviour == "dies":
        time.sleep(0.2)
        os._exit(7)
    server.serve_forever()


if __name__ == "__main__":
    main()
