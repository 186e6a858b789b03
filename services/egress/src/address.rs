//! Which resolved addresses may be dialled. Pure.

use std::net::IpAddr;
use std::sync::LazyLock;

use ipnet::IpNet;

/// Why an address is not dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Objection {
    /// `0.0.0.0/8`, `::`: some systems take it for the machine itself.
    #[error("it is unspecified")]
    Unspecified,
    /// This machine.
    #[error("it is a loopback address")]
    Loopback,
    /// RFC 1918.
    #[error("it is a private address")]
    Private,
    /// RFC 6598: behind a provider's address translation.
    #[error("it is in the range that providers share (100.64.0.0/10)")]
    Shared,
    /// RFC 3927, RFC 4291; also where most clouds keep credentials for their machines.
    #[error("it is link-local, where clouds serve credentials")]
    LinkLocal,
    /// A cloud's metadata service outside the link-local range.
    #[error("a cloud serves its machines' metadata there")]
    Metadata,
    /// RFC 5737, RFC 3849, RFC 9637.
    #[error("it is for documentation only")]
    Documentation,
    /// RFC 2544, RFC 5180.
    #[error("it is for benchmarks only")]
    Benchmarking,
    /// A group of machines.
    #[error("it is a multicast address")]
    Multicast,
    /// All machines of a network.
    #[error("it is the broadcast address")]
    Broadcast,
    /// Assigned to a protocol, or to nobody yet (the IANA special-purpose registries).
    #[error("it is reserved")]
    Reserved,
    /// RFC 4193.
    #[error("it is a unique local address")]
    UniqueLocal,
    /// RFC 3879.
    #[error("it is a site-local address")]
    SiteLocal,
    /// An IPv4 address in IPv6 clothes: mapped, compatible, translated (RFC 6052), 6to4, Teredo.
    #[error("it carries an IPv4 address inside")]
    Embedded,
    /// One of the host's own addresses, where its own services listen.
    #[error("it is one of this host's own addresses")]
    Own,
}

impl Objection {
    /// Whether no `allow_private` helps: such an address never names one other machine.
    fn is_final(self) -> bool {
        matches!(self, Self::Unspecified | Self::Multicast | Self::Broadcast)
    }
}

/// Whether `address` may be dialled by a route with these `allow_private` ranges, from a host whose own addresses are
/// `own`. A range counts only for the form in which the address is written: `10.0.0.0/8` does not cover
/// `::ffff:10.0.0.1`.
///
/// # Errors
/// Why it may not.
pub fn judge(address: IpAddr, allow_private: &[IpNet], own: &[IpAddr]) -> Result<(), Objection> {
    let Some(objection) = object(address, own) else { return Ok(()) };
    let allowed = !objection.is_final() && allow_private.iter().any(|range| range.contains(&address));
    if allowed { Ok(()) } else { Err(objection) }
}

fn object(address: IpAddr, own: &[IpAddr]) -> Option<Objection> {
    static RANGES: LazyLock<Vec<(IpNet, Objection)>> = LazyLock::new(ranges);
    let special = RANGES.iter().find(|(range, _)| range.contains(&address)).map(|(_, objection)| *objection);
    special.or_else(|| own.contains(&address).then_some(Objection::Own))
}

