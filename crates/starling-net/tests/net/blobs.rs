//! Fetching blobs: from whom, over what, and what becomes of sources that fail or lie.

use std::{
    path::Path,
    sync::{Arc, LazyLock},
    time::Duration,
};

use iroh::endpoint::{Connection, RecvStream, SendStream, VarInt};
use starling_blobs::{Blobs, StoreError};
use starling_net::{FetchError, PeerAddr, Source, SourceError};
use starling_proto::{BLOB_ALPN, BlobHeader, BlobRequest, JOB_ALPN, Message};
use starling_store::{BlobStore, DiskBudget};
use starling_swarm::reference_of;
use starling_types::{BlobRef, NodeId, Reference};
use tokio::{task::JoinSet, time::sleep};

use crate::{Peer, dialable, framed, job_connection, raw_endpoint, soon};

/// Some chunks, and quickly hashed without optimisation too.
const SIZE_BYTES: usize = 300_000;

fn bytes() -> Vec<u8> {
    (0..SIZE_BYTES).map(|index| (index * 7 % 251) as u8).collect()
}

fn blob() -> BlobRef {
    static REFERENCE: LazyLock<Reference> = LazyLock::new(|| reference_of(&bytes()));
    BlobRef { reference: *REFERENCE, size_bytes: SIZE_BYTES as u64 }
}

/// The bytes that a peer has by that name.
fn read<B: Blobs>(peer: &Peer<B>, reference: Reference) -> Vec<u8> {
    let mut read = Vec::new();
    peer.blobs.open(reference).unwrap().unwrap().read_to_end(&mut read).unwrap();
    read
}

#[track_caller]
fn assert_stored<B: Blobs>(peer: &Peer<B>) {
    assert!(read(peer, blob().reference) == bytes(), "stored other bytes");
}

/// What a source of the test's own answers to every request.
#[derive(Clone, Copy)]
enum Answer {
    /// As many wrong bytes as there should be.
    WrongBytes,
    /// The right bytes, and one more.
    TooMany,
    /// The first half of the right bytes, then nobody is there any more.
    HalfThenGone,
    /// Half as many wrong bytes as there should be, then a regular end.
    WrongHalf,
    /// The size of another blob.
    WrongSize,
    /// No header.
    Garbage,
}

/// A source that does on each stream that is opened what `answer` does.
async fn raw_source<A>(
    answer: impl Fn(Connection, SendStream, RecvStream) -> A + Clone + Send + 'static,
) -> (iroh::Endpoint, PeerAddr)
where
    A: Future<Output = ()> + Send,
{
    let (endpoint, addr) = raw_endpoint(BLOB_ALPN).await;
    let accepting = endpoint.clone();
    n0_future::task::spawn(async move {
        while let Some(incoming) = accepting.accept().await {
            let (connection, answer) = (incoming.await.unwrap(), answer.clone());
            n0_future::task::spawn(async move {
                while let Ok((send, recv)) = connection.accept_bi().await {
                    answer(connection.clone(), send, recv).await;
                }
            });
        }
    });
    (endpoint, addr)
}

async fn source_that_answers(answer: Answer) -> (iroh::Endpoint, PeerAddr) {
    raw_source(move |connection, mut send, mut recv| async move {
        let request = recv.read_to_end(1000).await.unwrap();
        let request = BlobRequest::decode(&request[4..]).unwrap();
        assert_eq!(request, BlobRequest { reference: blob().reference });
        let (header, body) = head_and_body(answer);
        if send.write_all(&header).await.is_err() || send.write_all(&body).await.is_err() {
            return;
        }
        if matches!(answer, Answer::HalfThenGone) {
            // Long enough for what was written to get there.
            sleep(Duration::from_millis(300)).await;
            connection.close(VarInt::from_u32(9), b"cut");
        }
        let _ = send.finish();
    })
    .await
}

/// A source that can be reached and answers nothing.
async fn silent_source() -> (iroh::Endpoint, PeerAddr) {
    raw_source(|_connection, send, recv| async move {
        // Dropped, they would end the stream, which is an answer.
        let _held = (send, recv);
        std::future::pending().await
    })
    .await
}

