//! What a program's output means, read while it is written (P2). The output is the agent's: nothing of it is trusted, and
//! none of it makes memory grow without bound.

use manifest::provider::file::{Pick, ResultFile, ResultFormat};
use serde_json::Value as Json;

/// The longest document that is read; a longer one is passed over.
const LONGEST: usize = 8 << 20;
/// The longest text that is kept.
const TEXT: usize = 64 * 1024;
/// The longest id of a conversation.
const ID: usize = 200;

/// What a program has answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The answer.
    pub(crate) text: Option<String>,
    /// The id of the conversation.
    pub(crate) session: Option<String>,
    /// The failure that the program tells of, in its words if it has any.
    pub(crate) failed: Option<String>,
    /// Whether the output ends within a document, or one was too long.
    pub(crate) broken: bool,
}

/// Reads the output of one program.
pub(crate) struct Reading {
    result: ResultFile,
    buffer: Vec<u8>,
    /// Whether the rest of this document is passed over.
    skips: bool,
    answer: Answer,
}

impl Reading {
    pub(crate) fn new(result: ResultFile) -> Self {
        Self { result, buffer: Vec::new(), skips: false, answer: Answer::default() }
    }

    /// Takes the next piece.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if self.result.format == ResultFormat::Json {
            return self.keep(bytes);
        }
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            self.keep(&rest[..end]);
            self.line();
            rest = &rest[end + 1..];
        }
        self.keep(rest);
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.skips || self.buffer.len() + bytes.len() > LONGEST {
            self.buffer = Vec::new();
            self.skips = true;
            self.answer.broken = true;
            return;
        }
        self.buffer.extend_from_slice(bytes);
    }

    fn line(&mut self) {
        self.skips = false;
        let line = std::mem::take(&mut self.buffer);
        // Programs write other lines between their documents.
        if let Ok(document) = serde_json::from_slice::<Json>(&line) {
            self.read(&document);
        }
    }

    /// The id of the conversation, once it was told.
    pub(crate) fn session(&self) -> Option<&String> {
        self.answer.session.as_ref()
    }

    /// What was read, at the end of the output.
    pub(crate) fn finish(mut self) -> Answer {
        let rest = std::mem::take(&mut self.buffer);
        let rest = rest.trim_ascii();
        if !rest.is_empty() {
            match serde_json::from_slice::<Json>(rest) {
                Ok(document) => self.read(&document),
                // What does not even begin like a document is none that was cut off.
                Err(_) => self.answer.broken |= rest.starts_with(b"{"),
            }
        }
        self.answer
    }

    fn read(&mut self, document: &Json) {
        let ResultFile { text, session, failed, .. } = &self.result;
        if let Some(Json::String(found)) = pick(document, text) {
            self.answer.text = Some(cut(found, TEXT));
            // What failed before was tried again.
            self.answer.failed = None;
        }
        let id = session.as_ref().and_then(|pick_id| pick(document, pick_id)).and_then(Json::as_str);
        if let Some(id) = id.filter(|id| self.answer.session.is_none() && is_id(id)) {
            self.answer.session = Some(id.to_owned());
        }
        match failed.as_ref().and_then(|pick_failure| pick(document, pick_failure)) {
            None | Some(Json::Null | Json::Bool(false)) => {}
            Some(Json::String(words)) if words.is_empty() => {}
            Some(Json::String(words)) => self.answer.failed = Some(cut(words, TEXT)),
            Some(Json::Bool(true)) => self.answer.failed = Some(String::new()),
            Some(other) => self.answer.failed = Some(cut(&other.to_string(), TEXT)),
        }
    }
}

/// Whether a text can be an id: it stands on a command line later, and in messages.
pub(crate) fn is_id(text: &str) -> bool {
    (1..=ID).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

fn pick<'j>(document: &'j Json, pick: &Pick) -> Option<&'j Json> {
    let fits =
        |(place, text): (&String, &String)| document.pointer(place).and_then(Json::as_str) == Some(text);
    pick.within.iter().all(fits).then(|| document.pointer(&pick.take)).flatten()
}

