//! Where in a text any of many words stands: one automaton, run over four quarters of the text at once.
//!
//! Each step of an automaton waits for the memory access of the step before it, and for nothing else; four that do not
//! wait for each other take hardly longer than one.

use std::collections::{BTreeSet, HashMap};

use aho_corasick::automaton::{Automaton as _, StateID};
use aho_corasick::dfa::DFA;
use aho_corasick::{Anchored, BuildError, MatchKind, StartKind};

/// Words to be found, in any case.
#[derive(Debug)]
pub(crate) struct Literals {
    table: Table,
    /// By the row of a state: the words that end in it.
    ends: Vec<Vec<usize>>,
    lengths: Vec<usize>,
    longest: usize,
}

/// The automaton, laid out for the one loop that matters: a state is the place of its row, and says itself whether words
/// end in it.
#[derive(Debug)]
struct Table {
    /// The column of each byte.
    columns: [u8; 256],
    rows: Vec<u32>,
    /// Columns of a row.
    width: u32,
}

/// A word in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Literal {
    /// Where it starts.
    pub(crate) at: usize,
    /// Where it ends.
    pub(crate) end: usize,
    /// Which it is, in the order that [`Literals::new`] got them in.
    pub(crate) index: usize,
}

/// Quarters.
const LANES: usize = 4;
/// Texts below this length are not worth dividing.
const SHORT: usize = 512;
/// Added to a state in which words end.
const IS_END: u32 = 1 << 31;
/// The state before any text.
const START: u32 = 0;

impl Literals {
    pub(crate) fn new(words: &[impl AsRef<[u8]>]) -> Result<Self, BuildError> {
        let dfa = DFA::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::Standard)
            .start_kind(StartKind::Unanchored)
            .prefilter(false)
            .build(words)?;
        let (table, ends) = Table::new(&dfa, words);
        let lengths: Vec<usize> = words.iter().map(|word| word.as_ref().len()).collect();
        let longest = lengths.iter().copied().max().unwrap_or(0);
        Ok(Self { table, ends, lengths, longest })
    }

    /// Every word in `text`, also those that overlap, in the order of their places.
    pub(crate) fn find(&self, text: &[u8]) -> Vec<Literal> {
        let quarter = text.len() / LANES;
        if text.len() < SHORT || quarter <= self.longest {
            let mut found = Vec::new();
            self.run(START, text, 0, &mut found);
            return found;
        }
        let starts: [usize; LANES] = std::array::from_fn(|lane| lane * quarter);
        // A word may have begun in the quarter before, which reports it only if it ends there.
        let mut states = starts.map(|at| {
            let before = &text[at.saturating_sub(self.longest)..at];
            before.iter().fold(START, |state, byte| self.table.step(state as usize, *byte) as u32 & !IS_END)
        });
        let mut found = Vec::new();
        let mut done = 0;
        while done < quarter {
            let steps;
            (steps, states) =
                self.table.walk(states, starts.map(|start| &text[start + done..start + quarter]));
            done += steps;
            for (state, start) in states.iter_mut().zip(starts) {
                if *state & IS_END != 0 {
                    *state = self.report(*state, start + done, &mut found);
                }
            }
        }
        self.run(states[LANES - 1], &text[LANES * quarter..], LANES * quarter, &mut found);
        found.sort_unstable();
        found
    }

    /// One lane over a text that starts at `offset`.
    fn run(&self, mut state: u32, text: &[u8], offset: usize, found: &mut Vec<Literal>) {
        for (at, byte) in text.iter().enumerate() {
            state = self.table.step(state as usize, *byte) as u32;
            if state & IS_END != 0 {
                state = self.report(state, offset + at + 1, found);
            }
        }
    }

    /// Adds the words that end in a state. The state to go on from.
    #[cold]
    fn report(&self, state: u32, end: usize, found: &mut Vec<Literal>) -> u32 {
        let plain = state & !IS_END;
        if state != plain {
            let ends = &self.ends[(plain / self.table.width) as usize];
            found.extend(ends.iter().map(|index| Literal {
                at: end - self.lengths[*index],
                end,
                index: *index,
            }));
        }
        plain
    }
}