fn head_and_body(answer: Answer) -> (Vec<u8>, Vec<u8>) {
    let found = framed(&BlobHeader::Found { size_bytes: SIZE_BYTES as u64 });
    let right = bytes();
    match answer {
        Answer::WrongBytes => (found, vec![1; SIZE_BYTES]),
        Answer::TooMany => (found, [&right[..], &[0]].concat()),
        Answer::HalfThenGone => (found, right[..SIZE_BYTES / 2].to_vec()),
        Answer::WrongHalf => (found, vec![1; SIZE_BYTES / 2]),
        Answer::WrongSize => (framed(&BlobHeader::Found { size_bytes: 5 }), vec![1; 5]),
        Answer::Garbage => (b"\x02\0\0\0\xff\xff".to_vec(), Vec::new()),
    }
}

/// A peer that has the blob.
async fn holder(key: u8) -> Peer {
    let peer = Peer::new(key).await;
    peer.blobs.put(&bytes()).unwrap();
    peer
}

/// A peer that has the blob in a file below `dir`.
async fn holder_on_disk(key: u8, dir: &Path) -> Peer<BlobStore> {
    let budget = DiskBudget { max_bytes: 1 << 30, min_free_bytes: 0 };
    let blobs = BlobStore::open(&dir.join(key.to_string()), budget).unwrap();
    blobs.put(&bytes()).unwrap();
    Peer::with_blobs(key, blobs).await
}

#[tokio::test]
async fn a_blob_comes_from_a_peer_that_is_dialed_and_then_is_here() {
    let (holder, asker) = (holder(1).await, Peer::new(2).await);
    let sources = [Source::peer(holder.addr())];
    let report = soon(asker.net.fetch(blob(), &sources)).await.unwrap();
    assert_eq!((report.from, report.pin.blob()), (Some(holder.id()), blob()));
    assert_stored(&asker);
    soon(holder.net.close()).await;
    let second = soon(asker.net.fetch(blob(), &sources)).await.unwrap();
    assert_eq!((second.from, second.pin.blob()), (None, blob()));
    // Each report keeps it here, and nothing else does.
    drop(report);
    assert_eq!(asker.blobs.collect().unwrap(), 0);
    drop(second);
    assert_eq!(asker.blobs.collect().unwrap(), blob().size_bytes);
}

#[tokio::test]
async fn a_damaged_blob_is_not_served_and_is_fetched_anew_by_its_holder() {
    let dir = tempfile::tempdir().unwrap();
    let (holder, other) =
        (holder_on_disk(1, dir.path()).await, holder_on_disk(2, dir.path()).await);
    let asker = Peer::new(3).await;
    let flip = |peer: &Peer<BlobStore>| {
        let mut damaged = bytes();
        damaged[SIZE_BYTES / 2] ^= 1;
        let file = peer.blobs.open_blob(blob().reference).unwrap().unwrap();
        std::fs::write(file.path(), damaged).unwrap();
    };
    flip(&holder);
    let error = soon(asker.net.fetch(blob(), &[Source::peer(holder.addr())])).await.unwrap_err();
    let FetchError::Unavailable { failures, .. } = &error else { panic!("{error}") };
    assert!(matches!(failures[0].error, SourceError::Absent), "{error}");
    // A damaged blob counts as missing, so that it is fetched.
    flip(&other);
    soon(asker.net.fetch(blob(), &[Source::peer(other.addr())])).await.unwrap_err();
    holder.blobs.put(&bytes()).unwrap();
    let report = soon(other.net.fetch(blob(), &[Source::peer(holder.addr())])).await.unwrap();
    assert_eq!(report.from, Some(holder.id()));
    assert_stored(&other);
}

#[tokio::test]
async fn an_empty_blob_is_fetched_like_any_other() {
    let (holder, asker) = (Peer::new(1).await, Peer::new(2).await);
    let empty = holder.blobs.put(b"").unwrap().blob();
    let report = soon(asker.net.fetch(empty, &[Source::peer(holder.addr())])).await.unwrap();
    assert_eq!(report.from, Some(holder.id()));
    assert_eq!(asker.blobs.pin(empty.reference).unwrap().unwrap().blob(), empty);
}

