//! What a client that pushes is told: lines for the person, and what became of each ref (gitprotocol-pack, report-status).

use bytes::Bytes;

use crate::pktline;
use crate::reference::RefName;

/// Bytes of one piece on a side band, without its length and its number.
const PIECE: usize = pktline::LONGEST - 5;
const DATA: u8 = 1;
const PROGRESS: u8 = 2;

/// What became of one ref.
pub(super) struct Status {
    pub(super) name: RefName,
    /// Why it did not move, in one line.
    pub(super) refused: Option<String>,
}

/// What became of all of them.
pub(super) struct Report {
    pub(super) statuses: Vec<Status>,
}

impl Report {
    /// With lines for the person in front, where the client can show them.
    pub(super) fn write(&self, lines: &[String], side_band: bool) -> Vec<u8> {
        let mut report = Vec::new();
        pktline::put(&mut report, b"unpack ok\n");
        for Status { name, refused } in &self.statuses {
            let line = match refused {
                None => format!("ok {name}\n"),
                Some(reason) => format!("ng {name} {reason}\n"),
            };
            pktline::put(&mut report, line.as_bytes());
        }
        pktline::flush(&mut report);
        if !side_band {
            return report;
        }
        let mut text = Vec::new();
        lines.iter().for_each(|line| text.extend_from_slice(&said(line)));
        report.chunks(PIECE).for_each(|piece| band(&mut text, DATA, piece));
        pktline::flush(&mut text);
        text
    }
}

/// A line for the person who pushes.
pub(super) fn said(line: &str) -> Bytes {
    let mut text = Vec::new();
    band(&mut text, PROGRESS, format!("{line}\n").as_bytes());
    text.into()
}

/// What is sent so that the connection is seen to live.
pub(super) fn alive() -> Bytes {
    let mut text = Vec::new();
    band(&mut text, DATA, b"");
    text.into()
}

fn band(to: &mut Vec<u8>, number: u8, content: &[u8]) {
    let mut piece = vec![number];
    piece.extend_from_slice(&content[..content.len().min(PIECE)]);
    pktline::put(to, &piece);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_what_git_reads() {
        let status = |name: &str, refused: Option<&str>| Status {
            name: name.parse().unwrap(),
            refused: refused.map(str::to_owned),
        };
        let report = Report {
            statuses: vec![status("refs/heads/a", None), status("refs/heads/b", Some("fetch first"))],
        };
        let plain = String::from_utf8(report.write(&["why".to_owned()], false)).unwrap();
        assert_eq!(plain, "000eunpack ok\n0014ok refs/heads/a\n0020ng refs/heads/b fetch first\n0000");
        let banded = report.write(&["why".to_owned()], true);
        assert!(banded.starts_with(b"0009\x02why\n"), "{}", String::from_utf8_lossy(&banded));
        assert!(banded.ends_with(b"00000000"));
        assert_eq!(&alive()[..], b"0005\x01");
    }
}
