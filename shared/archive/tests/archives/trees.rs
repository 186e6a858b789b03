//! What is packed, and that it comes out as it went in.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

use archive::{Odd, PackError, Rules, unpack};
use proptest::prelude::*;
use tempfile::tempdir;

use super::{LIMITS, PLAIN, WITH_LINKS, packed, shown};

#[test]
fn what_goes_in_comes_out() {
    let (from, to) = (tempdir().unwrap(), tempdir().unwrap());
    let long = "d".repeat(150);
    fs::create_dir_all(from.path().join("a").join(&long)).unwrap();
    fs::create_dir(from.path().join("a/empty")).unwrap();
    fs::write(from.path().join("a/run"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(from.path().join("a/run"), fs::Permissions::from_mode(0o4755)).unwrap();
    fs::write(from.path().join("a").join(&long).join("x".repeat(150)), "long").unwrap();
    fs::write(from.path().join("b"), "").unwrap();
    fs::write(from.path().join("not named"), "").unwrap();
    symlink("/".repeat(200), from.path().join("a/link")).unwrap();
    let (contents, archive) = packed(from.path(), &["a", "b", "missing/too"], &WITH_LINKS).unwrap();
    assert_eq!((contents.files, contents.links, contents.skipped), (3, 1, 0));
    let unpacked = unpack(&archive[..], to.path(), Path::new("x/y"), Odd::Keep, LIMITS).unwrap();
    assert_eq!(unpacked, contents);
    assert!(to.path().join("x/y/a/empty").is_dir());
    let mtime = |root: &Path| root.join("b").metadata().unwrap().mtime();
    assert_eq!(mtime(from.path()), mtime(&to.path().join("x/y")));
    let mut expected = shown(from.path());
    expected.retain(|line| !line.starts_with("not named"));
    let expected: Vec<_> = expected.iter().map(|line| line.replace("4755", "755")).collect();
    assert_eq!(shown(&to.path().join("x/y")), expected);
    // Once more over what is there, with a link where a file was.
    fs::remove_file(to.path().join("x/y/b")).unwrap();
    symlink(to.path().join("victim"), to.path().join("x/y/b")).unwrap();
    unpack(&archive[..], to.path(), Path::new("x/y"), Odd::Keep, LIMITS).unwrap();
    assert_eq!(shown(&to.path().join("x/y")), expected);
    assert!(!to.path().join("victim").exists());
}

#[test]
fn everything_is_what_the_empty_path_names() {
    let from = tempdir().unwrap();
    fs::create_dir(from.path().join("a")).unwrap();
    fs::write(from.path().join("a/b"), "b").unwrap();
    let contents = packed(from.path(), &[""], &PLAIN).unwrap().0;
    assert_eq!((contents.files, contents.directories), (1, 1));
}

/// A tree that wants to have the host read what is outside, wait, or fill its memory.
fn hostile(root: &Path, outside: &Path) {
    fs::create_dir_all(root.join("state/real")).unwrap();
    fs::write(root.join("state/real/mine"), "mine").unwrap();
    symlink(outside.join("secret"), root.join("state/file")).unwrap();
    symlink(outside, root.join("state/directory")).unwrap();
    symlink(outside, root.join("way")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        root.join("state/pipe"),
        rustix::fs::FileType::Fifo,
        0o644.into(),
        0,
    )
    .unwrap();
    drop(UnixListener::bind(root.join("state/socket")).unwrap());
}

#[test]
fn nothing_of_the_host_is_packed_and_nothing_is_waited_for() {
    let (root, outside) = (tempdir().unwrap(), tempdir().unwrap());
    fs::write(outside.path().join("secret"), "of the host").unwrap();
    hostile(root.path(), outside.path());
    let paths = ["state", "way/secret", "state/directory/secret", "state/real/mine/x"];
    let (contents, archive) = packed(root.path(), &paths, &PLAIN).unwrap();
    assert_eq!((contents.files, contents.links, contents.skipped), (1, 0, 6));
    let to = tempdir().unwrap();
    unpack(&archive[..], to.path(), Path::new(""), Odd::Refuse, LIMITS).unwrap();
    assert_eq!(shown(to.path()), ["state/real/mine 644 \"mine\""]);
    // Where links are kept, their text is, and nothing that they lead to.
    let (_, archive) = packed(root.path(), &["state", "way"], &WITH_LINKS).unwrap();
    let to = tempdir().unwrap();
    unpack(&archive[..], to.path(), Path::new(""), Odd::Keep, LIMITS).unwrap();
    assert!(shown(to.path()).iter().all(|line| !line.contains("of the host")));
    let strict = Rules { links: Odd::Refuse, specials: Odd::Refuse, in_use: false, limits: LIMITS };
    for (path, words) in [("state/file", "symbolic link"), ("state/pipe", "pipe"), ("state/socket", "socket")]
    {
        let error = packed(root.path(), &[path], &strict).unwrap_err().to_string();
        assert!(error.contains(words) && error.contains(path), "{error}");
    }
    assert!(matches!(packed(root.path(), &["../x"], &PLAIN), Err(PackError::Path(_))));
    assert!(matches!(packed(root.path(), &["/etc"], &PLAIN), Err(PackError::Path(_))));
}

#[test]
fn too_much_is_an_error_and_no_cut() {
    let root = tempdir().unwrap();
    let write =
        |name: &str, bytes: u64| fs::File::create(root.path().join(name)).unwrap().set_len(bytes).unwrap();
    write("one", LIMITS.bytes);
    assert_eq!(packed(root.path(), &["one"], &PLAIN).unwrap().0.bytes, LIMITS.bytes);
    write("two", 1);
    assert!(matches!(packed(root.path(), &[""], &PLAIN), Err(PackError::OverLimit(_))));
    // A hole of a tebibyte is not read to find out how much it is.
    write("hole", 1 << 40);
    let error = packed(root.path(), &["hole"], &PLAIN).unwrap_err();
    assert_eq!(error.to_string(), "there is more than 1 MiB or 1000 entries in it");
    let many = tempdir().unwrap();
    for number in 0..=LIMITS.entries {
        fs::write(many.path().join(number.to_string()), "").unwrap();
    }
    assert!(matches!(packed(many.path(), &[""], &PLAIN), Err(PackError::OverLimit(_))));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn any_tree_comes_out_as_it_went_in(
        files in prop::collection::btree_map("[a-c]{1,2}(/[d-f]{1,2}){0,3}/[g-i]{1,3}", ".{0,40}", 0..12)
    ) {
        let (from, to) = (tempdir().unwrap(), tempdir().unwrap());
        for (path, text) in &files {
            let path = from.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::File::create(path).unwrap().write_all(text.as_bytes()).unwrap();
        }
        let (_, archive) = packed(from.path(), &[""], &PLAIN).unwrap();
        prop_assert_eq!(&archive, &packed(from.path(), &[""], &PLAIN).unwrap().1);
        unpack(&archive[..], to.path(), Path::new(""), Odd::Refuse, LIMITS).unwrap();
        prop_assert_eq!(shown(to.path()), shown(from.path()));
    }
}
