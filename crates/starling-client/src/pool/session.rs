//! One connection of a node: its introduction, and the messages both ways.

use std::{sync::Arc, time::Duration};

use starling_job::ConnectionId;
use starling_net::ClientSession;
use starling_proto::{ClientMessage, GoodbyeReason, NodeMessage, Welcome};
use starling_types::SystemName;
use tokio::sync::{Semaphore, mpsc};

use super::{Pool, TURMOIL};
use crate::{lines, peers::introduced};

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
pub(super) async fn session(pool: Pool, mut session: ClientSession) {
    let node = session.peer();
    let closing = pool.shared.closing.clone();
    let introduction = tokio::select! {
        introduction = tokio::time::timeout(HELLO_TIMEOUT, session.recv()) => introduction,
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
        let _ = session.send(&ClientMessage::Goodbye { reason, message }).await;
        return;
    }
    let ours = &pool.shared.systems;
    if !ours.iter().any(|system| introduced(&hello, system).is_some()) {
        let theirs = SystemName::listed(hello.systems.iter().map(|offer| &offer.system));
        let ours = SystemName::listed(ours);
        let message = format!("this client proves with {ours}, the node with {theirs}");
        if lines::one_more() {
            tracing::warn!(node = %format_args!("{node:#}"), message, "turned a node away");
        }
        let reason = GoodbyeReason::WrongSystem;
        let _ = session.send(&ClientMessage::Goodbye { reason, message }).await;
        return;
    }
    let Ok(coming) = pool.shared.comings.clone().try_acquire_owned() else {
        tracing::debug!(node = %format_args!("{node:#}"), "turned a node away: too many come and go");
        let (reason, message) = (GoodbyeReason::Busy, TURMOIL.to_owned());
        let _ = session.send(&ClientMessage::Goodbye { reason, message }).await;
        return;
    };
    let welcome = Welcome { run: pool.shared.run };
    if session.send(&ClientMessage::Welcome(welcome)).await.is_err() {
        return;
    }
    let (outbox, messages) = mpsc::channel(OUTBOX_MAX);
    let connection = pool.join(node, hello, outbox, &session, coming);
    if closing.is_cancelled() {
        // It came between the goodbyes and here.
        pool.left(node, connection, "this client ends");
    }
    let reason = converse(&pool, connection, &mut session, messages).await;
    // What is queued is still sent; the connection closes with the session.
    drop(session);
    pool.left(node, connection, &reason);
}

/// Carries messages both ways; why that ended.
async fn converse(
    pool: &Pool,
    connection: ConnectionId,
    session: &mut ClientSession,
    mut messages: mpsc::Receiver<ClientMessage>,
) -> String {
    let node = session.peer();
    let rooms = Arc::new(Semaphore::new(MESSAGES_WAITING_MAX));
    let mut room = None;
    loop {
        tokio::select! {
            biased;
            // First, so that a node hears that it is let go before what it says finds nobody.
            message = messages.recv() => {
                let Some(message) = message else { return "this client ended the session".into() };
                if let Err(error) = session.send(&message).await {
                    return error.to_string();
                }
            }
            free = rooms.clone().acquire_owned(), if room.is_none() => room = free.ok(),
            received = session.recv(), if room.is_some() => match received {
                Ok(Some(message)) => {
                    if let Some(room) = room.take() {
                        pool.said(node, connection, message, room);
                    }
                }
                Ok(None) => return "it closed the connection".into(),
                Err(error) => return error.to_string(),
            },
        }
    }
}