#[tokio::test]
async fn blobs_come_over_a_job_connection_in_both_directions() {
    let (client, node) = (holder(1).await, Peer::new(2).await);
    let (at_client, at_node) = job_connection(&client, &node).await;
    // Neither side gets an address: nothing but the connection leads to the other.
    let of_client = Source::via(PeerAddr::new(client.id()), at_node.handle());
    let report = soon(node.net.fetch(blob(), &[of_client])).await.unwrap();
    assert_eq!(report.from, Some(client.id()));
    assert_stored(&node);

    let result = node.blobs.put(b"a receipt").unwrap().blob();
    let of_node = Source::via(PeerAddr::new(node.id()), at_client.handle());
    soon(client.net.fetch(result, &[of_node])).await.unwrap();
    assert_eq!(read(&client, result.reference), b"a receipt");
}

#[tokio::test]
async fn a_closed_job_connection_does_not_keep_a_peer_from_being_dialed() {
    let (client, node) = (holder(1).await, Peer::new(2).await);
    let (at_client, at_node) = job_connection(&client, &node).await;
    let handle = at_node.handle();
    drop((at_client, at_node));
    soon(handle.closed()).await;
    let source = Source::via(client.addr(), handle);
    let report = soon(node.net.fetch(blob(), &[source])).await.unwrap();
    assert_eq!(report.from, Some(client.id()));
}

#[tokio::test]
async fn a_transfer_that_was_cut_begins_anew_at_another_source() {
    let (holder, asker) = (holder(1).await, Peer::new(2).await);
    let (_cut, cut_addr) = source_that_answers(Answer::HalfThenGone).await;
    let cut = [Source::peer(cut_addr.clone())];
    let error = soon(asker.net.fetch(blob(), &cut)).await.unwrap_err();
    let FetchError::Unavailable { failures, .. } = error else { panic!("{error}") };
    assert!(matches!(failures[0].error, SourceError::Broken { .. }), "{}", failures[0].error);

    assert_eq!(asker.blobs.used_bytes(), 0, "half a blob stayed");
    let both = [cut_addr, holder.addr()].map(Source::peer);
    let report = soon(asker.net.fetch(blob(), &both)).await.unwrap();
    assert_eq!((report.from, report.liars), (Some(holder.id()), vec![]));
    assert_stored(&asker);
}

#[tokio::test]
async fn the_third_source_delivers_when_two_are_dead() {
    let (holder, asker) = (holder(1).await, Peer::new(2).await);
    let dead = Peer::new(3).await;
    let dead_addr = dead.addr();
    soon(dead.net.close()).await;
    drop(dead);
    let (_no_blobs_here, other_addr) = raw_endpoint(JOB_ALPN).await;
    let sources = [dead_addr, other_addr, holder.addr()].map(Source::peer);
    let report = soon(asker.net.fetch(blob(), &sources)).await.unwrap();
    assert_eq!((report.from, report.liars), (Some(holder.id()), vec![]));
    assert_stored(&asker);
}

#[tokio::test]
async fn a_source_without_the_blob_is_passed_over() {
    let (without, holder, asker) = (Peer::new(1).await, holder(2).await, Peer::new(3).await);
    let only = [Source::peer(without.addr())];
    let error = soon(asker.net.fetch(blob(), &only)).await.unwrap_err();
    let FetchError::Unavailable { failures, .. } = &error else { panic!("{error}") };
    assert!(matches!(failures[0].error, SourceError::Absent), "{error}");
    let expected = format!("is not to be had: {:#}: does not have it", without.id());
    assert!(error.to_string().ends_with(&expected), "{error}");

    let both = [without.addr(), holder.addr()].map(Source::peer);
    assert_eq!(soon(asker.net.fetch(blob(), &both)).await.unwrap().from, Some(holder.id()));
}

async fn assert_liar(answer: Answer) {
    let (holder, asker) = (holder(1).await, Peer::new(2).await);
    let (_liar, liar_addr) = source_that_answers(answer).await;
    let liar = liar_addr.node_id;
    let error =
        soon(asker.net.fetch(blob(), &[Source::peer(liar_addr.clone())])).await.unwrap_err();
    assert!(matches!(error, FetchError::WrongBytes { peer, .. } if peer == liar), "{error}");
    assert_eq!(asker.blobs.pin(blob().reference).unwrap(), None);

    let both = [liar_addr, holder.addr()].map(Source::peer);
    let report = soon(asker.net.fetch(blob(), &both)).await.unwrap();
    assert_eq!((report.from, report.liars), (Some(holder.id()), vec![liar]));
    assert_stored(&asker);
}

