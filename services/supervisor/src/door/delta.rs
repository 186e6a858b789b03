//! From a tool's input to what a person is asked (invariant 6). Pure.

use bus::message::egress::Blocked;
use bus::message::proposal::{Capability, Content, LONGEST_JUSTIFICATION};
use policy::{EgressDelta, PathKind, PathMatch, Scheme, check_delta};

use super::call::{Allow, CapabilityBlock, EgressBlock};

/// What a person is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wish {
    pub(super) content: Content,
    pub(super) justification: String,
    /// Whether the justification was longer than what is kept of it.
    pub(super) was_cut: bool,
}

/// Bytes of a Dockerfile.
const LONGEST_DOCKERFILE: usize = 60 * 1024;
/// Bytes of a refused request's path beyond which its record may hold only the beginning.
const WHOLE_PATH: usize = 1024;

/// # Errors
/// Why nobody is asked, and what to change; inert.
pub(super) fn of_allow(call: Allow) -> Result<Wish, String> {
    let Allow { host, scheme, port, methods, paths, justification, .. } = call;
    egress(delta((host, scheme, port), methods, paths), &justification)
}

/// The host and so on, where no refusal is named.
///
/// # Errors
/// As [`of_allow`].
pub(super) fn of_fields(call: EgressBlock) -> Result<Wish, String> {
    let EgressBlock { host, scheme, port, methods, paths, justification, .. } = call;
    let host = host.ok_or("name the id of the refusal, or else the host")?;
    egress(delta((host, scheme.unwrap_or_default(), port), methods, paths), &justification)
}

/// Exactly what was refused: that method to that path.
///
/// # Errors
/// As [`of_allow`].
pub(super) fn of_refusal(blocked: &Blocked, justification: &str) -> Result<Wish, String> {
    if !policy::refusal::GRANTABLE.contains(&blocked.rule.as_str()) {
        return Err(format!(
            "a route would not have let that request through: {} ({}). {}",
            base::inert(&blocked.reason, 300),
            base::inert(&blocked.rule, 40),
            instead(&blocked.rule)
        ));
    }
    let scheme = match blocked.scheme.as_str() {
        "https" => Scheme::Https,
        "http" => Scheme::Http,
        _ => return Err("it is not known whether that request was http or https; name the host".to_owned()),
    };
    if blocked.path.len() >= WHOLE_PATH {
        return Err("that request's path is too long to ask for; name the host, methods and paths".to_owned());
    }
    let port = blocked.port.filter(|port| *port != scheme.default_port());
    let paths = vec![PathMatch { kind: PathKind::Exact, value: blocked.path.clone() }];
    let place = (blocked.host.clone(), scheme, port);
    egress(delta(place, vec![blocked.method.clone()], paths), justification)
        .map_err(|why| format!("{why}. Name the host, methods and paths instead of the id"))
}

fn instead(rule: &str) -> &'static str {
    match rule {
        "secret" => "Where its refusal names a proposal, a person has been asked already: wait for that one.",
        "git-push" | "git-lfs" => "Push through the git gate.",
        _ => "Change the request.",
    }
}

/// # Errors
/// As [`of_allow`].
pub(super) fn of_capability(call: &CapabilityBlock) -> Result<Wish, String> {
    if call.dockerfile.trim().is_empty() {
        return Err("dockerfile: give the whole Dockerfile".to_owned());
    }
    if call.dockerfile.len() > LONGEST_DOCKERFILE {
        return Err(format!("dockerfile: it is longer than {LONGEST_DOCKERFILE} bytes"));
    }
    let dockerfile = call.dockerfile.clone();
    justified(Content::Capability(Capability { dockerfile }), &call.justification)
}

fn delta(
    (host, scheme, port): (String, Scheme, Option<u16>),
    methods: Vec<String>,
    paths: Vec<PathMatch>,
) -> EgressDelta {
    // Models write methods either way; HTTP's own are upper case (RFC 9110, section 9.1).
    let methods = methods.into_iter().map(|method| method.to_ascii_uppercase()).collect();
    EgressDelta { host, scheme, port, methods, paths }
}

fn egress(delta: EgressDelta, justification: &str) -> Result<Wish, String> {
    check_delta(&delta).map_err(|problems| base::inert(&problems.to_string(), 1000))?;
    justified(Content::Egress(delta), justification)
}

fn justified(content: Content, justification: &str) -> Result<Wish, String> {
    let justification = justification.trim();
    if !justification.contains(char::is_alphanumeric) {
        return Err("justification: say why the task needs it; a person reads it and decides".to_owned());
    }
    let kept = &justification[..justification.floor_char_boundary(LONGEST_JUSTIFICATION)];
    let was_cut = kept.len() < justification.len();
    Ok(Wish { content, justification: kept.to_owned(), was_cut })
}

#[cfg(test)]
mod tests;
