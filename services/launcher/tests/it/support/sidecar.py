#!/usr/bin/python3
# A sidecar for tests, any of them: it speaks the launcher's protocol and answers every connection with how many
# secrets it has.
import base64, json, socket, struct, threading, time

channel = socket.socket(fileno=0)
# The launcher's own limit is for answers; a bottle may take longer.
channel.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, 0))


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
routes = handover["policy"]["routes"] if "policy" in handover else []
if routes and routes[0]["host"] == "refused.example":
    send({"is": "failed", "reason": "this route is refused"})
    raise SystemExit(1)
certificate = "-----BEGIN CERTIFICATE-----\nAAEC\n-----END CERTIFICATE-----\n" if "policy" in handover else None
send({"is": "ready", "certificate": certificate})
_, descriptors = receive()
listener = socket.socket(fileno=descriptors[0])
send({"is": "serving"})


def serve():
    while True:
        peer, _ = listener.accept()
        asked = peer.recv(100)
        if asked == b"die":
            import os

            os._exit(3)
        claims = json.loads(base64.urlsafe_b64decode(handover["bus"]["jwt"].split(".")[1] + "=="))
        if asked == b"who":
            peer.sendall(" ".join([claims["sub"], claims["name"], *sorted(handover)]).encode())
        elif asked == b"left":
            peer.sendall(b"%d" % (claims["exp"] - time.time()))
        else:
            accesses = [repo["access"] for repo in handover.get("repos", {}).values()]
            secrets = handover.get("secrets") or {n: a.get("key") or a.get("token") for n, a in enumerate(accesses)}
            peer.sendall(b"%d secrets" % len([secret for secret in secrets.values() if secret]))
        peer.close()


threading.Thread(target=serve, daemon=True).start()
# The launcher's end has given this one a time-out.
while True:
    try:
        channel.recv(1)
        break
    except BlockingIOError:
        pass
