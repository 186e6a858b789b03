//! Bytes that are no text, and the texts that such bytes are sent as.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

use super::Kind;
use super::lists::many;
use super::prose::{paragraphs, word};
use crate::rng::{BASE64, HEX, Rng};

pub(super) const KINDS: &[Kind] = &[
    ("random bytes", |r| {
        let length = r.between(1000, 20_000);
        r.bytes(length)
    }),
    ("picture", |r| {
        let length = r.between(2000, 20_000);
        [b"\xff\xd8\xff\xe0\0\x10JFIF\0".as_slice(), &r.bytes(length)].concat()
    }),
    ("random base64", |r| {
        let length = r.between(1000, 12_000);
        STANDARD.encode(r.bytes(length)).into_bytes()
    }),
    ("random hex", |r| {
        let length = r.between(1000, 12_000);
        r.text(HEX, length).into_bytes()
    }),
    ("hex dump", |r| {
        many(
            r,
            60,
            |r| {
                let bytes = r.bytes(16);
                let row: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                let shown: String = bytes
                    .iter()
                    .map(|byte| if byte.is_ascii_graphic() { char::from(*byte) } else { '.' })
                    .collect();
                format!("{:08x}  {}  |{shown}|", r.below(1 << 20) * 16, row.join(" "))
            },
            "\n",
        )
    }),
    ("certificate", |r| pem(r, "CERTIFICATE", 1200)),
    ("public key", |r| pem(r, "PUBLIC KEY", 390)),
    ("signed message", |r| {
        let signature = pem(r, "PGP SIGNATURE", 600);
        [b"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n", paragraphs(r).as_bytes(), &signature]
            .concat()
    }),
    ("SSH public keys", |r| {
        many(
            r,
            8,
            |r| {
                format!(
                    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{} {}@{}\nssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQ{} ci",
                    r.text(BASE64, 43),
                    word(r),
                    word(r),
                    r.text(BASE64, 340)
                )
            },
            "\n",
        )
    }),
    ("protocol buffers", |r| {
        many(
            r,
            60,
            |r| {
                let id = String::from_utf8_lossy(&r.bytes(3)).into_owned();
                format!("\n\x0c{}\x12\x05{}\x1a\x24{}\x22{id}", word(r), word(r), r.uuid())
            },
            "",
        )
    }),
    ("base64 of small numbers", |r| {
        let length = r.between(2000, 9000);
        let small: Vec<u8> =
            (0..length).map(|_| if r.below(3) == 0 { 0 } else { r.bytes(1)[0] >> r.below(8) }).collect();
        STANDARD.encode(small).into_bytes()
    }),
    ("UTF-16 text", |r| paragraphs(r).encode_utf16().flat_map(u16::to_le_bytes).collect()),
    ("git pack", |r| {
        let length = r.between(3000, 15_000);
        [
            format!(
                "0098{} {} refs/heads/main\0 report-status side-band-64k\n0000PACK",
                r.text(HEX, 40),
                r.text(HEX, 40)
            )
            .as_bytes(),
            &r.bytes(length),
        ]
        .concat()
    }),
];

fn pem(r: &mut Rng, label: &str, length: usize) -> Vec<u8> {
    let body = STANDARD_NO_PAD.encode(r.bytes(length * 3 / 4));
    let lines: Vec<_> = body.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n")).into_bytes()
}
