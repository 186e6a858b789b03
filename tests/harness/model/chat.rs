//! OpenAI's chat completions, which local servers speak as well.

use serde_json::{Value, json};

use super::answer::Content;

/// The answer as a stream. Its errors are those of [`super::responses`].
pub(super) fn events(content: &Content, model: &Value, id: &str) -> Vec<String> {
    let (delta, reason) = match content {
        Content::Text(text) => (json!({ "content": text }), "stop"),
        Content::Use(tool) => {
            let function = json!({ "name": tool.name, "arguments": tool.arguments().to_string() });
            let call =
                json!({ "index": 0, "id": format!("call_{id}"), "type": "function", "function": function });
            (json!({ "tool_calls": [call] }), "tool_calls")
        }
    };
    let chunk = |delta: Value, reason: Option<&str>| {
        let choice = json!({ "index": 0, "delta": delta, "finish_reason": reason });
        let chunk = json!({
            "id": format!("chatcmpl-{id}"), "object": "chat.completion.chunk", "created": 0, "model": model,
            "choices": [choice],
        });
        format!("data: {chunk}\n\n")
    };
    let usage = json!({
        "id": format!("chatcmpl-{id}"), "object": "chat.completion.chunk", "created": 0, "model": model, "choices": [],
        "usage": { "prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120 },
    });
    vec![
        chunk(json!({ "role": "assistant", "content": "" }), None),
        chunk(delta, None),
        chunk(json!({}), Some(reason)),
        format!("data: {usage}\n\n"),
        "data: [DONE]\n\n".to_owned(),
    ]
}
