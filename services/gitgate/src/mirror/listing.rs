//! What `git ls-remote --symref` and `git for-each-ref` say.

use std::collections::BTreeMap;

use crate::commands::Format;
use crate::object::ObjectId;

/// Every ref, and where `HEAD` is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Listing {
    pub(super) refs: BTreeMap<String, ObjectId>,
    pub(super) head: Head,
}

/// Where `HEAD` is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Head {
    /// Nowhere, or on a branch without commits.
    #[default]
    Nowhere,
    /// On a branch.
    On(String),
    /// On a commit.
    At(ObjectId),
}

impl Listing {
    /// Reads `git ls-remote --symref`. `None`: it says something else.
    pub(super) fn of_remote(text: &[u8]) -> Option<Self> {
        let mut listing = Self::default();
        for line in std::str::from_utf8(text).ok()?.lines() {
            let (what, name) = line.split_once('\t')?;
            if let Some(branch) = what.strip_prefix("ref: ") {
                if name == "HEAD" {
                    listing.head = Head::On(branch.to_owned());
                }
                continue;
            }
            let object: ObjectId = what.parse().ok()?;
            match name {
                "HEAD" if listing.head == Head::Nowhere => listing.head = Head::At(object),
                "HEAD" => {}
                // What a tag's object is about.
                _ if name.ends_with("^{}") => {}
                _ => _ = listing.refs.insert(name.to_owned(), object),
            }
        }
        Some(listing)
    }

    /// Reads `git for-each-ref` in the format of [`FORMAT`].
    pub(super) fn of_mirror(text: &[u8]) -> Option<BTreeMap<String, ObjectId>> {
        let lines = std::str::from_utf8(text).ok()?.lines();
        lines
            .map(|line| {
                let (object, name) = line.split_once(' ')?;
                Some((name.to_owned(), object.parse().ok()?))
            })
            .collect()
    }

    /// How objects are named; not known of a repository that is empty.
    pub(super) fn format(&self) -> Option<Format> {
        let object = self.refs.values().next()?;
        Some(if object.as_str().len() == Format::Sha1.digits() { Format::Sha1 } else { Format::Sha256 })
    }
}

/// For [`Listing::of_mirror`].
pub(super) const FORMAT: &str = "--format=%(objectname) %(refname)";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_is_read() {
        let (one, two) = ("a".repeat(40), "b".repeat(40));
        let text = format!(
            "ref: refs/heads/main\tHEAD\n{one}\tHEAD\n{one}\trefs/heads/main\n{two}\trefs/tags/v1\n{one}\trefs/tags/v1^{{}}\n"
        );
        let listing = Listing::of_remote(text.as_bytes()).unwrap();
        assert_eq!(listing.head, Head::On("refs/heads/main".to_owned()));
        assert_eq!(listing.refs.keys().collect::<Vec<_>>(), ["refs/heads/main", "refs/tags/v1"]);
        assert_eq!(listing.format(), Some(Format::Sha1));
        assert_eq!(Listing::of_remote(b"").unwrap(), Listing::default());
        let detached = Listing::of_remote(format!("{one}\tHEAD\n").as_bytes()).unwrap();
        assert!(matches!(detached.head, Head::At(_)));
        assert_eq!(Listing::of_remote(b"no listing\n"), None);
    }
}
