//! What codings an origin may answer with: those that can be undone here.

use http::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue, RANGE};

/// What `scan::coding` can undo, and nothing done at all.
const READABLE: [&str; 6] = ["gzip", "x-gzip", "deflate", "br", "zstd", "identity"];

/// Leaves only readable codings in `Accept-Encoding`; none where a part of the body is asked for, which could not be
/// unpacked by itself (RFC 9110, sections 12.5.3 and 14.2).
pub(crate) fn restrict(headers: &mut HeaderMap) {
    let is_readable = |member: &str| {
        let name = member.split(';').next().unwrap_or_default().trim();
        READABLE.iter().any(|readable| name.eq_ignore_ascii_case(readable))
    };
    let values = headers.get_all(ACCEPT_ENCODING).iter();
    let members: Vec<_> =
        values.flat_map(|value| value.to_str().unwrap_or("unreadable").split(',')).collect();
    let is_part = headers.contains_key(RANGE);
    if members.is_empty() || !is_part && members.iter().all(|member| is_readable(member)) {
        return;
    }
    let kept: Vec<_> = members.into_iter().map(str::trim).filter(|member| is_readable(member)).collect();
    let kept = if is_part || kept.is_empty() { "identity".to_owned() } else { kept.join(", ") };
    // Members of a value that could be read can be written.
    if let Ok(value) = HeaderValue::from_str(&kept) {
        headers.insert(ACCEPT_ENCODING, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_undone_is_asked_for() {
        for (asked, expected) in [
            (&["gzip, deflate, br, zstd"][..], Some("gzip, deflate, br, zstd")),
            (&["gzip;q=0.5,  compress, dcz, BR"], Some("gzip;q=0.5, BR")),
            (&["compress", "gzip"], Some("gzip")),
            (&["compress"], Some("identity")),
            (&["*"], Some("identity")),
            (&["identity;q=0, *"], Some("identity;q=0")),
            (&[], None),
        ] {
            let mut headers = HeaderMap::new();
            for value in asked {
                headers.append(ACCEPT_ENCODING, value.parse().unwrap());
            }
            restrict(&mut headers);
            let left = headers.get(ACCEPT_ENCODING).map(|value| value.to_str().unwrap());
            assert_eq!(left, expected, "{asked:?}");
        }
    }

    #[test]
    fn a_part_is_asked_for_as_it_stands() {
        let mut headers = HeaderMap::new();
        headers.insert(RANGE, "bytes=5-".parse().unwrap());
        restrict(&mut headers);
        assert!(!headers.contains_key(ACCEPT_ENCODING));
        headers.insert(ACCEPT_ENCODING, "gzip".parse().unwrap());
        restrict(&mut headers);
        assert_eq!(headers[ACCEPT_ENCODING], "identity");
    }
}
