//! What `git push --porcelain` says of each ref: a flag, `from:to`, and a summary, with tabs between them.

/// What became of a ref.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is where it should be.
    Moved,
    /// It is not, for this reason; inert.
    Refused(String),
}

/// Beside a ref that somebody else has moved.
pub(super) const STALE: &str = "fetch first";
/// Characters of a reason.
const LONGEST: usize = 200;

/// Each ref, by its full name at upstream.
pub(super) fn read(text: &str) -> Vec<(&str, Fate)> {
    let refs = text.lines().filter_map(|line| {
        let mut parts = line.splitn(3, '\t');
        let (flag, names, summary) = (parts.next()?, parts.next()?, parts.next()?);
        let (_, name) = names.rsplit_once(':')?;
        let fate = match flag {
            " " | "+" | "-" | "*" | "=" => Fate::Moved,
            "!" => Fate::Refused(reason(summary)),
            _ => return None,
        };
        Some((name, fate))
    });
    refs.collect()
}

/// `[remote rejected] (pre-receive hook declined)` without what git says of every one.
fn reason(summary: &str) -> String {
    let reason =
        summary.rsplit_once(" (").and_then(|(_, reason)| reason.strip_suffix(')')).unwrap_or(summary);
    match reason {
        "stale info"
        | "fetch first"
        | "non-fast-forward"
        | "already exists"
        | "remote ref updated since checkout" => STALE.to_owned(),
        other => base::inert(other, LONGEST),
    }
}
