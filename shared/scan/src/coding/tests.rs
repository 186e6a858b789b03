use std::io::Write as _;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use proptest::prelude::*;

use super::{Bounds, Coding, CodingError, Codings, Decoder, Progress};

const TIGHT: Bounds = Bounds { ratio: 200, bytes: 1 << 30 };

fn codings(value: &str) -> Codings {
    Codings::parse([value.as_bytes()]).unwrap()
}

/// Packs with one coding; `raw` stands for deflate without the zlib wrapper.
fn pack(coding: &str, bytes: &[u8]) -> Vec<u8> {
    match coding {
        "gzip" => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        "deflate" => {
            let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        "raw" => {
            let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        "br" => {
            let mut packed = Vec::new();
            let params = brotli::enc::BrotliEncoderParams { quality: 5, ..Default::default() };
            brotli::BrotliCompress(&mut &*bytes, &mut packed, &params).unwrap();
            packed
        }
        "zstd" => zstd_pack(bytes, 20),
        _ => bytes.to_vec(),
    }
}

fn zstd_pack(bytes: &[u8], window_log: u32) -> Vec<u8> {
    let mut context = zstd_safe::CCtx::create();
    context.set_parameter(zstd_safe::CParameter::WindowLog(window_log)).unwrap();
    context.set_parameter(zstd_safe::CParameter::ChecksumFlag(true)).unwrap();
    let mut packed = Vec::with_capacity(zstd_safe::compress_bound(bytes.len()));
    context.compress2(&mut packed, bytes).unwrap();
    packed
}

/// Undoes the codings with input cut into chunks of `cut` bytes; also the most that one step gave.
fn unpack(value: &str, bounds: Bounds, packed: &[u8], cut: usize) -> Result<Vec<u8>, CodingError> {
    let mut decoder = Decoder::new(&codings(value), bounds)?;
    let mut all = Vec::new();
    for mut chunk in packed.chunks(cut) {
        loop {
            let before = all.len();
            let progress = decoder.step(&mut chunk, &mut all)?;
            assert!(all.len() - before <= 32 * 1024, "a step is bounded");
            if progress == Progress::Hungry {
                break;
            }
        }
        assert!(chunk.is_empty(), "hungry only when all input is used up");
    }
    decoder.finish().map(|()| all)
}

#[test]
fn lists_of_codings() {
    use Coding::{Brotli, Deflate, Gzip, Zstd};
    let cases: &[(&[&str], &[Coding])] = &[
        (&[], &[]),
        (&[""], &[]),
        (&["identity"], &[]),
        (&["gzip"], &[Gzip]),
        (&["X-GZip"], &[Gzip]),
        (&[" deflate , br "], &[Deflate, Brotli]),
        (&["zstd", "identity, gzip"], &[Zstd, Gzip]),
        (&[",gzip,,"], &[Gzip]),
        (&["gzip, gzip, gzip"], &[Gzip, Gzip, Gzip]),
    ];
    for (values, expected) in cases {
        let parsed = Codings::parse(values.iter().map(|v| v.as_bytes())).unwrap();
        assert_eq!(parsed.as_slice(), *expected, "{values:?}");
        assert_eq!(parsed.is_identity(), expected.is_empty(), "{values:?}");
    }
    for bad in ["compress", "gzip; q=1", "gzip br", "aws-chunked", "*", "dcb"] {
        let error = Codings::parse([bad.as_bytes()]).unwrap_err();
        assert!(matches!(error, CodingError::Unknown { .. }), "{bad}: {error}");
    }
    assert_eq!(Codings::parse([b"br,br,br,br".as_slice()]), Err(CodingError::TooMany));
    let hostile = Codings::parse([b"\x1b[2J\xff".as_slice()]).unwrap_err();
    insta::assert_snapshot!(hostile.to_string().chars().filter(char::is_ascii).collect::<String>(), @r#"content coding "\\u{1b}[2J" is unknown: send gzip, deflate, br, zstd, or the body as it is"#);
}

#[test]
fn each_coding_gives_back_what_was_packed() {
    let text = "line of a log that repeats itself, but not quite 0123\n".repeat(4000);
    for text in [text.as_bytes(), b"", b"x"] {
        for coding in ["gzip", "deflate", "raw", "br", "zstd", "identity"] {
            let header = if coding == "raw" { "deflate" } else { coding };
            for cut in [1, 7, 4096, usize::MAX] {
                let packed = pack(coding, text);
                assert_eq!(unpack(header, TIGHT, &packed, cut).unwrap(), text, "{coding} cut by {cut}");
            }
        }
        let packed = pack("gzip", &pack("zstd", &pack("br", text)));
        assert_eq!(unpack("br, zstd, gzip", TIGHT, &packed, 13).unwrap(), text);
        assert!(unpack("gzip, zstd, br", TIGHT, &packed, 13).is_err(), "in the wrong order");
    }
}

#[test]
fn members_and_frames_follow_each_other() {
    for coding in ["gzip", "zstd"] {
        let packed = [pack(coding, b"one "), pack(coding, b""), pack(coding, b"two")].concat();
        for cut in [1, 5, usize::MAX] {
            assert_eq!(unpack(coding, TIGHT, &packed, cut).unwrap(), b"one two", "{coding}");
        }
    }
    let skippable = [b"\x52\x2a\x4d\x18\x03\x00\x00\x00abc".to_vec(), pack("zstd", b"text")].concat();
    assert_eq!(unpack("zstd", TIGHT, &skippable, 2).unwrap(), b"text");
}

#[test]
fn what_is_not_whole_is_refused() {
    let text = b"some text that is long enough to be packed, and packed, and packed again".repeat(20);
    for (coding, header) in
        [("gzip", "gzip"), ("deflate", "deflate"), ("raw", "deflate"), ("br", "br"), ("zstd", "zstd")]
    {
        let packed = pack(coding, &text);
        for end in 1..packed.len() {
            let error = unpack(header, TIGHT, &packed[..end], 64).unwrap_err();
            assert!(matches!(error, CodingError::Truncated(_)), "{coding} cut at {end}: {error}");
        }
        for garbage in [b"\0".as_slice(), b"GET / HTTP/1.1\r\n\r\n"] {
            for cut in [1, usize::MAX] {
                assert!(
                    unpack(header, TIGHT, &[&packed, garbage].concat(), cut).is_err(),
                    "{coding} and more"
                );
            }
        }
        if coding != "raw" {
            let mut wrong = packed.clone();
            *wrong.last_mut().unwrap() ^= 0x80;
            assert!(unpack(header, TIGHT, &wrong, 64).is_err(), "{coding} with a wrong check sum");
        }
        assert_eq!(unpack(header, TIGHT, b"", 1).unwrap(), b"", "{coding}: no body is an empty body");
    }
    let inner_missing = pack("gzip", b"");
    assert_eq!(unpack("br, gzip", TIGHT, &inner_missing, 64), Err(CodingError::Truncated(Coding::Brotli)));
}

#[test]
fn windows_are_bounded() {
    // Larger than the window, so that the frame's header has to name one.
    let text = vec![b'x'; 20 << 20];
    let loose = Bounds { ratio: 1 << 20, bytes: 1 << 30 };
    assert!(unpack("zstd", loose, &zstd_pack(&text, 23), usize::MAX).is_ok());
    assert_eq!(
        unpack("zstd", loose, &zstd_pack(&text, 24), usize::MAX),
        Err(CodingError::Malformed(Coding::Zstd))
    );
    // The large-window form of brotli, which no standard allows on the wire: its first byte is 0x11.
    assert_eq!(unpack("br", loose, &[0x11, 30, 0, 0], 1), Err(CodingError::Malformed(Coding::Brotli)));
}

#[test]
fn bombs_are_refused() {
    let zeros = vec![0; 64 << 20];
    for coding in ["gzip", "br", "zstd"] {
        let bomb = pack(coding, &zeros);
        let error = unpack(coding, TIGHT, &bomb, 4096).unwrap_err();
        assert_eq!(error, CodingError::TooDense(200), "{coding} of {} bytes", bomb.len());
        let within = pack(coding, &zeros[..4 << 20]);
        assert_eq!(
            unpack(coding, TIGHT, &within, 4096).unwrap().len(),
            4 << 20,
            "{coding} below what is free"
        );
    }
    let small = Bounds { ratio: 200, bytes: 1000 };
    assert_eq!(unpack("gzip", small, &pack("gzip", &[1; 1001]), 64), Err(CodingError::TooLarge(1000)));
    assert_eq!(unpack("identity", small, &[1; 1001], 64), Err(CodingError::TooLarge(1000)));
    assert!(unpack("gzip", small, &pack("gzip", &[1; 1000]), 64).is_ok());
}

/// The inner coding skips everything that the outer one unpacks, so that no output ever shows.
#[test]
fn a_bomb_that_is_eaten_inside_is_refused() {
    let mut frame = b"\x50\x2a\x4d\x18".to_vec();
    frame.extend_from_slice(&(64_u32 << 20).to_le_bytes());
    frame.resize(frame.len() + (64 << 20), 0);
    assert_eq!(
        unpack("zstd, gzip", TIGHT, &pack("gzip", &frame), usize::MAX),
        Err(CodingError::TooDense(200))
    );
}

/// A server that flushes after each event must not have it wait for the next one.
#[test]
fn flushed_output_comes_at_once() {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(b"data: one\n\n").unwrap();
    gzip.flush().unwrap();
    let mut br = brotli::CompressorWriter::new(Vec::new(), 4096, 5, 22);
    br.write_all(b"data: one\n\n").unwrap();
    br.flush().unwrap();
    let mut context = zstd_safe::CCtx::create();
    let mut packed = vec![0; 1000];
    let mut out = zstd_safe::OutBuffer::around(packed.as_mut_slice());
    context.compress_stream(&mut out, &mut zstd_safe::InBuffer::around(b"data: one\n\n")).unwrap();
    context.flush_stream(&mut out).unwrap();
    for (coding, flushed) in
        [("gzip", gzip.get_ref().as_slice()), ("br", br.get_ref()), ("zstd", out.as_slice())]
    {
        let mut decoder = Decoder::new(&codings(coding), TIGHT).unwrap();
        let (mut left, mut text) = (flushed, Vec::new());
        while decoder.step(&mut left, &mut text).unwrap() == Progress::More {}
        assert_eq!(text, b"data: one\n\n", "{coding}");
    }
}

#[test]
fn decoders_travel_between_threads() {
    fn travels<T: Send>() {}
    travels::<Decoder>();
}

fn coded() -> impl Strategy<Value = (&'static str, Vec<u8>, Vec<u8>)> {
    let text = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..2000),
        (any::<u8>(), 0_usize..100_000).prop_map(|(byte, many)| vec![byte; many]),
    ];
    (prop::sample::select(vec!["gzip", "deflate", "raw", "br", "zstd", "identity"]), text).prop_map(
        |(coding, text)| {
            let packed = pack(coding, &text);
            (if coding == "raw" { "deflate" } else { coding }, text, packed)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn cuts_change_nothing((coding, text, packed) in coded(), cut in 1_usize..300) {
        prop_assert_eq!(unpack(coding, TIGHT, &packed, cut).unwrap(), text);
    }

    #[test]
    fn damage_never_panics((coding, _, mut packed) in coded(), at in any::<prop::sample::Index>(), by: u8, cut in 1_usize..300) {
        if !packed.is_empty() {
            let at = at.index(packed.len());
            packed[at] ^= by;
        }
        let _ = unpack(coding, TIGHT, &packed, cut);
    }

    #[test]
    fn noise_never_panics(
        coding in prop::sample::select(vec!["gzip", "deflate", "br", "zstd", "br, gzip", "zstd, deflate"]),
        noise in proptest::collection::vec(any::<u8>(), 0..500),
        cut in 1_usize..100,
    ) {
        let _ = unpack(coding, TIGHT, &noise, cut);
    }
}
