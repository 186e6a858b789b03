"""An agent that is refused, asks at the door of its bottle, and keeps to what it was granted."""
import json
import urllib.error
import urllib.request

MCP = "http://supervise:9100/"
PLACE = "http://new.example.com"
direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
session = None


def fetch(path, method="GET"):
    """The status of a request through the proxy, and its answer."""
    request = urllib.request.Request(PLACE + path, method=method, data=b"x=1" if method == "POST" else None)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read()


def post(message):
    """One JSON-RPC message; the answer to it, whether it comes as JSON or as an event."""
    global session
    headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    if session:
        headers["Mcp-Session-Id"] = session
    body = json.dumps({"jsonrpc": "2.0", **message}).encode()
    with direct.open(urllib.request.Request(MCP, data=body, headers=headers), timeout=50) as answer:
        session = answer.headers.get("Mcp-Session-Id", session)
        lines = answer.read().decode().splitlines()
    data = [line.removeprefix("data:") for line in lines if line.startswith(("data:", "{"))]
    messages = [json.loads(line) for line in data if line.strip()]
    return next((message for message in messages if "id" in message), None)


def call(tool, **arguments):
    message = {"id": 2, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}
    return post(message)["result"]["structuredContent"]


status, body = fetch("/docs/a")
refusal = json.loads(body)
print(status, refusal["rule"], refusal["ask"]["tool"], flush=True)
client = {"name": "agent", "version": "1"}
post({"id": 1, "method": "initialize",
      "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client}})
post({"method": "notifications/initialized"})
# As it is, what the refusal says is a form to fill in.
print(call(refusal["ask"]["tool"], **refusal["ask"]["arguments"])["status"], flush=True)
why = {"justification": "the task reads the documentation"}
exact = call(refusal["ask"]["tool"], **{**refusal["ask"]["arguments"], **why}, wait_seconds=0)
print(exact["status"], call("withdraw", proposal=exact["proposal"])["status"], flush=True)
asked = call("allow", host="new.example.com", scheme="http", wait_seconds=40, **why)
print(asked["status"], asked["allowed"], flush=True)
routes = call("list-egress-routes")["routes"]
print(json.dumps([sorted(route) for route in routes]), flush=True)
print(fetch("/docs/a")[0], fetch("/docs/b/c")[0], fetch("/other")[0], fetch("/docs/a", "POST")[0], flush=True)
