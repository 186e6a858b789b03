//! What becomes of a finding, by the route's rules alone.

use policy::OnMatch;
use scan::Detector;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Pass,
    Redact,
    Hold,
    Block,
}

/// Decides about what `detector` found (E9, E11). `can_redact`: whether the place allows for it; `is_approved`: whether a
/// person has let this very value go to this very host.
pub(super) fn verdict(
    detector: &Detector,
    on_match: OnMatch,
    can_redact: bool,
    is_approved: bool,
) -> Verdict {
    match (detector, on_match) {
        (Detector::Canary, _) => Verdict::Block,
        (Detector::Entropy, _) => Verdict::Pass,
        _ if is_approved => Verdict::Pass,
        (_, OnMatch::Redact) if can_redact => Verdict::Redact,
        (_, OnMatch::Redact | OnMatch::Block) => Verdict::Block,
        (_, OnMatch::Supervise) => Verdict::Hold,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case() {
        let token = Detector::TokenPattern("a-token".into());
        let known = Detector::KnownSecret("API_TOKEN".into());
        for detector in [&token, &known] {
            for (on_match, can_redact, expected) in [
                (OnMatch::Supervise, true, Verdict::Hold),
                (OnMatch::Supervise, false, Verdict::Hold),
                (OnMatch::Redact, true, Verdict::Redact),
                (OnMatch::Redact, false, Verdict::Block),
                (OnMatch::Block, true, Verdict::Block),
                (OnMatch::Block, false, Verdict::Block),
            ] {
                assert_eq!(verdict(detector, on_match, can_redact, false), expected);
                assert_eq!(verdict(detector, on_match, can_redact, true), Verdict::Pass);
                assert_eq!(verdict(&Detector::Canary, on_match, can_redact, true), Verdict::Block);
                assert_eq!(verdict(&Detector::Entropy, on_match, can_redact, false), Verdict::Pass);
            }
        }
    }
}
