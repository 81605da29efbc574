//! In which order others are told of this machine's addresses: a ticket and an ad hold a few, so that those come first which
//! are likeliest to lead here from afar. Pure.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
};

use super::range::Range;

/// What the system says of this machine's addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Machine {
    /// Those that packets to the open network leave from.
    pub routed: BTreeSet<IpAddr>,
    /// Those of interfaces that lead to guests of this machine alone.
    pub bridges: BTreeSet<IpAddr>,
}

/// How likely an address leads here from elsewhere, the likeliest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// The user says so.
    External,
    /// The machine is on the way to everywhere there.
    Routed,
    Public,
    /// The network at home or at work, or a tunnel.
    Private,
    UniqueLocal,
    LinkLocal,
    Bridge,
    Loopback,
}

/// How the interfaces are called that join virtual machines and containers to their host: by Docker, libvirt, LXC, Podman,
/// Kubernetes, VirtualBox, VMware, Hyper-V and Xen. A bridge over a real interface has mostly another name (`br0`), and is on the
/// default route.
const BRIDGE_NAMES: [&str; 18] = [
    "docker",
    "br-",
    "virbr",
    "veth",
    "lxcbr",
    "lxdbr",
    "incusbr",
    "podman",
    "cni",
    "cali",
    "flannel",
    "cilium",
    "kube",
    "vboxnet",
    "vmnet",
    "vEthernet",
    "bridge1",
    "xenbr",
];

/// Whether an interface of this name leads to guests of this machine alone.
pub(crate) fn is_bridge(name: &str) -> bool {
    BRIDGE_NAMES.iter().any(|begin| name.starts_with(begin))
}

/// The addresses, each once: those that the user gave in the order given, then `found` in the order in which they are worth telling.
/// Equal ones stay in their order.
pub(crate) fn in_order(
    external: &[SocketAddr],
    found: impl IntoIterator<Item = SocketAddr>,
    machine: &Machine,
) -> Vec<SocketAddr> {
    let found = found.into_iter().filter(|addr| !external.contains(addr));
    let mut found: Vec<_> = found.map(|addr| (rank(addr.ip(), machine), addr)).collect();
    found.sort_by_key(|(rank, _)| *rank);
    let given = external.iter().map(|addr| (Rank::External, *addr));
    let mut told = BTreeSet::new();
    let each = given.chain(found).map(|(_, addr)| addr);
    each.filter(|addr| told.insert(*addr)).collect()
}

fn rank(ip: IpAddr, machine: &Machine) -> Rank {
    if machine.routed.contains(&ip) {
        return Rank::Routed;
    }
    if machine.bridges.contains(&ip) {
        return Rank::Bridge;
    }
    match Range::of(ip) {
        Range::Public => Rank::Public,
        Range::Private8 | Range::Private12 | Range::Private16 | Range::Shared => Rank::Private,
        Range::UniqueLocal => Rank::UniqueLocal,
        Range::LinkLocal => Rank::LinkLocal,
        Range::Loopback => Rank::Loopback,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use starling_proto::limits::DIRECT_ADDR_COUNT_MAX;

    use super::*;

    fn at(ip: &str) -> SocketAddr {
        SocketAddr::new(ip.parse().unwrap(), 7000)
    }

    fn ips(ips: &[&str]) -> BTreeSet<IpAddr> {
        ips.iter().map(|ip| ip.parse().unwrap()).collect()
    }

    #[test]
    fn an_address_that_is_likelier_to_lead_here_is_told_first() {
        // Of each pair the first comes first, wherever it was found.
        let machine = Machine {
            routed: ips(&["192.168.1.7", "2001:db8::7"]),
            bridges: ips(&["172.17.0.1", "203.0.113.99"]),
        };
        let external = [at("198.51.100.1"), at("10.0.0.9")];
        for (first, second) in [
            ("198.51.100.1", "10.0.0.9"),
            ("10.0.0.9", "192.168.1.7"),
            ("192.168.1.7", "203.0.113.5"),
            ("2001:db8::7", "203.0.113.5"),
            ("203.0.113.5", "192.168.2.1"),
            ("192.168.2.1", "fd00::1"),
            ("100.64.0.1", "fd00::1"),
            ("fd00::1", "169.254.0.1"),
            ("169.254.0.1", "172.17.0.1"),
            ("172.17.0.1", "127.0.0.1"),
            // What a bridge has is a bridge's, of whatever range.
            ("10.1.1.1", "203.0.113.99"),
        ] {
            for found in [[at(first), at(second)], [at(second), at(first)]] {
                let told = in_order(&external, found, &machine);
                let place = |ip| told.iter().position(|addr| *addr == at(ip)).unwrap();
                assert!(place(first) < place(second), "{first} before {second}: {told:?}");
            }
        }
    }

    #[test]
    fn the_one_address_that_works_is_told_before_forty_bridges() {
        let bridges: Vec<_> = (0..40).map(|nth| format!("10.{nth}.0.1")).collect();
        let of_bridges: Vec<_> = bridges.iter().map(|ip| at(ip)).collect();
        let works = at("192.168.178.20");
        let found = || of_bridges.iter().copied().chain([works]);

        // Known by their names, or by the default route alone, where they are called something else.
        let names = Machine {
            bridges: bridges.iter().map(|ip| ip.parse().unwrap()).collect(),
            ..Machine::default()
        };
        let route = Machine { routed: ips(&["192.168.178.20"]), ..Machine::default() };
        for machine in [&names, &route] {
            assert_eq!(in_order(&[], found(), machine)[0], works, "{machine:?}");
        }
        // What the user says is told in any case.
        let external = at("203.0.113.7");
        let told = in_order(&[external], found(), &Machine::default());
        assert_eq!((told[0], told.len()), (external, 42));
        assert!(told.iter().position(|addr| *addr == works) > Some(DIRECT_ADDR_COUNT_MAX));
    }

    #[test]
    fn an_address_is_told_once_though_it_is_given_twice_and_found() {
        let (external, found) = (at("203.0.113.7"), at("10.0.0.1"));
        let told = in_order(&[external, external], [found, external], &Machine::default());
        assert_eq!(told, [external, found]);
    }

    #[test]
    fn bridges_are_known_by_their_names_and_real_interfaces_are_none() {
        for name in ["docker0", "br-0a1b2c3d4e5f", "virbr0", "veth1234", "cni0", "vboxnet0"] {
            assert!(is_bridge(name), "{name}");
        }
        for name in ["eth0", "enp3s0", "wlan0", "br0", "wg0", "tun0", "tailscale0", "en0", "bond0"]
        {
            assert!(!is_bridge(name), "{name}");
        }
    }
}
