//! Every kept input, so that what was once found stays fixed, and some of what is near them.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};

/// A target's name, and what must hold for its inputs.
type Check = (&'static str, fn(&[u8]));

const CHECKS: [Check; 9] = [
    ("codings", checks::codings::check),
    ("commands", checks::commands::check),
    ("events", checks::events::check),
    ("frames", checks::frames::check),
    ("injection", checks::injection::check),
    ("objects", checks::objects::check),
    ("request", checks::request::check),
    ("rules", checks::rules::check),
    ("secrets", checks::secrets::check),
];

/// Mutations of each target that one run tries. `make fuzz` tries millions.
const MUTATIONS: u32 = 400;

fn kept(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus").join(name);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let read = |path| fs::read(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    let mut inputs: Vec<_> = entries.flatten().map(|entry| read(entry.path())).collect();
    assert!(!inputs.is_empty(), "{} holds nothing", folder.display());
    inputs.sort();
    inputs
}

#[test]
fn every_kept_input_holds() {
    for (name, check) in CHECKS {
        kept(name).iter().for_each(|input| check(input));
    }
}

/// What libFuzzer does to an input, in small.
#[derive(Clone, Debug)]
enum Mutation {
    Set(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    Repeat(Index, usize, usize),
}

impl Mutation {
    fn apply(&self, input: &mut Vec<u8>) {
        let at = |index: &Index| index.index(input.len() + 1);
        match self {
            Self::Set(index, byte) => {
                let at = at(index);
                input.splice(at..input.len().min(at + 1), [*byte]);
            }
            Self::Insert(index, bytes) => {
                let at = at(index);
                input.splice(at..at, bytes.iter().copied());
            }
            Self::Remove(index, count) => {
                let at = at(index);
                input.drain(at..input.len().min(at + count));
            }
            Self::Repeat(index, count, times) => {
                let at = at(index);
                let part = input[at..input.len().min(at + count)].repeat(*times);
                input.splice(at..at, part);
            }
        }
    }
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let bytes = prop::collection::vec(any::<u8>(), 1..8);
    prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Mutation::Set(at, byte)),
        (any::<Index>(), bytes).prop_map(|(at, bytes)| Mutation::Insert(at, bytes)),
        (any::<Index>(), 1..20usize).prop_map(|(at, count)| Mutation::Remove(at, count)),
        (any::<Index>(), 1..40usize, 1..40usize)
            .prop_map(|(at, count, times)| Mutation::Repeat(at, count, times)),
    ]
}

#[test]
fn what_is_near_a_kept_input_holds() {
    for (name, check) in CHECKS {
        let inputs = (prop::sample::select(kept(name)), prop::collection::vec(mutation(), 1..4));
        let mut runner =
            TestRunner::new(Config { source_file: Some(file!()), ..Config::with_cases(MUTATIONS) });
        let held = runner.run(&inputs, |(mut input, mutations)| {
            mutations.iter().for_each(|mutation| mutation.apply(&mut input));
            check(&input);
            Ok(())
        });
        held.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}
