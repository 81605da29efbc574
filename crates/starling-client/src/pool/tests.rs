#![allow(clippy::unwrap_used)]

use starling_net::{NetConfig, NodeSession};
use starling_proto::Offer;
use starling_sched::{Lease, LeaseInput};
use starling_store::{BlobStore, DiskBudget};
use starling_types::{BlobRef, Epoch, MemoryBytes, MemoryTable, Reference, TaskId, TaskKind};
use tempfile::TempDir;

use super::*;
use crate::{peers::Peers, system::Told};

const SYSTEM: &str = "a system";

/// A client's pool, and a node that can come to it, over loopback.
struct World {
    _dirs: [TempDir; 2],
    pool: Pool,
    client: Net,
    node: Net,
}

impl World {
    async fn new() -> Self {
        let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let (client, node) = (bind(1, &dirs[0]).await, bind(2, &dirs[1]).await);
        let pool = Pool::new(vec![SYSTEM.into()]);
        tokio::spawn(pool.clone().accept(client.clone()));
        Self { _dirs: dirs, pool, client, node }
    }

    fn open(&self, job: JobId) -> Seat {
        self.pool.open(job, SYSTEM.into(), 1, None)
    }

    /// The node comes and introduces itself.
    async fn introduce(&self) -> NodeSession {
        let session = self.node.connect_job(&self.client.addr()).await.unwrap();
        let kinds = TaskKind::ALL.map(|kind| (kind.code(), MemoryTable::default()));
        let hello = Hello {
            systems: vec![Offer {
                system: SYSTEM.into(),
                kinds: kinds.into(),
                speed_permille: 1000,
            }],
            memory: MemoryBytes::from_mib(1024),
            slots: 1,
        };
        session.send(&NodeMessage::Hello(hello)).await.unwrap();
        session
    }

    async fn come(&self) -> NodeSession {
        let mut session = self.introduce().await;
        let welcome = session.recv().await.unwrap().unwrap();
        assert!(matches!(welcome, ClientMessage::Welcome(_)), "{welcome:?}");
        session
    }
}

async fn bind(key: u8, dir: &TempDir) -> Net {
    let budget = DiskBudget { max_bytes: 1 << 20, min_free_bytes: 0 };
    let blobs = BlobStore::open(dir.path(), budget).unwrap();
    let secret_key = [key; 32];
    let config = NetConfig::loopback(secret_key);
    Net::bind(config, blobs).await.unwrap()
}

fn job(name: u8) -> JobId {
    JobId([name; 16])
}

fn renewal(job: JobId) -> NodeMessage {
    NodeMessage::Renew { lease: LeaseId { job, epoch: Epoch(7) }, done_permille: 1, waits: false }
}

/// The next event, which comes soon.
async fn next(seat: &mut Seat) -> PeerEvent {
    let event = tokio::time::timeout(Duration::from_secs(10), seat.events.recv()).await;
    event.expect("an event").unwrap()
}

async fn joined(seat: &mut Seat) -> Joined {
    match next(seat).await {
        PeerEvent::Joined(joined) => joined,
        _ => panic!("no node joined"),
    }
}

/// The job's answer to the node's request: nothing now.
async fn has_nothing(seat: &mut Seat) {
    match next(seat).await {
        PeerEvent::Asked { count: 1, answer, .. } => drop(answer),
        _ => panic!("the job was not asked"),
    }
}

#[tokio::test]
async fn a_node_has_one_session_and_each_job_hears_of_its_own_leases() {
    let world = World::new().await;
    let (mut first, mut second) = (world.open(job(1)), world.open(job(2)));
    let mut node = world.come().await;
    joined(&mut first).await;
    joined(&mut second).await;
    node.send(&renewal(job(2))).await.unwrap();
    let said = next(&mut second).await;
    assert!(matches!(said, PeerEvent::Said { message: NodeMessage::Renew { .. }, .. }));
    assert!(first.events.try_recv().is_err());
    // A lease of a job that is not there is not worked on.
    node.send(&renewal(job(3))).await.unwrap();
    let told = node.recv().await.unwrap().unwrap();
    assert!(matches!(told, ClientMessage::Revoke { lease, .. } if lease.job == job(3)), "{told:?}");
}