/// The first range that holds an address decides.
fn ranges() -> Vec<(IpNet, Objection)> {
    use Objection::*;
    const TABLE: [(&str, Objection); 42] = [
        ("0.0.0.0/8", Unspecified),
        ("10.0.0.0/8", Private),
        ("100.64.0.0/10", Shared),
        ("127.0.0.0/8", Loopback),
        ("168.63.129.16/32", Metadata),
        ("169.254.0.0/16", LinkLocal),
        ("172.16.0.0/12", Private),
        ("192.0.2.0/24", Documentation),
        ("192.0.0.0/24", Reserved),
        ("192.88.99.0/24", Embedded),
        ("192.168.0.0/16", Private),
        ("198.18.0.0/15", Benchmarking),
        ("198.51.100.0/24", Documentation),
        ("203.0.113.0/24", Documentation),
        ("224.0.0.0/4", Multicast),
        ("255.255.255.255/32", Broadcast),
        ("240.0.0.0/4", Reserved),
        ("::/128", Unspecified),
        ("::1/128", Loopback),
        ("::ffff:0:0/96", Embedded),
        ("::ffff:0:0:0/96", Embedded),
        ("::/96", Embedded),
        ("64:ff9b::/96", Embedded),
        ("64:ff9b:1::/48", Embedded),
        ("2001::/32", Embedded),
        ("2001:2::/48", Benchmarking),
        ("2001:db8::/32", Documentation),
        ("2001::/23", Reserved),
        ("2002::/16", Embedded),
        ("3fff::/20", Documentation),
        ("fc00::/7", UniqueLocal),
        ("fe80::/10", LinkLocal),
        ("fec0::/10", SiteLocal),
        ("ff00::/8", Multicast),
        // Only 2000::/3 is given to machines on the Internet; the rest is the six blocks around it.
        ("::/3", Reserved),
        ("4000::/2", Reserved),
        ("8000::/2", Reserved),
        ("c000::/3", Reserved),
        ("e000::/4", Reserved),
        ("f000::/5", Reserved),
        ("f800::/6", Reserved),
        ("fe00::/9", Reserved),
    ];
    // The table is a constant, and a test reads every line of it.
    TABLE.iter().filter_map(|(range, objection)| Some((range.parse().ok()?, *objection))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_line_of_the_table_counts() {
        assert_eq!(ranges().len(), 42);
    }

    #[test]
    fn judges_every_kind_of_address() {
        use Objection::*;
        for (address, verdict) in [
            ("8.8.8.8", Ok(())),
            ("1.1.1.1", Ok(())),
            ("172.32.0.1", Ok(())),
            ("100.128.0.1", Ok(())),
            ("2606:4700::1", Ok(())),
            ("2a00:1450::1", Ok(())),
            ("0.0.0.0", Err(Unspecified)),
            ("0.1.2.3", Err(Unspecified)),
            ("10.1.2.3", Err(Private)),
            ("172.16.0.1", Err(Private)),
            ("172.31.255.255", Err(Private)),
            ("192.168.1.1", Err(Private)),
            ("100.64.0.1", Err(Shared)),
            ("100.100.100.200", Err(Shared)),
            ("127.0.0.1", Err(Loopback)),
            ("127.255.0.1", Err(Loopback)),
            ("168.63.129.16", Err(Metadata)),
            ("169.254.169.254", Err(LinkLocal)),
            ("192.0.0.192", Err(Reserved)),
            ("192.0.2.1", Err(Documentation)),
            ("198.51.100.1", Err(Documentation)),
            ("203.0.113.1", Err(Documentation)),
            ("192.88.99.1", Err(Embedded)),
            ("198.19.0.1", Err(Benchmarking)),
            ("224.0.0.1", Err(Multicast)),
            ("255.255.255.255", Err(Broadcast)),
            ("250.0.0.1", Err(Reserved)),
            ("203.0.114.9", Err(Own)),
            ("::", Err(Unspecified)),
            ("::1", Err(Loopback)),
            ("::7f00:1", Err(Embedded)),
            ("::ffff:127.0.0.1", Err(Embedded)),
            ("::ffff:8.8.8.8", Err(Embedded)),
            ("::ffff:0:127.0.0.1", Err(Embedded)),
            ("64:ff9b::7f00:1", Err(Embedded)),
            ("64:ff9b:1::7f00:1", Err(Embedded)),
            ("2002:7f00:1::1", Err(Embedded)),
            ("2001:0:1::1", Err(Embedded)),
            ("2001:2::1", Err(Benchmarking)),
            ("2001:10::1", Err(Reserved)),
            ("2001:db8::1", Err(Documentation)),
            ("3fff::1", Err(Documentation)),
            ("100::1", Err(Reserved)),
            ("5f00::1", Err(Reserved)),
            ("fc00::1", Err(UniqueLocal)),
            ("fd00:ec2::254", Err(UniqueLocal)),
            ("fe80::1", Err(LinkLocal)),
            ("fec0::1", Err(SiteLocal)),
            ("ff02::1", Err(Multicast)),
            ("2606:4700::2", Err(Own)),
        ] {
            let own = ["203.0.114.9".parse().unwrap(), "2606:4700::2".parse().unwrap()];
            assert_eq!(judge(address.parse().unwrap(), &[], &own), verdict, "{address}");
        }
    }

    #[test]
    fn allow_private_opens_exactly_its_ranges() {
        let ranges = ["10.1.0.0/16", "::1/128", "0.0.0.0/0"].map(|range| range.parse().unwrap());
        for (address, allowed) in [
            ("10.1.2.3", true),
            ("::1", true),
            ("::ffff:10.1.2.3", false),
            ("fd00::1", false),
            ("0.0.0.0", false),
            ("224.0.0.1", false),
            ("255.255.255.255", false),
        ] {
            assert_eq!(judge(address.parse().unwrap(), &ranges, &[]).is_ok(), allowed, "{address}");
        }
        assert!(judge("10.2.0.1".parse().unwrap(), &ranges[..2], &[]).is_err());
    }

    proptest! {
        #[test]
        fn only_global_unicast_passes(bits: u128) {
            let address = std::net::Ipv6Addr::from(bits);
            if judge(address.into(), &[], &[]).is_ok() {
                prop_assert_eq!(bits >> 125, 1);
            }
        }

        #[test]
        fn an_own_address_never_passes(bits: u32) {
            let address = IpAddr::from(std::net::Ipv4Addr::from(bits));
            prop_assert!(judge(address, &[], &[address]).is_err());
        }
    }
}
