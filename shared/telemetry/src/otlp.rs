//! Spans as OTLP/HTTP writes them in JSON (OpenTelemetry Protocol 1.x, "JSON Protobuf Encoding"): names in
//! lowerCamelCase, ids in hex, 64-bit numbers as text, enums as numbers.

use serde_json::{Value as Json, json};

use crate::span::{Span, Value};

/// The body of one `ExportTraceServiceRequest`.
pub(crate) fn request(service: &str, spans: &[Span]) -> Vec<u8> {
    let version = env!("CARGO_PKG_VERSION");
    let resource =
        [attribute("service.name", &service.into()), attribute("service.version", &version.into())];
    let spans: Vec<Json> = spans.iter().map(one).collect();
    let scope = json!({ "scope": { "name": "bot-bottle", "version": version }, "spans": spans });
    let body =
        json!({ "resourceSpans": [{ "resource": { "attributes": resource }, "scopeSpans": [scope] }] });
    body.to_string().into_bytes()
}

fn one(span: &Span) -> Json {
    let start = span.start.as_nanosecond();
    let end = start + i128::try_from(span.duration.as_nanos()).unwrap_or_default();
    let attributes: Vec<Json> = span.attributes.iter().map(|(name, value)| attribute(name, value)).collect();
    let status = match &span.error {
        Some(reason) => json!({ "code": 2, "message": reason }),
        None => json!({}),
    };
    let mut told = json!({
        "traceId": span.context.id(),
        "spanId": span.context.span_id(),
        "name": span.name,
        "kind": span.kind as u8,
        "startTimeUnixNano": start.to_string(),
        "endTimeUnixNano": end.to_string(),
        "attributes": attributes,
        "status": status,
    });
    if span.parent != span.context {
        told["parentSpanId"] = span.parent.span_id().into();
    }
    told
}

fn attribute(name: &str, value: &Value) -> Json {
    json!({ "key": name, "value": value.0 })
}
