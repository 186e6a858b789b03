//! What is found, and through which decoders.

mod support;

use scan::{Decoding, Detector, Enabled, Finding, Shape};
use support::{Disguise, detectors, secret, token};

fn found(text: &[u8]) -> Vec<Finding> {
    shaped(text, &Shape::Plain)
}

fn shaped(text: &[u8], shape: &Shape) -> Vec<Finding> {
    detectors().scan(text, Enabled::default(), shape).expect("simple enough")
}

fn within(value: &[u8]) -> Vec<u8> {
    [b"{\"note\":\"good morning\",\"==\":\"", value, b"\",\"==\":3}"].concat()
}

#[test]
fn every_disguise_is_seen_through() {
    use Decoding::{Base32, Base64, Entity, Escape, Hex, Percent};
    for (disguise, via) in [
        (Disguise::None, vec![]),
        (Disguise::Percent, vec![Percent]),
        (Disguise::PercentTwice, vec![Percent, Percent]),
        (Disguise::Base64, vec![Base64]),
        (Disguise::Base64Url, vec![Base64]),
        (Disguise::Base64Shifted, vec![Base64]),
        (Disguise::Base64Twice, vec![Base64, Base64]),
        (Disguise::Base64Wrapped, vec![Base64]),
        (Disguise::Base32, vec![Base32]),
        (Disguise::Hex, vec![Hex]),
        (Disguise::HexPairs, vec![Hex]),
        (Disguise::HexOfBase64, vec![Hex, Base64]),
        (Disguise::Unicode, vec![Escape]),
        (Disguise::Entities, vec![Entity]),
    ] {
        for (plain, detector) in [
            (token(), Detector::TokenPattern("github-token".into())),
            (secret(), Detector::KnownSecret("SECRET".into())),
        ] {
            let value = disguise.put_on(&plain);
            let text = within(&value);
            let findings = found(&text);
            let [finding] = findings.as_slice() else { panic!("{disguise:?} of {plain}: {findings:?}") };
            assert_eq!((&finding.detector, &finding.via), (&detector, &via), "{disguise:?}");
            let start = text.windows(value.len()).position(|window| window == value).expect("it is there");
            let lead = disguise.lead();
            assert!(
                finding.span.start as usize >= start && finding.span.start as usize <= start + lead,
                "{disguise:?}"
            );
            assert!(finding.span.end as usize <= start + value.len(), "{disguise:?}");
            assert!(finding.span.end as usize + 4 >= start + value.len(), "{disguise:?}: {:?}", finding.span);
        }
    }
}

#[test]
fn a_known_secret_is_found_in_part_and_whatever_stands_between_its_letters() {
    let secret = secret();
    let spaced =
        |between: &str| secret.chars().map(|letter| format!("{letter}{between}")).collect::<String>();
    let reversed: String = secret.chars().rev().collect();
    for (text, via) in [
        (secret[4..24].to_owned(), vec![]),
        (secret[12..36].to_owned(), vec![]),
        (secret.to_lowercase(), vec![]),
        (spaced(" "), vec![Decoding::Squeezed]),
        (spaced("\",\""), vec![Decoding::Squeezed]),
        (spaced("\r\n"), vec![Decoding::Squeezed]),
        (reversed, vec![Decoding::Reversed]),
    ] {
        let findings = found(&within(text.as_bytes()));
        assert_eq!(findings.len(), 1, "{text}");
        assert_eq!(findings[0].via, via, "{text}");
    }
    for harmless in [&secret[..8], &secret[20..30]] {
        assert_eq!(found(&within(harmless.as_bytes())), vec![], "{harmless}");
    }
}

#[test]
fn equal_values_have_equal_digests_in_any_disguise() {
    let plain = found(token().as_bytes());
    for disguise in Disguise::ALL {
        assert_eq!(found(&disguise.put_on(&token()))[0].digest, plain[0].digest, "{disguise:?}");
    }
}

#[test]
fn a_value_in_two_fields_is_put_together() {
    let token = token();
    let (first, second) = token.split_at(17);
    let form = format!("a={first}&b={second}&c=3");
    assert_eq!(found(form.as_bytes()), vec![]);
    let findings = shaped(form.as_bytes(), &Shape::Form);
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0].via, vec![Decoding::Fields]);

    let part = |name: &str, value: &str| {
        format!("--frontier\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let multipart = format!("{}{}--frontier--\r\n", part("a", first), part("b", second));
    assert_eq!(shaped(multipart.as_bytes(), &Shape::Multipart(b"frontier".to_vec())).len(), 1);
}

#[test]
fn random_looking_text_is_told_of_only_where_it_is_asked_for() {
    let text = within(b"q8Zt1WnB4xYc7LdM0pKfR3sVgHj6UaEo9TiN2bXu5Cw");
    assert_eq!(found(&text), vec![]);
    let enabled = Enabled { entropy: true, ..Enabled::default() };
    let findings = detectors().scan(&text, enabled, &Shape::Plain).expect("simple enough");
    assert_eq!(findings.iter().map(|finding| &finding.detector).collect::<Vec<_>>(), [&Detector::Entropy]);
}

#[test]
fn layers_without_end_are_refused_or_left_within_bounds() {
    let mut text = token().into_bytes();
    for _ in 0..12 {
        text = Disguise::Base64.put_on(&String::from_utf8_lossy(&text));
    }
    let _ = detectors().scan(&text, Enabled::default(), &Shape::Plain);
    let percents = b"%25".repeat(20_000);
    let _ = detectors().scan(&percents, Enabled::default(), &Shape::Plain);
}
