//! Archives of trees that agents made, and archives that nobody should have made.
#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use archive::{Contents, Limits, Odd, PackError, Rules, UnpackError, pack, survey, unpack};
use proptest::prelude::*;
use tar::{EntryType, Header};
use tempfile::tempdir;

const LIMITS: Limits = Limits { bytes: 1 << 20, entries: 1000 };
const PLAIN: Rules = Rules { links: Odd::Skip, specials: Odd::Skip, in_use: false, limits: LIMITS };
const WITH_LINKS: Rules = Rules { links: Odd::Keep, ..PLAIN };

fn packed(root: &Path, paths: &[&str], rules: &Rules) -> Result<(Contents, Vec<u8>), PackError> {
    let paths: Vec<PathBuf> = paths.iter().map(PathBuf::from).collect();
    let mut archive = Vec::new();
    let contents = pack(root, &paths, rules, &mut archive)?;
    assert_eq!(survey(root, &paths, rules).unwrap(), contents);
    Ok((contents, archive))
}

/// A name beside every file and link of a tree, with what it holds.
fn shown(root: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    let mut left = vec![root.to_owned()];
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().display().to_string();
            let meta = path.symlink_metadata().unwrap();
            if meta.is_symlink() {
                lines.push(format!("{name} -> {}", fs::read_link(&path).unwrap().display()));
            } else if meta.is_dir() {
                left.push(path);
            } else {
                lines.push(format!(
                    "{name} {:o} {:?}",
                    meta.mode() & 0o7777,
                    fs::read_to_string(&path).unwrap()
                ));
            }
        }
    }
    lines.sort();
    lines
}

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

/// An archive of entries that say anything at all.
struct Forged(tar::Builder<zstd::Encoder<'static, Vec<u8>>>);

impl Forged {
    fn new() -> Self {
        Self(tar::Builder::new(zstd::Encoder::new(Vec::new(), 1).unwrap()))
    }

    fn entry(mut self, kind: EntryType, name: &str, link: &str, content: &[u8]) -> Self {
        let mut header = Header::new_gnu();
        let fields = header.as_gnu_mut().unwrap();
        fields.name[..name.len()].copy_from_slice(name.as_bytes());
        fields.linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(0o7777);
        header.set_size(content.len() as u64);
        header.set_cksum();
        self.0.append(&header, content).unwrap();
        self
    }

    fn bytes(self) -> Vec<u8> {
        self.0.into_inner().unwrap().finish().unwrap()
    }
}

#[test]
fn an_archive_cannot_leave_its_directory() {
    use EntryType as Kind;
    let file = |name: &str| Forged::new().entry(Kind::Regular, name, "", b"evil");
    let cases = [
        ("up", file("../evil")),
        ("up and down", file("a/../../evil")),
        ("absolute", file("/tmp/bot-bottle-evil")),
        ("nothing", file("")),
        ("itself", file("./")),
        ("a directory above", Forged::new().entry(Kind::Directory, "../evil", "", b"")),
        (
            "through a link to a directory",
            Forged::new().entry(Kind::Symlink, "a", "..", b"").entry(Kind::Regular, "a/evil", "", b"x"),
        ),
        (
            "through a link to a directory beside it",
            Forged::new().entry(Kind::Directory, "b", "", b"").entry(Kind::Symlink, "a", "b", b"").entry(
                Kind::Regular,
                "a/evil",
                "",
                b"x",
            ),
        ),
        (
            "through a link made a directory",
            Forged::new().entry(Kind::Symlink, "a", "..", b"").entry(Kind::Directory, "a", "", b""),
        ),
        (
            "a long name that goes up",
            Forged::new().entry(Kind::GNULongName, "L", "", b"../evil\0").entry(
                Kind::Regular,
                "fine",
                "",
                b"x",
            ),
        ),
        (
            "a long name with a zero",
            Forged::new().entry(Kind::GNULongName, "L", "", b"a\0b").entry(Kind::Regular, "fine", "", b"x"),
        ),
        ("a name longer than any", Forged::new().entry(Kind::GNULongName, "L", "", &[b'a'; 5000])),
        ("a hard link", Forged::new().entry(Kind::Link, "a", "/etc/passwd", b"")),
        ("a device", Forged::new().entry(Kind::Char, "a", "", b"")),
        ("a pipe", Forged::new().entry(Kind::Fifo, "a", "", b"")),
        ("a sparse file", Forged::new().entry(Kind::GNUSparse, "a", "", b"")),
        (
            "a path by pax",
            Forged::new().entry(Kind::XHeader, "x", "", b"16 path=../evil\n").entry(
                Kind::Regular,
                "a",
                "",
                b"",
            ),
        ),
        ("a size by pax", Forged::new().entry(Kind::XGlobalHeader, "x", "", b"18 size=9999999999\n")),
    ];
    for (what, forged) in cases {
        let place = tempdir().unwrap();
        let inside = place.path().join("inside");
        fs::create_dir(&inside).unwrap();
        let unpacked = unpack(&forged.bytes()[..], &inside, Path::new(""), Odd::Keep, LIMITS);
        assert!(
            matches!(
                unpacked,
                Err(UnpackError::Path(_) | UnpackError::Kind { .. } | UnpackError::Make { .. })
            ),
            "{what}: {unpacked:?}"
        );
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1, "{what}");
    }
    assert!(!Path::new("/tmp/bot-bottle-evil").exists());
}

