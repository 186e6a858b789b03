//! WebSocket frames, cut anywhere (RFC 6455, section 5).

use bytes::BytesMut;
use egress::websocket::frame::{CONTROL_BOUND, Event, Flaw, Head, Kind, Parser, Sender, Signal, mask};

use crate::cut::{Pieces, byte};

/// What one side sends, behind one byte for which side that is and three for how it is cut.
pub fn check(mut data: &[u8]) {
    let sender = if byte(&mut data) & 1 == 0 { Sender::Agent } else { Sender::Origin };
    let whole = Pieces::of(data).whole();
    let (at_once, cut) = (read(sender, &mut std::iter::once(whole)), read(sender, &mut Pieces::of(data)));
    assert_eq!(at_once, cut, "how frames are cut changes what they say");
    assert!(whole.starts_with(&at_once.sent_on), "what was read is not what came");
    assert!(at_once.flaw.is_some() || at_once.sent_on.len() + at_once.left == whole.len(), "bytes are lost");
}

/// Everything that one side said.
#[derive(Debug, Default, PartialEq)]
struct Seen {
    /// Whole messages, and what is there of the last.
    messages: Vec<(Kind, Vec<u8>, bool)>,
    controls: Vec<(Signal, Vec<u8>)>,
    /// All frames, put together again.
    sent_on: Vec<u8>,
    /// Bytes of a frame's header, or of a control frame, that is not complete.
    left: usize,
    flaw: Option<Flaw>,
}

fn read(sender: Sender, pieces: &mut dyn Iterator<Item = &[u8]>) -> Seen {
    let mut parser = Parser::new(sender);
    let (mut seen, mut arrived) = (Seen::default(), BytesMut::new());
    let mut key = Masking::default();
    for piece in pieces {
        arrived.extend_from_slice(piece);
        loop {
            match parser.next(&mut arrived) {
                Ok(Some(event)) => seen.add(event, sender, &mut key),
                Ok(None) => break,
                Err(flaw) => {
                    seen.flaw = Some(flaw);
                    return seen;
                }
            }
        }
    }
    seen.left = arrived.len();
    seen
}

/// The key of the data frame that is being read, and how far it is.
#[derive(Default)]
struct Masking {
    key: Option<[u8; 4]>,
    done: u64,
}

impl Seen {
    fn add(&mut self, event: Event, sender: Sender, masking: &mut Masking) {
        match event {
            Event::Data(data) => {
                if let Some(head) = data.head {
                    *masking = Masking { key: self.head(&head, sender), done: 0 };
                }
                let mut payload = data.payload.to_vec();
                match self.messages.last_mut() {
                    Some((kind, text, is_whole)) if !*is_whole => {
                        assert_eq!(*kind, data.kind);
                        text.extend_from_slice(&payload);
                        *is_whole = data.is_last;
                    }
                    _ => self.messages.push((data.kind, payload.clone(), data.is_last)),
                }
                mask(&mut payload, masking.key, masking.done);
                masking.done += payload.len() as u64;
                self.sent_on.extend_from_slice(&payload);
            }
            Event::Control(control) => {
                let key = self.head(&control.head, sender);
                let mut payload = control.payload.to_vec();
                assert!(payload.len() <= CONTROL_BOUND && payload.len() as u64 == control.head.length);
                self.controls.push((control.signal, payload.clone()));
                mask(&mut payload, key, 0);
                self.sent_on.extend_from_slice(&payload);
            }
        }
    }

    fn head(&mut self, head: &Head, sender: Sender) -> Option<[u8; 4]> {
        assert_eq!(head.key.is_some(), sender == Sender::Agent, "an agent masks, an origin does not");
        self.sent_on.extend_from_slice(&head.raw);
        head.key
    }
}
