//! What the names in a provider's texts stand for in one launch.

use std::path::Path;

use base::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use manifest::provider::file::LoginFile;
use manifest::provider::template::Values;

use super::answer::is_id;
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
        values.extend(of_login(login, &file).await?);
    }
    Ok(values)
}

/// The values of a login that are no secret. They reach the agent, so only what can be an identifier is one, and never the
/// token itself, whatever the provider's file says.
async fn of_login(login: &LoginFile, file: &Path) -> Result<Values, String> {
    let found = async |place: &str| {
        let found = token::find_place(file, place).await;
        found.map_err(|reason| format!("{reason}; renew it with `{}`", login.renew))
    };
    let token = found(&login.token).await?.map(Secret::new);
    let mut values = Values::new();
    for (name, place) in &login.values {
        let Some(value) = found(place).await? else { continue };
        let is_token = token.as_ref().is_some_and(|token| value.contains(token.expose()));
        if is_token || !is_id(&value) {
            let file = file.display();
            return Err(format!(
                "what {file} has at {} is no identifier, and does not go to the agent",
                base::inert(place, 100)
            ));
        }
        values.insert(name.clone(), value);
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

#[cfg(test)]
mod tests {
    use super::*;

    async fn told(place: &str, file: &str) -> Result<Values, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("auth.json");
        std::fs::write(&path, file).unwrap();
        let login = LoginFile {
            file: path.display().to_string(),
            token: "/access".to_owned(),
            values: [("account".to_owned(), place.to_owned())].into(),
            renew: "tool login".to_owned(),
        };
        of_login(&login, &path).await
    }

    #[tokio::test]
    async fn an_identifier_of_a_login_reaches_the_agent_and_its_tokens_do_not() {
        let file =
            r#"{"access": "made-up-token", "account": "a-1", "wrapped": "x.made-up-token", "long": "LONG"}"#;
        let file = file.replace("LONG", &"r".repeat(300));
        assert_eq!(told("/account", &file).await.unwrap()["account"], "a-1");
        assert!(told("/absent", &file).await.unwrap().is_empty());
        for place in ["/access", "/wrapped", "/long"] {
            let error = told(place, &file).await.unwrap_err();
            assert!(error.contains("no identifier") && !error.contains("made-up"), "{error}");
        }
        assert!(told("/account", "{").await.unwrap_err().contains("tool login"));
    }
}
