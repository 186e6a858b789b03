//! Git over HTTP (E7): pushes never pass here, fetches only where a route says so.
//!
//! Recognised in any letter case and behind any prefix, on the normalised path: the smart protocol
//! (`info/refs`, `git-upload-pack`, `git-receive-pack`, `git-upload-archive`), the files of the dumb protocol
//! (`objects/…`), WebDAV pushes to a repository's files, and the LFS API below `info/lfs`. Dots and spaces at the end of
//! a segment, which some file systems drop, hide none of it. An LFS batch request says
//! in its body whether it uploads, which no decision on the head can see; so of LFS only reading an object counts as
//! a fetch and everything else is refused.

use percent_encoding::percent_decode_str;

use crate::checked::CheckedRoute;
use crate::path::{NormalPath, without_tail};
use crate::refusal::Refusal;

pub(crate) fn admit(
    route: &CheckedRoute,
    path: &NormalPath<'_>,
    method: &str,
    query: Option<&str>,
) -> Result<(), Refusal> {
    match git_use(path.as_str(), method, query) {
        None => Ok(()),
        Some(GitUse::Push) => Err(Refusal::GitPush),
        Some(GitUse::Lfs) => Err(Refusal::GitLfs),
        Some(GitUse::Fetch) if route.allows_fetch() => Ok(()),
        Some(GitUse::Fetch) => Err(Refusal::GitFetchNotAllowed { host: route.host().to_string() }),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum GitUse {
    Fetch,
    Push,
    Lfs,
}

fn git_use(path: &str, method: &str, query: Option<&str>) -> Option<GitUse> {
    let reads = matches!(method, "GET" | "HEAD");
    let read_or = |otherwise| Some(if reads { GitUse::Fetch } else { otherwise });
    let path = path.trim_end_matches('/');
    let mut ends = path.rsplit('/');
    let (last, parent, grandparent) = (ends.next()?, ends.next().unwrap_or(""), ends.next().unwrap_or(""));
    if is(last, "git-receive-pack") {
        return Some(GitUse::Push);
    }
    if is(last, "git-upload-pack") || is(last, "git-upload-archive") {
        return Some(GitUse::Fetch);
    }
    if is(parent, "info") && is(last, "refs") {
        return if asks_only_upload_pack(query) { read_or(GitUse::Push) } else { Some(GitUse::Push) };
    }
    if let Some(below) = below_lfs(path) {
        return if is(below, "objects") { read_or(GitUse::Lfs) } else { Some(GitUse::Lfs) };
    }
    if is(grandparent, "objects") && is_object(parent, last) {
        return read_or(GitUse::Push);
    }
    writes_files(path, method).then_some(GitUse::Push)
}

/// Whether a WebDAV method changes files of a repository: those below a `.git` directory, its `refs` and its
/// `objects`. `DELETE …/git/refs/…` is how forges name a branch in their API, and no file.
fn writes_files(path: &str, method: &str) -> bool {
    let Some(write) = Write::of(method) else { return false };
    let mut before = "";
    let mut segments = path.split('/');
    while let Some(segment) = segments.next() {
        let rest = segments.clone();
        let is_in_api = write == Write::Delete && is(before, "git");
        if ends_with(segment, ".git")
            || (is(segment, "refs") && rest.clone().next().is_some() && !is_in_api)
            || (is(segment, "objects") && is_in_objects(rest, write))
        {
            return true;
        }
        before = segment;
    }
    false
}

/// Whether what follows `objects/` is in an object store. Only WebDAV makes and moves directories.
fn is_in_objects<'p>(mut rest: impl Iterator<Item = &'p str>, write: Write) -> bool {
    let (Some(parent), below) = (rest.next(), rest.next()) else { return false };
    let is_directory = is(parent, "info") || is(parent, "pack") || is_fan_out(parent);
    is_directory && (write == Write::WebDav || below.is_some_and(|below| is_object(parent, below)))
}

fn is(segment: &str, name: &str) -> bool {
    without_tail(segment).eq_ignore_ascii_case(name)
}

fn ends_with(segment: &str, end: &str) -> bool {
    let segment = without_tail(segment);
    segment.len().checked_sub(end.len()).and_then(|at| segment.get(at..)).is_some_and(|tail| is(tail, end))
}

/// Whether a discovery asks for nothing but what fetching needs. Every other service, and every key that a server
/// might take for `service`, counts as a push.
fn asks_only_upload_pack(query: Option<&str>) -> bool {
    query.unwrap_or("").split(['&', ';']).all(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let key = percent_decode_str(key).decode_utf8_lossy();
        let value = percent_decode_str(value).decode_utf8_lossy();
        (key == "service" && value == "git-upload-pack") || !key.to_ascii_lowercase().contains("service")
    })
}

/// The segment that follows `info/lfs`, if that is there.
fn below_lfs(path: &str) -> Option<&str> {
    let mut segments = path.split('/').peekable();
    while let Some(segment) = segments.next() {
        if is(segment, "info") && segments.peek().is_some_and(|next| is(next, "lfs")) {
            return Some(segments.nth(1).unwrap_or(""));
        }
    }
    None
}

/// Whether `objects/PARENT/LAST` is a file of a repository's object store.
fn is_object(parent: &str, last: &str) -> bool {
    (is(parent, "info") && ["packs", "alternates", "http-alternates"].iter().any(|name| is(last, name)))
        || (is(parent, "pack") && last.get(..5).is_some_and(|start| is(start, "pack-")))
        // A push writes to the object's name with a token behind it, and renames that.
        || (is_fan_out(parent) && last.get(..38).is_some_and(is_hex))
}

/// Whether this names a directory of objects: the first two digits of their ids.
fn is_fan_out(segment: &str) -> bool {
    let segment = without_tail(segment);
    segment.len() == 2 && is_hex(segment)
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Methods that change a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Write {
    Put,
    Delete,
    /// One that only WebDAV has (RFC 4918, section 9).
    WebDav,
}

impl Write {
    /// What a method does, in any letter case: some servers do not mind it.
    fn of(method: &str) -> Option<Self> {
        const WEBDAV: [&str; 6] = ["LOCK", "UNLOCK", "MKCOL", "MOVE", "COPY", "PROPPATCH"];
        let is = |name: &str| method.eq_ignore_ascii_case(name);
        if is("PUT") {
            Some(Self::Put)
        } else if is("DELETE") {
            Some(Self::Delete)
        } else {
            WEBDAV.into_iter().any(is).then_some(Self::WebDav)
        }
    }
}