#[test]
fn a_link_that_was_there_before_is_not_gone_through() {
    let place = tempdir().unwrap();
    fs::create_dir_all(place.path().join("home")).unwrap();
    fs::create_dir_all(place.path().join("outside")).unwrap();
    symlink("../outside", place.path().join("home/way")).unwrap();
    let archive = Forged::new().entry(EntryType::Regular, "file", "", b"x").bytes();
    for into in ["way", "way/deeper"] {
        let unpacked = unpack(&archive[..], &place.path().join("home"), Path::new(into), Odd::Keep, LIMITS);
        assert!(matches!(unpacked, Err(UnpackError::Make { .. })), "{unpacked:?}");
    }
    let through = Forged::new().entry(EntryType::Regular, "way/file", "", b"x").bytes();
    let unpacked = unpack(&through[..], &place.path().join("home"), Path::new(""), Odd::Keep, LIMITS);
    assert!(matches!(unpacked, Err(UnpackError::Make { .. })), "{unpacked:?}");
    assert_eq!(fs::read_dir(place.path().join("outside")).unwrap().count(), 0);
}

#[test]
fn links_are_made_only_where_they_may_be_and_no_right_comes_with_a_file() {
    let place = tempdir().unwrap();
    let archive = Forged::new().entry(EntryType::Symlink, "a", "/etc/passwd", b"").bytes();
    let refused = unpack(&archive[..], place.path(), Path::new(""), Odd::Refuse, LIMITS).unwrap_err();
    assert!(refused.to_string().contains("symbolic link"), "{refused}");
    let archive =
        Forged::new().entry(EntryType::Regular, "a", "", b"x").entry(EntryType::Directory, "d", "", b"");
    unpack(&archive.bytes()[..], place.path(), Path::new(""), Odd::Refuse, LIMITS).unwrap();
    for name in ["a", "d"] {
        assert_eq!(place.path().join(name).metadata().unwrap().mode() & 0o7777, 0o777, "{name}");
    }
}

