//! A turn of the script in the tools that a client offers.

use serde_json::{Value, json};

use super::answer::Use;

/// Runs a command by the shell that the request offers.
pub(super) fn shell(request: &Value, command: &str) -> Option<Use> {
    names(request).find_map(|(_, name)| {
        let arguments = match name {
            "Bash" | "bash" => json!({ "command": command, "description": "A step of the task" }),
            "exec_command" => json!({ "cmd": command }),
            "shell_command" => json!({ "command": command }),
            "shell" => json!({ "command": ["bash", "-c", command] }),
            _ => return None,
        };
        Some(Use { namespace: None, name: name.to_owned(), arguments })
    })
}

/// Calls a tool of the MCP server `supervise`, which each client calls by a name of its own making; or, where such tools
/// are shown only when asked for, asks for it.
pub(super) fn call(request: &Value, tool: &str, arguments: &Value) -> Option<Use> {
    let found = names(request).find(|(namespace, name)| is_meant(*namespace, name, tool));
    if let Some((namespace, name)) = found {
        let namespace = namespace.map(str::to_owned);
        return Some(Use { namespace, name: name.to_owned(), arguments: arguments.clone() });
    }
    let name = format!("mcp__supervise__{tool}");
    names(request).find(|(_, name)| *name == "ToolSearch")?;
    if last_message(request).contains(&name) {
        return Some(Use { namespace: None, name, arguments: arguments.clone() });
    }
    let query = json!({ "query": format!("select:{name}"), "max_results": 5 });
    Some(Use { namespace: None, name: "ToolSearch".to_owned(), arguments: query })
}

/// Whether the use that was chosen is only on the way to the one that was meant.
pub(super) fn is_detour(used: &Use) -> bool {
    used.name == "ToolSearch"
}

/// Whether the request is of an agent's loop.
pub(super) fn any(request: &Value) -> bool {
    names(request).next().is_some()
}

fn is_meant(namespace: Option<&str>, name: &str, tool: &str) -> bool {
    let same = |text: &str| text.replace('-', "_") == tool.replace('-', "_");
    match namespace {
        Some(namespace) => namespace.contains("supervise") && same(name),
        None => ["mcp__supervise__", "supervise__", "supervise_"]
            .iter()
            .any(|prefix| name.strip_prefix(prefix).is_some_and(same)),
    }
}

/// The names of the tools, with the namespaces that some are in.
fn names(request: &Value) -> impl Iterator<Item = (Option<&str>, &str)> {
    let tools = request["tools"].as_array().into_iter().flatten();
    tools.flat_map(|tool| {
        let own = tool["name"].as_str().or_else(|| tool["function"]["name"].as_str());
        let inner = tool["tools"].as_array().into_iter().flatten();
        let inner = inner.filter_map(move |tool| Some((own, tool["name"].as_str()?)));
        own.filter(|_| tool["tools"].is_null()).map(|name| (None, name)).into_iter().chain(inner)
    })
}

fn last_message(request: &Value) -> String {
    request["messages"].as_array().and_then(|all| all.last()).map(ToString::to_string).unwrap_or_default()
}
