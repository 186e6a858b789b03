//! Text as a model reads it: without the dress of HTML, Markdown, JSON and look-alike letters.

use super::veil;

/// Stands for the begin of what no person sees.
pub(super) const HIDE: u8 = 1;
/// Stands for its end.
pub(super) const SHOW: u8 = 2;

/// Elements that say who speaks and are therefore text.
const SPEAKING: &[&[u8]] = &[
    b"system",
    b"system-reminder",
    b"system_message",
    b"important",
    b"tool_result",
    b"function_results",
    b"function_calls",
    b"tool_call",
    b"developer",
    b"admin",
];

/// Elements within words.
const INLINE: &[&[u8]] = &[b"b", b"i", b"em", b"strong", b"span", b"a", b"u", b"font", b"wbr", b"mark"];

/// What makes an element invisible, in its opening tag.
const INVISIBLE: &[&[u8]] = &[
    b"display:none",
    b"display: none",
    b"visibility:hidden",
    b"visibility: hidden",
    b"font-size:0",
    b"font-size: 0",
    b"opacity:0",
    b"color:white",
    b"color: white",
    b"color:#fff",
    b" hidden",
];

/// The longest tag that is taken for one, in bytes.
const TAG: usize = 512;

/// The plain form of `text`: lower case, letters without accents, single spaces, typographic quotes as plain ones.
/// [`HIDE`] and [`SHOW`] surround what was hidden.
pub(super) fn of(text: &[u8]) -> Vec<u8> {
    let mut plain = Plain { out: Vec::with_capacity(text.len()), tags: 0, hidden: false };
    let mut left = text;
    while let Some((&byte, rest)) = left.split_first() {
        left = match byte {
            b'<' => plain.tag(left, rest),
            b'&' => plain.entity(left, rest),
            b'\\' => plain.escape(left, rest),
            b'*' => rest,
            b'-' if left.starts_with(b"-->") => {
                plain.show();
                &left[3..]
            }
            0x80.. => plain.wide(left),
            _ => {
                plain.push(byte);
                rest
            }
        };
    }
    plain.out
}

struct Plain {
    out: Vec<u8>,
    /// How many letters in tag characters were just decoded.
    tags: usize,
    /// Whether a comment or an invisible element is open.
    hidden: bool,
}

impl Plain {
    fn push(&mut self, byte: u8) {
        if self.tags > 0 {
            self.end_tags();
        }
        match byte {
            0..=b' ' | 0x7f => {
                if self.out.last() != Some(&b' ') {
                    self.out.push(b' ');
                }
            }
            _ => self.out.push(byte.to_ascii_lowercase()),
        }
    }

    fn hide(&mut self) {
        self.hidden = true;
        self.out.push(HIDE);
    }

    fn show(&mut self) {
        if std::mem::take(&mut self.hidden) {
            self.out.push(SHOW);
        }
    }

    /// A letter spelt in Unicode tag characters, which nothing shows and a model reads.
    fn push_tag(&mut self, byte: u8) {
        if self.tags == 0 {
            self.out.push(HIDE);
        }
        self.tags += 1;
        self.out.push(byte.to_ascii_lowercase());
    }

    fn end_tags(&mut self) {
        self.tags = 0;
        self.out.push(SHOW);
    }

    fn char(&mut self, character: u32) {
        match veil::fold(character) {
            veil::Folded::Nothing => {}
            veil::Folded::Byte(byte) => self.push(byte),
            veil::Folded::Tag(byte) => self.push_tag(byte),
            veil::Folded::Same => {
                if let Some(character) = char::from_u32(character) {
                    self.out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                }
            }
        }
    }

