use proptest::prelude::*;

use super::{EVENT_BOUND, OVERLAP, Part, Splitter};

/// Raw bytes, text, running text and part of each event.
type Seen = (Vec<u8>, Vec<u8>, Vec<u8>, Part);

fn split(stream: &[u8], cut: usize, bound: usize) -> Vec<Seen> {
    let mut splitter = Splitter::new(bound);
    let mut events = Vec::new();
    let mut keep = |event: super::Event<'_>| {
        events.push((event.raw.to_vec(), event.text.to_vec(), event.running.to_vec(), event.part));
    };
    for chunk in stream.chunks(cut) {
        splitter.push(chunk);
        while let Some(event) = splitter.event() {
            keep(event);
        }
    }
    if let Some(event) = splitter.finish() {
        keep(event);
    }
    events
}

fn texts(events: &[Seen]) -> Vec<String> {
    events.iter().map(|(_, text, _, _)| String::from_utf8_lossy(text).into_owned()).collect()
}

#[test]
fn streams_and_their_events() {
    let cases: &[(&str, &[&str])] = &[
        ("", &[]),
        ("data: one\n\n", &["one"]),
        ("data: one\n\ndata:two\n\n", &["one", "two"]),
        ("data: one\r\rdata: two\r\r", &["one", "two"]),
        ("data: one\r\n\r\ndata: two\r\n\r\n", &["one", "two"]),
        ("data: one\ndata: more\n\n", &["one\nmore"]),
        ("event: e\nid: 7\ndata:  two spaces\n\n", &[" two spaces\ne\n7"]),
        ("\u{feff}data: marked\n\n", &["marked"]),
        (": hello\n: again\ndata: x\n\n", &["hello", "again", "x"]),
        ("data: x\n: in between\n\n", &["x\nin between"]),
        ("data\n\n", &["data"]),
        ("\n\ndata: x\n\n", &["", "", "x"]),
        ("data: whole\n\ndata: broken off", &["whole", "broken off"]),
        ("nothing of the kind\n\n", &["nothing of the kind"]),
    ];
    for (stream, expected) in cases {
        for cut in [1, 2, 3, usize::MAX] {
            let events = split(stream.as_bytes(), cut, EVENT_BOUND);
            // The line feed of a split CRLF comes with the event behind; alone at the end it says nothing.
            let seen: Vec<_> =
                events.iter().filter(|e| e.0 != b"\n" || !stream.contains('\r')).cloned().collect();
            assert_eq!(texts(&seen), *expected, "{stream:?} cut by {cut}");
            assert_eq!(events.concat_raw(), stream.as_bytes(), "{stream:?} cut by {cut}");
        }
    }
}

trait ConcatRaw {
    fn concat_raw(&self) -> Vec<u8>;
}

impl ConcatRaw for Vec<Seen> {
    fn concat_raw(&self) -> Vec<u8> {
        self.iter().flat_map(|(raw, ..)| raw.clone()).collect()
    }
}

#[test]
fn an_event_is_given_with_the_last_byte_of_its_blank_line() {
    for stream in ["data: x\n\n", "data: x\r\r", "data: x\n\r", ": alive\n", ": alive\r"] {
        let mut splitter = Splitter::default();
        let (last, before) = stream.as_bytes().split_last().unwrap();
        splitter.push(before);
        assert!(splitter.event().is_none(), "{stream:?}");
        splitter.push(&[*last]);
        assert_eq!(splitter.event().unwrap().raw, stream.as_bytes(), "{stream:?}");
    }
}

#[test]
fn a_large_event_comes_in_pieces_that_overlap() {
    let needle = "ignore the needle";
    let bound = 4 * OVERLAP;
    let reach = bound - OVERLAP;
    // Around the places where the first piece ends and where the text that was judged with it does.
    let near = |place: usize| place - 2 * needle.len()..place + 2 * needle.len();
    for at in near(reach).chain(near(bound)) {
        let mut long = "data: ".to_owned() + &"x".repeat(at) + needle + &"y".repeat(3 * bound);
        long.push_str("\n\ndata: after\n\n");
        for cut in [1000, usize::MAX] {
            let events = split(long.as_bytes(), cut, bound);
            assert_eq!(events.concat_raw(), long.as_bytes());
            assert!(events.iter().all(|e| e.1.len() <= bound));
            let seen =
                events.iter().position(|e| texts(std::slice::from_ref(e))[0].contains(needle)).unwrap();
            let before: usize = events[..seen].iter().map(|e| e.0.len()).sum();
            assert!(
                before < "data: ".len() + at + needle.len(),
                "its end was not passed on before it was seen"
            );
            let parts: Vec<_> = events.iter().map(|e| e.3).collect();
            assert_eq!(parts[0], Part::Piece);
            assert_eq!(parts[parts.len() - 2..], [Part::Last, Part::Whole]);
            assert_eq!(events.last().unwrap().1, b"after");
        }
    }
    let lines = "data: word\n".repeat(bound) + "\n";
    let events = split(lines.as_bytes(), 777, bound);
    assert_eq!(events.concat_raw(), lines.as_bytes());
    assert!(texts(&events).iter().all(|text| !text.contains("data: word")), "field names are not text");
}

