//! Places in what files hold, and in what they unpack into.

use super::{Case, contents, unpacked};
use crate::made::{base64, escaped, gzip, percent, utf16, zip_entry, zlib};
use crate::world::letters;

pub(super) const CONTENTS: &[Case] = &[
    ("plain", |w, s| contents(w, format!("a\nb = {s}\nc\n").as_bytes(), 2)),
    ("at the start", |w, s| contents(w, format!("{s}\nc\n").as_bytes(), 1)),
    ("at the end without a line's end", |w, s| contents(w, format!("a\n\n{s}").as_bytes(), 3)),
    ("lines of DOS", |w, s| contents(w, format!("a\r\nb {s}\r\nc\r\n").as_bytes(), 2)),
    ("one huge line", |w, s| {
        contents(w, format!("{}{s} {}", "x ".repeat(700_000), "y ".repeat(700_000)).as_bytes(), 1)
    }),
    ("far into a large file", |w, s| {
        contents(w, format!("{}{s}\n", "line\n".repeat(600_000)).as_bytes(), 600_001)
    }),
    ("across what is read at once", |w, s| {
        let before = (1 << 21) - 20;
        contents(
            w,
            format!("{}{s}\n{}", "0123456\n".repeat(before / 8), "x\n".repeat(9000)).as_bytes(),
            before as u64 / 8 + 1,
        )
    }),
    ("among zero bytes", |w, s| contents(w, &[&[0; 64], s.as_bytes(), &[0; 64]].concat(), 1)),
    ("in an executable", |w, s| {
        contents(w, &[b"\x7fELF\x02\x01\x01\0\0\0", s.as_bytes(), &[0, 255, 254]].concat(), 1)
    }),
    ("behind an image's first bytes", |w, s| {
        contents(w, &[b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR ", s.as_bytes()].concat(), 3)
    }),
    ("utf-16, little, with a mark", |w, s| contents(w, &utf16(&format!("a\n{s}\n"), true, true), 2)),
    ("utf-16, little, without one", |w, s| contents(w, &utf16(&format!("a\n{s}\n"), true, false), 2)),
    ("utf-16, big, with a mark", |w, s| contents(w, &utf16(&format!("a\n{s}\n"), false, true), 2)),
    ("utf-16, big, without one", |w, s| contents(w, &utf16(&format!("a\n{s}\n"), false, false), 2)),
    ("base64", |w, s| contents(w, base64(format!("token={s}\n").as_bytes()).as_bytes(), 1)),
    ("base64 in lines", |w, s| {
        let text = base64(format!("some words before it, token={s}, and some behind it\n").as_bytes());
        let lines: Vec<_> = text.as_bytes().chunks(64).collect();
        contents(w, &lines.join(&b'\n'), 1)
    }),
    ("hexadecimal", |w, s| {
        let digits: String = s.bytes().map(|byte| format!("{byte:02x}")).collect();
        contents(w, format!("x {digits}\n").as_bytes(), 1)
    }),
    ("percent", |w, s| contents(w, format!("x={}\n", percent(s)).as_bytes(), 1)),
    ("escapes", |w, s| contents(w, format!("{{\"x\":\"{}\"}}\n", escaped(s)).as_bytes(), 1)),
    ("a pointer of large file storage", |w, s| {
        contents(
            w,
            format!(
                "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 9\nx {s}\n",
                "ab".repeat(32)
            )
            .as_bytes(),
            4,
        )
    }),
];

pub(super) const PACKED: &[Case] = &[
    ("gzip", |w, s| unpacked(w, &gzip(format!("a\n{s}\n").as_bytes()), "gzip", 2)),
    ("gzip, then more of it", |w, s| {
        unpacked(w, &[gzip(b"first\n"), gzip(s.as_bytes())].concat(), "gzip", 2)
    }),
    ("gzip in gzip", |w, s| unpacked(w, &gzip(&gzip(s.as_bytes())), "gzip", 1)),
    ("gzip, cut off", |w, s| {
        let mut packed = gzip(format!("{s}\n{}", letters(9, 4000)).as_bytes());
        packed.truncate(packed.len() - 40);
        unpacked(w, &packed, "gzip", 1)
    }),
    ("gzip of utf-16", |w, s| unpacked(w, &gzip(&utf16(s, true, true)), "gzip", 1)),
    ("gzip of much", |w, s| {
        unpacked(w, &gzip(format!("{}{s}\n", "line\n".repeat(400_000)).as_bytes()), "gzip", 400_001)
    }),
    ("zlib", |w, s| unpacked(w, &zlib(s.as_bytes()), "deflate", 1)),
    ("zip", |w, s| {
        unpacked(w, &zip_entry("x.txt", format!("a\n{s}\n").as_bytes(), true, 0), "zip entry x.txt", 2)
    }),
    ("zip behind other bytes", |w, s| {
        let zip = [b"#!/bin/sh\n".to_vec(), zip_entry("y", s.as_bytes(), true, 0)].concat();
        unpacked(w, &zip, "zip entry y", 1)
    }),
    ("zip, the second entry", |w, s| {
        let zip = [zip_entry("x", b"nothing", true, 0), zip_entry("y", s.as_bytes(), true, 8)].concat();
        unpacked(w, &zip, "zip entry y", 1)
    }),
    ("zip, stored", |w, s| contents(w, &zip_entry("x", s.as_bytes(), false, 0), 1)),
    ("zip, a name in it", |w, s| contents(w, &zip_entry(s, b"nothing", true, 0), 1)),
    ("gzip in zip, stored", |w, s| unpacked(w, &zip_entry("x.gz", &gzip(s.as_bytes()), false, 0), "gzip", 1)),
    ("zip in gzip", |w, s| unpacked(w, &gzip(&zip_entry("x", s.as_bytes(), true, 0)), "zip entry x", 1)),
];
