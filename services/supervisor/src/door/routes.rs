//! What `list-egress-routes` tells: the live routes as the agent may see them. Pure.

use bus::message::revision::PolicyRevision;
use policy::{Route, public_view};
use rmcp::model::{CallToolResult, ContentBlock};
use serde::Serialize;

/// Routes that one answer lists.
const MOST: usize = 100;

#[derive(Serialize)]
struct Listed<'a> {
    revision: u64,
    routes: Vec<&'a Route>,
    /// Further routes; name a host to see them.
    #[serde(skip_serializing_if = "is_zero")]
    not_shown: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// The routes whose host contains `host`, without credentials, addresses and what headers must hold.
pub(super) fn listed(current: &PolicyRevision, host: Option<&str>) -> CallToolResult {
    let view = public_view(&current.policy);
    let wanted = host.unwrap_or_default().to_ascii_lowercase();
    let all: Vec<&Route> =
        view.routes.iter().filter(|route| route.host.to_ascii_lowercase().contains(&wanted)).collect();
    let not_shown = all.len().saturating_sub(MOST);
    let routes = all.into_iter().take(MOST).collect();
    let listed = Listed { revision: current.revision, routes, not_shown };
    // Routes and numbers always serialise.
    let value = serde_json::to_value(&listed).unwrap_or_default();
    let mut result = CallToolResult::success(vec![ContentBlock::text(value.to_string())]);
    result.structured_content = Some(value);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn current(routes: &serde_json::Value) -> PolicyRevision {
        serde_json::from_value(
            serde_json::json!({ "v": 1, "bottle": "me-00000", "revision": 7, "policy": { "routes": routes } }),
        )
        .unwrap()
    }

    #[test]
    fn routes_are_listed_without_token_names_and_addresses() {
        let routes = serde_json::json!([
            { "host": "api.example.com", "auth": { "scheme": "Bearer", "token_ref": "THE_TOKEN" },
              "connect_to": "127.0.0.1:9", "allow_private": ["127.0.0.0/8"], "matches": [{ "methods": ["GET"] }] },
            { "host": "other.example" },
        ]);
        let result = listed(&current(&routes), None).structured_content.unwrap();
        assert_eq!(
            result,
            serde_json::json!({ "revision": 7, "routes": [
                { "host": "api.example.com", "matches": [{ "methods": ["GET"] }] }, { "host": "other.example" },
            ] })
        );
        let one = listed(&current(&routes), Some("OTHER")).structured_content.unwrap();
        assert_eq!(one["routes"], serde_json::json!([{ "host": "other.example" }]));
    }

    #[test]
    fn a_long_list_is_cut_and_says_so() {
        let routes: Vec<_> =
            (0..150).map(|n| serde_json::json!({ "host": format!("h{n}.example") })).collect();
        let result = listed(&current(&routes.into()), None).structured_content.unwrap();
        assert_eq!((result["routes"].as_array().unwrap().len(), &result["not_shown"]), (100, &50.into()));
    }
}
