"""An agent that works on a repository: what it pushes, and what it is told.

Each line that it prints is a step's outcome, in one word, and what the gate said.
"""

import os
import re
import subprocess

URL = os.environ["REPOSITORY"]


def git(*arguments, folder="tools"):
    done = subprocess.run(["git", "-C", folder, *arguments], capture_output=True, timeout=120)
    return done.returncode == 0, done.stderr.decode(errors="replace")


def write(name, text, message):
    path = os.path.join("tools", name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write(text)
    git("add", ".")
    git("commit", "--quiet", "-m", message)


def push(step, *refs):
    passed, told = git("push", "origin", *refs)
    proposal = re.search(r"\b01[0-9A-HJKMNP-TV-Z]{24}\b", told)
    print(step, "passed" if passed else "refused", flush=True)
    return proposal and proposal.group(0)


passed, told = git("clone", "--quiet", URL, "tools", folder=".")
print("clone", "passed" if passed else told.replace("\n", " "), flush=True)
git("checkout", "--quiet", "-b", "agent/work")
write(".github/workflows/check.yml", "on: push\n", "Another workflow")
push("workflow", "agent/work")
write(".github/workflows/check.yml", "on: pull_request\n", "A worse workflow")
push("another", "agent/work")
git("reset", "--quiet", "--hard", "origin/agent/work")
write("notes.txt", "one line\n", "Notes")
proposal = push("foreign", "HEAD:other")
print("asked", Door().call("wait", proposal=proposal, wait_seconds=60)["status"], flush=True)
push("foreign", "HEAD:other")
git("commit", "--quiet", "--amend", "-m", "Other notes")
push("foreign", "HEAD:other")