impl Table {
    /// The automaton for these words in this form, and the words that end in each of its states.
    fn new(dfa: &DFA, words: &[impl AsRef<[u8]>]) -> (Self, Vec<Vec<usize>>) {
        let (columns, bytes) = columns(words);
        let start = dfa
            .start_state(Anchored::No)
            .unwrap_or_else(|_| unreachable!("the automaton was built to start without an anchor"));
        let mut numbered = HashMap::from([(start, START)]);
        let mut states = vec![start];
        let mut rows = Vec::new();
        while let Some(state) = states.get(rows.len() / bytes.len()).copied() {
            for byte in &bytes {
                let next = dfa.next_state(Anchored::No, state, *byte);
                // No more than the places of the automaton itself, which fit into 31 bits.
                let row = *numbered.entry(next).or_insert_with(|| {
                    states.push(next);
                    (bytes.len() * (states.len() - 1)) as u32
                });
                rows.push(row | if dfa.is_match(next) { IS_END } else { 0 });
            }
        }
        let ends = states.into_iter().map(|state| words_at(dfa, state)).collect();
        (Self { columns, rows, width: bytes.len() as u32 }, ends)
    }

    /// Walks along all lanes, which are of one length, until words end in any of them, or to their end. How many steps
    /// it took, and the states. It touches nothing else and stands alone, so that all of its state is in registers.
    #[inline(never)]
    fn walk(&self, states: [u32; LANES], lanes: [&[u8]; LANES]) -> (usize, [u32; LANES]) {
        let [mut first, mut second, mut third, mut fourth] = states.map(|state| state as usize);
        let [a, b, c, d] = lanes;
        let (b, c, d) = (&b[..a.len()], &c[..a.len()], &d[..a.len()]);
        for at in 0..a.len() {
            first = self.step(first, a[at]);
            second = self.step(second, b[at]);
            third = self.step(third, c[at]);
            fourth = self.step(fourth, d[at]);
            if (first | second | third | fourth) & IS_END as usize != 0 {
                return (at + 1, [first, second, third, fourth].map(|state| state as u32));
            }
        }
        (a.len(), [first, second, third, fourth].map(|state| state as u32))
    }

    #[inline]
    fn step(&self, state: usize, byte: u8) -> usize {
        self.rows[state + usize::from(self.columns[usize::from(byte)])] as usize
    }
}

fn words_at(dfa: &DFA, state: StateID) -> Vec<usize> {
    let count = if dfa.is_match(state) { dfa.match_len(state) } else { 0 };
    (0..count).map(|nth| dfa.match_pattern(state, nth).as_usize()).collect()
}

/// A column for each byte that stands in a word, in either case, and one for all others; and a byte of each column.
fn columns(words: &[impl AsRef<[u8]>]) -> ([u8; 256], Vec<u8>) {
    let used: BTreeSet<u8> =
        words.iter().flat_map(|word| word.as_ref()).map(u8::to_ascii_lowercase).collect();
    let other = (0..=u8::MAX).find(|byte| !used.contains(&byte.to_ascii_lowercase()));
    let bytes: Vec<u8> = used.iter().copied().chain(other).collect();
    let column = |byte: u8| bytes.iter().position(|used| *used == byte.to_ascii_lowercase());
    // What has no column is like every other byte that has none.
    let last = bytes.len() - 1;
    let columns = std::array::from_fn(|byte| column(byte as u8).unwrap_or(last) as u8);
    (columns, bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found_plainly(words: &[String], text: &str) -> Vec<Literal> {
        let text = text.to_ascii_lowercase();
        let mut found = Vec::new();
        for (index, word) in words.iter().enumerate() {
            for at in 0..text.len() {
                if text.as_bytes()[at..].starts_with(word.to_ascii_lowercase().as_bytes()) {
                    found.push(Literal { at, end: at + word.len(), index });
                }
            }
        }
        found.sort_unstable();
        found
    }

    proptest! {
        #[test]
        fn every_word_is_found_wherever_it_stands(
            words in prop::collection::vec("[a-cA-C_]{1,4}", 1..8),
            text in "([a-cA-C_ -]{0,30}[ -~]{0,3}){0,60}",
        ) {
            let literals = Literals::new(&words).unwrap();
            let mut found = literals.find(text.as_bytes());
            found.sort_unstable();
            prop_assert_eq!(found, found_plainly(&words, &text));
        }
    }

    #[test]
    fn words_of_all_bytes_are_found() {
        let words: Vec<Vec<u8>> = (0..=255).map(|byte| vec![byte, 7]).collect();
        let text = [b"x".repeat(600), vec![200, 7, b'A', 7]].concat();
        let found = Literals::new(&words).unwrap().find(&text);
        assert_eq!(found.iter().map(|literal| literal.at).collect::<Vec<_>>(), [600, 602, 602]);
        assert!(Literals::new(&[""; 0]).unwrap().find(&text).is_empty());
    }
}
