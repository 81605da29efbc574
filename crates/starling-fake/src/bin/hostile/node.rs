//! The enemy as a node: it says hello and asks for work, and what it does with its leases is no proving.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use iroh::endpoint::{Connection, RecvStream, SendStream};
use starling_proto::{
    BLOB_ALPN, BlobHeader, BlobRequest, ClientMessage, Done, Failure, Grant, LeaseId, NodeMessage,
    limits::TEXT_SIZE_BYTES_MAX,
};
use starling_types::{BlobRef, Epoch, FailureClass, JobId, MemoryBytes, Reference};
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::{
    Result,
    behaviour::{Manner, Serves},
    peer::{Conversation, Peer, framed, take},
    tally::Tally,
};

/// How often it says that it works: as honest nodes do.
const RENEWAL: Duration = Duration::from_secs(5);

/// Requests for work at a time: it claims many more slots.
const REQUESTS: u32 = 16;

/// Leases that it leaves before it reports them all.
const LEFT: usize = 3;

/// The streams over which it asks for one blob.
const READS: u32 = 16;

/// How long it takes no byte of what it asked for.
const READING: Duration = Duration::from_secs(30);

/// What it says of the size of a result: as large as results of fake jobs may be where it makes promises, else as small.
const LARGE_BYTES: u64 = 1 << 20;
const SMALL_BYTES: u64 = 1000;

/// Between two drops of a result.
const DRIP: Duration = Duration::from_millis(500);

/// Names of results that nobody has, each its own.
static RESULTS: AtomicU64 = AtomicU64::new(1);

/// Works for the target until it is let go, or breaks with it. `left` are leases that it had on earlier connections.
pub(crate) async fn work(peer: &Peer, manner: Manner, left: &mut Vec<LeaseId>) -> Result<()> {
    let mut talk = Conversation::begin(peer).await?;
    if let Manner::Reports(serves) = manner {
        tokio::spawn(serve(talk.connection.clone(), serves));
    }
    if manner == Manner::ReportsLate && left.len() >= LEFT {
        for lease in left.drain(..) {
            talk.say(&done(lease, SMALL_BYTES)).await?;
        }
    }
    if manner == Manner::Leaves {
        talk.say(&NodeMessage::Leaving { reason: "\u{1b}[2J".repeat(200) }).await?;
        return Ok(());
    }
    if manner != Manner::NeverAsks {
        for _ in 0..REQUESTS {
            talk.say(&NodeMessage::WorkRequested).await?;
        }
    }
    let mut renewal = interval(RENEWAL);
    renewal.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut held = Vec::new();
    loop {
        let message = tokio::select! {
            message = talk.hear() => message,
            _ = renewal.tick() => {
                for lease in &held {
                    let lease: LeaseId = *lease;
                    let renew = NodeMessage::Renew { lease, done_permille: 999, waits: false };
                    talk.say(&renew).await?;
                }
                continue;
            }
        };
        match message {
            Some(ClientMessage::Grant(grant)) => {
                Tally::add(&peer.tally.leases, 1);
                if matches!(manner, Manner::Drops | Manner::ReportsLate) {
                    left.push(grant.lease);
                    return Ok(());
                }
                act(peer, &mut talk, manner, &grant, &mut held).await?;
            }
            Some(ClientMessage::Revoke { lease, .. }) => held.retain(|held| *held != lease),
            Some(ClientMessage::Goodbye { message, .. }) => return Err(message.into()),
            Some(ClientMessage::Welcome(_) | ClientMessage::Verdict { .. }) => {}
            None => return Err("the client has left".into()),
        }
    }
}