#[tokio::test]
async fn nodes_that_come_faster_than_jobs_hear_of_them_are_turned_away_for_the_time_being() {
    let world = World::new().await;
    let mut seat = world.open(job(1));
    let comings = world.pool.shared.comings.clone();
    let all = u32::try_from(COMINGS_WAITING_MAX).unwrap();
    let others = comings.clone().acquire_many_owned(all).await.unwrap();
    let told = world.introduce().await.recv().await.unwrap().unwrap();
    let is_busy = matches!(told, ClientMessage::Goodbye { reason: GoodbyeReason::Busy, .. });
    assert!(is_busy, "{told:?}");
    drop(others);
    let _node = world.come().await;
    let heard = joined(&mut seat).await;
    assert_eq!(
        comings.available_permits(),
        COMINGS_WAITING_MAX - 1,
        "the job has not done with it"
    );
    drop(heard);
    assert_eq!(comings.available_permits(), COMINGS_WAITING_MAX);
}

#[tokio::test]
async fn a_request_stands_with_all_jobs_and_the_first_takes_it() {
    let world = World::new().await;
    let (mut first, mut second) = (world.open(job(1)), world.open(job(2)));
    let node = world.come().await;
    let (one, two) = (joined(&mut first).await.link, joined(&mut second).await.link);
    node.send(&NodeMessage::WorkRequested).await.unwrap();
    has_nothing(&mut first).await;
    has_nothing(&mut second).await;
    assert!(two.take_request(Millis(1)));
    assert!(!one.take_request(Millis(1)));
    assert!(matches!(next(&mut first).await, PeerEvent::Withdrawn { .. }));
}

/// The answer that a job owes to the node's request, to be given when this is dropped.
async fn asked(seat: &mut Seat) -> Answer {
    match next(seat).await {
        PeerEvent::Asked { answer, .. } => answer,
        _ => panic!("the job was not asked"),
    }
}

#[tokio::test]
async fn a_late_answer_to_a_node_that_has_come_back_is_none_to_its_new_request() {
    let world = World::new().await;
    let (mut first, mut second) = (world.open(job(1)), world.open(job(2)));
    let before = world.come().await;
    joined(&mut first).await;
    joined(&mut second).await;
    before.send(&NodeMessage::WorkRequested).await.unwrap();
    let late = asked(&mut first).await;
    let now = world.come().await;
    joined(&mut first).await;
    joined(&mut second).await;
    now.send(&NodeMessage::WorkRequested).await.unwrap();
    let answer = asked(&mut first).await;
    drop(late);
    assert!(second.events.try_recv().is_err(), "it is still the first one's turn");
    drop(answer);
    drop(asked(&mut second).await);
}

#[tokio::test]
async fn a_request_waits_for_a_job_that_comes_later() {
    let world = World::new().await;
    let node = world.come().await;
    node.send(&NodeMessage::WorkRequested).await.unwrap();
    let mut first = world.open(job(1));
    joined(&mut first).await;
    has_nothing(&mut first).await;
    drop(first);
    let mut second = world.open(job(2));
    joined(&mut second).await;
    has_nothing(&mut second).await;
}

#[tokio::test]
async fn a_node_that_one_job_dismisses_is_gone_for_all_and_is_turned_away_later() {
    let world = World::new().await;
    let (mut first, mut second) = (world.open(job(1)), world.open(job(2)));
    let mut node = world.come().await;
    joined(&mut second).await;
    joined(&mut first).await.link.dismiss("it lied");
    assert!(matches!(next(&mut second).await, PeerEvent::Left { .. }));
    let dismissed = |message| {
        let reason = GoodbyeReason::Dismissed;
        matches!(message, Ok(Some(ClientMessage::Goodbye { reason: said, .. })) if said == reason)
    };
    assert!(dismissed(node.recv().await));
    assert!(dismissed(world.introduce().await.recv().await));
}