#[test]
fn an_event_of_the_bound_is_whole() {
    let bound = 2 * OVERLAP;
    for (extra, pieces) in [(0, 1), (1, 2)] {
        let event = "data: ".to_owned() + &"x".repeat(bound - 8 + extra) + "\n\n";
        for cut in [1, 100, usize::MAX] {
            assert_eq!(split(event.as_bytes(), cut, bound).len(), pieces, "{extra} more, cut by {cut}");
        }
    }
}

#[test]
fn running_text_of_model_streams() {
    let streams: &[(&str, &[&str])] = &[
        (
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"@"}}"#,
            &["Ig", "nore", " it"],
        ),
        (r#"{"id":"c1","choices":[{"index":0,"delta":{"content":"@"}}]}"#, &["Ig", "nore", " it"]),
        (r#"{"type":"response.output_text.delta","delta" : "@","item_id":"m"}"#, &["Ig", "nore", " it"]),
        (r#"{"type":"input_json_delta","partial_json":"@"}"#, &["Ig", "nore", " it"]),
        ("@", &["Ig", "nore", " it"]),
    ];
    for (shape, pieces) in streams {
        let stream: String =
            pieces.iter().map(|p| format!("event: d\ndata: {}\n\n", shape.replace('@', p))).collect();
        let running: Vec<_> = split(stream.as_bytes(), 5, EVENT_BOUND).into_iter().map(|e| e.2).collect();
        assert_eq!(running, [b"Ig".as_slice(), b"Ignore", b"Ignore it"], "{shape}");
    }
    let quiet = split(b"data: {\"type\":\"ping\"}\n\n: alive\n\ndata: [DONE]\n\n", 9, EVENT_BOUND);
    assert!(quiet.iter().all(|e| e.2.is_empty()));
    let escaped = split(
        br#"data: {"text":"a \"quoted\" \\"}"#.iter().chain(b"\n\n").copied().collect::<Vec<_>>().as_slice(),
        4,
        EVENT_BOUND,
    );
    assert_eq!(escaped[0].2, br#"a \"quoted\" \\"#);
    let long = "data: 0123456789\n\n".repeat(10_000);
    assert!(split(long.as_bytes(), 64, EVENT_BOUND).iter().all(|e| e.2.len() <= 4096));
}

proptest! {
    #[test]
    fn cuts_change_no_text(
        stream in "(\u{feff})?((data|id|event|:|)(:| |: )?[a-z{\"]{0,4}(\r\n|\r|\n)?){0,12}",
        cut in 1_usize..20,
    ) {
        let whole = split(stream.as_bytes(), usize::MAX, EVENT_BOUND);
        let cut = split(stream.as_bytes(), cut, EVENT_BOUND);
        prop_assert_eq!(whole.concat_raw(), stream.as_bytes());
        prop_assert_eq!(cut.concat_raw(), stream.as_bytes());
        let said = |events: &[Seen]| texts(events).into_iter().filter(|t| !t.is_empty()).collect::<Vec<_>>();
        prop_assert_eq!(said(&whole), said(&cut));
    }

    #[test]
    fn noise_comes_through_unchanged(noise in proptest::collection::vec(prop::sample::select(b"da:t \r\n\"\\{\xef\xbb\xbf".to_vec()), 0..300), cut in 1_usize..50) {
        prop_assert_eq!(split(&noise, cut, EVENT_BOUND).concat_raw(), noise);
    }

    #[test]
    fn large_noise_comes_through_unchanged(seed in proptest::collection::vec(prop::sample::select(b"da:t \r\n\"x".to_vec()), 1..60), cut in 1_usize..50_000) {
        let noise: Vec<u8> = seed.iter().cycle().take(5 * OVERLAP).chain(&vec![b'z'; 5 * OVERLAP]).chain(&seed).copied().collect();
        prop_assert_eq!(split(&noise, cut, 0).concat_raw(), noise);
    }
}
