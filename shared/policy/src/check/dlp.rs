//! `dlp`: which detectors look (E9, E10).

use super::nearest;
use crate::problem::{KeyPath, Problems};
use crate::route::{Detectors, Dlp};

/// Detectors that can look at requests (E9).
pub const OUTBOUND_DETECTORS: [&str; 3] = ["token_patterns", "known_secrets", "entropy"];
/// Detectors that can look at responses (E10).
pub const INBOUND_DETECTORS: [&str; 1] = ["naive_injection_detection"];

pub(super) fn check_dlp(dlp: &Dlp, at: &KeyPath, problems: &mut Problems) {
    check_detectors(
        dlp.outbound_detectors.as_ref(),
        &OUTBOUND_DETECTORS,
        &at.key("outbound_detectors"),
        problems,
    );
    check_detectors(
        dlp.inbound_detectors.as_ref(),
        &INBOUND_DETECTORS,
        &at.key("inbound_detectors"),
        problems,
    );
}

fn check_detectors(given: Option<&Detectors>, known: &[&str], at: &KeyPath, problems: &mut Problems) {
    let names = match given {
        None | Some(Detectors::Off(false)) => return,
        Some(Detectors::Off(true)) => {
            let message =
                format!("leave the key out for the default ones, or list them: {}", known.join(", "));
            return problems.push(at, message);
        }
        Some(Detectors::Named(names)) if names.is_empty() => {
            return problems.push(at, "an empty list is unclear; write false if none shall look");
        }
        Some(Detectors::Named(names)) => names,
    };
    for (index, name) in names.iter().enumerate() {
        let at = at.item(index);
        if !known.contains(&name.as_str()) {
            let shown = base::inert(name, 60);
            let choice = nearest(name, known.iter().copied()).map_or_else(
                || format!("known here: {}", known.join(", ")),
                |near| format!("did you mean {near}?"),
            );
            problems.push(&at, format!("there is no detector `{shown}` here; {choice}"));
        } else if names[..index].contains(name) {
            problems.push(&at, format!("{name} is listed twice"));
        }
    }
}