#[tokio::test]
async fn a_lease_names_the_holders_that_its_scheduler_does_and_where_they_are() {
    let world = World::new().await;
    let mut seat = world.open(job(1));
    let mut node = world.come().await;
    let mut peers = Peers::new(job(1), SYSTEM.into());
    let joined = joined(&mut seat).await;
    let id = joined.node;
    peers.insert(joined);
    node.send(&NodeMessage::WorkRequested).await.unwrap();
    has_nothing(&mut seat).await;
    let blob = BlobRef { reference: Reference([3; 32]), size_bytes: 1 };
    // One of them is gone by now.
    let inputs = vec![LeaseInput { blob, holders: vec![NodeId([9; 32]), id] }];
    let lease = Lease {
        epoch: Epoch(7),
        task: TaskId::Lift(0).into(),
        po2: None,
        inputs,
        renew_within: Millis(20_000),
        deadline: Millis(300_000),
        memory: MemoryBytes(1),
        ahead: false,
    };
    assert!(peers.grant(id, lease, Told { arguments: vec![], work: Millis(1) }));
    let granted = node.recv().await.unwrap().unwrap();
    let ClientMessage::Grant(grant) = granted else { panic!("{granted:?}") };
    assert_eq!(grant.inputs[0].holders, [world.node.addr()]);
}

#[tokio::test]
async fn a_job_that_starts_over_keeps_its_nodes() {
    let world = World::new().await;
    let mut seat = world.open(job(1));
    let mut node = world.come().await;
    let mut peers = Peers::new(job(1), SYSTEM.into());
    let joined_first = joined(&mut seat).await;
    let id = joined_first.node;
    peers.insert(joined_first);
    peers.void(id);
    let told = node.recv().await.unwrap().unwrap();
    let reason = GoodbyeReason::JobOver { job: job(1) };
    assert!(matches!(told, ClientMessage::Goodbye { reason: said, .. } if said == reason));
    node.send(&renewal(job(1))).await.unwrap();
    assert!(matches!(next(&mut seat).await, PeerEvent::Said { .. }));
}

#[tokio::test]
async fn a_node_that_proves_nothing_of_this_client_is_told_so() {
    let mut world = World::new().await;
    world.pool = Pool::new(vec!["another system".into()]);
    let client = bind(3, &tempfile::tempdir().unwrap()).await;
    tokio::spawn(world.pool.clone().accept(client.clone()));
    world.client = client;
    let told = world.introduce().await.recv().await.unwrap().unwrap();
    let reason = GoodbyeReason::WrongSystem;
    assert!(matches!(told, ClientMessage::Goodbye { reason: said, .. } if said == reason));
}

/// A job that has no node since they are busy with others waits for its turn, and not for nodes.
#[tokio::test]
async fn a_node_that_renews_a_lease_is_known_to_serve_its_job_and_one_that_was_only_asked_is_not() {
    let world = World::new().await;
    let (mut first, mut second) = (world.open(job(1)), world.open(job(2)));
    let mut peers = Peers::new(job(1), SYSTEM.into());
    let node = world.come().await;
    let one = joined(&mut first).await;
    joined(&mut second).await;
    let id = one.node;
    peers.insert(one);
    // Of a lease that it was never granted.
    node.send(&renewal(job(1))).await.unwrap();
    next(&mut first).await;
    assert!(!second.others_are_served());
    node.send(&NodeMessage::WorkRequested).await.unwrap();
    drop(asked(&mut first).await);
    drop(asked(&mut second).await);
    let lease = Lease {
        epoch: Epoch(7),
        task: TaskId::Lift(0).into(),
        po2: None,
        inputs: vec![],
        renew_within: Millis(20_000),
        deadline: Millis(300_000),
        memory: MemoryBytes(1),
        ahead: false,
    };
    assert!(peers.grant(id, lease, Told { arguments: vec![], work: Millis(1) }));
    assert!(!second.others_are_served(), "it has only been asked");
    node.send(&renewal(job(1))).await.unwrap();
    next(&mut first).await;
    assert!(second.others_are_served());
    assert!(!first.others_are_served(), "its own job is not another");
}
