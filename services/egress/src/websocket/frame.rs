//! The frames of a WebSocket (RFC 6455, section 5): parsed strictly, and in pieces as they come. Pure.

use bytes::{Buf as _, Bytes, BytesMut};

/// Bytes of the longest frame header: two, a length of eight, a key of four.
const LONGEST_HEADER: usize = 14;
/// Bytes of payload that a control frame may have (section 5.5).
pub const CONTROL_BOUND: usize = 125;

/// Who sends the frames: an agent masks its own, an origin does not (section 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// The client of the handshake.
    Agent,
    /// Its server.
    Origin,
}

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// UTF-8, as far as its sender is right about that.
    Text,
    /// Anything.
    Binary,
}

/// What a control frame is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// The sender sends nothing more.
    Close,
    /// To be answered.
    Ping,
    /// An answer.
    Pong,
}

/// What is wrong with a frame. Nothing that follows can be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// Reserved bits belong to extensions, and none was agreed upon.
    #[error("a frame has reserved bits set, without an extension")]
    Reserved,
    /// 3 to 7 and 11 to 15.
    #[error("a frame has an unknown opcode")]
    Opcode,
    /// A client's frame in the clear.
    #[error("a frame of the client is not masked")]
    Unmasked,
    /// A server's frame with a mask.
    #[error("a frame of the server is masked")]
    Masked,
    /// Not the shortest form, or over 63 bits.
    #[error("a frame's length is not in its shortest form")]
    Length,
    /// Over [`CONTROL_BOUND`], or in fragments.
    #[error("a control frame is longer than 125 bytes or fragmented")]
    Control,
    /// A continuation of nothing, or a new message within another.
    #[error("the fragments of a message are out of order")]
    Fragment,
    /// More of them than are kept at once.
    #[error("a message has too many fragments, or control frames among them")]
    Crowded,
}

/// A frame's header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// As it came.
    pub raw: Bytes,
    /// The key, if the payload is masked.
    pub key: Option<[u8; 4]>,
    /// Bytes of payload.
    pub length: u64,
}

/// The next stretch of a WebSocket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A stretch of a data frame.
    Data(Data),
    /// A control frame.
    Control(Control),
}

/// A stretch of a data frame; all of its payload, or what is there of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Data {
    /// With the first stretch of a frame.
    pub head: Option<Head>,
    /// What the message is.
    pub kind: Kind,
    /// Unmasked.
    pub payload: BytesMut,
    /// Whether the message ends with it.
    pub is_last: bool,
}

/// A control frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Control {
    /// What for.
    pub signal: Signal,
    /// Its header.
    pub head: Head,
    /// Unmasked, at most [`CONTROL_BOUND`] bytes.
    pub payload: BytesMut,
}

/// Finds the frames in the bytes of one side.
#[derive(Debug)]
pub struct Parser {
    sender: Sender,
    /// The message of which fragments are still to come.
    open: Option<Kind>,
    /// The data frame of which payload is still to come.
    current: Option<Current>,
}

#[derive(Clone, Copy, Debug)]
struct Current {
    kind: Kind,
    key: Option<[u8; 4]>,
    done: u64,
    left: u64,
    is_final: bool,
}

/// The first two bytes and what they announce.
struct Parsed {
    is_final: bool,
    opcode: u8,
    head: Head,
}

impl Parser {
    /// At the first byte after the handshake.
    #[must_use]
    pub fn new(sender: Sender) -> Self {
        Self { sender, open: None, current: None }
    }

