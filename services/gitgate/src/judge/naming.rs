//! What objects and findings are called: commits, paths and lines, and never a value.

use bus::message::push::Finding;
use scan::Detectors;

use super::listing::Listed;
use super::look::scrubbed;
use super::place::{Part, Spot};
use super::trouble::Trouble;

/// The longest place, in characters.
const PLACE: usize = 300;
/// Findings that are shown to the person who pushes.
const SHOWN: usize = 20;

/// Names what is in a push.
pub(crate) struct Names<'a> {
    pub(crate) listed: &'a [Listed],
    pub(crate) detectors: &'a Detectors,
}

impl Names<'_> {
    /// A finding as it is told of.
    pub(crate) fn finding(&self, spot: &Spot) -> Finding {
        let listed = &self.listed[spot.object as usize];
        let commit = listed.commit.and_then(|at| self.listed.get(at as usize)).unwrap_or(listed);
        Finding {
            rule: base::inert(&spot.rule, PLACE),
            commit: commit.id.to_string(),
            place: self.place(spot.object, &spot.part),
            line: spot.line,
        }
    }

    /// Where something stands.
    pub(crate) fn place(&self, object: u32, part: &Part) -> String {
        let Some(listed) = self.listed.get(object as usize) else { return part.to_string() };
        let stray = if listed.is_reached { "" } else { " (which no ref reaches)" };
        let path = listed.path.as_deref().filter(|path| !path.is_empty());
        let path = path.map(|path| base::inert(&scrubbed(self.detectors, path), PLACE));
        let name = || path.clone().unwrap_or_else(|| format!("object {}{stray}", listed.id));
        match part {
            Part::File => name(),
            Part::Inside(_) => format!("{} ({part})", name()),
            Part::Names => match &path {
                Some(path) => format!("{part} in {path}"),
                None => format!("{part}{stray}"),
            },
            Part::Header(name) => {
                let name = base::inert(&scrubbed(self.detectors, name), 40);
                format!("the {name} header{stray}")
            }
            Part::Headers | Part::Message => format!("{part}{stray}"),
        }
    }

    /// A text without what would be found in it.
    pub(crate) fn clean(&self, text: &str) -> String {
        scrubbed(self.detectors, text)
    }

    /// Gives a trouble that names an object by its number its proper name.
    pub(crate) fn in_words(&self, trouble: Trouble) -> Trouble {
        match trouble {
            Trouble::In { object, part, why } => {
                Trouble::Unscannable { place: self.place(object, &part), why }
            }
            other => other,
        }
    }
}

/// Findings in lines for the person who pushes; at most some of them, with a count of all.
pub(crate) fn in_lines(findings: &[Finding], more: u64) -> Vec<String> {
    let mut lines: Vec<String> = findings.iter().take(SHOWN).map(in_line).collect();
    let hidden = (findings.len().saturating_sub(SHOWN)) as u64 + more;
    if hidden > 0 {
        lines.push(format!("  and {hidden} more"));
    }
    lines
}

fn in_line(finding: &Finding) -> String {
    let line = finding.line.map_or_else(String::new, |line| format!(", line {line}"));
    let commit = finding.commit.get(..12).unwrap_or(&finding.commit);
    let of = if commit.is_empty() { String::new() } else { format!(" (object {commit})") };
    format!("  {} in {}{line}{of}", finding.rule, finding.place)
}
