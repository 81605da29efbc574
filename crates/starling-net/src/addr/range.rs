//! The ranges of addresses that every network may use for itself. Pure.

use std::net::IpAddr;

/// Of which range an address is. Two machines with addresses of one range other than [`Range::Public`] may be of one network, or
/// of two that have nothing to do with each other; without such an address a machine is of no such network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Range {
    /// This very machine.
    Loopback,
    /// One wire (169.254.0.0/16, fe80::/10).
    LinkLocal,
    /// 10.0.0.0/8.
    Private8,
    /// 172.16.0.0/12.
    Private12,
    /// 192.168.0.0/16.
    Private16,
    /// Behind a provider's NAT, and of some private networks over the open one (100.64.0.0/10).
    Shared,
    /// IPv6's private ones (fc00::/7).
    UniqueLocal,
    /// All others.
    Public,
}

impl Range {
    /// That of `ip`.
    pub fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            ip if ip.is_loopback() => Self::Loopback,
            IpAddr::V4(ip) if ip.is_link_local() => Self::LinkLocal,
            IpAddr::V4(ip) => match ip.octets() {
                [10, ..] => Self::Private8,
                [172, 16..=31, ..] => Self::Private12,
                [192, 168, ..] => Self::Private16,
                [100, 64..=127, ..] => Self::Shared,
                _ => Self::Public,
            },
            IpAddr::V6(ip) if ip.is_unicast_link_local() => Self::LinkLocal,
            IpAddr::V6(ip) if ip.is_unique_local() => Self::UniqueLocal,
            IpAddr::V6(_) => Self::Public,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn each_range_begins_and_ends_where_it_is_laid_down() {
        use Range::*;
        for (ip, range) in [
            ("127.0.0.1", Loopback),
            ("::1", Loopback),
            ("::ffff:127.0.0.1", Loopback),
            ("169.254.1.1", LinkLocal),
            ("fe80::1", LinkLocal),
            ("10.255.0.1", Private8),
            ("11.0.0.1", Public),
            ("172.15.0.1", Public),
            ("172.16.0.1", Private12),
            ("172.31.255.1", Private12),
            ("172.32.0.1", Public),
            ("192.168.1.1", Private16),
            ("192.169.1.1", Public),
            ("100.63.0.1", Public),
            ("100.64.0.1", Shared),
            ("100.127.0.1", Shared),
            ("100.128.0.1", Public),
            ("fd12::1", UniqueLocal),
            ("fc00::1", UniqueLocal),
            ("2001:db8::1", Public),
            ("203.0.113.1", Public),
        ] {
            assert_eq!(Range::of(ip.parse().unwrap()), range, "{ip}");
        }
    }
}
