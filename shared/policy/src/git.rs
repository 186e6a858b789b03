//! Git over HTTP (E7): pushes never pass here, fetches only where a route says so.
//!
//! Recognised in any letter case and behind any prefix, on the normalised path: the smart protocol
//! (`info/refs`, `git-upload-pack`, `git-receive-pack`, `git-upload-archive`), the files of the dumb protocol
//! (`objects/…`), WebDAV pushes below a `.git` directory, and the LFS API below `info/lfs`. An LFS batch request says
//! in its body whether it uploads, which no decision on the head can see; so of LFS only reading an object counts as
//! a fetch and everything else is refused.

use percent_encoding::percent_decode_str;

use crate::checked::CheckedRoute;
use crate::path::NormalPath;
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
    (is_webdav_write(method) && path.split('/').any(|segment| ends_with(segment, ".git")))
        .then_some(GitUse::Push)
}

fn is(segment: &str, name: &str) -> bool {
    segment.eq_ignore_ascii_case(name)
}

fn ends_with(segment: &str, end: &str) -> bool {
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
    let hex = |text: &str| text.bytes().all(|b| b.is_ascii_hexdigit());
    (is(parent, "info") && ["packs", "alternates", "http-alternates"].iter().any(|name| is(last, name)))
        || (is(parent, "pack") && last.get(..5).is_some_and(|start| is(start, "pack-")))
        || (parent.len() == 2 && hex(parent) && matches!(last.len(), 38 | 62) && hex(last))
}

fn is_webdav_write(method: &str) -> bool {
    matches!(method, "PUT" | "DELETE" | "LOCK" | "UNLOCK" | "MKCOL" | "MOVE" | "COPY" | "PROPPATCH")
}
