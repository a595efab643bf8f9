#!/usr/bin/env python3
"""Appends messages to a file, and acknowledges what the disk has."""
import json, os, sys

envelope = json.loads(sys.stdin.buffer.readline())
try:
    file = open(envelope["config"]["path"], "ab")
except (KeyError, OSError) as error:
    print(json.dumps({"status": "error", "message": f"path: {error}"}), flush=True)
    sys.exit(1)
print(json.dumps({"status": "ready", "acks": True}), flush=True)

acked = 0
for line in sys.stdin.buffer:
    if not line.endswith(b"\n"):
        sys.exit("half a line: the input was broken off")
    file.write(line)
    file.flush()
    os.fsync(file.fileno())
    acked += 1
    print(json.dumps({"acked": acked}), flush=True)