#[tokio::test]
async fn wrong_bytes_are_refused_and_their_sender_is_named() {
    assert_liar(Answer::WrongBytes).await;
}

#[tokio::test]
async fn more_bytes_than_announced_are_refused_and_their_sender_is_named() {
    assert_liar(Answer::TooMany).await;
}

async fn assert_passed_over(answer: Answer) {
    let (holder, asker) = (holder(1).await, Peer::new(2).await);
    let (_wrong, wrong_addr) = source_that_answers(answer).await;
    let both = [wrong_addr, holder.addr()].map(Source::peer);
    let report = soon(asker.net.fetch(blob(), &both)).await.unwrap();
    // Who is honest must not be called a liar; of the others, nothing is certain.
    assert_eq!((report.from, report.liars), (Some(holder.id()), vec![]));
    assert_stored(&asker);
}

#[tokio::test]
async fn an_honest_source_is_not_blamed_for_what_came_before_it() {
    assert_passed_over(Answer::WrongHalf).await;
}

#[tokio::test]
async fn a_source_with_another_size_is_passed_over() {
    assert_passed_over(Answer::WrongSize).await;
}

#[tokio::test]
async fn a_source_that_does_not_speak_the_protocol_is_passed_over() {
    assert_passed_over(Answer::Garbage).await;
}

#[tokio::test]
async fn fetching_a_blob_many_times_at_once_costs_one_transfer() {
    let (holder, asker) = (holder(1).await, Peer::new(2).await);
    let sources = Arc::new([Source::peer(holder.addr())]);
    let mut fetches = JoinSet::new();
    for _ in 0..8 {
        let (net, sources) = (asker.net.clone(), sources.clone());
        fetches.spawn(async move { net.fetch(blob(), &*sources).await.unwrap().from });
    }
    let from: Vec<Option<NodeId>> = soon(fetches.join_all()).await;
    assert_eq!(from.iter().flatten().count(), 1, "{from:?}");
    assert_stored(&asker);
}

#[tokio::test]
async fn many_blobs_come_at_once_over_one_connection() {
    const COUNT: u32 = 100;
    let (client, node) = (Peer::new(1).await, Peer::new(2).await);
    let (_at_client, at_node) = job_connection(&client, &node).await;
    let mut fetches = JoinSet::new();
    for index in 0..COUNT {
        let blob = client.blobs.put(&index.to_le_bytes()).unwrap().blob();
        let source = Source::via(client.addr(), at_node.handle());
        let net = node.net.clone();
        fetches.spawn(async move { net.fetch(blob, &[source]).await.unwrap().from.is_some() });
    }
    let fetched = soon(fetches.join_all()).await;
    assert_eq!(fetched.into_iter().filter(|fetched| *fetched).count(), COUNT as usize);
}

#[tokio::test]
async fn slow_transfers_from_some_peers_keep_nobody_else_waiting() {
    let (holder, asker) = (holder(1).await, Peer::new(2).await);
    let mut slow = Vec::new();
    let mut fetches = JoinSet::new();
    // More than there are places in all.
    for _ in 0..4 {
        let (endpoint, addr) = silent_source().await;
        for index in 0..32_u32 {
            let number = slow.len() as u32 * 32 + index;
            let blob = BlobRef { reference: reference_of(&number.to_le_bytes()), size_bytes: 4 };
            let (net, source) = (asker.net.clone(), Source::peer(addr.clone()));
            fetches.spawn(async move { drop(net.fetch(blob, &[source]).await) });
        }
        slow.push(endpoint);
    }
    n0_future::time::sleep(Duration::from_millis(500)).await;
    let sources = [Source::peer(holder.addr())];
    let fetched =
        n0_future::time::timeout(Duration::from_secs(5), asker.net.fetch(blob(), &sources));
    fetched.await.expect("it waits for nobody").unwrap();
}

/// A source that promises the blob and sends a byte of it now and then.
async fn dripping_source() -> (iroh::Endpoint, PeerAddr) {
    raw_source(|_connection, mut send, recv| async move {
        let _held = recv;
        let found = framed(&BlobHeader::Found { size_bytes: SIZE_BYTES as u64 });
        send.write_all(&found).await.unwrap();
        for byte in bytes() {
            if send.write_all(&[byte]).await.is_err() {
                break;
            }
            sleep(Duration::from_millis(100)).await;
        }
    })
    .await
}

