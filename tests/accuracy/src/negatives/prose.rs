//! Sentences, also such as speak of secrets.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Kind;
use super::lists::many;
use crate::rng::{DIGITS, HEX, Rng};

pub(super) const KINDS: &[Kind] = &[
    ("prose", |r| paragraphs(r).into_bytes()),
    ("base64 of prose", |r| STANDARD.encode(paragraphs(r)).into_bytes()),
    ("quoted-printable mail", |r| {
        format!("DKIM-Signature: v=1; a=rsa-sha256; d=example.org; s=k1;\r\n bh={};\r\n b={}\r\nMessage-ID: <{}@example.org>\r\n\r\n{}=\r\n", STANDARD.encode(r.bytes(32)), STANDARD.encode(r.bytes(256)), r.text(HEX, 24), paragraphs(r).replace('.', "=2E")).into_bytes()
    }),
    ("log lines", |r| {
        many(
            r,
            40,
            |r| {
                format!(
                    "2025-03-{:02}T10:{}:{}Z INFO auth::session: refreshed access token for user={} key_id={} request={} took={}ms",
                    r.between(1, 28),
                    r.text(DIGITS, 2),
                    r.text(DIGITS, 2),
                    word(r),
                    r.text(HEX, 16),
                    r.uuid(),
                    r.text(DIGITS, 2)
                )
            },
            "\n",
        )
    }),
    ("access log", |r| {
        many(
            r,
            40,
            |r| {
                format!(
                    "10.1.{}.{} - - [04/Mar/2025:10:12:{} +0000] \"GET /{}/{}?page={}&session={} HTTP/1.1\" 200 {} \"https://{}.example/\" \"Mozilla/5.0 (X11; Linux x86_64)\"",
                    r.below(255),
                    r.below(255),
                    r.text(DIGITS, 2),
                    word(r),
                    word(r),
                    r.below(9),
                    r.text(HEX, 16),
                    r.text(DIGITS, 4),
                    word(r)
                )
            },
            "\n",
        )
    }),
];

const WORDS: &[&str] = &[
    "account",
    "adapter",
    "archive",
    "autumn",
    "balance",
    "basic",
    "bearer",
    "branch",
    "bucket",
    "cache",
    "camera",
    "cloud",
    "cluster",
    "cohere",
    "commit",
    "compile",
    "config",
    "counter",
    "credential",
    "database",
    "datadog",
    "deploy",
    "device",
    "discord",
    "engine",
    "export",
    "factory",
    "figure",
    "filter",
    "forest",
    "gateway",
    "github",
    "grafana",
    "harbour",
    "header",
    "helper",
    "index",
    "island",
    "journal",
    "kernel",
    "keyboard",
    "lambda",
    "ledger",
    "legacy",
    "library",
    "linear",
    "machine",
    "market",
    "memory",
    "mistral",
    "module",
    "monitor",
    "network",
    "notion",
    "number",
    "object",
    "orchard",
    "package",
    "parser",
    "password",
    "pattern",
    "payment",
    "pipeline",
    "planet",
    "plugin",
    "policy",
    "printer",
    "project",
    "protocol",
    "provider",
    "query",
    "queue",
    "railway",
    "record",
    "region",
    "release",
    "render",
    "replica",
    "request",
    "response",
    "river",
    "router",
    "runner",
    "sample",
    "schema",
    "secret",
    "sentry",
    "server",
    "session",
    "signal",
    "snowflake",
    "socket",
    "stream",
    "stripe",
    "summer",
    "switch",
    "system",
    "table",
    "target",
    "terminal",
    "thread",
    "ticket",
    "token",
    "tracker",
    "vault",
    "vector",
    "vercel",
    "version",
    "window",
    "winter",
    "worker",
    "writer",
];

const SENTENCES: &[&str] = &[
    "Rotate the API key every ninety days and store it in the vault, never in the repository.",
    "The access token expires after an hour; use the refresh token to get another one.",
    "Set MISTRAL_API_KEY in your environment before you run the example.",
    "A bearer token is a credential: whoever holds it can use it.",
    "Basic authentication sends user and password with every request.",
    "Stripe keys begin with sk_live_ or sk_test_, and GitHub tokens with ghp_, gho_ or ghs_.",
    "Our scanner looks for AKIA followed by sixteen characters and for -----BEGIN PRIVATE KEY----- lines.",
    "If the password is wrong three times, the account is locked for five minutes.",
    "The Datadog agent reports the trace id and the span id, and Sentry adds its own.",
    "The key insight is that a token bucket refills at a constant rate.",
    "Press any key to continue; the secret of good tea is patience.",
    "We moved the secrets to the cluster's own store and removed the .env files.",
    "To connect, use postgres://user:password@localhost:5432/app and change the password afterwards.",
    "Run `export OPENAI_API_KEY=sk-...` and start the worker.",
    "The Slack bot needs a token that begins with xoxb- and the channel's id.",
    "Internationalization is longer than localization, and antidisestablishmentarianism beats both.",
    "The tokenizer splits the text into tokens, about four characters each in English.",
    "Please review the pull request; the secret rotation job failed on the staging cluster.",
    "He found the old key under the stone, where his grandmother had left it forty years before.",
    "In the harbour the boats lay still, and the evening light turned the water to copper.",
    "Hash the password with bcrypt and a cost of twelve, then compare in constant time.",
    "git@example.org:team/app.git is the address; https://example.org:8443/team/app is the mirror.",
    "Use the header `Authorization: Bearer <token>` with each call.",
    "Cloudflare's API token page shows the token only once, so copy it at once.",
    "Twilio's auth token can be rolled in the console under account, keys and credentials.",
];

/// A word.
pub(super) fn word(r: &mut Rng) -> &'static str {
    r.pick::<&str>(WORDS)
}

/// A few sentences.
pub(super) fn paragraphs(r: &mut Rng) -> String {
    let count = r.between(4, 14);
    let mut text = String::new();
    for _ in 0..count {
        if r.below(3) == 0 {
            text.push_str(&format!(
                "The {} of the {} waits for a {} {}, and the {} follows. ",
                word(r),
                word(r),
                word(r),
                word(r),
                word(r)
            ));
        } else {
            text.push_str(r.pick::<&str>(SENTENCES));
            text.push(if r.below(4) == 0 { '\n' } else { ' ' });
        }
    }
    text
}
