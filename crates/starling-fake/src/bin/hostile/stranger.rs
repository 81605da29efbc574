//! The enemy as somebody who connects and does what no protocol asks for.

use std::time::Duration;

use iroh::endpoint::Connection;
use starling_proto::{BLOB_ALPN, JOB_ALPN};
use tokio::time::{sleep, timeout};

use crate::{Result, behaviour::Odd, peer::Peer, tally::Tally};

/// After so long without room for one more byte it is sure that no more is taken.
const NO_MORE: Duration = Duration::from_millis(300);

/// How long a connection is kept that the other side does not close.
const KEPT: Duration = Duration::from_secs(60);

/// What is written at a time.
const CHUNK_BYTES: usize = 64 << 10;

/// Connects once, as the `nth` of its kind, and stays until it is thrown out.
pub(crate) async fn behave(peer: &Peer, odd: Odd, nth: u64) -> Result<()> {
    let alpns = [JOB_ALPN, BLOB_ALPN, iroh_gossip::ALPN];
    let alpn = alpns[nth as usize % alpns.len()];
    match odd {
        Odd::OpensUni => {
            let connection = peer.dial(alpn).await?;
            let streams = fill(peer, &connection).await;
            stay(&connection).await;
            drop(streams);
        }
        Odd::Silent => {
            let connection = peer.dial(alpn).await?;
            // Some have begun to say something.
            let mut streams = Vec::new();
            if nth % 2 == 1 {
                let (mut send, recv) = connection.open_bi().await?;
                send.write_all(&[1]).await?;
                streams.push((send, recv));
            }
            stay(&connection).await;
        }
        Odd::Garbage => {
            let connection = peer.dial(alpns[nth as usize % 2]).await?;
            let (mut send, recv) = connection.open_bi().await?;
            // A size beyond all limits; one below, and no message; and an end in its middle.
            let frames: [&[u8]; 3] = [&[0xff; CHUNK_BYTES], &[200, 0, 0, 0], &[9, 0, 0, 0, 0xff]];
            let frame = frames[(nth as usize / 2) % frames.len()];
            send.write_all(frame).await?;
            send.write_all(&[0x0a; 200]).await?;
            send.finish()?;
            Tally::add(&peer.tally.messages, 1);
            let _ = timeout(NO_MORE, connection.closed()).await;
            drop(recv);
        }
    }
    Ok(())
}

async fn stay(connection: &Connection) {
    tokio::select! {
        _ = connection.closed() => {}
        () = sleep(KEPT) => {}
    }
}

/// Opens streams in one direction and fills them, as far as that is let.
async fn fill(peer: &Peer, connection: &Connection) -> Vec<iroh::endpoint::SendStream> {
    let mut streams = Vec::new();
    while let Ok(Ok(mut stream)) = timeout(NO_MORE, connection.open_uni()).await {
        while let Ok(Ok(written)) = timeout(NO_MORE, stream.write(&[7; CHUNK_BYTES])).await {
            Tally::add(&peer.tally.bytes, written as u64);
        }
        streams.push(stream);
    }
    streams
}
