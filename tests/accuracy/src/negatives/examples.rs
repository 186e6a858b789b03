//! Tokens out of documentation: shaped like tokens, and known to everybody.

use super::Kind;
use super::prose::{paragraphs, word};
use crate::rng::Rng;

pub(super) const KINDS: &[Kind] =
    &[("documentation examples", |r| around(r, EXAMPLES)), ("placeholders", |r| around(r, PLACEHOLDERS))];

fn around(r: &mut Rng, all: &[&[&str]]) -> Vec<u8> {
    let mut text = String::new();
    for _ in 0..r.between(1, 4) {
        let example = r.pick(all).concat();
        text.push_str(&format!(
            "{}\n    export {}_KEY={example}\n    curl -H \"X-{}: {example}\" https://api.example.com/v1\n",
            paragraphs(r),
            word(r).to_uppercase(),
            word(r)
        ));
    }
    text.into_bytes()
}

/// In pieces, so that none of them stands here.
const EXAMPLES: &[&[&str]] = &[
    &["AKIA", "IOSFODNN7", "EXAMPLE"],
    &["wJalrXUtnFEMI/", "K7MDENG/bPxRfiCY", "EXAMPLEKEY"],
    &["AKIA", "I44QH8DHB", "EXAMPLE"],
    &["sk_test_", "4eC39HqLyjWDarjtT1zdp7dc"],
    &[
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9",
        ".eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0IjoxNTE2MjM5MDIyfQ",
        ".SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c",
    ],
    &["ghp_", "1234567890abcdefghijklmnopqrstuvwxyz"],
    &["glpat-", "abcdefghijklmnopqrst"],
    &["postgres://postgres:", "postgres@localhost:5432/postgres"],
    &["redis://default:", "password@localhost:6379"],
    &["Authorization: Basic ", "QWxhZGRpbjpvcGVuIHNlc2FtZQ=="],
    &["https://user:", "password@example.com/"],
    &["AC", "XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX"],
    &["https://hooks.slack.com/services/", "T00000000/B00000000/", "XXXXXXXXXXXXXXXXXXXXXXXX"],
];

const PLACEHOLDERS: &[&[&str]] = &[
    &["sk-", "your-api-key-here"],
    &[
        "sk-ant-api03-",
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    ],
    &["ghp_", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"],
    &["ghp_", "YOUR_TOKEN_HERE"],
    &["github_pat_", "****************"],
    &["xoxb-", "your-bot-token-goes-here"],
    &["xoxb-", "XXXXXXXXXXXX-XXXXXXXXXXXX-XXXXXXXXXXXXXXXXXXXXXXXX"],
    &["AIza", "SyXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX"],
    &["sk_live_", "..."],
    &["npm_", "000000000000000000000000000000000000"],
    &["hf_", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"],
    &["mysql://root:", "changeme@db/app"],
    &["mongodb+srv://<username>:", "<password>@cluster0.example.mongodb.net/"],
    &["${", "ANTHROPIC_API_KEY}"],
    &["SG.", "xxxxxxxxxxxxxxxxxxxxxx.xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"],
    &["glpat-", "XXXXXXXXXXXXXXXXXXXX"],
    &["-----BEGIN PRIVATE KEY-----\\n", "...", "\\n-----END PRIVATE KEY-----"],
    &["AKIA", "XXXXXXXXXXXXXXXX"],
    &["dop_v1_", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"],
];