#[tokio::test]
async fn a_drip_to_one_who_asks_keeps_no_other_waiting_and_ends_when_the_blob_is_here() {
    let (holder, asker) = (holder(1).await, Peer::new(2).await);
    let (_drip, drip_addr) = dripping_source().await;
    let first = n0_future::task::spawn({
        let net = asker.net.clone();
        async move { net.fetch(blob(), &[Source::peer(drip_addr)]).await }
    });
    sleep(Duration::from_millis(500)).await;
    assert!(!first.is_finished());
    let sources = [Source::peer(holder.addr())];
    let second =
        n0_future::time::timeout(Duration::from_secs(15), asker.net.fetch(blob(), &sources));
    let second = second.await.expect("it has a source of its own").unwrap();
    assert_eq!(second.from, Some(holder.id()));
    let first = n0_future::time::timeout(Duration::from_secs(5), first);
    let first = first.await.expect("the blob is here").unwrap().unwrap();
    assert_eq!((first.from, first.pin.blob()), (None, blob()));
    assert_stored(&asker);
}

#[tokio::test]
async fn a_drip_is_given_up_for_the_next_source() {
    let (holder, asker) = (holder(1).await, Peer::new(2).await);
    let (_drip, drip_addr) = dripping_source().await;
    let sources = [drip_addr, holder.addr()].map(Source::peer);
    let fetched =
        n0_future::time::timeout(Duration::from_secs(30), asker.net.fetch(blob(), &sources));
    let report = fetched.await.expect("its average would be enough for a minute").unwrap();
    assert_eq!(report.from, Some(holder.id()));
}

/// A peer that opens every stream that it may, asks for the blob on each, and reads nothing of it.
async fn reads_nothing_of(holder: &PeerAddr, reference: Reference) -> impl Sized + use<> {
    let (endpoint, _) = raw_endpoint(JOB_ALPN).await;
    let connection = soon(endpoint.connect(dialable(holder), BLOB_ALPN)).await.unwrap();
    let mut streams = Vec::new();
    for _ in 0..16 {
        let (mut send, recv) = soon(connection.open_bi()).await.unwrap();
        send.write_all(&framed(&BlobRequest { reference })).await.unwrap();
        send.finish().unwrap();
        streams.push((connection.clone(), recv));
    }
    (endpoint, streams)
}

#[tokio::test]
async fn peers_that_ask_for_much_and_read_nothing_keep_nobody_from_being_served() {
    // Larger than what a stream's window takes, so that each transfer stands.
    let large: Vec<u8> = (0..8_u32 << 20).map(|index| (index * 7 % 251) as u8).collect();
    let holder = holder(1).await;
    let large = holder.blobs.put(&large).unwrap();
    let mut bad = Vec::new();
    for _ in 0..20 {
        bad.push(reads_nothing_of(&holder.addr(), large.reference).await);
    }
    sleep(Duration::from_millis(500)).await;
    for key in [2, 3, 4] {
        let asker = Peer::new(key).await;
        let sources = [Source::peer(holder.addr())];
        let fetched =
            n0_future::time::timeout(Duration::from_secs(5), asker.net.fetch(blob(), &sources));
        fetched.await.expect("it waits for nobody").unwrap();
    }
    drop(bad);
}

