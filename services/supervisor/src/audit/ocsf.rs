//! Records as events of the Open Cybersecurity Schema Framework, for tools that read nothing else.
//!
//! | decision | class | activity |
//! |---|---|---|
//! | `allowed` (each line), `blocked` | HTTP Activity 4002, profile Security Control | the method |
//! | `push_*`, `resolved` | API Activity 6003 | Update |
//! | `policy_running` | Entity Management 3004 | Update |
//! | `started`, `exited`, `failed` | Application Lifecycle 6002 | Start, Stop, Start |
//! | `gap`, `unreadable` | Detection Finding 2004 | Create |
//! | `opened`, `checkpoint` | Base Event 0 | Other |

use bus::message::audit::{AuditRecord, Decision};
use bus::message::egress::{Allowed, Found, Outcome as FoundOutcome};
use bus::message::proposal::Outcome;
use serde_json::{Value, json};

/// The version of the schema.
pub const VERSION: &str = "1.3.0";

/// The events of one record: one, or one a line of a batch of allowed requests. What has no attribute of its own is in
/// `unmapped`, whole, so that nothing is lost.
#[must_use]
pub fn events(record: &AuditRecord) -> Vec<Value> {
    match &record.decision {
        Decision::Allowed { batch, lines } => lines
            .iter()
            .map(|line| event(record, allowed(line), json!({ "batch": batch, "line": line })))
            .collect(),
        decision => vec![event(record, class(record, decision), json!({ "decision": decision }))],
    }
}

/// What a class says, beside what every event has.
struct Class {
    category: u64,
    uid: u64,
    name: &'static str,
    activity: (u64, String),
    /// 1 informational, 2 low, 3 medium, 4 high, 5 critical.
    severity: u64,
    /// Whether it was done; none where that means nothing.
    success: Option<bool>,
    message: String,
    own: Value,
}

fn event(record: &AuditRecord, class: Class, mut unmapped: Value) -> Value {
    let Class { category, uid, name, activity: (activity, activity_name), severity, success, message, own } =
        class;
    let status = match success {
        Some(true) => (1, "Success"),
        Some(false) => (2, "Failure"),
        None => (0, "Unknown"),
    };
    let mut metadata = json!({
        "version": VERSION,
        "product": { "name": "bot-bottle", "vendor_name": "bot-bottle", "version": env!("CARGO_PKG_VERSION") },
        "uid": format!("{}", record.sequence),
        "sequence": record.sequence,
        "log_name": format!("audit.{}", record.component.as_str()),
    });
    if own.get("action_id").is_some() {
        metadata["profiles"] = json!(["security_control"]);
    }
    unmapped["previous"] = json!(record.previous);
    if let Some(bottle) = &record.bottle {
        unmapped["bottle"] = json!(bottle);
    }
    let mut event = json!({
        "metadata": metadata,
        "time": time(own.get("time"), record),
        "category_uid": category,
        "class_uid": uid,
        "class_name": name,
        "activity_id": activity,
        "activity_name": activity_name,
        "type_uid": uid * 100 + activity,
        "severity_id": severity,
        "status_id": status.0,
        "status": status.1,
        "message": message,
        "unmapped": unmapped,
    });
    if let (Some(event), Value::Object(own)) = (event.as_object_mut(), own) {
        event.extend(own);
    }
    event
}

fn time(own: Option<&Value>, record: &AuditRecord) -> Value {
    own.cloned().unwrap_or_else(|| json!(record.at.as_millisecond()))
}

fn allowed(line: &Allowed) -> Class {
    let mut own = http(&line.method, &line.scheme, &line.host, Some(line.port), &line.path);
    own["time"] = json!(line.at.as_millisecond());
    own["http_response"] = json!({ "code": line.status });
    own["traffic"] = json!({ "bytes_out": line.sent, "bytes_in": line.received });
    own["duration"] = json!(line.duration_ms);
    own["action_id"] = json!(1);
    own["disposition_id"] = json!(1);
    // Redacted requests went out changed.
    if line.found.iter().any(|found| found.outcome == FoundOutcome::Redacted) {
        own["disposition_id"] = json!(11);
    }
    let severity = if line.found.is_empty() { 1 } else { 2 };
    let message = format!("allowed: {} {}://{}{}", line.method, line.scheme, line.host, line.path);
    Class { severity, success: Some(true), message, own, ..http_class(&line.method) }
}

fn http_class(method: &str) -> Class {
    let activity = match method {
        "CONNECT" => (1, "Connect"),
        "DELETE" => (2, "Delete"),
        "GET" => (3, "Get"),
        "HEAD" => (4, "Head"),
        "OPTIONS" => (5, "Options"),
        "POST" => (6, "Post"),
        "PUT" => (7, "Put"),
        "TRACE" => (8, "Trace"),
        other => (99, other),
    };
    Class {
        category: 4,
        uid: 4002,
        name: "HTTP Activity",
        activity: (activity.0, activity.1.to_owned()),
        severity: 1,
        success: None,
        message: String::new(),
        own: Value::Null,
    }
}

fn http(method: &str, scheme: &str, host: &str, port: Option<u16>, path: &str) -> Value {
    json!({
        "http_request": {
            "http_method": method,
            "url": { "scheme": scheme, "hostname": host, "port": port, "path": path },
        },
        "dst_endpoint": { "hostname": host, "port": port },
    })
}

