//! A rule file on top of the standard rules.

use super::document::{Document, Placed, RawRule};

/// `own` over `base`: rules that `own` disables are gone, a rule that both have keeps what `own` does not say.
pub(super) fn onto(base: Document, own: Document) -> Document {
    let Document { file, disabled, rules: own_rules, allows: own_allows, .. } = own;
    let mut rules: Vec<Placed> =
        base.rules.into_iter().filter(|placed| !disabled.contains(&placed.raw.id)).collect();
    for placed in own_rules {
        match rules.iter_mut().find(|known| known.raw.id == placed.raw.id) {
            Some(known) => *known = Placed { line: placed.line, raw: over(&known.raw, placed.raw) },
            None => rules.push(placed),
        }
    }
    let allows = base.allows.into_iter().chain(own_allows).collect();
    Document { file, extends_standard: false, disabled: Vec::new(), rules, allows }
}

fn over(base: &RawRule, own: RawRule) -> RawRule {
    let base = base.clone();
    RawRule {
        description: own.description.or(base.description),
        entropy: own.entropy.or(base.entropy),
        secret_group: own.secret_group.or(base.secret_group),
        path: own.path.or(base.path),
        keywords: if own.regex.is_some() {
            own.keywords
        } else {
            base.keywords.into_iter().chain(own.keywords).collect()
        },
        regex: own.regex.or(base.regex),
        allowlists: base.allowlists.into_iter().chain(own.allowlists).collect(),
        ..base
    }
}