#[tokio::test]
async fn strangers_that_read_nothing_hold_their_part_and_who_works_is_served_within_a_second() {
    let large: Vec<u8> = (0..8_u32 << 20).map(|index| (index * 7 % 251) as u8).collect();
    let (client, node, asker) = (holder(1).await, Peer::new(2).await, Peer::new(3).await);
    let large = client.blobs.put(&large).unwrap();
    let (at_client, at_node) = job_connection(&client, &node).await;
    let mut bad = Vec::new();
    // More than there are places for strangers: sixteen for each of two, and one for each of the others.
    for _ in 0..40 {
        bad.push(reads_nothing_of(&client.addr(), large.reference).await);
    }
    // It is granted a lease.
    at_client.handle().peer_works();
    sleep(Duration::from_millis(500)).await;
    let source = Source::via(client.addr(), at_node.handle());
    let fetched = n0_future::time::timeout(
        Duration::from_secs(1),
        node.net.fetch(blob(), std::slice::from_ref(&source)),
    );
    fetched.await.expect("its places are kept for it").unwrap();

    // A stranger is not kept waiting for ever: it is told to come later, and does.
    let fetching = n0_future::task::spawn({
        let (net, source) = (asker.net.clone(), Source::peer(client.addr()));
        async move { net.fetch(blob(), &[source]).await }
    });
    let (endpoint, _) = raw_endpoint(JOB_ALPN).await;
    let connection = soon(endpoint.connect(dialable(&client.addr()), BLOB_ALPN)).await.unwrap();
    let (mut send, mut recv) = soon(connection.open_bi()).await.unwrap();
    send.write_all(&framed(&BlobRequest { reference: blob().reference })).await.unwrap();
    send.finish().unwrap();
    let header = soon(recv.read_to_end(1000)).await.unwrap();
    assert_eq!(BlobHeader::decode(&header[4..]), Ok(BlobHeader::Busy));
    assert!(!fetching.is_finished());
    drop(bad);
    let report = soon(fetching).await.unwrap().unwrap();
    assert_eq!(report.from, Some(client.id()));
    assert_stored(&asker);
}

#[tokio::test]
async fn a_source_that_says_without_end_that_it_is_busy_has_no_longer_than_others() {
    let (_busy, busy_addr) = raw_source(|_connection, mut send, _recv| async move {
        let _ = send.write_all(&framed(&BlobHeader::Busy)).await;
        let _ = send.finish();
    })
    .await;
    let asker = Peer::new(1).await;
    let (sources, limit) = ([Source::peer(busy_addr)], Duration::from_secs(3));
    let error = soon(asker.net.fetch_within(blob(), &sources, limit)).await.unwrap_err();
    assert!(error.to_string().contains("stalled"), "{error}");
}

#[tokio::test]
async fn one_peer_with_ever_more_connections_shuts_nobody_out() {
    let holder = holder(1).await;
    let (endpoint, _) = raw_endpoint(JOB_ALPN).await;
    let mut held = Vec::new();
    // More than there are places for such connections.
    for _ in 0..300 {
        let connection = endpoint.connect(dialable(&holder.addr()), BLOB_ALPN);
        held.push(soon(connection).await.unwrap());
    }
    let asker = Peer::new(2).await;
    let sources = [Source::peer(holder.addr())];
    let report = soon(asker.net.fetch(blob(), &sources)).await.unwrap();
    assert_eq!(report.from, Some(holder.id()));
    drop(held);
}

#[tokio::test]
async fn a_fetch_that_is_given_up_does_not_block_the_next() {
    let (holder, asker) = (holder(1).await, Peer::new(2).await);
    let (_cut, cut_addr) = source_that_answers(Answer::HalfThenGone).await;
    let fetch = asker.net.fetch(blob(), &[Source::peer(cut_addr)]).await;
    assert!(fetch.is_err());
    for ms in [0, 1, 5] {
        let sources = [Source::peer(holder.addr())];
        let fetch = asker.net.fetch(blob(), &sources);
        let _ = n0_future::time::timeout(Duration::from_millis(ms), fetch).await;
    }
    soon(asker.net.fetch(blob(), &[Source::peer(holder.addr())])).await.unwrap();
    assert_stored(&asker);
}

#[tokio::test]
async fn a_full_disk_budget_is_this_sides_fault() {
    let (holder, asker) = (holder(1).await, Peer::with_budget(2, 1000).await);
    let sources = [Source::peer(holder.addr())];
    let error = soon(asker.net.fetch(blob(), &sources)).await.unwrap_err();
    assert!(matches!(error, FetchError::Store(StoreError::NoSpace(_))), "{error}");
}

#[tokio::test]
async fn a_blob_larger_than_any_is_not_asked_for() {
    let asker = Peer::new(1).await;
    let huge = BlobRef { size_bytes: u64::MAX, ..blob() };
    let error = soon(asker.net.fetch(huge, &[])).await.unwrap_err();
    assert!(matches!(error, FetchError::TooLarge { .. }), "{error}");
    let error = soon(asker.net.fetch(blob(), &[])).await.unwrap_err();
    assert!(error.to_string().ends_with("nobody is known to have it"), "{error}");
}
