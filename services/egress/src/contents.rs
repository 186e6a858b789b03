//! What the log shows of a request and its answer at `log: 2` (E12): headers, and the beginnings of bodies that were
//! judged. Here it is only gathered, within bounds; `journal` blots secrets out before any of it is written.

use std::sync::{Arc, Mutex, PoisonError};

use http::HeaderMap;
use scan::LOOK_AHEAD;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Requests of which this much is remembered at once; of further ones only the decision is logged.
const MOST: usize = 256;
/// Bytes of one head that are kept.
const HEAD: usize = 4 << 10;
/// Bytes of one body that are shown.
const SHOWN: usize = 2 << 10;
/// Bytes that are kept of it: a value that begins in what is shown is there as a whole, so that it is known for what it
/// is.
const KEPT: usize = SHOWN + LOOK_AHEAD;
/// Parts of a header's name behind which a credential stands.
const PRIVATE: [&str; 10] =
    ["auth", "cookie", "credential", "key", "password", "proxy-", "secret", "session", "signature", "token"];

/// Room for what is gathered.
pub(crate) struct Contents(Arc<Semaphore>);

/// What was gathered of one request.
#[derive(Debug)]
pub(crate) struct Seen {
    _place: OwnedSemaphorePermit,
    /// As the agent wrote it, `name: value` a line.
    pub(crate) asked: String,
    /// The same of the answer, once it was judged.
    pub(crate) answered: String,
    pub(crate) sent: Excerpt,
    pub(crate) received: Excerpt,
}

/// The beginning of a body, as it was let pass.
#[derive(Clone, Debug, Default)]
pub(crate) struct Excerpt(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    bytes: Vec<u8>,
    is_whole: bool,
}

impl Contents {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(MOST)))
    }

    /// Begins to gather, with the agent's head; `None` while there is no room.
    pub(crate) fn gather(&self, headers: &HeaderMap) -> Option<Box<Seen>> {
        let place = Arc::clone(&self.0).try_acquire_owned().ok()?;
        let (answered, sent, received) = (String::new(), Excerpt::default(), Excerpt::default());
        Some(Box::new(Seen { _place: place, asked: head(headers), answered, sent, received }))
    }
}

impl Excerpt {
    /// More of the body passes.
    pub(crate) fn add(&self, bytes: &[u8]) {
        let mut kept = self.kept();
        let room = KEPT - kept.bytes.len();
        kept.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// The body came to its end.
    pub(crate) fn end(&self) {
        self.kept().is_whole = true;
    }

    /// What may be shown after `blot` has gone over all that is kept. Of a body that broke off, nothing of which the rest
    /// of a value could still have come.
    pub(crate) fn shown(&self, blot: impl FnOnce(&mut [u8])) -> Vec<u8> {
        let Kept { mut bytes, is_whole } = std::mem::take(&mut *self.kept());
        blot(&mut bytes);
        let is_all_there = is_whole && bytes.len() < KEPT;
        let certain = if is_all_there { bytes.len() } else { bytes.len().saturating_sub(LOOK_AHEAD) };
        bytes.truncate(certain.min(SHOWN));
        bytes
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A head, `name: value` a line. Credentials are left out, and of what is too long only the length stands there: a value
/// is whole or absent, so that a secret in it is known for what it is.
pub(crate) fn head(headers: &HeaderMap) -> String {
    let mut text = String::new();
    for (name, value) in headers {
        let name = name.as_str();
        let room = HEAD.saturating_sub(text.len() + name.len());
        let value = if PRIVATE.iter().any(|part| name.contains(part)) {
            "(removed)".into()
        } else if value.len() > room {
            format!("({} bytes)", value.len()).into()
        } else {
            String::from_utf8_lossy(value.as_bytes())
        };
        if text.len() + name.len() > HEAD {
            text.push_str("(more headers)\n");
            break;
        }
        text.extend([name, ": ", &value, "\n"]);
    }
    text
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn a_head_shows_no_credential_and_no_part_of_a_long_value() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("accept", "*/*"),
            ("authorization", "Bearer x"),
            ("cookie", "a=b"),
            ("set-cookie", "a=b"),
            ("proxy-authorization", "Basic x"),
            ("x-api-key", "x"),
            ("x-long", &"x".repeat(HEAD)),
        ] {
            headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        insta::assert_snapshot!(head(&headers), @r"
        accept: */*
        authorization: (removed)
        cookie: (removed)
        set-cookie: (removed)
        proxy-authorization: (removed)
        x-api-key: (removed)
        x-long: (4096 bytes)
        ");
        let many = (0..2000).map(|n| (format!("x-{n}").parse::<HeaderName>().unwrap(), HeaderValue::from(n)));
        let text = head(&many.collect());
        assert!(text.len() < HEAD + 100 && text.ends_with("(more headers)\n"), "{}", text.len());
    }

    #[test]
    fn a_body_is_shown_as_far_as_values_in_it_are_whole() {
        for (length, is_whole, shown) in [
            (100, true, 100),
            (100, false, 0),
            (LOOK_AHEAD + 7, false, 7),
            (LOOK_AHEAD + 7, true, SHOWN),
            (KEPT + 1, true, SHOWN),
            (KEPT * 3, false, SHOWN),
        ] {
            let excerpt = Excerpt::default();
            vec![b'x'; length].chunks(1000).for_each(|piece| excerpt.add(piece));
            if is_whole {
                excerpt.end();
            }
            let mut seen = 0;
            assert_eq!(excerpt.shown(|bytes| seen = bytes.len()).len(), shown, "{length} {is_whole}");
            assert_eq!(seen, length.min(KEPT));
        }
    }

    #[test]
    fn there_is_room_for_so_many() {
        let contents = Contents::new();
        let all: Vec<_> = (0..MOST).map(|_| contents.gather(&HeaderMap::new()).unwrap()).collect();
        assert!(contents.gather(&HeaderMap::new()).is_none());
        drop(all);
        assert!(contents.gather(&HeaderMap::new()).is_some());
    }
}
