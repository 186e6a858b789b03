//! Where in a text any of many words stands: one automaton, run over four quarters of the text at once.
//!
//! Each step of an automaton waits for the memory access of the step before it, and for nothing else; four that do not
//! wait for each other take hardly longer than one.

use aho_corasick::automaton::{Automaton as _, StateID};
use aho_corasick::dfa::DFA;
use aho_corasick::{Anchored, BuildError, MatchKind, StartKind};

/// Words to be found, in any case.
#[derive(Debug)]
pub(crate) struct Literals {
    dfa: DFA,
    start: StateID,
    longest: usize,
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

impl Literals {
    pub(crate) fn new(words: &[impl AsRef<[u8]>]) -> Result<Self, BuildError> {
        let dfa = DFA::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::Standard)
            .start_kind(StartKind::Unanchored)
            .prefilter(false)
            .build(words)?;
        let start = dfa
            .start_state(Anchored::No)
            .unwrap_or_else(|_| unreachable!("the automaton was built to start without an anchor"));
        Ok(Self { dfa, start, longest: words.iter().map(|word| word.as_ref().len()).max().unwrap_or(0) })
    }

    /// Every word in `text`, also those that overlap, in the order of their places.
    pub(crate) fn find(&self, text: &[u8]) -> Vec<Literal> {
        let mut found = Vec::new();
        let quarter = text.len() / LANES;
        if text.len() < SHORT || quarter <= self.longest {
            self.run(self.start, text, 0, &mut found);
            return found;
        }
        let starts: [usize; LANES] = std::array::from_fn(|lane| lane * quarter);
        let lanes: [&[u8]; LANES] = std::array::from_fn(|lane| &text[starts[lane]..starts[lane] + quarter]);
        // A word may have begun in the quarter before, which reports it only if it ends there.
        let mut states = starts.map(|at| {
            let before = &text[at.saturating_sub(self.longest)..at];
            before.iter().fold(self.start, |state, byte| self.step(state, *byte))
        });
        #[expect(clippy::needless_range_loop, reason = "the place is the same in every lane")]
        for at in 0..quarter {
            for lane in 0..LANES {
                states[lane] = self.step(states[lane], lanes[lane][at]);
            }
            if states.iter().any(|state| self.dfa.is_special(*state)) {
                for (state, start) in states.iter().zip(starts) {
                    self.report(*state, start + at + 1, &mut found);
                }
            }
        }
        self.run(states[LANES - 1], &text[LANES * quarter..], LANES * quarter, &mut found);
        found.sort_unstable();
        found
    }

    #[inline]
    fn step(&self, state: StateID, byte: u8) -> StateID {
        self.dfa.next_state(Anchored::No, state, byte)
    }

    /// One lane over a text that starts at `offset`.
    fn run(&self, mut state: StateID, text: &[u8], offset: usize, found: &mut Vec<Literal>) {
        for (at, byte) in text.iter().enumerate() {
            state = self.step(state, *byte);
            if self.dfa.is_special(state) {
                self.report(state, offset + at + 1, found);
            }
        }
    }

    #[cold]
    fn report(&self, state: StateID, end: usize, found: &mut Vec<Literal>) {
        if self.dfa.is_match(state) {
            for nth in 0..self.dfa.match_len(state) {
                let pattern = self.dfa.match_pattern(state, nth);
                let at = end - self.dfa.pattern_len(pattern);
                found.push(Literal { at, end, index: pattern.as_usize() });
            }
        }
    }
}
