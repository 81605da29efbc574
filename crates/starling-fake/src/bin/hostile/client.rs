//! The enemy as clients that nodes hear of: they welcome whoever comes and have no work, or none that can be done.

use std::{sync::Arc, time::Duration};

use iroh::{
    Endpoint,
    endpoint::{Connection, SendStream},
};
use starling_fake::SYSTEMS;
use starling_proto::{
    BlobHeader, BlobRequest, ClientMessage, Grant, Input, JOB_ALPN, LeaseId, NodeMessage, PeerAddr,
    Welcome,
};
use starling_types::{
    BlobRef, ClientRun, Epoch, IndexRange, JobId, KindCode, Millis, NodeId, Reference, Role, Task,
};
use tokio::task::JoinSet;

use crate::{
    Result,
    behaviour::Answers,
    gossip::Neighbour,
    peer::{endpoint, framed, key, take},
    tally::Tally,
};

/// How often all of them are told of.
const AD_PERIOD: Duration = Duration::from_secs(2);

/// Pretends to be so many clients, and has the gossip of the target tell of them.
pub(crate) async fn pretend(
    target: PeerAddr,
    count: u64,
    answers: Answers,
    tally: Arc<Tally>,
) -> Result<()> {
    let neighbour = Neighbour::join(&target).await?;
    let (mut clients, mut addrs) = (JoinSet::new(), Vec::new());
    for nth in 0..count {
        let endpoint = endpoint(key(nth), None, vec![JOB_ALPN.to_vec()]).await?;
        let node_id = NodeId(*endpoint.id().as_bytes());
        addrs.push(PeerAddr { node_id, direct: endpoint.bound_sockets(), relay: None });
        clients.spawn(welcome(endpoint, answers, tally.clone()));
    }
    loop {
        for (nth, addr) in (0..).zip(&addrs) {
            neighbour.tell(&key(nth), addr.clone(), nth).await?;
            Tally::add(&tally.messages, 1);
        }
        tokio::time::sleep(AD_PERIOD).await;
    }
}

/// Welcomes all nodes that come.
async fn welcome(endpoint: Endpoint, answers: Answers, tally: Arc<Tally>) {
    while let Some(incoming) = endpoint.accept().await {
        let tally = tally.clone();
        tokio::spawn(async move {
            if let Ok(connection) = incoming.await {
                Tally::add(&tally.connections, 1);
                if let Err(error) = converse(connection, answers, &tally).await {
                    tally.note(&*error);
                }
            }
        });
    }
}

async fn converse(connection: Connection, answers: Answers, tally: &Tally) -> Result<()> {
    let (mut send, mut recv) = connection.accept_bi().await?;
    let run = ClientRun(7);
    send.write_all(&framed(&ClientMessage::Welcome(Welcome { run }))).await?;
    if answers == Answers::Withholds {
        tokio::spawn(withhold(connection.clone()));
    }
    let mut epoch = 1;
    loop {
        match take::<NodeMessage>(&mut recv).await? {
            NodeMessage::WorkRequested if answers == Answers::Withholds => {
                grant(&mut send, epoch).await?;
                epoch += 1;
            }
            // The node found no input.
            NodeMessage::Failed(_) | NodeMessage::Decline { .. } => Tally::add(&tally.leases, 1),
            _ => {}
        }
    }
}

/// Grants a lease on what nobody has.
async fn grant(send: &mut SendStream, epoch: u64) -> Result<()> {
    let blob = BlobRef { reference: Reference([0xdd; 32]), size_bytes: 1 << 20 };
    let input = Input { blob, role: Role::Input, holders: vec![] };
    let grant = Grant {
        lease: LeaseId { job: JobId([0xee; 16]), epoch: Epoch(epoch) },
        system: SYSTEMS[0].into(),
        task: Task { kind: KindCode(1), range: IndexRange::single(0) },
        arguments: vec![],
        inputs: vec![input],
        renew_within: Millis(20_000),
        deadline: Millis(300_000),
        ahead: false,
    };
    Ok(send.write_all(&framed(&ClientMessage::Grant(grant))).await?)
}

/// Says of every blob that it is there, and sends nothing of it.
async fn withhold(connection: Connection) {
    while let Ok((mut send, mut recv)) = connection.accept_bi().await {
        tokio::spawn(async move {
            let asked = take::<BlobRequest>(&mut recv).await;
            let found = framed(&BlobHeader::Found { size_bytes: 1 << 20 });
            if asked.is_ok() && send.write_all(&found).await.is_ok() {
                // Until whoever asked has had enough.
                let _ = send.stopped().await;
            }
        });
    }
}
