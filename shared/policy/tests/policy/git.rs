use http::HeaderMap;
use policy::{Host, RequestView, Scheme, decide};

use crate::checked;

/// The rule that refuses a request on a route with and one without `git: {fetch: true}`; `-` where it passes.
fn rules(method: &str, target: &str) -> (String, String) {
    let policy = checked("routes: [{host: fetch.example, git: {fetch: true}}, {host: plain.example}]");
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let rule = |host: &str| {
        let host = Host::parse(host).unwrap();
        let headers = HeaderMap::new();
        let request = RequestView {
            scheme: Scheme::Https,
            host: &host,
            port: 443,
            method,
            path,
            query,
            headers: &headers,
        };
        match decide(&policy, &request) {
            policy::Decision::Allow { .. } => "-".to_owned(),
            policy::Decision::Refuse { reason } => reason.rule().to_owned(),
        }
    };
    (rule("fetch.example"), rule("plain.example"))
}

#[test]
fn a_push_never_passes() {
    for (method, target) in [
        ("GET", "/team/repo.git/info/refs?service=git-receive-pack"),
        ("GET", "/team/repo/info/refs?a=b&service=git-receive-pack"),
        ("GET", "/team/repo/info/refs?service=git-upload-pack&service=git-receive-pack"),
        ("GET", "/team/repo/info/refs?service=git%2Dreceive%2dpack"),
        ("GET", "/team/repo/info/refs?%73ervice=git-receive-pack"),
        ("GET", "/team/repo/info/refs?Service=git-receive-pack"),
        ("GET", "/team/repo/INFO/Refs?service=GIT-RECEIVE-PACK"),
        ("GET", "/team/repo/info/refs/?service=git-receive-pack"),
        ("GET", "/team/repo/info/refs?service=something-new"),
        ("GET", "/team/repo/info/refs?a=1;service=git-receive-pack"),
        ("GET", "/team/repo/info/refs?service=git%252dreceive-pack"),
        ("GET", "/team/repo/info/%72efs?service=git-receive-pack"),
        ("POST", "/team/repo.git/git-receive-pack"),
        ("POST", "/team/repo.git/git-receive%2Dpack"),
        ("POST", "/team/repo.git/Git-Receive-Pack"),
        ("POST", "/team/repo.git/git-receive-pack/"),
        ("POST", "/git-receive-pack"),
        ("POST", "/team/repo/info/refs"),
        ("LOCK", "/team/repo.git/info/refs"),
        ("PUT", "/team/repo.git/refs/heads/main"),
        ("MKCOL", "/team/repo.git/objects/00"),
        ("PUT", "/team/repo/objects/pack/pack-1.pack"),
        ("PUT", "/team/repo/refs/heads/main"),
        ("DELETE", "/team/repo/refs/heads/main"),
        ("MKCOL", "/team/repo/objects/ab"),
        ("MKCOL", "/team/repo/objects/ab."),
        ("PUT", "/team/repo/objects/ab/01234567890123456789012345678901234567_token"),
        ("MOVE", "/team/repo/objects/pack/tmp"),
        ("LOCK", "/team/git/refs/heads/main"),
        ("put", "/team/repo.git/x"),
        ("Put", "/team/repo.git%20/x"),
        ("POST", "/team/repo.git/git-receive-pack%20"),
        ("POST", "/team/repo.git/git-receive-pack."),
        ("POST", "/team/repo.git/git-receive-pack%20.%20"),
        ("GET", "/team/repo/info%20/refs.?service=git-receive-pack"),
    ] {
        assert_eq!(
            rules(method, target),
            ("git-push".to_owned(), "git-push".to_owned()),
            "{method} {target}"
        );
    }
}

#[test]
fn a_fetch_passes_where_the_route_says_so() {
    for (method, target) in [
        ("GET", "/team/repo.git/info/refs?service=git-upload-pack"),
        ("GET", "/team/repo.git/info/refs"),
        ("POST", "/team/repo.git/git-upload-pack"),
        ("POST", "/team/repo.git/git%2Dupload-pack"),
        ("POST", "/team/repo.git/git-upload-archive"),
        ("GET", "/team/repo/objects/info/packs"),
        ("GET", "/team/repo/objects/pack/pack-12ab.idx"),
        ("GET", "/team/repo/objects/ab/01234567890123456789012345678901234567"),
        ("GET", "/team/repo/info/lfs/objects/12ab"),
    ] {
        assert_eq!(rules(method, target), ("-".to_owned(), "git-fetch".to_owned()), "{method} {target}");
    }
}

#[test]
fn lfs_that_may_upload_is_refused() {
    for (method, target) in [
        ("POST", "/team/repo.git/info/lfs/objects/batch"),
        ("PUT", "/team/repo.git/info/lfs/objects/12ab/99"),
        ("POST", "/team/repo/Info/LFS/locks"),
        ("POST", "/team/repo/info/lfs/verify"),
    ] {
        assert_eq!(rules(method, target), ("git-lfs".to_owned(), "git-lfs".to_owned()), "{method} {target}");
    }
}

#[test]
fn other_requests_are_no_git() {
    for (method, target) in [
        ("GET", "/team/repo"),
        ("GET", "/api/v1/repos/team/repo/git/refs"),
        ("POST", "/api/v1/objects/info"),
        ("GET", "/objects/ab/cd"),
        ("PUT", "/v1/objects/42"),
        ("PUT", "/v1/objects/42/name"),
        ("DELETE", "/repos/team/repo/git/refs/heads/done"),
        ("PATCH", "/repos/team/repo/git/refs/heads/main"),
        ("PUT", "/v1/refs"),
        ("GET", "/info"),
        ("POST", "/search?service=git-receive-pack"),
        ("POST", "/team/repo.github/x"),
    ] {
        assert_eq!(rules(method, target), ("-".to_owned(), "-".to_owned()), "{method} {target}");
    }
}
