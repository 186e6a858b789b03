//! What the names in a provider's texts stand for in one launch.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use manifest::provider::template::Values;

use crate::backend::{AGENT_HOME, AGENT_WORKSPACE};
use crate::environment::DOOR_PORT;
use crate::host::HostEnvironment;
use crate::plan::Plan;
use crate::token;

/// Stands where a program wants a credential. The proxy puts the real one in its place.
const PLACEHOLDER: &str = "placeholder-for-a-token-that-the-proxy-holds";
/// 2100-01-01: programs that look at it do not try to renew the placeholder.
const FAR: i64 = 4_102_444_800;

/// The values, by name.
///
/// # Errors
/// A value of the host's login cannot be read.
pub(crate) async fn values(
    plan: &Plan,
    host: &HostEnvironment,
    now: jiff::Timestamp,
) -> Result<Values, String> {
    let instructions = plan.client.instructions.as_ref().map(|told| format!("{AGENT_HOME}/{}", told.file));
    let mut values = Values::new();
    for (name, value) in [
        ("session", plan.session.as_ref().and_then(|session| session.id.clone()).unwrap_or_default()),
        ("instructions", instructions.unwrap_or_default()),
        // By name: NO_PROXY has it.
        ("door", format!("http://supervise:{DOOR_PORT}/")),
        ("home", AGENT_HOME.to_owned()),
        ("workspace", AGENT_WORKSPACE.to_owned()),
        ("label", plan.label.clone()),
        ("color", plan.color.clone().unwrap_or_default()),
        ("placeholder", PLACEHOLDER.to_owned()),
        ("placeholder_jwt", placeholder_jwt()),
        ("now", now.to_string()),
    ] {
        values.insert(name.to_owned(), value);
    }
    if let Some(login) = &plan.client.host_login {
        let file = host.expand(Path::new(&login.file));
        for (name, place) in &login.values {
            let value = token::find_place(&file, place).await;
            let value = value.map_err(|reason| format!("{reason}; renew it with `{}`", login.renew))?;
            values.extend(value.map(|value| (name.clone(), value)));
        }
    }
    Ok(values)
}

/// A JSON Web Token (RFC 7519) that nobody has signed, with a far expiry.
fn placeholder_jwt() -> String {
    let part = |json: serde_json::Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let header = part(serde_json::json!({"alg": "none", "typ": "JWT"}));
    let claims = part(serde_json::json!({"sub": PLACEHOLDER, "exp": FAR}));
    format!("{header}.{claims}.{}", URL_SAFE_NO_PAD.encode(PLACEHOLDER))
}
