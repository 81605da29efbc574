//! What the system says of this machine's addresses: its interfaces by name, and from where packets to the open network leave.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
};

use netwatch::interfaces::State;

use super::order::{Machine, is_bridge};

/// Addresses of the open network that nobody has (TEST-NET-1, and what is for documentation in IPv6): where packets to them would
/// leave from, those to everybody else do.
const ANYWHERE: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
];

/// Any port: none is reached.
const ANY_PORT: u16 = 9;

impl Machine {
    /// Asks the system. No packet is sent; what the system does not say is not known.
    pub async fn look() -> Self {
        let interfaces = State::new().await.interfaces;
        let bridges = interfaces.values().filter(|interface| is_bridge(interface.name()));
        let bridges = bridges.flat_map(|bridge| bridge.addrs().map(|net| net.addr()));
        Self {
            routed: ANYWHERE.into_iter().filter_map(|to| leaves_from(to).ok()).collect(),
            bridges: bridges.collect(),
        }
    }
}

/// From which address of this machine packets to `to` would leave. Connecting a UDP socket is a look at the routes, and sends nothing.
fn leaves_from(to: IpAddr) -> io::Result<IpAddr> {
    let any: IpAddr = match to {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0))?;
    socket.connect(SocketAddr::new(to, ANY_PORT))?;
    Ok(socket.local_addr()?.ip())
}