    fn wide<'t>(&mut self, from: &'t [u8]) -> &'t [u8] {
        let length = match from[0] {
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            _ => 1,
        };
        let Some(character) = from.get(..length).and_then(|c| std::str::from_utf8(c).ok()) else {
            self.out.push(from[0]);
            return &from[1..];
        };
        character.chars().for_each(|c| self.char(u32::from(c)));
        &from[length..]
    }

    /// HTML tags and comments. What is no tag stays.
    fn tag<'t>(&mut self, from: &'t [u8], rest: &'t [u8]) -> &'t [u8] {
        if let Some(inside) = from.strip_prefix(b"<!--") {
            self.hide();
            return inside;
        }
        let name = rest.strip_prefix(b"/").unwrap_or(rest);
        let end = memchr::memchr(b'>', &rest[..rest.len().min(TAG)]);
        let Some(end) = end.filter(|_| name.first().is_some_and(u8::is_ascii_alphabetic)) else {
            self.push(b'<');
            return rest;
        };
        let name_end = name.iter().position(|b| !matches!(b, b'-' | b'_') && !b.is_ascii_alphanumeric());
        let name = &name[..name_end.unwrap_or(name.len())];
        if SPEAKING.iter().any(|speaking| name.eq_ignore_ascii_case(speaking)) {
            self.push(b'<');
            return rest;
        }
        let tag = &rest[..end];
        if !INLINE.iter().any(|inline| name.eq_ignore_ascii_case(inline)) {
            self.push(b' ');
        }
        if tag[0] == b'/' {
            self.show();
        } else if INVISIBLE.iter().any(|style| contains(tag, style)) {
            self.hide();
        } else {
            self.attributes(tag);
        }
        &rest[end + 1..]
    }

    /// Attribute values that are sentences: alternative texts, titles.
    fn attributes(&mut self, tag: &[u8]) {
        for value in tag.split(|&b| b == b'"').skip(1).step_by(2) {
            if value.len() >= 24 && value.contains(&b' ') {
                value.iter().for_each(|&b| self.push(b));
                self.push(b' ');
            }
        }
    }

    fn entity<'t>(&mut self, from: &'t [u8], rest: &'t [u8]) -> &'t [u8] {
        const NAMED: &[(&[u8], u8)] = &[
            (b"nbsp;", b' '),
            (b"quot;", b'"'),
            (b"lt;", b'<'),
            (b"gt;", b'>'),
            (b"amp;", b'&'),
            (b"apos;", b'\''),
        ];
        for (name, byte) in NAMED {
            if let Some(rest) = rest.strip_prefix(*name) {
                self.push(*byte);
                return rest;
            }
        }
        let number = || -> Option<(u32, &[u8])> {
            let digits = rest.strip_prefix(b"#")?;
            let (radix, digits) = match digits.first()? {
                b'x' | b'X' => (16, &digits[1..]),
                _ => (10, digits),
            };
            let end = digits.iter().take(8).position(|&b| b == b';')?;
            let number = u32::from_str_radix(std::str::from_utf8(&digits[..end]).ok()?, radix).ok()?;
            Some((number, &digits[end + 1..]))
        };
        self.numbered(number(), from)
    }

    /// JSON's escapes, and those of most programming languages.
    fn escape<'t>(&mut self, from: &'t [u8], rest: &'t [u8]) -> &'t [u8] {
        match rest.first() {
            Some(b'n' | b'r' | b't') => self.push(b' '),
            Some(byte @ (b'"' | b'/' | b'\'' | b'\\')) => self.push(*byte),
            Some(b'u') => {
                let digits = rest.get(1..5).and_then(|d| std::str::from_utf8(d).ok());
                let number = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
                return self.numbered(number.map(|number| (number, &rest[5..])), from);
            }
            _ => {
                self.push(b'\\');
                return rest;
            }
        }
        &rest[1..]
    }

    fn numbered<'t>(&mut self, number: Option<(u32, &'t [u8])>, from: &'t [u8]) -> &'t [u8] {
        if let Some((number, rest)) = number {
            self.char(number);
            rest
        } else {
            self.push(from[0]);
            &from[1..]
        }
    }
}

fn contains(tag: &[u8], word: &[u8]) -> bool {
    tag.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word))
}