#[test]
fn an_archive_that_says_little_and_holds_much() {
    let bomb =
        Forged::new().entry(EntryType::Regular, "zeros", "", &vec![0; LIMITS.bytes as usize + 1]).bytes();
    assert!(bomb.len() < 10_000);
    let names = (0..LIMITS.entries + 1)
        .fold(Forged::new(), |forged, n| forged.entry(EntryType::Directory, &n.to_string(), "", b""));
    // Names that never come to an entry are no entries, but they are bytes.
    let few = Limits { bytes: 0, entries: 1 };
    let endless = (0..100)
        .fold(Forged::new(), |forged, _| forged.entry(EntryType::GNULongName, "L", "", &[b'a'; 4000]));
    let mut behind =
        zstd::decode_all(&Forged::new().entry(EntryType::Regular, "a", "", b"").bytes()[..]).unwrap();
    behind.extend(vec![0; 1 << 20]);
    let behind = zstd::encode_all(&behind[..], 1).unwrap();
    for (bytes, limits) in [(bomb, LIMITS), (names.bytes(), LIMITS), (endless.bytes(), few), (behind, few)] {
        let place = tempdir().unwrap();
        let unpacked = unpack(&bytes[..], place.path(), Path::new(""), Odd::Refuse, limits);
        assert!(matches!(unpacked, Err(UnpackError::OverLimit(_) | UnpackError::Archive(_))), "{unpacked:?}");
        let taken: u64 =
            fs::read_dir(place.path()).unwrap().map(|e| e.unwrap().metadata().unwrap().len()).sum();
        assert!(taken < 8 << 20, "{taken}");
    }
}