fn class(record: &AuditRecord, decision: &Decision) -> Class {
    match decision {
        Decision::Blocked { method, scheme, host, port, path, rule, reason, status, found, .. } => {
            let mut own = http(method, scheme, host, *port, path);
            own["http_response"] = json!({ "code": status });
            own["action_id"] = json!(2);
            own["disposition_id"] = json!(2);
            own["firewall_rule"] = json!({ "name": rule });
            own["status_detail"] = json!(reason);
            let message = format!("refused by {rule}: {method} {scheme}://{host}{path}");
            let severity = blocked_severity(found.as_ref());
            Class { severity, success: Some(false), message, own, ..http_class(method) }
        }
        Decision::PushAccepted { repo, .. } => push(record, repo, None),
        Decision::PushRejected { repo, reason, .. } => push(record, repo, Some(reason)),
        Decision::Resolved { outcome, answer, reason, .. } => {
            let operator = answer.as_ref().map(|answer| answer.operator.to_string());
            let done = matches!(outcome, Outcome::Approved | Outcome::Modified);
            let message = format!("proposal {}", serde_json::to_value(outcome).unwrap_or_default());
            let mut class = api(record, "proposal.decide", operator.as_deref(), message);
            class.success = Some(done);
            class.severity = if done { 2 } else { 1 };
            class.own["status_detail"] = json!(reason);
            class
        }
        Decision::PolicyRunning { revision, refused } => Class {
            category: 3,
            uid: 3004,
            name: "Entity Management",
            activity: (3, "Update".to_owned()),
            severity: if refused.is_some() { 3 } else { 1 },
            success: Some(refused.is_none()),
            message: format!("policy revision {revision} runs"),
            own: json!({ "entity": { "type": "Policy", "name": record.bottle, "version": revision.to_string() } }),
        },
        Decision::Started { backend, .. } => life(record, "Start", true, format!("started under {backend}")),
        Decision::Committed { archive, .. } => Class {
            category: 3,
            uid: 3004,
            name: "Entity Management",
            activity: (1, "Create".to_owned()),
            severity: 1,
            success: Some(true),
            message: format!("environment committed as {archive}"),
            own: json!({ "entity": { "type": "Environment", "name": archive } }),
        },
        Decision::Exited { code, .. } => life(record, "Stop", true, format!("exited with code {code}")),
        Decision::Failed { reason, .. } => life(record, "Start", false, format!("failed: {reason}")),
        Decision::Gap { stream, from, through } => finding(
            record,
            "events missing from the audit trail",
            format!("{stream} {from} to {through} are gone"),
        ),
        Decision::Unreadable { subject, reason, .. } => {
            finding(record, "an event that could not be recorded", format!("{subject}: {reason}"))
        }
        Decision::Opened { .. } | Decision::Checkpoint { .. } | Decision::Allowed { .. } => Class {
            category: 0,
            uid: 0,
            name: "Base Event",
            activity: (99, decision.name().to_owned()),
            severity: 1,
            success: None,
            message: format!("audit trail: {}", decision.name()),
            own: json!({}),
        },
    }
}

fn blocked_severity(found: Option<&Found>) -> u64 {
    match found {
        Some(found) if found.is_certain => 4,
        Some(_) => 3,
        None => 2,
    }
}

fn api(record: &AuditRecord, operation: &str, user: Option<&str>, message: String) -> Class {
    let actor = match user {
        Some(user) => json!({ "user": { "uid": user } }),
        None => json!({ "app_name": format!("bot-bottle {}", record.component.as_str()) }),
    };
    Class {
        category: 6,
        uid: 6003,
        name: "API Activity",
        activity: (3, "Update".to_owned()),
        severity: 1,
        success: None,
        message,
        own: json!({
            "actor": actor,
            "api": { "operation": operation },
            "src_endpoint": { "name": record.bottle },
        }),
    }
}

fn push(record: &AuditRecord, repo: &str, refused: Option<&str>) -> Class {
    let verb = if refused.is_some() { "refused" } else { "accepted" };
    let mut class = api(record, "git push", None, format!("push to {repo} {verb}"));
    class.success = Some(refused.is_none());
    class.severity = if refused.is_some() { 3 } else { 1 };
    class.own["resources"] = json!([{ "name": repo, "type": "git repository" }]);
    if let Some(reason) = refused {
        class.own["status_detail"] = json!(reason);
    }
    class
}

fn life(record: &AuditRecord, activity: &str, success: bool, message: String) -> Class {
    Class {
        category: 6,
        uid: 6002,
        name: "Application Lifecycle",
        activity: (if activity == "Start" { 3 } else { 4 }, activity.to_owned()),
        severity: if success { 1 } else { 3 },
        success: Some(success),
        message,
        own: json!({ "app": { "name": record.bottle, "vendor_name": "bot-bottle" } }),
    }
}

fn finding(record: &AuditRecord, title: &str, message: String) -> Class {
    Class {
        category: 2,
        uid: 2004,
        name: "Detection Finding",
        activity: (1, "Create".to_owned()),
        severity: 4,
        success: None,
        message,
        own: json!({ "finding_info": { "uid": format!("audit-{}", record.sequence), "title": title } }),
    }
}

#[cfg(test)]
mod tests;
