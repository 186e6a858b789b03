"""What one would write for mitmproxy: one allowed domain, and the expressions of our rules over each body.

Only rules whose keyword stands in the body are tried, as in the rules' own schema.
"""

import os
import re
import tomllib

from mitmproxy import http

DOMAIN = ".bench.example.com"
HOST, PORT = os.environ["ORIGIN"].rsplit(":", 1)


def read_rules():
    with open(os.environ["RULES"], "rb") as file:
        rules = tomllib.load(file)["rules"]
    for rule in rules:
        try:
            expression = re.compile(rule["regex"].replace("\\z", "\\Z").encode())
        except re.error:
            continue
        yield [keyword.lower().encode() for keyword in rule.get("keywords", [])], expression


RULES = list(read_rules())


def request(flow: http.HTTPFlow):
    if not flow.request.pretty_host.endswith(DOMAIN):
        flow.response = http.Response.make(403, b"refused")
        return
    body = flow.request.content or b""
    lower = body.lower()
    for keywords, expression in RULES:
        if (not keywords or any(keyword in lower for keyword in keywords)) and expression.search(body):
            flow.response = http.Response.make(403, b"refused")
            return
    # The benchmark's names resolve nowhere. Changed here and not when it dials, it uses a connection again.
    named = flow.request.host_header
    flow.request.host, flow.request.port = HOST, int(PORT)
    flow.request.host_header = named
