//! Bodies as clients of models and of other services send them.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use super::Kind;
use super::lists::many;
use super::prose::{paragraphs, word};
use crate::rng::{ALNUM, DIGITS, HEX};

pub(super) const KINDS: &[Kind] = &[
    ("chat request", |r| {
        let messages: Vec<_> = (0..r.between(2, 8)).map(|turn| {
            serde_json::json!({"role": if turn % 2 == 0 { "user" } else { "assistant" }, "content": paragraphs(r)})
        }).collect();
        serde_json::json!({"model": "large-2025", "max_tokens": 4096, "temperature": 0.2, "stream": true, "messages": messages, "metadata": {"user_id": r.text(HEX, 64)}}).to_string().into_bytes()
    }),
    ("chat request with tools", |r| {
        serde_json::json!({"model": "large-2025", "max_completion_tokens": 1024, "messages": [
            {"role": "assistant", "tool_calls": [{"id": format!("call_{}", r.text(ALNUM, 24)), "type": "function", "function": {"name": "read_file", "arguments": format!("{{\"path\":\"src/{}.rs\"}}", word(r))}}]},
            {"role": "tool", "tool_use_id": format!("toolu_01{}", r.text(ALNUM, 22)), "content": paragraphs(r)},
        ], "prompt_cache_key": r.uuid()}).to_string().into_bytes()
    }),
    ("chat response", |r| {
        serde_json::json!({"id": format!("chatcmpl-{}", r.text(ALNUM, 29)), "system_fingerprint": format!("fp_{}", r.text(HEX, 10)), "choices": [{"message": {"content": paragraphs(r), "refusal": null}}],
            "usage": {"prompt_tokens": r.below(9000), "completion_tokens": r.below(900)}, "request": format!("req_{}", r.text(ALNUM, 24))}).to_string().into_bytes()
    }),
    ("thinking signature", |r| {
        let (short, long) = (r.between(200, 400), r.between(400, 900));
        serde_json::json!({"type": "thinking", "thinking": paragraphs(r), "signature": STANDARD.encode(r.bytes(short)), "encrypted_content": URL_SAFE_NO_PAD.encode(r.bytes(long)), "id": format!("msg_01{}", r.text(ALNUM, 22))}).to_string().into_bytes()
    }),
    ("embedding", |r| many(r, 200, |r| format!("{}0.0{}", r.pick(&["", "-"]), r.text(DIGITS, 15)), ",")),
    ("embedding in base64", |r| {
        format!("{{\"object\":\"embedding\",\"embedding\":\"{}\"}}", STANDARD.encode(r.bytes(6144)))
            .into_bytes()
    }),
    ("forge API", |r| {
        many(
            r,
            12,
            |r| {
                format!(
                    "{{\"sha\":\"{}\",\"node_id\":\"{}\",\"url\":\"https://api.forge.example/repos/{}/{}/git/trees/{}\",\"verified\":true,\"full_name\":\"{}/{}\"}}",
                    r.text(HEX, 40),
                    STANDARD.encode(format!("04:Tree{}", r.text(DIGITS, 12))),
                    word(r),
                    word(r),
                    r.text(HEX, 40),
                    word(r),
                    word(r)
                )
            },
            ",",
        )
    }),
    ("JWKS", |r| {
        serde_json::json!({"keys": [{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": r.text(HEX, 40), "e": "AQAB", "n": URL_SAFE_NO_PAD.encode(r.bytes(256)), "x5t": URL_SAFE_NO_PAD.encode(r.bytes(20))}]}).to_string().into_bytes()
    }),
    ("GraphQL", |r| {
        serde_json::json!({"query": format!("query Get($id: ID!, $token: String) {{ {}(id: $id) {{ id key secret {{ name }} }} }}", word(r)), "variables": {"id": STANDARD.encode(format!("User:{}", r.text(DIGITS, 8))), "cursor": URL_SAFE_NO_PAD.encode(r.bytes(30))}, "extensions": {"persistedQuery": {"sha256Hash": r.text(HEX, 64)}}}).to_string().into_bytes()
    }),
    ("error report", |r| {
        serde_json::json!({"event_id": r.text(HEX, 32), "sdk": {"name": "sentry.rust"}, "exception": paragraphs(r), "contexts": {"trace": {"trace_id": r.text(HEX, 32), "span_id": r.text(HEX, 16)}}, "release": r.text(HEX, 40)}).to_string().into_bytes()
    }),
    ("notebook", |r| {
        let length = r.between(500, 2000);
        serde_json::json!({"cells": [{"cell_type": "code", "id": r.text(HEX, 8), "source": ["api_key = os.environ['COHERE_API_KEY']\n"], "outputs": [{"data": {"image/png": STANDARD.encode(r.bytes(length))}}]}]}).to_string().into_bytes()
    }),
];
