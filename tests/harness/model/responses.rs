//! OpenAI's Responses.

use serde_json::{Value, json};

use super::answer::{Content, Input, event};
use super::script::Failure;

/// The answer as a stream.
pub(super) fn events(content: &Content, model: &Value, id: &str) -> Vec<String> {
    let item = item(content, id);
    let response =
        json!({ "id": format!("resp_{id}"), "object": "response", "model": model, "status": "in_progress" });
    let mut completed = response.clone();
    completed["status"] = "completed".into();
    completed["output"] = json!([item]);
    completed["usage"] = json!({
        "input_tokens": 100, "input_tokens_details": { "cached_tokens": 0 },
        "output_tokens": 20, "output_tokens_details": { "reasoning_tokens": 0 }, "total_tokens": 120,
    });
    let mut events = vec![
        event("response.created", json!({ "response": response })),
        event("response.output_item.added", json!({ "output_index": 0, "item": begun(&item) })),
    ];
    if let Content::Text(text) = content {
        events.push(event(
            "response.output_text.delta",
            json!({ "item_id": item["id"], "output_index": 0, "content_index": 0, "delta": text }),
        ));
    }
    events.push(event("response.output_item.done", json!({ "output_index": 0, "item": item })));
    events.push(event("response.completed", json!({ "response": completed })));
    events
}

/// An error.
pub(super) fn error(failure: &Failure) -> Value {
    json!({ "error": { "type": failure.kind, "code": failure.kind, "message": failure.message, "param": null } })
}

fn item(content: &Content, id: &str) -> Value {
    match content {
        Content::Text(text) => json!({
            "type": "message", "id": format!("msg_{id}"), "role": "assistant", "status": "completed",
            "content": [{ "type": "output_text", "text": text, "annotations": [] }],
        }),
        Content::Use(tool) => {
            let mut item =
                json!({ "call_id": format!("call_{id}"), "name": tool.name, "status": "completed" });
            let (kind, key, given) = match &tool.input {
                Input::Arguments(arguments) => ("function_call", "arguments", arguments.to_string()),
                Input::Source(source) => ("custom_tool_call", "input", source.clone()),
            };
            item["type"] = kind.into();
            item["id"] = format!("call_item_{id}").into();
            item[key] = given.into();
            if let Some(namespace) = &tool.namespace {
                item["namespace"] = namespace.as_str().into();
            }
            item
        }
    }
}

/// The item as it is announced, before it is said.
fn begun(item: &Value) -> Value {
    let mut begun = item.clone();
    begun["status"] = "in_progress".into();
    match begun["type"].as_str() {
        Some("message") => begun["content"] = json!([]),
        Some("custom_tool_call") => begun["input"] = "".into(),
        _ => begun["arguments"] = "".into(),
    }
    begun
}
