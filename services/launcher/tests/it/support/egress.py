#!/usr/bin/python3
# A sidecar for tests: it speaks the launcher's protocol and answers every connection with how many secrets it has.
import json, socket, struct, threading

channel = socket.socket(fileno=0)


def receive():
    head, descriptors, _, _ = socket.recv_fds(channel, 4, 16)
    while len(head) < 4:
        head += channel.recv(4 - len(head))
    length, body = struct.unpack(">I", head)[0], b""
    while len(body) < length:
        body += channel.recv(length - len(body))
    return json.loads(body), descriptors


def send(message):
    body = json.dumps(message).encode()
    channel.sendall(struct.pack(">I", len(body)) + body)


handover, _ = receive()
if handover["policy"]["routes"] and handover["policy"]["routes"][0]["host"] == "refused.example":
    send({"is": "failed", "reason": "this route is refused"})
    raise SystemExit(1)
certificate = "-----BEGIN CERTIFICATE-----\nAAEC\n-----END CERTIFICATE-----\n"
send({"is": "ready", "certificate": certificate})
_, descriptors = receive()
listener = socket.socket(fileno=descriptors[0])
send({"is": "serving"})


def serve():
    while True:
        peer, _ = listener.accept()
        if peer.recv(100) == b"die":
            import os

            os._exit(3)
        peer.sendall(b"%d secrets" % len([s for s in handover["secrets"].values() if s]))
        peer.close()


threading.Thread(target=serve, daemon=True).start()
channel.recv(1)
