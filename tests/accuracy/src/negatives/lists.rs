//! Identifiers, hashes, lock files: random by nature, secret to nobody.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use super::Kind;
use super::prose::word;
use crate::rng::{ALNUM, DIGITS, HEX, LOWER, Rng, UPPER};

pub(super) const KINDS: &[Kind] = &[
    ("UUIDs", |r| many(r, 40, |r| format!("{{\"id\":\"{}\",\"parent\":\"{}\"}}", r.uuid(), r.uuid()), ",\n")),
    ("checksums", |r| {
        let length = *r.pick(&[32, 40, 64, 96, 128]);
        let line = |r: &mut Rng| format!("{}  dist/{}-{}.tar.gz", r.text(HEX, length), word(r), version(r));
        (0..20).map(|_| line(r)).collect::<Vec<_>>().join("\n").into_bytes()
    }),
    ("package-lock.json", |r| many(r, 25, package_lock, ",\n")),
    ("yarn.lock", |r| {
        many(
            r,
            25,
            |r| {
                let (name, version, hash) = (word(r), version(r), r.text(HEX, 40));
                let integrity = STANDARD.encode(r.bytes(64));
                format!(
                    "{name}@^{version}:\n  version \"{version}\"\n  resolved \"https://registry.yarnpkg.example/{name}/-/{name}-{version}.tgz#{hash}\"\n  integrity sha512-{integrity}\n"
                )
            },
            "\n",
        )
    }),
    ("Cargo.lock", |r| {
        many(
            r,
            30,
            |r| {
                format!(
                    "[[package]]\nname = \"{}\"\nversion = \"{}\"\nsource = \"registry+https://index.example/crates\"\nchecksum = \"{}\"\n",
                    word(r),
                    version(r),
                    r.text(HEX, 64)
                )
            },
            "\n",
        )
    }),
    ("go.sum", |r| {
        many(
            r,
            30,
            |r| {
                format!(
                    "example.org/{}/{} v{} h1:{}=",
                    word(r),
                    word(r),
                    version(r),
                    STANDARD.encode(r.bytes(32)).trim_end_matches('=')
                )
            },
            "\n",
        )
    }),
    ("poetry.lock", |r| {
        many(
            r,
            25,
            |r| {
                format!(
                    "    {{file = \"{}-{}-py3-none-any.whl\", hash = \"sha256:{}\"}},",
                    word(r),
                    version(r),
                    r.text(HEX, 64)
                )
            },
            "\n",
        )
    }),
    ("git log", |r| {
        many(
            r,
            25,
            |r| {
                format!(
                    "commit {}\nAuthor: {} <{}@example.org>\nDate:   Tue Mar 4 10:{}:00 2025 +0100\n\n    {} the {}\n",
                    r.text(HEX, 40),
                    word(r),
                    word(r),
                    r.text(DIGITS, 2),
                    word(r),
                    word(r)
                )
            },
            "\n",
        )
    }),
    ("git diff", |r| {
        many(
            r,
            12,
            |r| {
                format!(
                    "diff --git a/src/{0}.rs b/src/{0}.rs\nindex {1}..{2} 100644\n--- a/src/{0}.rs\n+++ b/src/{0}.rs\n@@ -1,4 +1,4 @@\n-let token = {0}();\n+let token = {3}();\n",
                    word(r),
                    r.text(HEX, 10),
                    r.text(HEX, 10),
                    word(r)
                )
            },
            "",
        )
    }),
    ("container digests", |r| {
        many(
            r,
            25,
            |r| {
                format!(
                    "      image: registry.example/{}/{}:{}@sha256:{}",
                    word(r),
                    word(r),
                    version(r),
                    r.text(HEX, 64)
                )
            },
            "\n",
        )
    }),
    ("CSV", |r| {
        many(
            r,
            60,
            |r| {
                format!(
                    "{},{},{}@example.com,{}.{},{}",
                    r.text(DIGITS, 7),
                    word(r),
                    word(r),
                    r.text(DIGITS, 3),
                    r.text(DIGITS, 2),
                    r.text(UPPER, 12)
                )
            },
            "\n",
        )
    }),
    ("ULIDs and object ids", |r| {
        many(
            r,
            40,
            |r| {
                format!(
                    "{{\"_id\":\"{}\",\"ulid\":\"01{}\",\"key\":\"{}\",\"rev\":\"3-{}\"}}",
                    r.text(HEX, 24),
                    r.text("0123456789ABCDEFGHJKMNPQRSTVWXYZ", 24),
                    r.text(ALNUM, 21),
                    r.text(HEX, 32)
                )
            },
            "\n",
        )
    }),
    ("traces", |r| {
        many(
            r,
            25,
            |r| {
                format!(
                    "traceparent: 00-{}-{}-01\nbaggage: sentry-trace_id={},sentry-public_key={}\nx-datadog-trace-id: {}\nx-request-id: {}",
                    r.text(HEX, 32),
                    r.text(HEX, 16),
                    r.text(HEX, 32),
                    r.text(HEX, 32),
                    r.text(DIGITS, 19),
                    r.uuid()
                )
            },
            "\n",
        )
    }),
    ("SRI and CSP", |r| {
        many(
            r,
            10,
            |r| {
                format!(
                    "<script src=\"/{}.js\" integrity=\"sha384-{}\" nonce=\"{}\"></script>",
                    word(r),
                    STANDARD.encode(r.bytes(48)),
                    URL_SAFE_NO_PAD.encode(r.bytes(16))
                )
            },
            "\n",
        )
    }),
    ("SQL", |r| {
        many(
            r,
            30,
            |r| {
                format!(
                    "INSERT INTO sessions (id, user_key, token_hash) VALUES ({}, '{}', '\\x{}');",
                    r.text(DIGITS, 6),
                    r.text(LOWER, 12),
                    r.text(HEX, 64)
                )
            },
            "\n",
        )
    }),
    ("password hashes", |r| {
        many(
            r,
            15,
            |r| format!("{}:$2b$12${}:19{}:0:99999:7:::", word(r), r.text(ALNUM, 53), r.text(DIGITS, 3)),
            "\n",
        )
    }),
];

/// A number of pieces made by `make`.
pub(super) fn many(r: &mut Rng, most: usize, make: fn(&mut Rng) -> String, between: &str) -> Vec<u8> {
    let count = r.between(most / 3, most);
    let pieces: Vec<_> = (0..count).map(|_| make(r)).collect();
    pieces.join(between).into_bytes()
}

pub(super) fn version(r: &mut Rng) -> String {
    format!("{}.{}.{}", r.below(20), r.below(40), r.below(30))
}

fn package_lock(r: &mut Rng) -> String {
    let (name, version) = (word(r), version(r));
    format!(
        "    \"node_modules/{name}\": {{\n      \"version\": \"{version}\",\n      \"resolved\": \"https://registry.npm.example/{name}/-/{name}-{version}.tgz\",\n      \"integrity\": \"sha512-{}\",\n      \"license\": \"MIT\"\n    }}",
        STANDARD.encode(r.bytes(64))
    )
}
