"""An agent that is refused, asks for two routes at the door of its bottle, and waits for one of them if it is told to."""
import json
import sys
import urllib.error
import urllib.request

MCP = "http://supervise:9100/"
direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
session = None


def post(message):
    """One JSON-RPC message; the answer to it, whether it comes as JSON or as an event."""
    global session
    headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    if session:
        headers["Mcp-Session-Id"] = session
    body = json.dumps({"jsonrpc": "2.0", **message}).encode()
    with direct.open(urllib.request.Request(MCP, data=body, headers=headers), timeout=60) as answer:
        session = answer.headers.get("Mcp-Session-Id", session)
        lines = answer.read().decode().splitlines()
    data = [line.removeprefix("data:") for line in lines if line.startswith(("data:", "{"))]
    messages = [json.loads(line) for line in data if line.strip()]
    return next((message for message in messages if "id" in message), None)


def allow(host, wait):
    why = {"host": host, "scheme": "http", "justification": "the task reads it", "wait_seconds": wait}
    message = {"id": 2, "method": "tools/call", "params": {"name": "allow", "arguments": why}}
    return post(message)["result"]["structuredContent"]["status"]


if "pushed by" in sys.stdin.read():
    sys.exit(3)
try:
    urllib.request.urlopen("http://unlisted.example/~~~/@all/$(x)", timeout=30)
except urllib.error.HTTPError as refused:
    print(refused.code)
post({"id": 1, "method": "initialize", "params": {
    "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "agent", "version": "1"}}})
post({"method": "notifications/initialized"})
print(allow("other.example.com", 0))
print(allow("new.example.com", 50 if "wait" in sys.argv else 0))
