//! What is wrong with a `dispatch.yaml` beyond its shape.

use std::net::SocketAddr;

use policy::problem::{KeyPath, Problems};
use policy::token::TokenRef;

use super::{DispatchFile, DispatchRule, EventKind, ForgeKind, Mode, Webhook};

/// What may stand in braces in a prompt.
const PLACEHOLDERS: [&str; 4] = ["repository", "number", "event", "actor"];
/// Bytes of a prompt.
const PROMPT: usize = 16 << 10;

/// Everything that is wrong with it.
pub(crate) fn check(file: &DispatchFile, problems: &mut Problems) {
    let root = KeyPath::root();
    if file.listen.as_ref().is_some_and(|listen| listen.parse::<SocketAddr>().is_err()) {
        problems
            .push(&root.key("listen"), "give an address and a port, such as 127.0.0.1:8466 or [::1]:8466");
    }
    if file.webhooks.is_empty() {
        problems.push(&root.key("webhooks"), "without a webhook nothing can come in");
    }
    for (name, webhook) in &file.webhooks {
        let at = root.key("webhooks").key(name);
        if !is_name(name) {
            problems.push(&at, "a webhook's name is 1 to 32 of a-z, 0-9 and -");
        }
        check_webhook(webhook, &at, problems);
    }
    for (index, rule) in file.rules.iter().enumerate() {
        check_rule(file, rule, &root.key("rules").item(index), problems);
    }
}

fn check_webhook(webhook: &Webhook, at: &KeyPath, problems: &mut Problems) {
    for (key, reference) in [("secret_ref", &webhook.secret_ref), ("token_ref", &webhook.token_ref)] {
        match reference.parse() {
            Ok(TokenRef::Env(_) | TokenRef::File(_)) => {}
            Ok(TokenRef::Json { .. } | TokenRef::Command(_)) => problems.push(
                &at.key(key),
                "the dispatcher reads a variable of the host or file:/path/to/it, and nothing else",
            ),
            Err(error) => problems.push(&at.key(key), error.to_string()),
        }
    }
    if !is_address(&webhook.api_url) {
        let example = "give the address of the API without a query, such as https://git.example.com/api/v1";
        problems.push(&at.key("api_url"), example);
    }
    for (key, names) in [("users", &webhook.allow.users), ("bots", &webhook.bots)] {
        let at = if key == "bots" { at.key(key) } else { at.key("allow").key(key) };
        for (index, name) in names.iter().enumerate().filter(|(_, name)| !is_account(name)) {
            problems.push(&at.item(index), not_account(name));
        }
    }
    if !is_account(&webhook.account) {
        problems.push(&at.key("account"), not_account(&webhook.account));
    }
    let allow = at.key("allow");
    for (index, team) in webhook.allow.teams.iter().enumerate() {
        let good = team.split_once('/').is_some_and(|(org, team)| is_account(org) && is_account(team));
        if !good {
            problems.push(&allow.key("teams").item(index), "a team is `organisation/team`");
        }
    }
    if webhook.forge == ForgeKind::Github && !webhook.allow.teams.is_empty() {
        problems.push(
            &allow.key("teams"),
            "teams are asked of Gitea and Forgejo only; name users or a permission",
        );
    }
    if webhook.allow == super::Allowed::default() {
        problems.push(&allow, "nobody is allowed; name users, teams or a permission");
    }
}

fn check_rule(file: &DispatchFile, rule: &DispatchRule, at: &KeyPath, problems: &mut Problems) {
    if let Some(name) = rule.webhook.as_ref().filter(|name| !file.webhooks.contains_key(*name)) {
        let near = policy::check::nearest(name, file.webhooks.keys().map(String::as_str));
        let advice = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
        problems.push(&at.key("webhook"), format!("there is no webhook {}{advice}", base::inert(name, 40)));
    }
    for (key, empty) in [("repositories", rule.repositories.is_empty()), ("events", rule.events.is_empty())] {
        if empty {
            problems.push(&at.key(key), "a rule about none decides nothing");
        }
    }
    for (index, repository) in rule.repositories.iter().enumerate() {
        let good = repository
            .split_once('/')
            .is_some_and(|(owner, name)| is_account(owner) && (name == "*" || is_account(name)));
        if !good {
            problems.push(&at.key("repositories").item(index), "a repository is `owner/name` or `owner/*`");
        }
    }
    if rule.events.contains(&EventKind::Labelled) != rule.label.is_some() {
        problems.push(at, "`label` says which one the event `labelled` is about; give both or neither");
    }
    if rule.mode == Mode::Ignore {
        return;
    }
    if rule.agent.is_none() {
        problems.push(at, "the key `agent` is missing; only `mode: ignore` needs none");
    }
    match &rule.prompt {
        None => problems.push(at, "the key `prompt` is missing: what the agent is to do"),
        Some(prompt) => check_prompt(prompt, &at.key("prompt"), problems),
    }
}

fn check_prompt(prompt: &str, at: &KeyPath, problems: &mut Problems) {
    if prompt.len() > PROMPT || prompt.trim().is_empty() {
        problems.push(at, format!("a prompt has 1 to {PROMPT} bytes"));
    }
    for name in prompt.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name) {
        let is_word = !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        if is_word && !PLACEHOLDERS.contains(&name) {
            let known = PLACEHOLDERS.map(|name| format!("{{{name}}}")).join(", ");
            let name = base::inert(name, 40);
            problems.push(
                at,
                format!(
                    "there is no {{{name}}}; there are {known}, and what people wrote follows the prompt"
                ),
            );
        }
    }
}

fn is_name(text: &str) -> bool {
    (1..=32).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn is_account(text: &str) -> bool {
    (1..=100).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'[' | b']'))
        && !text.starts_with('.')
}

fn not_account(name: &str) -> String {
    format!("{} is no name of an account", base::inert(name, 60))
}

fn is_address(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        let host = rest.split('/').next().unwrap_or_default();
        !host.is_empty()
            && rest.bytes().all(|b| {
                b.is_ascii_graphic() && !matches!(b, b'?' | b'#' | b'@' | b'\\' | b'"' | b'<' | b'>')
            })
    })
}
