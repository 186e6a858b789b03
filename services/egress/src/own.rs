//! The host's own addresses, as the kernel tells them.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The addresses of all interfaces of this network namespace at this moment.
///
/// # Errors
/// `/proc` is not mounted: without knowing its own addresses the proxy dials nothing.
pub(crate) fn addresses() -> io::Result<Vec<IpAddr>> {
    let v4 = std::fs::read_to_string("/proc/net/fib_trie")?;
    // The file is absent where IPv6 is switched off.
    let v6 = std::fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
    Ok(v4_addresses(&v4).map(IpAddr::from).chain(v6_addresses(&v6).map(IpAddr::from)).collect())
}

/// In `fib_trie` a line with an address is followed by one for each route to it; `LOCAL` ones are our own.
fn v4_addresses(text: &str) -> impl Iterator<Item = Ipv4Addr> {
    let mut last = None;
    text.lines().filter_map(move |line| {
        let line = line.trim_start();
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address.parse().ok();
        }
        if line.ends_with("host LOCAL") { last } else { None }
    })
}

/// In `if_inet6` a line begins with an address of 32 hexadecimal digits.
fn v6_addresses(text: &str) -> impl Iterator<Item = Ipv6Addr> {
    text.lines().filter_map(|line| u128::from_str_radix(line.get(..32)?, 16).ok().map(Ipv6Addr::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_kernel_writes() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n     |-- 192.0.2.7\n\
                    \x20       /32 host LOCAL\n     |-- 192.0.2.255\n        /32 link BROADCAST\n";
        assert_eq!(v4_addresses(trie).collect::<Vec<_>>(), [Ipv4Addr::new(192, 0, 2, 7)]);
        let inet6 = "00000000000000000000000000000001 01 80 10 80       lo\n";
        assert_eq!(v6_addresses(inet6).collect::<Vec<_>>(), [Ipv6Addr::LOCALHOST]);
    }

    #[test]
    fn loopback_is_one_of_them() {
        assert!(addresses().unwrap().contains(&IpAddr::from(Ipv4Addr::LOCALHOST)));
    }
}
