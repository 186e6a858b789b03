//! Where to look, and what the signals of one place weigh together.

use std::ops::Range;
use std::sync::LazyLock;

use super::phrases::{Phrase, Phrases};
use super::veil::{self, Veil};
use super::{Assessment, Signal, plain};
use crate::literals::Literals;

/// How far around an opener a passage goes, in bytes; what is farther away is another subject.
pub(super) const AROUND: usize = 700;

/// The longest passage, in bytes.
const PASSAGE: usize = 4096;

/// How far back a phrase's introduction or opening quote is looked for, in bytes of plain text.
const BEFORE: usize = 120;

/// Extra points for a phrase that is hidden.
const HIDDEN: u32 = 4;

/// Where to look: one pass over the text finds everything that is worth a look at its surroundings.
struct Triggers {
    automaton: Literals,
    /// What each pattern is a trace of; nothing for what opens a passage.
    veils: Vec<Option<Veil>>,
}

impl Triggers {
    fn get() -> &'static Self {
        static TRIGGERS: LazyLock<Triggers> = LazyLock::new(|| {
            let openers = Phrases::get().openers.iter().map(|opener| (None, opener.clone()));
            let (veils, literals): (Vec<_>, Vec<_>) =
                openers.chain(veil::traces().map(|(veil, trace)| (Some(veil), trace))).unzip();
            Triggers {
                automaton: Literals::new(&literals).expect("a few hundred literals make an automaton"),
                veils,
            }
        });
        &TRIGGERS
    }
}

/// Judges all passages of a text; the heaviest counts.
pub(super) fn assess(text: &[u8]) -> Assessment {
    let triggers = Triggers::get();
    let mut heaviest = Assessment::default();
    let mut passage: Option<Range<usize>> = None;
    let mut looked = [0; Veil::COUNT];
    for found in triggers.automaton.find(text) {
        let at = found.at;
        let Some(veil) = triggers.veils[found.index] else {
            let next = at.saturating_sub(AROUND)..at.saturating_add(AROUND).min(text.len());
            match &mut passage {
                Some(passage) if next.start <= passage.end && next.end - passage.start <= PASSAGE => {
                    passage.end = next.end;
                }
                _ => {
                    if let Some(passage) = passage.replace(next) {
                        heaviest = heaviest.or(judge(&plain::of(&text[passage]), false));
                    }
                }
            }
            continue;
        };
        // One look at each place, however many traces it has.
        let looked = &mut looked[veil as usize];
        if at >= *looked {
            let around = at.saturating_sub(AROUND)..(found.end + PASSAGE).min(text.len());
            *looked = around.end.saturating_sub(AROUND).max(found.end);
            heaviest = heaviest.or(unveil(text, at, around, veil));
        }
    }
    match passage {
        Some(passage) => heaviest.or(judge(&plain::of(&text[passage]), false)),
        None => heaviest,
    }
}

/// Judges what is behind a veil.
fn unveil(text: &[u8], at: usize, around: Range<usize>, veil: Veil) -> Assessment {
    match veil {
        Veil::Characters => judge(&plain::of(&text[around]), false),
        Veil::Digits => judge(&veil::undo_digits(&plain::of(&text[around])), true),
        Veil::Spaced => judge(&plain::of(&veil::undo_spaces(&text[around])), true),
        Veil::Base64 => judge(&plain::of(&veil::undo_base64(text, at)), true),
    }
}

/// Weighs the signals of one passage in plain form. `veiled` says that none of it could be read as it stood.
///
/// Secrets, commands and haste are everyday subjects: they are looked for only where something else shows that
/// somebody's model is meant.
fn judge(plain: &[u8], veiled: bool) -> Assessment {
    let phrases = Phrases::get();
    let anchored: Vec<_> = phrases.anchored(plain).collect();
    let mut points: Vec<(Signal, u32)> = Vec::new();
    for directed in [true, false] {
        for phrase in anchored.iter().filter(|phrase| phrase.signal.is_directed() == directed) {
            weigh(phrase, plain, veiled, &mut points);
        }
        if points.is_empty() {
            return Assessment::default();
        }
    }
    let total = points.iter().map(|(_, points)| points).sum();
    Assessment::new(total, points.into_iter().map(|(signal, _)| signal).collect())
}

