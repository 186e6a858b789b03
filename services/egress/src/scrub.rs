//! What is recorded of a request, without the secrets that stand in it (invariant 2). A path, a host or a method is the
//! agent's own text: it may hold a secret whether the request was scanned or not, allowed or not.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use bus::message::egress::{Allowed, Blocked};
use scan::{Detectors, Enabled, Shape, blot};

/// Blots secrets out of texts that go into records.
#[derive(Clone)]
pub(crate) struct Scrubber {
    detectors: Arc<Detectors>,
    /// The last few hosts that hold nothing, the latest first: most requests name one of them, and what is looked for
    /// stays the same.
    clean_hosts: Arc<Mutex<VecDeque<String>>>,
}

/// Hosts that are remembered as holding nothing.
const REMEMBERED: usize = 8;

impl Scrubber {
    pub(crate) fn new(detectors: Arc<Detectors>) -> Self {
        Self { detectors, clean_hosts: Arc::default() }
    }

    /// For a refusal: everything of it that the agent may have written.
    pub(crate) fn blocked(&self, blocked: &mut Blocked) {
        let Blocked { method, host, path, reason, .. } = blocked;
        self.host(host, &mut [method, path, reason]);
    }

    /// The same for a line of the log.
    pub(crate) fn allowed(&self, allowed: &mut Allowed) {
        let Allowed { method, host, path, .. } = allowed;
        self.host(host, &mut [method, path]);
    }

    /// A host, and texts beside it that may name it. A value can fill several labels, so they are read as one as well;
    /// what shows only then takes all labels with it but the last two.
    pub(crate) fn host(&self, host: &mut String, others: &mut [&mut String]) {
        if !self.is_known_clean(host) {
            self.blot_host(host, others);
        }
        others.iter_mut().for_each(|text| self.text(text));
    }

    fn is_known_clean(&self, host: &str) -> bool {
        let clean = self.clean_hosts.lock().unwrap_or_else(PoisonError::into_inner);
        clean.iter().any(|clean| clean == host)
    }

    fn blot_host(&self, host: &mut String, others: &mut [&mut String]) {
        let labels = host.replace('.', "");
        let is_spread = host.matches('.').count() > 1 && self.blotted(&labels).is_some();
        let before = host.clone();
        if is_spread {
            let kept = host.rmatch_indices('.').nth(1).map_or(0, |(at, _)| at);
            let blotted = blot_all(&host[..kept]);
            host.replace_range(..kept, &blotted);
        }
        for text in others.iter_mut().filter(|_| is_spread) {
            **text = text.replace(&before, host);
        }
        self.text(host);
        if *host == before {
            let mut clean = self.clean_hosts.lock().unwrap_or_else(PoisonError::into_inner);
            clean.truncate(REMEMBERED - 1);
            clean.push_front(before);
        }
    }

    fn text(&self, text: &mut String) {
        if let Some(blotted) = self.blotted(text) {
            *text = blotted;
        }
    }

    /// The text without its secrets; `None` if it has none.
    fn blotted(&self, text: &str) -> Option<String> {
        // Too short for any secret that is looked for.
        const SHORTEST: usize = 6;
        if text.len() < SHORTEST {
            return None;
        }
        let mut bytes = text.as_bytes().to_vec();
        self.bytes(&mut bytes).then(|| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Any bytes; whether there was anything to blot out.
    pub(crate) fn bytes(&self, bytes: &mut [u8]) -> bool {
        let Ok(findings) = self.detectors.scan(bytes, Enabled::default(), &Shape::Form) else {
            blot(bytes);
            return true;
        };
        for finding in &findings {
            blot(&mut bytes[finding.span.start as usize..finding.span.end as usize]);
        }
        !findings.is_empty()
    }
}

fn blot_all(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    blot(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use base::Secret;
    use scan::{Known, Rules};

    use super::*;

    fn scrubber() -> Scrubber {
        let value = Secret::new(["Zq7Lw3Xk5V", "b1Nm8Rt2Y", "c4Hs9Gd6Kp"].concat());
        let known = Known { name: "TOKEN".into(), value, is_canary: false };
        let detectors = Detectors::new(Rules::standard(), vec![known], Secret::new("key".to_owned()));
        Scrubber::new(Arc::new(detectors))
    }

    #[test]
    fn secrets_go_and_the_rest_stays() {
        let secret = ["Zq7Lw3Xk5V", "b1Nm8Rt2Y", "c4Hs9Gd6Kp"].concat();
        let hex = hex::encode(&secret);
        let (one, two) = hex.split_at(30);
        for (host, path, expected) in [
            (
                "a.example.com".to_owned(),
                format!("/x/{secret}/y"),
                ("a.example.com", "/x/".to_owned() + &"1".repeat(29) + "/y"),
            ),
            (
                format!("{one}.{two}.x.com"),
                "/".to_owned(),
                (&*format!("{}.{}.x.com", "1".repeat(30), "1".repeat(28)), "/".to_owned()),
            ),
            (
                "a.example.com".to_owned(),
                "/plain/path".to_owned(),
                ("a.example.com", "/plain/path".to_owned()),
            ),
        ] {
            let (mut scrubbed, mut beside) = (host.clone(), path.clone());
            scrubber().host(&mut scrubbed, &mut [&mut beside]);
            assert_eq!((scrubbed.as_str(), beside), expected, "{host} {path}");
        }
        // What was found in a host is found again.
        let scrubber = scrubber();
        for below in ["com", "example.com", "com", "example.com"] {
            let mut host = format!("{secret}.{below}");
            scrubber.host(&mut host, &mut []);
            assert_eq!(host, format!("{}.{below}", "1".repeat(secret.len())));
        }
        // A host that holds nothing is remembered; what stands beside it is looked at each time.
        for _ in 0..2 {
            let mut path = format!("/x/{secret}");
            scrubber.host(&mut "a.example.com".to_owned(), &mut [&mut path]);
            assert_eq!(path, format!("/x/{}", "1".repeat(secret.len())));
        }
        assert!(scrubber.is_known_clean("a.example.com") && !scrubber.is_known_clean(&secret));
        // A refusal's text names the host.
        let mut host = format!("{one}.{two}.x.com");
        let mut reason = format!("no route covers {host}");
        scrubber.host(&mut host, &mut [&mut reason]);
        assert_eq!(reason, format!("no route covers {host}"));
    }
}
