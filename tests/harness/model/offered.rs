//! A turn of the script in the tools that a client offers.

use serde_json::{Value, json};

use super::answer::{Input, Use};

/// Runs a command by the shell that the request offers.
pub(super) fn shell(request: &Value, command: &str) -> Option<Use> {
    offered(request).find_map(|tool| {
        let input = match tool.name {
            "Bash" | "bash" => json!({ "command": command, "description": "A step of the task" }),
            "exec_command" => json!({ "cmd": command }),
            "shell_command" => json!({ "command": command }),
            "shell" => json!({ "command": ["bash", "-c", command] }),
            "exec" if tool.is_code => return Some(tool.code("exec_command", &json!({ "cmd": command }))),
            _ => return None,
        };
        Some(tool.given(input))
    })
}

/// Calls a tool of the MCP server `supervise`, which each client calls by a name of its own making; or, where such tools
/// are shown only when asked for, asks for it.
pub(super) fn call(request: &Value, tool: &str, arguments: &Value) -> Option<Use> {
    if let Some(found) = offered(request).find(|found| found.is_meant(tool)) {
        return Some(found.given(arguments.clone()));
    }
    if let Some(code) = offered(request).find(|found| found.is_code) {
        let name = format!("mcp__supervise__{}", tool.replace('-', "_"));
        return Some(code.code(&name, arguments));
    }
    let search = offered(request).find(|found| found.name == "ToolSearch")?;
    let name = format!("mcp__supervise__{tool}");
    if last_message(request).contains(&name) {
        return Some(Use { namespace: None, name, input: Input::Arguments(arguments.clone()) });
    }
    Some(search.given(json!({ "query": format!("select:{name}"), "max_results": 5 })))
}

/// Whether the use that was chosen is only on the way to the one that was meant.
pub(super) fn is_detour(used: &Use) -> bool {
    used.name == "ToolSearch"
}

/// Whether the request is of an agent's loop.
pub(super) fn any(request: &Value) -> bool {
    offered(request).next().is_some()
}

/// A tool of a request.
#[derive(Clone, Copy, Debug)]
struct Offered<'r> {
    namespace: Option<&'r str>,
    name: &'r str,
    /// Whether it runs a program that calls other tools.
    is_code: bool,
}

impl Offered<'_> {
    fn given(&self, arguments: Value) -> Use {
        self.with(Input::Arguments(arguments))
    }

    /// A program that calls another tool and shows what it said.
    fn code(&self, tool: &str, arguments: &Value) -> Use {
        let patience = "// @exec: {\"yield_time_ms\": 120000}";
        self.with(Input::Source(format!("{patience}\ntext(await tools.{tool}({arguments}));")))
    }

    fn with(&self, input: Input) -> Use {
        Use { namespace: self.namespace.map(str::to_owned), name: self.name.to_owned(), input }
    }

    fn is_meant(&self, tool: &str) -> bool {
        let same = |text: &str| text.replace('-', "_") == tool.replace('-', "_");
        match self.namespace {
            Some(namespace) => namespace.contains("supervise") && same(self.name),
            None => ["mcp__supervise__", "supervise_"]
                .iter()
                .any(|prefix| self.name.strip_prefix(prefix).is_some_and(same)),
        }
    }
}

/// The tools, with the namespaces that some are in. Some clients put them in front of the conversation.
fn offered(request: &Value) -> impl Iterator<Item = Offered<'_>> {
    let items = request["input"].as_array().into_iter().flatten();
    let additional = items.filter(|item| item["type"] == "additional_tools").map(|item| &item["tools"]);
    let lists = std::iter::once(&request["tools"]).chain(additional);
    lists.flat_map(|list| list.as_array().into_iter().flatten()).flat_map(|tool| {
        let inner = tool["tools"].as_array().into_iter().flatten();
        let namespace = tool["name"].as_str();
        let alone = tool["tools"].is_null().then(|| one(None, tool)).flatten();
        inner.filter_map(move |tool| one(namespace, tool)).chain(alone)
    })
}

fn one<'r>(namespace: Option<&'r str>, tool: &'r Value) -> Option<Offered<'r>> {
    let name = tool["name"].as_str().or_else(|| tool["function"]["name"].as_str())?;
    Some(Offered { namespace, name, is_code: tool["type"] == "custom" && name == "exec" })
}

fn last_message(request: &Value) -> String {
    request["messages"].as_array().and_then(|all| all.last()).map(ToString::to_string).unwrap_or_default()
}