/// Adds what a phrase's matches weigh to the `points` of their signal, of which the heaviest counts.
fn weigh(phrase: &Phrase, plain: &[u8], veiled: bool, points: &mut Vec<(Signal, u32)>) {
    let mut add = |signal: Signal, weight: u32| match points.iter_mut().find(|(known, _)| *known == signal) {
        Some((_, most)) => *most = weight.max(*most),
        None => points.push((signal, weight)),
    };
    let mut research = None;
    for found in phrase.expression.find_iter(plain) {
        let research = *research.get_or_insert_with(|| Phrases::get().research(plain));
        let weight = weight(phrase, plain, found.start(), research);
        if weight > 0 {
            add(phrase.signal, weight);
        }
        if weight == phrase.points && phrase.points > 3 && (veiled || is_hidden(plain, found.start())) {
            add(Signal::Hidden, HIDDEN);
        }
    }
}

/// What a phrase weighs where it stands: little where it is mentioned rather than said, or in security writing.
fn weight(phrase: &Phrase, plain: &[u8], at: usize, research: usize) -> u32 {
    match (is_mentioned(plain, at), research) {
        (Mention::No, 0..=1) => phrase.points,
        (Mention::No, 2..=3) | (Mention::Prose, 0) => phrase.points / 2,
        (Mention::Value, 0) => phrase.points,
        (Mention::No, _) => phrase.points / 4,
        (Mention::Prose | Mention::Value, _) => 0,
    }
}

/// Whether words are said or spoken of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mention {
    No,
    /// Quoted in a sentence, or introduced by one.
    Prose,
    /// In quotes because it is a value of a data format or a program.
    Value,
}

fn is_mentioned(plain: &[u8], at: usize) -> Mention {
    let before = &plain[at.saturating_sub(BEFORE)..at];
    if introduced(before) || Phrases::get().reported(before) {
        return Mention::Prose;
    }
    // The last quote before the phrase opens if something other than a word is in front of it.
    for quote in [b'"', b'`'] {
        let Some(open) = memchr::memrchr(quote, before) else { continue };
        let front = before[..open].trim_ascii_end();
        let touches = front.len() == open
            && front.last().is_some_and(|b| b.is_ascii_alphanumeric() || b".!?,".contains(b));
        let spaced = before.get(open + 1).is_none_or(|&b| b == b' ' || b == quote) && open + 1 < before.len();
        if touches || spaced {
            continue;
        }
        let value = front.last().is_none_or(|b| b":,[{(=".contains(b)) && quote == b'"';
        return if value { Mention::Value } else { Mention::Prose };
    }
    Mention::No
}

/// Whether the words right in front speak of what follows.
fn introduced(before: &[u8]) -> bool {
    const INTRODUCTIONS: &[&[u8]] = &[
        b"such as",
        b"e.g.",
        b"for example",
        b"for example,",
        b"for instance",
        b"like",
        b"says",
        b"say",
        b"said",
        b"called",
        b"phrase",
        b"phrases",
        b"sentence",
        b"string",
        b"can",
        b"could",
        b"may",
        b"might",
        b"would",
        b"how to",
        b"try to",
        b"tries to",
        b"tried to",
        b"attempts to",
        b"attempt to",
        b"agent to",
        b"agents to",
        b"model to",
        b"assistant to",
        b"bot to",
        b"it to",
        b"them to",
        b"llm to",
        b"models to",
        b"that",
        b"which",
        b"who",
        b"text that",
        b"requests to",
        b"making it",
        b"making a model",
        b"making the model",
        b"make the agent",
        b"make the model",
        b"make my bot",
        b">",
        b"should",
        b"will",
        b"we",
    ];
    let before = before.trim_ascii_end();
    let before =
        before.strip_suffix(b"\"").or_else(|| before.strip_suffix(b"`")).unwrap_or(before).trim_ascii_end();
    INTRODUCTIONS.iter().any(|words| {
        before.strip_suffix(*words).is_some_and(|front| {
            // A lone quotation mark of mail and Markdown, not the end of a tag.
            words != b">" && front.last().is_none_or(|b| !b.is_ascii_alphanumeric())
                || words == b">" && front.last().is_none_or(|b| *b == b' ')
        })
    })
}

fn is_hidden(plain: &[u8], at: usize) -> bool {
    memchr::memrchr2(plain::HIDE, plain::SHOW, &plain[..at]).is_some_and(|mark| plain[mark] == plain::HIDE)
}
