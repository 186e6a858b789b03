use policy::{Host, HostPattern, HostPort};
use proptest::prelude::*;

#[test]
fn one_form() {
    for (given, host) in [
        ("api.example.com", "api.example.com"),
        ("API.Example.COM", "api.example.com"),
        ("api.example.com.", "api.example.com"),
        ("localhost", "localhost"),
        ("_egress.local", "_egress.local"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("192.0.2.7", "192.0.2.7"),
        ("::1", "::1"),
        ("[2001:DB8::1]", "2001:db8::1"),
        ("3com.example", "3com.example"),
    ] {
        assert_eq!(Host::parse(given).map(|host| host.to_string()).as_deref(), Ok(host), "{given}");
    }
}

#[test]
fn oddities_are_refused() {
    for given in [
        "",
        ".",
        "..",
        "a..b",
        ".a",
        "a b",
        "a/b",
        "a@b",
        "a:80",
        "a%2eb",
        "-a.example",
        "a-.example",
        "bücher.example",
        "127.1",
        "0x7f.1",
        "0x7f000001",
        "2130706433",
        "010.0.0.1",
        "1.2.3.4.5",
        "256.0.0.1",
        "1.2.3.0x4",
        "[::1",
        "[a]",
        "::0001",
        "0:0:0:0:0:0:0:1",
        "fe80::1%eth0",
        "[127.0.0.1]",
        "a\n",
        "*.example.com",
        &format!("{}.example", "a".repeat(64)),
        &"a.".repeat(140),
    ] {
        assert!(Host::parse(given).is_err(), "{given:?}");
    }
}

#[test]
fn a_pattern_says_what_to_write_instead() {
    for (given, advice) in [
        (
            "https://api.example.com/v1",
            "write `host: api.example.com` and, unless it is https, `scheme: https`",
        ),
        ("api.example.com:8443", "write `host: api.example.com` and `port: 8443`"),
        ("api.example.com/v1", "write `host: api.example.com` and put the path under `matches`"),
        (".example.com", "write *.example.com"),
        ("*", "the only wildcard is `*.`"),
        ("api.*.com", "the only wildcard is `*.`"),
        ("*.192.0.2.7", "write 192.0.2.7 alone"),
        ("bücher.example", "xn-- form"),
        ("0:0::1", "write ::1"),
        ("127.1", "four decimal numbers"),
    ] {
        let message = HostPattern::parse(given).unwrap_err();
        assert!(message.contains(advice), "{given}: {message}");
    }
}

#[test]
fn a_host_to_dial_has_a_port() {
    for (given, shown) in
        [("forge:3000", "forge:3000"), ("[::1]:443", "[::1]:443"), ("127.0.0.1:1", "127.0.0.1:1")]
    {
        assert_eq!(given.parse::<HostPort>().map(|target| target.to_string()).as_deref(), Ok(shown));
    }
    for given in
        ["forge", "forge:", "forge:0", "forge:65536", "forge:+1", "::1:80", ":80", "http://forge:80", "a:b:1"]
    {
        assert!(given.parse::<HostPort>().is_err(), "{given}");
    }
}

fn name() -> impl Strategy<Value = String> {
    proptest::collection::vec("[a-z][a-z0-9]{0,5}", 1..5).prop_map(|labels| labels.join("."))
}

proptest! {
    #[test]
    fn a_wildcard_covers_what_is_below_its_name_and_nothing_else(below in name(), name in name(), other in name()) {
        let pattern = HostPattern::parse(&format!("*.{name}")).unwrap();
        let covers = |host: &str| pattern.covers(&Host::parse(host).unwrap());
        let below_it = format!("{below}.{name}");
        let glued = format!("{below}{name}");
        prop_assert!(covers(&below_it));
        prop_assert!(!covers(&name));
        let is_below = glued.ends_with(&format!(".{name}"));
        prop_assert_eq!(covers(&glued), is_below);
        let other_is_below = other.ends_with(&format!(".{name}"));
        prop_assert_eq!(covers(&other), other_is_below);
    }

    #[test]
    fn parsing_is_idempotent_and_never_panics(text in "\\PC{0,40}|[0-9a-fxA-F.:\\[\\]]{0,20}") {
        if let Ok(host) = Host::parse(&text) {
            prop_assert_eq!(Host::parse(host.as_str()), Ok(host.clone()));
            prop_assert_eq!(Host::parse(&host.authority()), Ok(host));
        }
    }
}
