//! One pass over all keywords; then each rule, once, over the neighbourhoods of its own.

use std::ops::Range;

use super::{Hit, Rules};

/// Where a rule will be tried. Neighbourhoods that touch become one, so no byte is looked at twice by a rule.
#[derive(Clone, Debug)]
struct Region {
    bytes: Range<usize>,
    /// A match can only begin the region.
    anchored: bool,
}

pub(super) fn run(rules: &Rules, text: &[u8], found: &mut dyn FnMut(Hit)) {
    for index in &rules.always {
        try_rule(rules, *index, text, &Region { bytes: 0..text.len(), anchored: false }, found);
    }
    let mut pending: Vec<Option<Region>> = Vec::new();
    for keyword in rules.keywords.find(text) {
        for index in &rules.waiting[keyword.index] {
            let Some(region) = region_at(rules, *index, keyword.at, text) else { continue };
            if pending.is_empty() {
                pending.resize(rules.rules.len(), None);
            }
            let slot = &mut pending[usize::from(*index)];
            match slot {
                Some(open) if region.bytes.start <= open.bytes.end => open.join(&region),
                _ => {
                    if let Some(done) = slot.replace(region) {
                        try_rule(rules, *index, text, &done, found);
                    }
                }
            }
        }
    }
    for (index, region) in (0..).zip(pending) {
        if let Some(region) = region {
            try_rule(rules, index, text, &region, found);
        }
    }
}

/// Where to try a rule whose keyword stands at `at`; `None` where no match of it can begin.
fn region_at(rules: &Rules, index: u16, at: usize, text: &[u8]) -> Option<Region> {
    let rule = &rules.rules[usize::from(index)];
    let anchored = match &rule.heads {
        Some(heads) if !heads.could_begin(&text[at..]) => return None,
        heads => heads.is_some(),
    };
    Some(Region { bytes: rule.neighbourhood(at, text), anchored })
}

fn try_rule(rules: &Rules, index: u16, text: &[u8], region: &Region, found: &mut dyn FnMut(Hit)) {
    let rule = &rules.rules[usize::from(index)];
    rule.search(text, region.bytes.clone(), region.anchored, &rules.allows, &mut |span| {
        found(Hit { rule: rule.id.clone(), span });
    });
}

impl Region {
    fn join(&mut self, other: &Self) {
        if other.bytes == self.bytes {
            return;
        }
        self.bytes = self.bytes.start.min(other.bytes.start)..self.bytes.end.max(other.bytes.end);
        self.anchored = false;
    }
}
