"""The bottle's MCP server, as a client without a library speaks to it."""

import json
import urllib.request


class Door:
    def __init__(self):
        self.direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        self.session = None
        client = {"name": "agent", "version": "1"}
        self.post({"id": 1, "method": "initialize",
                   "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client}})
        self.post({"method": "notifications/initialized"})

    def post(self, message):
        headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
        if self.session:
            headers["Mcp-Session-Id"] = self.session
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        with self.direct.open(urllib.request.Request("http://supervise:9100/", body, headers), timeout=90) as answer:
            self.session = answer.headers.get("Mcp-Session-Id", self.session)
            lines = answer.read().decode().splitlines()
        data = (line.removeprefix("data:") for line in lines if line.startswith(("data:", "{")))
        messages = [json.loads(line) for line in data if line.strip()]
        return next((message for message in messages if "id" in message), None)

    def call(self, tool, **arguments):
        params = {"name": tool, "arguments": arguments}
        return self.post({"id": 2, "method": "tools/call", "params": params})["result"]["structuredContent"]