/// Does with a lease what its manner is, and asks for the next.
async fn act(
    peer: &Peer,
    talk: &mut Conversation,
    manner: Manner,
    grant: &Grant,
    held: &mut Vec<LeaseId>,
) -> Result<()> {
    let lease = grant.lease;
    match manner {
        Manner::Declines => talk.say(&NodeMessage::Decline { lease, busy: false }).await?,
        Manner::Blames => {
            let is_even = lease.epoch.0.is_multiple_of(2);
            let class = if is_even { FailureClass::Input } else { FailureClass::Task };
            talk.say(&failed(lease, class)).await?;
        }
        Manner::FloodsFailures => return flood(talk, lease).await,
        Manner::Reports(serves) => {
            let is_large = matches!(serves, Serves::Promises | Serves::Drips);
            talk.say(&done(lease, if is_large { LARGE_BYTES } else { SMALL_BYTES })).await?;
        }
        Manner::ReadsSlowly => {
            if let Some(input) = grant.inputs.first() {
                read_slowly(peer, input.blob.reference).await?;
            }
        }
        Manner::Stalls
        | Manner::Drops
        | Manner::ReportsLate
        | Manner::NeverAsks
        | Manner::Leaves => {
            held.push(lease);
        }
    }
    talk.say(&NodeMessage::WorkRequested).await
}

/// A result that nobody has.
fn done(lease: LeaseId, size_bytes: u64) -> NodeMessage {
    let mut reference = [0xee; 32];
    let nth = RESULTS.fetch_add(1, Ordering::Relaxed);
    reference[..8].copy_from_slice(&nth.to_le_bytes());
    let result = BlobRef { reference: Reference(reference), size_bytes };
    NodeMessage::Done(Done { lease, result, prove_ms: 1, peak_memory: MemoryBytes(1) })
}

fn failed(lease: LeaseId, class: FailureClass) -> NodeMessage {
    NodeMessage::Failed(Failure { lease, class, message: "!".repeat(TEXT_SIZE_BYTES_MAX) })
}

/// Says that it failed, of a lease that it has and of those that it has not.
async fn flood(talk: &mut Conversation, lease: LeaseId) -> Result<()> {
    talk.say(&failed(lease, FailureClass::Node)).await?;
    let others = [lease.job, JobId([1; 16])];
    for nth in 0.. {
        let epoch = Epoch(lease.epoch.0.wrapping_add(nth));
        let lease = LeaseId { job: others[nth as usize % 2], epoch };
        talk.say(&failed(lease, FailureClass::Node)).await?;
    }
    Ok(())
}

/// Asks for a blob over many streams and reads none of them.
async fn read_slowly(peer: &Peer, reference: Reference) -> Result<()> {
    let connection = peer.dial(BLOB_ALPN).await?;
    let mut streams = Vec::new();
    for _ in 0..READS {
        let (mut send, recv) = connection.open_bi().await?;
        send.write_all(&framed(&BlobRequest { reference })).await?;
        Tally::add(&peer.tally.messages, 1);
        streams.push((send, recv));
    }
    tokio::select! {
        _ = connection.closed() => {}
        () = sleep(READING) => {}
    }
    Ok(())
}

/// Answers whoever asks for a result, until the connection is closed.
async fn serve(connection: Connection, serves: Serves) {
    while let Ok((send, recv)) = connection.accept_bi().await {
        tokio::spawn(async move {
            // That it is left in the middle is what it is for.
            let _ = answer(send, recv, serves).await;
        });
    }
}

async fn answer(mut send: SendStream, mut recv: RecvStream, serves: Serves) -> Result<()> {
    take::<BlobRequest>(&mut recv).await?;
    let found = |size_bytes| framed(&BlobHeader::Found { size_bytes });
    match serves {
        Serves::Nothing => send.write_all(&framed(&BlobHeader::Absent)).await?,
        Serves::OtherBytes => {
            send.write_all(&found(SMALL_BYTES)).await?;
            send.write_all(&[0x5a; SMALL_BYTES as usize]).await?;
        }
        Serves::Promises => {
            send.write_all(&found(LARGE_BYTES)).await?;
            send.stopped().await?;
        }
        Serves::Drips => {
            send.write_all(&found(LARGE_BYTES)).await?;
            loop {
                send.write_all(&[0x5a; 64]).await?;
                sleep(DRIP).await;
            }
        }
    }
    send.finish()?;
    send.stopped().await?;
    Ok(())
}