    /// Takes the next stretch from what has arrived; `None` if more has to arrive first.
    ///
    /// # Errors
    /// The frame is not as it should be; the connection has to end.
    pub fn next(&mut self, arrived: &mut BytesMut) -> Result<Option<Event>, Flaw> {
        if let Some(current) = self.current {
            return Ok((!arrived.is_empty()).then(|| Event::Data(self.payload(None, current, arrived))));
        }
        let Some(Parsed { is_final, opcode, head }) = parse(arrived, self.sender)? else { return Ok(None) };
        if opcode >= 8 {
            return control(opcode, is_final, head, arrived);
        }
        let kind = match (opcode, self.open) {
            (0, Some(kind)) => kind,
            (1, None) => Kind::Text,
            (2, None) => Kind::Binary,
            (0..=2, _) => return Err(Flaw::Fragment),
            _ => return Err(Flaw::Opcode),
        };
        arrived.advance(head.raw.len());
        self.open = (!is_final).then_some(kind);
        let current = Current { kind, key: head.key, done: 0, left: head.length, is_final };
        Ok(Some(Event::Data(self.payload(Some(head), current, arrived))))
    }

    fn payload(&mut self, head: Option<Head>, mut current: Current, arrived: &mut BytesMut) -> Data {
        let step = usize::try_from(current.left).unwrap_or(usize::MAX).min(arrived.len());
        let mut payload = arrived.split_to(step);
        mask(&mut payload, current.key, current.done);
        current.done += step as u64;
        current.left -= step as u64;
        self.current = (current.left > 0).then_some(current);
        Data { head, kind: current.kind, payload, is_last: current.is_final && current.left == 0 }
    }
}

/// The header at the start of `bytes`, if all of it is there.
fn parse(bytes: &[u8], sender: Sender) -> Result<Option<Parsed>, Flaw> {
    let [first, second, rest @ ..] = bytes else { return Ok(None) };
    if first & 0x70 != 0 {
        return Err(Flaw::Reserved);
    }
    let is_masked = second & 0x80 != 0;
    match sender {
        Sender::Agent if !is_masked => return Err(Flaw::Unmasked),
        Sender::Origin if is_masked => return Err(Flaw::Masked),
        Sender::Agent | Sender::Origin => {}
    }
    let Some((length, used)) = length(second & 0x7f, rest)? else { return Ok(None) };
    let end = 2 + used + if is_masked { 4 } else { 0 };
    debug_assert!(end <= LONGEST_HEADER);
    let Some(raw) = bytes.get(..end) else { return Ok(None) };
    let key = is_masked.then(|| [raw[end - 4], raw[end - 3], raw[end - 2], raw[end - 1]]);
    let head = Head { raw: Bytes::copy_from_slice(raw), key, length };
    Ok(Some(Parsed { is_final: first & 0x80 != 0, opcode: first & 0x0f, head }))
}

/// The payload's length, and how many bytes it took.
fn length(short: u8, rest: &[u8]) -> Result<Option<(u64, usize)>, Flaw> {
    let (length, used, least) = match (short, rest) {
        (126, [a, b, ..]) => (u64::from(u16::from_be_bytes([*a, *b])), 2, 126),
        (127, [a, b, c, d, e, f, g, h, ..]) => {
            (u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]), 8, 1 << 16)
        }
        (126 | 127, _) => return Ok(None),
        (short, _) => (u64::from(short), 0, 0),
    };
    if length < least || length >> 63 != 0 { Err(Flaw::Length) } else { Ok(Some((length, used))) }
}

fn control(opcode: u8, is_final: bool, head: Head, arrived: &mut BytesMut) -> Result<Option<Event>, Flaw> {
    let signal = match opcode {
        8 => Signal::Close,
        9 => Signal::Ping,
        10 => Signal::Pong,
        _ => return Err(Flaw::Opcode),
    };
    let length = usize::try_from(head.length).ok().filter(|length| is_final && *length <= CONTROL_BOUND);
    let length = length.ok_or(Flaw::Control)?;
    if arrived.len() < head.raw.len() + length {
        return Ok(None);
    }
    arrived.advance(head.raw.len());
    let mut payload = arrived.split_to(length);
    mask(&mut payload, head.key, 0);
    Ok(Some(Event::Control(Control { signal, head, payload })))
}

