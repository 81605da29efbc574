//! One connection of a node: its introduction, and the messages both ways.

use std::{sync::Arc, time::Duration};

use starling_net::ClientSession;
use starling_proto::{ClientMessage, GoodbyeReason, NodeMessage, Welcome};
use tokio::sync::{Semaphore, mpsc};

use super::{Pool, TURMOIL};
use crate::peers::introduced;

/// Messages that may wait for a node. A node that lets more pile up has stopped reading.
const OUTBOX_MAX: usize = 64;

/// Messages of one node that may wait for jobs: what it sends beyond them is not read before. It bounds what a node can
/// have this client remember, and no node keeps another's messages waiting.
const MESSAGES_WAITING_MAX: usize = 64;

/// How long a node may take to introduce itself.
const HELLO_TIMEOUT: Duration = Duration::from_secs(20);

/// What a node is told that comes back.
const DISMISSED: &str = "a result of this node was refused before";

/// One connection, from the node's introduction to its end.
pub(super) async fn session(pool: Pool, mut connection: ClientSession) {
    let node = connection.peer();
    let closing = pool.shared.closing.clone();
    let introduction = tokio::select! {
        introduction = tokio::time::timeout(HELLO_TIMEOUT, connection.recv()) => introduction,
        () = closing.cancelled() => return,
    };
    let hello = match introduction {
        Ok(Ok(Some(NodeMessage::Hello(hello)))) => hello,
        other => {
            tracing::debug!(node = %format_args!("{node:#}"), ?other, "a node did not introduce itself");
            return;
        }
    };
    if pool.with(|state| state.dismissed.nodes.contains(&node)) {
        let (reason, message) = (GoodbyeReason::Dismissed, DISMISSED.to_owned());
        let _ = connection.send(&ClientMessage::Goodbye { reason, message }).await;
        return;
    }
    let ours = &pool.shared.systems;
    if !ours.iter().any(|system| introduced(&hello, system).is_some()) {
        let theirs: Vec<_> = hello.systems.iter().map(|offer| offer.system.as_str()).collect();
        let (ours, theirs) = (ours.join(", "), theirs.join(", "));
        let message = format!("this client proves with {ours}, the node with {theirs}");
        tracing::warn!(node = %format_args!("{node:#}"), message, "turned a node away");
        let reason = GoodbyeReason::WrongSystem;
        let _ = connection.send(&ClientMessage::Goodbye { reason, message }).await;
        return;
    }
    let Ok(coming) = pool.shared.comings.clone().try_acquire_owned() else {
        tracing::debug!(node = %format_args!("{node:#}"), "turned a node away: too many come and go");
        let (reason, message) = (GoodbyeReason::Busy, TURMOIL.to_owned());
        let _ = connection.send(&ClientMessage::Goodbye { reason, message }).await;
        return;
    };
    let welcome = Welcome { agent: agent(), run: pool.shared.run };
    if connection.send(&ClientMessage::Welcome(welcome)).await.is_err() {
        return;
    }
    let (outbox, messages) = mpsc::channel(OUTBOX_MAX);
    let generation = pool.join(node, hello, outbox, &connection, coming);
    if closing.is_cancelled() {
        // It came between the goodbyes and here.
        pool.left(node, generation, "this client ends");
    }
    let reason = converse(&pool, generation, &mut connection, messages).await;
    // What is queued is still sent; the connection closes with the session.
    drop(connection);
    pool.left(node, generation, &reason);
}

/// Carries messages both ways; why that ended.
async fn converse(
    pool: &Pool,
    generation: u64,
    connection: &mut ClientSession,
    mut messages: mpsc::Receiver<ClientMessage>,
) -> String {
    let node = connection.peer();
    let rooms = Arc::new(Semaphore::new(MESSAGES_WAITING_MAX));
    let mut room = None;
    loop {
        tokio::select! {
            biased;
            // First, so that a node hears that it is let go before what it says finds nobody.
            message = messages.recv() => {
                let Some(message) = message else { return "this client broke the session off".into() };
                if let Err(error) = connection.send(&message).await {
                    return error.to_string();
                }
            }
            free = rooms.clone().acquire_owned(), if room.is_none() => room = free.ok(),
            received = connection.recv(), if room.is_some() => match received {
                Ok(Some(message)) => {
                    if let Some(room) = room.take() {
                        pool.said(node, generation, message, room);
                    }
                }
                Ok(None) => return "it closed the connection".into(),
                Err(error) => return error.to_string(),
            },
        }
    }
}

/// What this program calls itself to peers.
fn agent() -> String {
    concat!("starling ", env!("CARGO_PKG_VERSION")).to_owned()
}
