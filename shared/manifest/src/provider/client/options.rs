//! What a bottle says of a provider's options, checked.

use std::collections::BTreeMap;

use policy::TokenRef;
use policy::check::nearest;
use policy::problem::{KeyPath, Problems};
use serde_json::Value as Json;

use super::is_switch;
use crate::provider::ProviderOptions;
use crate::provider::file::{LoginFile, OptionFile, OptionKind, ProviderFile};
use crate::provider::template::Values;

/// The longest value.
const LONGEST: usize = 4096;

/// The options that have a value.
#[derive(Default)]
pub(super) struct Given {
    /// By name, those of a URL also as `NAME.host` and so on.
    pub(super) values: Values,
    /// Those that are a number or a truth in a document.
    pub(super) typed: BTreeMap<String, Json>,
    /// The host's login, where it is used.
    pub(super) login: Option<LoginFile>,
}

pub(super) fn read(
    file: &ProviderFile,
    said: &ProviderOptions,
    at: &KeyPath,
    problems: &mut Problems,
) -> Given {
    for name in said.settings.keys().filter(|name| !file.options.contains_key(*name)) {
        let known: Vec<&str> = file
            .options
            .keys()
            .map(String::as_str)
            .chain(["template", "program", "argv", "prompt"])
            .collect();
        let advice = nearest(name, known.iter().copied())
            .map_or_else(|| format!("it has {}", known.join(", ")), |near| format!("did you mean `{near}`?"));
        let template = &said.template;
        problems.push(&at.key(name), format!("the provider {template} has no such option; {advice}"));
    }
    let mut given = Given::default();
    for (name, option) in &file.options {
        let value = said.settings.get(name).or(option.default.as_ref());
        match value {
            Some(value) => match check(option, value) {
                Ok(()) => given.take(name, option, value),
                Err(message) => problems.push(&at.key(name), message),
            },
            None if option.required => {
                problems.push(&at.key(name), format!("the provider needs this: {}", option.about));
            }
            None => {}
        }
        if let Some(other) = option.excludes.as_ref().filter(|other| said.settings.contains_key(*other))
            && said.settings.contains_key(name)
        {
            problems.push(&at.key(name), format!("this cannot be set beside `{other}`"));
        }
    }
    given
}

fn check(option: &OptionFile, value: &str) -> Result<(), String> {
    if value.len() > LONGEST || value.chars().any(char::is_control) || value.contains("${") {
        return Err("one line of at most 4096 bytes, without ${".to_owned());
    }
    match option.kind {
        OptionKind::Token => value.parse::<TokenRef>().map(drop).map_err(|error| error.to_string()),
        OptionKind::Number => value.parse::<u64>().map(drop).map_err(|_| "write a whole number".to_owned()),
        OptionKind::Switch | OptionKind::Login => {
            value.parse::<bool>().map(drop).map_err(|_| "write true or false".to_owned())
        }
        OptionKind::Url => parts(value).map(drop).ok_or_else(|| {
            "write a URL such as http://127.0.0.1:11434/v1, without a user, a query or a fragment".to_owned()
        }),
        OptionKind::Text => Ok(()),
    }
}

impl Given {
    fn take(&mut self, name: &str, option: &OptionFile, value: &str) {
        self.values.insert(name.to_owned(), value.to_owned());
        match option.kind {
            OptionKind::Url => {
                for (part, value) in parts(value).into_iter().flatten() {
                    if part == "port" {
                        self.typed.insert(format!("{name}.port"), number(&value));
                    }
                    self.values.insert(format!("{name}.{part}"), value);
                }
            }
            OptionKind::Number => drop(self.typed.insert(name.to_owned(), number(value))),
            kind if is_switch(kind) => drop(self.typed.insert(name.to_owned(), Json::Bool(value == "true"))),
            _ => {}
        }
        if option.kind == OptionKind::Login && value == "true" {
            self.login.clone_from(&option.login);
        }
    }
}

fn number(text: &str) -> Json {
    text.parse::<u64>().map_or(Json::Null, Json::from)
}

impl Given {
    /// The same, and `value` for this option's; `login` for the token of the host's login.
    pub(super) fn with_value(&self, name: &str, option: &OptionFile) -> Self {
        let mut values = aliased(&self.values, name);
        if let Some(login) = &option.login {
            values.insert("login".to_owned(), format!("json:{}#{}", login.file, login.token));
        }
        Self { values, typed: aliased(&self.typed, name), login: self.login.clone() }
    }
}

/// With `value` and `value.part` for `name` and `name.part`.
fn aliased<T: Clone>(named: &BTreeMap<String, T>, name: &str) -> BTreeMap<String, T> {
    let part_of = |key: &str| {
        let part = key.strip_prefix(name).filter(|part| part.is_empty() || part.starts_with('.'))?;
        Some(format!("value{part}"))
    };
    let aliases = named.iter().filter_map(|(key, value)| Some((part_of(key)?, value.clone())));
    let aliases: Vec<_> = aliases.collect();
    named.clone().into_iter().chain(aliases).collect()
}

/// A URL's scheme, host, port and path.
fn parts(url: &str) -> Option<[(&'static str, String); 4]> {
    let (scheme, rest) = url.split_once("://").filter(|(scheme, _)| matches!(*scheme, "http" | "https"))?;
    let (authority, path) = rest.split_once('/').map_or((rest, ""), |(authority, path)| (authority, path));
    if url.contains(['?', '#', '@', ' ', '\\']) {
        return None;
    }
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => {
            (host, port.parse::<u16>().ok().filter(|port| *port > 0)?)
        }
        _ => (authority, if scheme == "http" { 80 } else { 443 }),
    };
    policy::Host::parse(host).ok()?;
    let path = path.trim_end_matches('/');
    let path = if path.is_empty() { String::new() } else { format!("/{path}") };
    let parts = [
        ("scheme", scheme.to_owned()),
        ("host", host.to_owned()),
        ("port", port.to_string()),
        ("path", path),
    ];
    Some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_its_parts() {
        let shown = |url: &str| parts(url).map(|parts| parts.map(|(_, value)| value).join(" "));
        for (url, expected) in [
            ("http://127.0.0.1:11434/v1", Some("http 127.0.0.1 11434 /v1")),
            ("https://models.example.org/", Some("https models.example.org 443 ")),
            ("http://[::1]:8080/a/b/", Some("http [::1] 8080 /a/b")),
            ("ftp://a.example", None),
            ("http://user@a.example", None),
            ("http://a.example?x", None),
            ("http://a.example:0", None),
            ("http://a.example:99999", None),
            ("http://", None),
        ] {
            assert_eq!(shown(url).as_deref(), expected, "{url}");
        }
    }
}
