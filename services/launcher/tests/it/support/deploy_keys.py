#!/usr/bin/python3
# The program that makes and takes back deploy keys, for tests: it does what its forge's token says.
import json, socket, struct

channel = socket.socket(fileno=0)


def exactly(count):
    body = b""
    while len(body) < count:
        body += channel.recv(count - len(body))
    return body


order = json.loads(exactly(struct.unpack(">I", exactly(4))[0]))
if order["token"] == "refuse-" + order["order"]:
    answer = {"is": "failed", "reason": "the forge refuses"}
elif order["order"] == "register":
    answer = {"is": "registered", "key": "made for " + order["title"]}
else:
    answer = {"is": "revoked"}
body = json.dumps(answer).encode()
channel.sendall(struct.pack(">I", len(body)) + body)