fn cut(text: &str, most: usize) -> String {
    text[..text.floor_char_boundary(most)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn result(provider: &str) -> ResultFile {
        manifest::provider::builtin::get(provider).unwrap().headless.result.clone().unwrap()
    }

    fn read(provider: &str, output: &str, piece: usize) -> Answer {
        let mut reading = Reading::new(result(provider));
        output.as_bytes().chunks(piece).for_each(|piece| reading.push(piece));
        reading.finish()
    }

    const CODEX: &str = concat!(
        r#"{"type":"thread.started","thread_id":"0199-ab"}"#,
        "\n",
        "not a document\n",
        r#"{"type":"item.completed","item":{"type":"agent_message","text":"one"}}"#,
        "\n",
        r#"{"type":"item.completed","item":{"type":"reasoning","text":"hm"}}"#,
        "\n",
        r#"{"type":"item.completed","item":{"type":"agent_message","text":"two"}}"#,
        "\n",
    );

    #[test]
    fn the_answer_is_found_however_the_output_is_cut() {
        for piece in [1, 7, 4096] {
            let answer = read("codex", CODEX, piece);
            assert_eq!(answer.text.as_deref(), Some("two"));
            assert_eq!(
                (answer.session.as_deref(), answer.failed, answer.broken),
                (Some("0199-ab"), None, false)
            );
        }
        let claude = r#"{"type":"result","is_error":true,"result":"no","session_id":"a-b"}"#;
        let answer = read("claude", claude, 5);
        assert_eq!((answer.text.as_deref(), answer.failed.as_deref()), (Some("no"), Some("")));
    }

    #[test]
    fn an_answer_after_a_failure_takes_it_back() {
        let failed = r#"{"type":"message_end","message":{"stopReason":"error","errorMessage":"busy"}}"#;
        let told = concat!(
            r#"{"type":"message_end","message":{"role":"assistant","stopReason":"stop","#,
            r#""content":[{"type":"text","text":"yes"}]}}"#,
        );
        let answer = read("pi", &format!("{failed}\n{told}\n"), 9);
        assert_eq!((answer.text.as_deref(), answer.failed), (Some("yes"), None));
        assert_eq!(read("pi", &format!("{told}\n{failed}\n"), 9).failed.as_deref(), Some("busy"));
    }

    #[test]
    fn half_a_document_is_broken_and_other_text_is_none() {
        assert!(read("claude", r#"{"type":"result","resu"#, 3).broken);
        assert!(read("codex", &CODEX[..20], 3).broken);
        assert_eq!(read("claude", "Segmentation fault", 3), Answer::default());
        assert_eq!(read("claude", "", 3), Answer::default());
    }

    #[test]
    fn a_document_that_is_too_long_is_passed_over() {
        let mut reading = Reading::new(result("codex"));
        let long = vec![b'x'; LONGEST / 2 + 1];
        reading.push(&long);
        reading.push(&long);
        assert!(reading.buffer.is_empty());
        reading.push(b"\n");
        reading.push(CODEX.as_bytes());
        let answer = reading.finish();
        assert_eq!((answer.text.as_deref(), answer.broken), (Some("two"), true));
    }

    #[test]
    fn an_id_is_one_word_that_is_no_option() {
        for (text, good) in
            [("a-b_1.x", true), ("-x", false), ("", false), ("a b", false), ("a\n", false), ("../a", false)]
        {
            assert_eq!(is_id(text), good, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_output_is_read(output in prop::collection::vec(any::<u8>(), 0..200), piece in 1..50_usize) {
            for provider in ["claude", "codex"] {
                let mut reading = Reading::new(result(provider));
                output.chunks(piece).for_each(|piece| reading.push(piece));
                let _ = reading.finish();
            }
        }
    }
}