/// Masks a payload, or unmasks it, from its byte `offset` on (section 5.3).
pub fn mask(payload: &mut [u8], key: Option<[u8; 4]>, offset: u64) {
    let Some(mut key) = key else { return };
    key.rotate_left((offset % 4) as usize);
    let [a, b, c, d] = key;
    let key = [a, b, c, d, a, b, c, d];
    for chunk in payload.chunks_mut(key.len()) {
        for (byte, key) in chunk.iter_mut().zip(key) {
            *byte ^= key;
        }
    }
}

/// A Close frame (section 5.5.1) with a code (section 7.4) and a reason, cut to what fits.
#[must_use]
pub fn close(code: u16, reason: &str, key: Option<[u8; 4]>) -> Vec<u8> {
    let reason = &reason[..reason.floor_char_boundary(CONTROL_BOUND - 2)];
    let mut payload = [&code.to_be_bytes(), reason.as_bytes()].concat();
    mask(&mut payload, key, 0);
    // At most CONTROL_BOUND, as cut above.
    let length = payload.len() as u8 | if key.is_some() { 0x80 } else { 0 };
    let key: &[u8] = key.as_ref().map_or(&[], |key| key);
    [&[0x88, length], key, &payload].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(sender: Sender, bytes: &[u8]) -> Result<Vec<Event>, Flaw> {
        let (mut parser, mut arrived) = (Parser::new(sender), BytesMut::from(bytes));
        let mut events = Vec::new();
        while let Some(event) = parser.next(&mut arrived)? {
            events.push(event);
        }
        Ok(events)
    }

    fn texts(events: &[Event]) -> Vec<(String, bool)> {
        let text = |event: &Event| match event {
            Event::Data(data) => (String::from_utf8_lossy(&data.payload).into_owned(), data.is_last),
            Event::Control(control) => {
                (format!("{:?} {}", control.signal, String::from_utf8_lossy(&control.payload)), true)
            }
        };
        events.iter().map(text).collect()
    }

    /// The examples of RFC 6455, section 5.7.
    #[test]
    fn reads_what_the_standard_shows() {
        type Shown = (Sender, &'static [u8], &'static [(&'static str, bool)]);
        let shown: [Shown; 5] = [
            (Sender::Origin, b"\x81\x05Hello", &[("Hello", true)]),
            (Sender::Agent, b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", &[("Hello", true)]),
            (Sender::Origin, b"\x01\x03Hel\x80\x02lo", &[("Hel", false), ("lo", true)]),
            (Sender::Origin, b"\x89\x05Hello", &[("Ping Hello", true)]),
            (Sender::Agent, b"\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", &[("Pong Hello", true)]),
        ];
        for (sender, bytes, expected) in shown {
            let events = all(sender, bytes).unwrap();
            let expected: Vec<_> = expected.iter().map(|(text, last)| ((*text).to_owned(), *last)).collect();
            assert_eq!(texts(&events), expected);
        }
        let mut long = b"\x82\x7e\x01\x00".to_vec();
        long.extend([b'x'; 256]);
        assert!(matches!(
            &all(Sender::Origin, &long).unwrap()[..],
            [Event::Data(Data { is_last: true, .. })]
        ));
        let mut longer = b"\x82\x7f\0\0\0\0\0\x01\0\0".to_vec();
        longer.extend(vec![b'x'; 65536]);
        assert!(matches!(
            &all(Sender::Origin, &longer).unwrap()[..],
            [Event::Data(Data { is_last: true, .. })]
        ));
    }

    #[test]
    fn refuses_each_flaw() {
        for (sender, bytes, flaw) in [
            (Sender::Origin, &b"\xc1\x00"[..], Flaw::Reserved),
            (Sender::Origin, b"\xa1\x00", Flaw::Reserved),
            (Sender::Origin, b"\x91\x00", Flaw::Reserved),
            (Sender::Origin, b"\x83\x00", Flaw::Opcode),
            (Sender::Origin, b"\x8b\x00", Flaw::Opcode),
            (Sender::Agent, b"\x81\x05", Flaw::Unmasked),
            (Sender::Origin, b"\x81\x85", Flaw::Masked),
            (Sender::Origin, b"\x82\x7e\x00\x7d", Flaw::Length),
            (Sender::Origin, b"\x82\x7f\0\0\0\0\0\0\xff\xff", Flaw::Length),
            (Sender::Origin, b"\x82\x7f\x80\0\0\0\0\x01\0\0", Flaw::Length),
            (Sender::Origin, b"\x89\x7e\x00\x7e", Flaw::Control),
            (Sender::Origin, b"\x09\x00", Flaw::Control),
            (Sender::Origin, b"\x80\x00", Flaw::Fragment),
            (Sender::Origin, b"\x01\x00\x81\x00", Flaw::Fragment),
            (Sender::Origin, b"\x81\x00\x80\x00", Flaw::Fragment),
        ] {
            assert_eq!(all(sender, bytes), Err(flaw), "{bytes:?}");
        }
    }

    #[test]
    fn controls_may_stand_between_fragments() {
        let events = all(Sender::Origin, b"\x01\x01a\x89\x01p\x00\x00\x80\x01b").unwrap();
        let expected = [("a", false), ("Ping p", true), ("", false), ("b", true)];
        let expected: Vec<_> = expected.iter().map(|(text, last)| ((*text).to_owned(), *last)).collect();
        assert_eq!(texts(&events), expected);
    }

    #[test]
    fn a_close_fits_whatever_its_reason() {
        let frame = close(1008, &"é".repeat(100), Some([1, 2, 3, 4]));
        let events = all(Sender::Agent, &frame).unwrap();
        let [Event::Control(control)] = &events[..] else { panic!("{events:?}") };
        assert_eq!((control.signal, &control.payload[..2]), (Signal::Close, &1008_u16.to_be_bytes()[..]));
        assert!(std::str::from_utf8(&control.payload[2..]).is_ok_and(|reason| reason.len() == 122));
    }

    proptest! {
        #[test]
        fn where_reads_end_changes_nothing(
            frames in prop::collection::vec((any::<bool>(), 0_usize..400, any::<[u8; 4]>()), 1..8),
            cut in 1_usize..50,
        ) {
            let mut bytes = Vec::new();
            for (index, (is_control, length, key)) in frames.iter().enumerate() {
                let length = if *is_control { length % 126 } else { *length };
                bytes.push(if *is_control { 0x89 } else { 0x82 });
                if length < 126 {
                    bytes.push(0x80 | length as u8);
                } else {
                    bytes.push(0xfe);
                    bytes.extend((length as u16).to_be_bytes());
                }
                bytes.extend(key);
                let mut payload = vec![index as u8; length];
                mask(&mut payload, Some(*key), 0);
                bytes.extend(payload);
            }
            let (mut parser, mut arrived) = (Parser::new(Sender::Agent), BytesMut::new());
            let (mut seen, mut again) = (Vec::new(), Vec::new());
            for chunk in bytes.chunks(cut) {
                arrived.extend_from_slice(chunk);
                while let Some(event) = parser.next(&mut arrived).unwrap() {
                    let (head, mut payload, is_last) = match event {
                        Event::Data(data) => (data.head, data.payload, data.is_last),
                        Event::Control(control) => (Some(control.head), control.payload, true),
                    };
                    if let Some(head) = head {
                        again.extend_from_slice(&head.raw);
                        seen.push((head.key, 0_usize, false));
                    }
                    let index = seen.len() - 1;
                    let (key, done, ended) = seen.last_mut().unwrap();
                    prop_assert!(payload.iter().all(|byte| usize::from(*byte) == index));
                    mask(&mut payload, *key, *done as u64);
                    *done += payload.len();
                    *ended = is_last;
                    again.extend_from_slice(&payload);
                }
            }
            prop_assert_eq!(seen.len(), frames.len());
            prop_assert!(seen.iter().all(|(_, _, ended)| *ended));
            prop_assert_eq!(again, bytes);
        }

        #[test]
        fn nothing_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), agent: bool) {
            let _ = all(if agent { Sender::Agent } else { Sender::Origin }, &bytes);
        }
    }
}
