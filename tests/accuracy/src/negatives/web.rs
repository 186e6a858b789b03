//! What browsers and front ends send and get.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use super::Kind;
use super::lists::{many, version};
use super::prose::{paragraphs, word};
use crate::rng::{ALNUM, BASE64, DIGITS, HEX, LETTERS, LOWER, Rng};

pub(super) const KINDS: &[Kind] = &[
    ("minified script", |r| many(r, 80, minified, "")),
    ("source map", |r| {
        let mappings = many(
            r,
            300,
            |r| {
                let length = r.between(4, 5);
                r.text(BASE64, length)
            },
            ",",
        );
        format!(
            "{{\"version\":3,\"sources\":[\"{}.ts\"],\"names\":[\"token\",\"key\"],\"mappings\":\"{}\"}}",
            word(r),
            String::from_utf8_lossy(&mappings)
        )
        .into_bytes()
    }),
    ("CSS", |r| {
        many(
            r,
            60,
            |r| {
                format!(
                    ".{}-{}{{color:#{};background:#{};margin:{}px auto;transition:all .{}s ease}}",
                    word(r),
                    word(r),
                    r.text(HEX, 6),
                    r.text(HEX, 3),
                    r.below(40),
                    r.below(9)
                )
            },
            "\n",
        )
    }),
    ("image data URI", |r| {
        let length = r.between(300, 3000);
        let image = [b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".as_slice(), &r.bytes(length)].concat();
        format!("<img alt=\"{}\" src=\"data:image/png;base64,{}\">", word(r), STANDARD.encode(image))
            .into_bytes()
    }),
    ("font in CSS", |r| {
        let length = r.between(1000, 4000);
        let font = [b"wOF2".as_slice(), &r.bytes(length)].concat();
        format!(
            "@font-face{{font-family:{};src:url(data:font/woff2;base64,{}) format('woff2')}}",
            word(r),
            STANDARD.encode(font)
        )
        .into_bytes()
    }),
    ("SVG", |r| {
        let path = many(
            r,
            150,
            |r| {
                format!(
                    "{}{}.{} {}.{}",
                    r.pick(&["M", "l", "c", "h-", "V"]),
                    r.below(99),
                    r.below(99),
                    r.below(99),
                    r.below(9)
                )
            },
            "",
        );
        format!("<svg viewBox=\"0 0 24 24\"><path d=\"{}z\"/></svg>", String::from_utf8_lossy(&path))
            .into_bytes()
    }),
    ("cookies", |r| {
        format!("Cookie: _ga=GA1.2.{}.17{}; _gid=GA1.2.{}; csrftoken={}; sessionid={}; __cf_bm={}-17{}-1.0; consent=%7B%22a%22%3Atrue%7D", r.text(DIGITS, 9), r.text(DIGITS, 8), r.text(DIGITS, 9), r.text(ALNUM, 64), r.text(LOWER, 32), r.text(ALNUM, 43), r.text(DIGITS, 8)).into_bytes()
    }),
    ("form login", |r| {
        format!(
            "csrf_token={}&username={}%40example.org&remember=on&nonce={}&state={}",
            URL_SAFE_NO_PAD.encode(r.bytes(32)),
            word(r),
            r.text(HEX, 32),
            r.uuid()
        )
        .into_bytes()
    }),
    ("form of many fields", |r| {
        many(
            r,
            30,
            |r| {
                let length = r.between(3, 24);
                format!("{}_{}={}", word(r), word(r), r.text(LOWER, length))
            },
            "&",
        )
    }),
    ("addresses", |r| {
        many(
            r,
            40,
            |r| {
                format!(
                    "https://{}.example.com:{}/{}/{}?utm_source={}&id={}&sig_v={}#{}",
                    word(r),
                    r.between(1024, 65535),
                    word(r),
                    r.uuid(),
                    word(r),
                    r.text(HEX, 20),
                    version(r),
                    word(r)
                )
            },
            "\n",
        )
    }),
    ("percent-encoded addresses", |r| {
        many(
            r,
            20,
            |r| {
                format!(
                    "https%3A%2F%2F{}.example.com%2F{}%3Fq%3D{}%26page%3D{}",
                    word(r),
                    word(r),
                    r.text(LOWER, 9),
                    r.below(100)
                )
            },
            "&u=",
        )
    }),
    ("HTML page", |r| {
        format!("<html><head><meta name=\"csrf-token\" content=\"{}\"><meta name=\"google-site-verification\" content=\"{}\"></head><body><p>{}</p><input type=\"password\" name=\"password\" placeholder=\"Your secret key\"></body></html>", STANDARD.encode(r.bytes(32)), r.text(ALNUM, 43), paragraphs(r).replace('\n', "<br>")).into_bytes()
    }),
    ("analytics", |r| {
        many(
            r,
            15,
            |r| {
                format!(
                    "{{\"event\":\"{}\",\"distinct_id\":\"{}\",\"anonymous_id\":\"{}\",\"writeKey\":\"\",\"ts\":17{},\"screen\":\"1920x1080\"}}",
                    word(r),
                    r.text(HEX, 40),
                    r.uuid(),
                    r.text(DIGITS, 11)
                )
            },
            "\n",
        )
    }),
];

fn minified(r: &mut Rng) -> String {
    let mut name = || r.text(LETTERS, 1);
    let (a, b, c, d) = (name(), name(), name(), name());
    let (key, token) = (word(r), word(r));
    match r.below(5) {
        0 => format!("function {a}({b},{c}){{return {b}?{c}.{key}({b}.{token}):null}}"),
        1 => format!("var {a}={b}.{key}||(({c},{d})=>{c}[{d}]);"),
        2 => format!("{a}.prototype.{token}=function({b}){{this.{key}={b};this._auth_token=null}};"),
        3 => format!(
            "{a}={{{key}:\"{token}\",tokenKey:\"{key}-{token}\",passwordField:!0,hash:\"{}\"}};",
            r.text(HEX, 20)
        ),
        _ => format!("if({a}&&{b}!=={c}.{key})throw new Error(\"invalid {token} token\");"),
    }
}
