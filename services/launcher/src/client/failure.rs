//! Why a run has no answer, from what is known at its end.

use bus::message::run::{ExitReason, FailedRun, RunFailure};

use super::Answer;

/// The most of the program's last words that is kept.
const LAST_WORDS: usize = 4096;

/// What is known of a run that is over.
#[derive(Clone, Copy)]
pub(crate) struct Ending<'a> {
    /// Why it ended.
    pub(crate) reason: ExitReason,
    /// Its exit code.
    pub(crate) code: i32,
    /// What was read of its output; nothing where its output has no form.
    pub(crate) answer: Option<&'a Answer>,
    /// The ends of its standard output and error.
    pub(crate) tails: [&'a str; 2],
    /// Phrases of a program that is not logged in.
    pub(crate) login: &'a [String],
}

/// How the run failed; nothing if it did not, or if its output has no form that says so.
pub(crate) fn failure(ending: &Ending<'_>) -> Option<FailedRun> {
    let answer = ending.answer?;
    let told = answer.failed.as_deref();
    let bad = ending.code != 0 || told.is_some() || answer.text.is_none();
    let kind = match () {
        () if bad && asks_for_login(ending, answer) => RunFailure::Login,
        () if ending.reason != ExitReason::Completed => {
            return answer.text.is_none().then(|| failed(RunFailure::Unfinished, ending));
        }
        () if told.is_some() => RunFailure::Reported,
        () if answer.text.is_some() && ending.code == 0 => return None,
        () if answer.broken => RunFailure::Unreadable,
        () if ending.code != 0 => RunFailure::Died,
        () => RunFailure::Silent,
    };
    Some(failed(kind, ending))
}

fn asks_for_login(ending: &Ending<'_>, answer: &Answer) -> bool {
    let said = [answer.text.as_deref(), answer.failed.as_deref()].into_iter().flatten().chain(ending.tails);
    let mut said = said.map(str::to_lowercase);
    said.any(|said| ending.login.iter().any(|phrase| said.contains(&phrase.to_lowercase())))
}

fn failed(kind: RunFailure, ending: &Ending<'_>) -> FailedRun {
    let told = ending.answer.and_then(|answer| answer.failed.as_deref().filter(|words| !words.is_empty()));
    let text = ending.answer.and_then(|answer| answer.text.as_deref());
    let said = told.or(text).into_iter().chain([ending.tails[1], ending.tails[0]]);
    let words = said.map(str::trim).find(|said| !said.is_empty()).unwrap_or_default();
    let from = words.ceil_char_boundary(words.len().saturating_sub(LAST_WORDS));
    FailedRun { kind, words: words[from..].to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(reason: ExitReason, code: i32, answer: &Answer, stderr: &str) -> Option<RunFailure> {
        let login = ["Not logged in".to_owned()];
        let ending = Ending { reason, code, answer: Some(answer), tails: ["", stderr], login: &login };
        failure(&ending).map(|failed| failed.kind)
    }

    #[test]
    fn each_way_to_fail_has_its_name() {
        use ExitReason::{Completed, TimeLimit};
        use RunFailure::{Died, Login, Reported, Silent, Unfinished, Unreadable};
        let none = Answer::default;
        let text = |text: &str| Answer { text: Some(text.to_owned()), ..none() };
        for (reason, code, answer, stderr, expected) in [
            (Completed, 0, text("done"), "", None),
            (Completed, 0, text("I am Not logged in anywhere"), "", None),
            (Completed, 1, text("Not logged in · Please run /login"), "", Some(Login)),
            (Completed, 1, none(), "error: not logged in", Some(Login)),
            (Completed, 1, Answer { failed: Some(String::new()), ..text("overloaded") }, "", Some(Reported)),
            (Completed, 0, Answer { failed: Some("x".into()), ..none() }, "", Some(Reported)),
            (Completed, 0, Answer { broken: true, ..none() }, "", Some(Unreadable)),
            (Completed, 139, none(), "Segmentation fault", Some(Died)),
            (Completed, 0, none(), "", Some(Silent)),
            (TimeLimit, 143, none(), "waiting", Some(Unfinished)),
            (TimeLimit, 143, text("done"), "", None),
        ] {
            assert_eq!(
                kind(reason, code, &answer, stderr),
                expected,
                "{reason:?} {code} {answer:?} {stderr}"
            );
        }
    }

    #[test]
    fn its_last_words_are_bounded_and_plain_programs_do_not_fail() {
        let long = "é".repeat(5000);
        let answer = Answer::default();
        let ending = |answer| Ending {
            reason: ExitReason::Completed,
            code: 1,
            answer,
            tails: ["out", long.as_str()],
            login: &[],
        };
        let failed = failure(&ending(Some(&answer))).unwrap();
        assert!(failed.words.len() <= LAST_WORDS && failed.words.starts_with('é'));
        assert_eq!(failure(&ending(None)), None);
    }
}
