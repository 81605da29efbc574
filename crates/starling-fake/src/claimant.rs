//! A node that proves nothing: it says of every lease at once that it has a result, or is there and never asks for one.

use std::{collections::BTreeMap, error::Error};

use starling_blobs::MemoryBlobs;
use starling_net::{Net, NetConfig, NodeSession};
use starling_proto::{
    ClientMessage, Done, GoodbyeReason, Hello, LeaseId, NodeMessage, Offer, PeerAddr,
};
use starling_types::{BlobRef, KindCode, MemoryBytes, MemoryTable, NodeId};
use tokio::task::JoinHandle;

use crate::{SYSTEMS, jobs::KIND_END};

/// What its blobs may take: it has none.
const MEMORY_BYTES: u64 = 1 << 20;

/// The node, which serves a client as long as that keeps it.
#[derive(Debug)]
pub struct Claimant {
    /// The node.
    pub id: NodeId,
    session: JoinHandle<Option<GoodbyeReason>>,
}

impl Claimant {
    /// Comes to a client. `claim` says which blob it reports as the result of a lease; it serves none.
    ///
    /// # Errors
    /// When the client can't be reached.
    pub async fn start(
        key: u8,
        client: &PeerAddr,
        mut claim: impl FnMut(LeaseId) -> BlobRef + Send + 'static,
    ) -> Result<Self, Box<dyn Error>> {
        let (net, mut session) = come(key, client).await?;
        let id = net.id();
        let serving = async move {
            let mut goodbye = None;
            while let Ok(Some(message)) = session.recv().await {
                let said = match message {
                    ClientMessage::Grant(grant) => {
                        let result = claim(grant.lease);
                        let (prove_ms, peak_memory) = (1, MemoryBytes(1));
                        let done = Done { lease: grant.lease, result, prove_ms, peak_memory };
                        vec![NodeMessage::Done(done), NodeMessage::WorkRequested]
                    }
                    ClientMessage::Welcome(_) => vec![NodeMessage::WorkRequested],
                    ClientMessage::Goodbye { reason, .. } => {
                        goodbye = Some(reason);
                        vec![]
                    }
                    _ => vec![],
                };
                for message in said {
                    if session.send(&message).await.is_err() {
                        return goodbye;
                    }
                }
            }
            net.close().await;
            goodbye
        };
        Ok(Self { id, session: tokio::spawn(serving) })
    }

    /// Comes to a client, and asks for nothing.
    ///
    /// # Errors
    /// When the client can't be reached.
    pub async fn start_silent(key: u8, client: &PeerAddr) -> Result<Self, Box<dyn Error>> {
        let (net, mut session) = come(key, client).await?;
        let id = net.id();
        let listening = async move {
            let mut goodbye = None;
            while let Ok(Some(message)) = session.recv().await {
                if let ClientMessage::Goodbye { reason, .. } = message {
                    goodbye = Some(reason);
                }
            }
            net.close().await;
            goodbye
        };
        Ok(Self { id, session: tokio::spawn(listening) })
    }

    /// The last goodbye that the client said, once the session has ended.
    pub async fn ended(self) -> Option<GoodbyeReason> {
        self.session.await.ok()?
    }
}

/// Dials the client and introduces itself.
async fn come(key: u8, client: &PeerAddr) -> Result<(Net, NodeSession), Box<dyn Error>> {
    let config = NetConfig::loopback([key; 32]);
    let net = Net::bind(config, MemoryBlobs::new(MEMORY_BYTES)).await?;
    let session = net.connect_job(client).await?;
    session.send(&NodeMessage::Hello(hello())).await?;
    Ok((net, session))
}

fn hello() -> Hello {
    let need = MemoryTable { any: Some(MemoryBytes::from_mib(64)), ..MemoryTable::default() };
    let kinds: BTreeMap<_, _> = (1..KIND_END).map(|kind| (KindCode(kind), need.clone())).collect();
    Hello {
        systems: vec![Offer { system: SYSTEMS[0].into(), kinds, speed_permille: 1000 }],
        memory: MemoryBytes::from_mib(1024),
        slots: 1,
    }
}
