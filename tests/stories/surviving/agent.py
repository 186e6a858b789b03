"""An agent whose helpers may go away at any time: it asks until it is answered, and counts what its proxy did for it."""
import json
import time
import urllib.error
import urllib.request

MCP = "http://supervise:9100/"
PLACE = "http://new.example.com"
direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
session = None
count = {200: 0, 403: 0}


def fetch(path, method="GET"):
    """The status of a request through the proxy."""
    request = urllib.request.Request(PLACE + path, method=method, data=b"x=1" if method == "POST" else None)
    try:
        with urllib.request.urlopen(request, timeout=50) as answer:
            status = answer.status
    except urllib.error.HTTPError as refused:
        status = refused.code
    count[status] += 1
    return status


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


print(fetch("/docs/a"), flush=True)
client = {"name": "agent", "version": "1"}
post({"id": 1, "method": "initialize",
      "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client}})
post({"method": "notifications/initialized"})
answer, proposal, meanwhile = {"status": "unavailable"}, None, set()
while answer["status"] in ("pending", "unavailable"):
    if proposal:
        answer = call("wait", proposal=proposal, wait_seconds=1)
    else:
        why = "the task reads the documentation"
        answer = call("allow", host="new.example.com", scheme="http", justification=why, wait_seconds=1)
    proposal = answer.get("proposal", proposal)
    # What was allowed stays allowed, and what nobody grants stays refused, whoever is away.
    meanwhile |= {(fetch("/open"), fetch("/other"))}
    if answer["status"] == "unavailable":
        time.sleep(0.5)
print(answer["status"], answer.get("allowed"), answer.get("reason"), flush=True)
print(*sorted(meanwhile), flush=True)
print(fetch("/docs/a"), fetch("/docs/b/c"), fetch("/other"), fetch("/docs/a", "POST"), flush=True)
print(count[200], count[403], flush=True)
