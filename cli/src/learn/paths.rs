//! The smallest list of path tests that covers what was seen: each path by itself, or, where many siblings were seen,
//! everything below their parent.

use std::collections::BTreeMap;

use policy::{PathKind, PathMatch};

/// Siblings that are listed one by one; more of them are taken for names without end, such as ids.
pub(super) const FEW: usize = 4;

/// Paths by their segments.
#[derive(Clone, Debug, Default)]
pub(super) struct Paths(Node);

#[derive(Clone, Debug, Default)]
struct Node {
    /// Whether a path ended here.
    is_seen: bool,
    below: BTreeMap<Box<str>, Node>,
}

impl Paths {
    /// Adds a path in its normal form.
    pub(super) fn add(&mut self, path: &str) {
        let mut node = &mut self.0;
        for segment in path.split('/').skip(1) {
            node = node.below.entry(segment.into()).or_default();
        }
        node.is_seen = true;
    }

    /// The tests, in the order of the paths.
    pub(super) fn tests(&self) -> Vec<PathMatch> {
        let mut tests = Vec::new();
        // A prefix of `/` would be the whole host: what lies directly below it is always listed.
        self.0.below.iter().for_each(|(segment, node)| node.collect(&format!("/{segment}"), &mut tests));
        tests
    }
}

impl Node {
    fn collect(&self, at: &str, tests: &mut Vec<PathMatch>) {
        if self.below.len() > FEW {
            // With its slash, the prefix leaves the parent itself out.
            let value = if self.is_seen { at.to_owned() } else { format!("{at}/") };
            tests.push(PathMatch { kind: PathKind::Prefix, value });
            return;
        }
        if self.is_seen {
            tests.push(PathMatch { kind: PathKind::Exact, value: at.to_owned() });
        }
        self.below.iter().for_each(|(segment, node)| node.collect(&format!("{at}/{segment}"), tests));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tests(paths: &[&str]) -> String {
        let mut seen = Paths::default();
        paths.iter().for_each(|path| seen.add(path));
        let show = |test: &PathMatch| match test.kind {
            PathKind::Exact => test.value.clone(),
            PathKind::Prefix => format!("{}*", test.value),
            PathKind::Regex => unreachable!("none is ever proposed"),
        };
        seen.tests().iter().map(show).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn few_paths_are_listed_and_many_siblings_become_their_parent() {
        for (paths, expected) in [
            (&["/"][..], "/"),
            (&["/a", "/a/", "/a"], "/a /a/"),
            (&["/v1/a", "/v1/b", "/v1/c", "/v1/d"], "/v1/a /v1/b /v1/c /v1/d"),
            (&["/v1/a", "/v1/b", "/v1/c", "/v1/d", "/v1/e"], "/v1/*"),
            (&["/v1", "/v1/a", "/v1/b", "/v1/c", "/v1/d", "/v1/e", "/v2"], "/v1* /v2"),
            (&["/r/1/x", "/r/2/x", "/r/3/y", "/r/4/x", "/r/5/x/z"], "/r/*"),
            (&["/a", "/b", "/c", "/d", "/e", "/f"], "/a /b /c /d /e /f"),
            (&["/p/q/1", "/p/q/2", "/p/q/3", "/p/q/4", "/p/q/5", "/p/o"], "/p/o /p/q/*"),
        ] {
            assert_eq!(tests(paths), expected);
        }
    }
}
