//! Where this process is reached: what tickets, ads and holders say of it, kept up to date while interfaces come and go.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{Arc, PoisonError, RwLock},
};

use iroh::{Endpoint, EndpointAddr, Watcher as _};
use n0_future::{StreamExt as _, task::AbortOnDropHandle};
use starling_proto::{PeerAddr, limits::DIRECT_ADDR_COUNT_MAX};

use super::{
    from_endpoint_addr,
    order::{Machine, in_order},
    range::Range,
};

/// The addresses of one endpoint.
#[derive(Debug)]
pub(crate) struct Own {
    endpoint: Endpoint,
    /// Those that the user gave.
    external: Vec<SocketAddr>,
    machine: Arc<RwLock<Machine>>,
    _watch: AbortOnDropHandle<()>,
}

impl Own {
    /// Looks at the machine now, and again whenever the endpoint finds that it has other addresses.
    pub async fn watch(endpoint: Endpoint, external: Vec<SocketAddr>) -> Self {
        let machine = Arc::new(RwLock::new(look(&endpoint.addr()).await));
        let watch = watch(endpoint.clone(), external.clone(), machine.clone());
        let _watch = AbortOnDropHandle::new(n0_future::task::spawn(watch));
        Self { endpoint, external, machine, _watch }
    }

    /// What others are told: the likeliest addresses first, as many as a message holds.
    pub fn addr(&self) -> PeerAddr {
        let machine = self.machine.read().unwrap_or_else(PoisonError::into_inner);
        let mut addr = from_endpoint_addr(&self.endpoint.addr());
        addr.direct = in_order(&self.external, addr.direct, &machine);
        addr.direct.truncate(DIRECT_ADDR_COUNT_MAX);
        addr
    }

    /// The ranges that this machine has addresses of. What the user says of the world outside is none of the machine's.
    pub fn ranges(&self) -> BTreeSet<Range> {
        let addr = self.endpoint.addr();
        let own = addr.ip_addrs().filter(|addr| !self.external.contains(addr));
        own.map(|addr| Range::of(addr.ip())).collect()
    }
}

/// What there is to know where there is a choice: a process that stays on the loopback interface has none.
async fn look(addr: &EndpointAddr) -> Machine {
    match addr.ip_addrs().count() {
        0 | 1 => Machine::default(),
        _ => Machine::look().await,
    }
}

async fn watch(endpoint: Endpoint, external: Vec<SocketAddr>, machine: Arc<RwLock<Machine>>) {
    let mut addrs = endpoint.watch_addr().stream();
    let mut told_count = 0;
    while let Some(addr) = addrs.next().await {
        let seen = look(&addr).await;
        let addrs = in_order(&external, addr.ip_addrs().copied(), &seen);
        let left_out = &addrs[addrs.len().min(DIRECT_ADDR_COUNT_MAX)..];
        if let [first, ..] = left_out
            && left_out.len() != told_count
        {
            tracing::warn!(
                addresses = addrs.len(), left_out = left_out.len(), %first,
                "this machine has more addresses than a ticket or an ad holds ({DIRECT_ADDR_COUNT_MAX}): those that are least likely \
                 to lead here are left out; say with --external-addr or --bind which one others reach"
            );
        }
        told_count = left_out.len();
        *machine.write().unwrap_or_else(PoisonError::into_inner) = seen;
    }
}
