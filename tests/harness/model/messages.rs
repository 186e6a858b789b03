//! Anthropic's Messages.

use serde_json::{Value, json};

use super::answer::{Content, event};
use super::script::Failure;

/// The answer as a stream.
pub(super) fn events(content: &Content, model: &Value, id: &str) -> Vec<String> {
    let (block, delta) = match content {
        Content::Text(text) => {
            (json!({ "type": "text", "text": "" }), json!({ "type": "text_delta", "text": text }))
        }
        Content::Use(tool) => (
            json!({ "type": "tool_use", "id": format!("toolu_{id}"), "name": tool.name, "input": {} }),
            json!({ "type": "input_json_delta", "partial_json": tool.arguments().to_string() }),
        ),
    };
    let mut message = message(model, id);
    message["content"] = json!([]);
    message["stop_reason"] = Value::Null;
    vec![
        event("message_start", json!({ "message": message })),
        event("content_block_start", json!({ "index": 0, "content_block": block })),
        event("content_block_delta", json!({ "index": 0, "delta": delta })),
        event("content_block_stop", json!({ "index": 0 })),
        event(
            "message_delta",
            json!({ "delta": { "stop_reason": stop(content), "stop_sequence": null }, "usage": { "output_tokens": 20 } }),
        ),
        event("message_stop", json!({})),
    ]
}

/// The answer as one document.
pub(super) fn whole(content: &Content, model: &Value, id: &str) -> Value {
    let block = match content {
        Content::Text(text) => json!({ "type": "text", "text": text }),
        Content::Use(tool) => {
            json!({ "type": "tool_use", "id": format!("toolu_{id}"), "name": tool.name, "input": tool.arguments() })
        }
    };
    let mut message = message(model, id);
    message["content"] = json!([block]);
    message["stop_reason"] = stop(content).into();
    message
}

/// An error.
pub(super) fn error(failure: &Failure) -> Value {
    json!({ "type": "error", "error": { "type": failure.kind, "message": failure.message } })
}

fn message(model: &Value, id: &str) -> Value {
    json!({
        "id": format!("msg_{id}"), "type": "message", "role": "assistant", "model": model,
        "stop_sequence": null, "usage": { "input_tokens": 100, "output_tokens": 1 },
    })
}

fn stop(content: &Content) -> &'static str {
    match content {
        Content::Text(_) => "end_turn",
        Content::Use(_) => "tool_use",
    }
}