#[test]
fn what_was_cut_off_or_changed_on_its_way_is_noticed() {
    let root = tempdir().unwrap();
    fs::write(root.path().join("a"), vec![7; 4000]).unwrap();
    let (_, archive) = packed(root.path(), &["a"], &PLAIN).unwrap();
    let unpacked = |bytes: &[u8]| {
        let place = tempdir().unwrap();
        unpack(bytes, place.path(), Path::new(""), Odd::Refuse, LIMITS)
            .map(|_| fs::read(place.path().join("a")).unwrap_or_default())
    };
    let whole = vec![7; 4000];
    assert_eq!(unpacked(&archive).unwrap(), whole);
    for end in 1..archive.len() {
        assert!(unpacked(&archive[..end]).is_err(), "cut at {end}");
    }
    for at in 4..archive.len() {
        for bit in 0..8 {
            let mut other = archive.clone();
            other[at] ^= 1 << bit;
            // Some bits of a frame's head mean nothing; what comes out is the same then.
            if let Ok(content) = unpacked(&other) {
                assert_eq!(content, whole, "bit {bit} changed at {at}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_do_anything_outside(
        entries in prop::collection::vec(
            (
                prop::sample::select(b"0123456789gxLKSADMVN\0".to_vec()),
                "(\\.\\./|\\./|/|a|b|c){0,6}",
                "(\\.\\./|/|a|b){0,5}",
                prop::collection::vec(any::<u8>(), 0..600),
            ),
            0..8,
        ),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let forged = entries.iter().fold(Forged::new(), |forged, (kind, name, link, content)| {
            forged.entry(EntryType::new(*kind), name, link, content)
        });
        let mut plain = zstd::decode_all(&forged.bytes()[..]).unwrap();
        for (at, value) in flips {
            let at = at.index(plain.len());
            plain[at] = value;
        }
        let bytes = zstd::encode_all(&plain[..], 1).unwrap();
        let place = tempdir().unwrap();
        let inside = place.path().join("inside");
        fs::create_dir(&inside).unwrap();
        fs::write(place.path().join("a"), "beside").unwrap();
        let _ = unpack(&bytes[..], &inside, Path::new("deep"), Odd::Keep, LIMITS);
        prop_assert_eq!(fs::read_dir(place.path()).unwrap().count(), 2);
        prop_assert_eq!(fs::read_to_string(place.path().join("a")).unwrap(), "beside");
        prop_assert!(fs::read_dir(&inside).unwrap().count() <= 1);
    }

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

const IN_USE: Rules = Rules { in_use: true, limits: Limits { bytes: 64 << 20, entries: 1000 }, ..WITH_LINKS };

/// Where an archive goes; with its first bytes something happens to what is being packed.
struct Meanwhile<F: FnMut()> {
    archive: Vec<u8>,
    happens: Option<F>,
}

impl<F: FnMut()> std::io::Write for Meanwhile<F> {
    fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
        if let Some(mut happens) = self.happens.take() {
            happens();
        }
        self.archive.write(data)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_tree_that_changes_meanwhile_is_packed_if_it_is_known_to_be_in_use() {
    let (from, to) = (tempdir().unwrap(), tempdir().unwrap());
    let noise: Vec<u8> = (0..8 << 20).map(|_| rand_byte()).collect();
    let prepare = || {
        fs::write(from.path().join("a"), "before").unwrap();
        fs::write(from.path().join("big"), &noise).unwrap();
        fs::create_dir_all(from.path().join("gone/deep")).unwrap();
        fs::write(from.path().join("gone-too"), "x").unwrap();
        fs::write(from.path().join("z"), "after").unwrap();
    };
    let change = || {
        fs::File::options().write(true).open(from.path().join("big")).unwrap().set_len(1 << 20).unwrap();
        fs::remove_dir_all(from.path().join("gone")).unwrap();
        fs::remove_file(from.path().join("gone-too")).unwrap();
    };
    let pack_meanwhile = |rules: &Rules| {
        prepare();
        let mut to = Meanwhile { archive: Vec::new(), happens: Some(change) };
        pack(from.path(), &[PathBuf::new()], rules, &mut to).map(|contents| (contents, to.archive))
    };
    let error = pack_meanwhile(&Rules { in_use: false, ..IN_USE }).unwrap_err();
    assert!(matches!(error, PackError::Changed(path) if path == Path::new("big")));

    let (contents, archive) = pack_meanwhile(&IN_USE).unwrap();
    assert_eq!((contents.files, contents.directories, contents.torn), (3, 0, 1));
    unpack(&archive[..], to.path(), Path::new(""), Odd::Keep, IN_USE.limits).unwrap();
    assert_eq!(fs::read_to_string(to.path().join("a")).unwrap(), "before");
    assert_eq!(fs::read_to_string(to.path().join("z")).unwrap(), "after");
    let big = fs::read(to.path().join("big")).unwrap();
    assert!(big.len() == noise.len() && big[..1 << 20] == noise[..1 << 20]);
    assert!(big.ends_with(&[0; 1 << 20]), "it is not filled up");
}

fn rand_byte() -> u8 {
    use std::hash::{BuildHasher as _, RandomState};
    RandomState::new().hash_one(0).to_le_bytes()[0]
}

/// An agent may nest deeper than any path can say.
#[test]
fn what_is_deeper_than_a_path_can_say_is_left_out_of_a_tree_in_use() {
    use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};
    let from = tempdir().unwrap();
    fs::write(from.path().join("file"), "x").unwrap();
    let name = "d".repeat(250);
    let mut here = openat(CWD, from.path(), OFlags::DIRECTORY, Mode::empty()).unwrap();
    for _ in 0..20 {
        mkdirat(&here, name.as_str(), Mode::RWXU).unwrap();
        here = openat(&here, name.as_str(), OFlags::DIRECTORY, Mode::empty()).unwrap();
    }
    assert!(pack(from.path(), &[PathBuf::new()], &Rules { in_use: false, ..IN_USE }, Vec::new()).is_err());
    let mut archive = Vec::new();
    let contents = pack(from.path(), &[PathBuf::new()], &IN_USE, &mut archive).unwrap();
    assert_eq!((contents.files, contents.directories, contents.torn), (1, 16, 1));
    let to = tempdir().unwrap();
    unpack(&archive[..], to.path(), Path::new(""), Odd::Keep, IN_USE.limits).unwrap();
    assert_eq!(fs::read_to_string(to.path().join("file")).unwrap(), "x");
}
