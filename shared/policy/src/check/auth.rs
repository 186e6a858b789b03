//! `auth`: how a credential is added (E4).

use http::HeaderName;
use http::header::AUTHORIZATION;

use super::is_text;
use crate::checked::CheckedAuth;
use crate::problem::{KeyPath, Problems};
use crate::route::{Auth, AuthScheme};
use crate::token::TokenRef;

/// Headers that frame the message or belong to one hop (RFC 9110, section 7.6.1), and such as would change which
/// host or which content the request is about: none of them can carry a credential.
const NOT_FOR_TOKENS: [&str; 18] = [
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
];

pub(super) fn check_auth(auth: &Auth, at: &KeyPath, problems: &mut Problems) -> Option<CheckedAuth> {
    let header = check_header(auth, at, problems);
    let token = match auth.token_ref.parse::<TokenRef>() {
        Ok(token) => Some(token),
        Err(error) => {
            problems.push(&at.key("token_ref"), error.to_string());
            None
        }
    };
    Some(CheckedAuth {
        scheme: auth.scheme,
        header: header?,
        token: token?,
        token_ref: auth.token_ref.clone(),
    })
}

fn check_header(auth: &Auth, at: &KeyPath, problems: &mut Problems) -> Option<HeaderName> {
    let at = at.key("header");
    match (auth.scheme, &auth.header) {
        (AuthScheme::Header, None) => {
            problems.push(&at, "scheme `header` needs the name of the header, such as X-Api-Key");
            None
        }
        (AuthScheme::Header, Some(name)) => check_name(name, &at, problems),
        (_, Some(_)) => {
            problems.push(&at, "only scheme `header` takes a header; the others write Authorization");
            None
        }
        (_, None) => Some(AUTHORIZATION),
    }
}

fn check_name(name: &str, at: &KeyPath, problems: &mut Problems) -> Option<HeaderName> {
    let header = header_name(name, at, problems)?;
    if NOT_FOR_TOKENS.contains(&header.as_str()) {
        problems
            .push(at, format!("{header} cannot carry a credential; name the header that the host documents"));
        return None;
    }
    Some(header)
}

/// A header's name (RFC 9110, section 5.1).
pub(super) fn header_name(name: &str, at: &KeyPath, problems: &mut Problems) -> Option<HeaderName> {
    if !is_text(name, at, problems) {
        return None;
    }
    let header = HeaderName::from_bytes(name.as_bytes()).ok();
    if header.is_none() {
        let shown = base::inert(name, 80);
        problems.push(
            at,
            format!("`{shown}` is not a header's name: letters, digits and hyphens, without the colon"),
        );
    }
    header
}
