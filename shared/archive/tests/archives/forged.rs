//! Archives that say anything at all.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::Path;

use archive::{Limits, Odd, UnpackError, unpack};
use proptest::prelude::*;
use tar::{EntryType, Header};
use tempfile::tempdir;

use super::{LIMITS, PLAIN, packed};

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
}
