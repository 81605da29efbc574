//! Tests of all messages alike: the bytes they have, what comes back, and what is refused.

#![allow(clippy::unwrap_used)]

mod golden;
mod refusals;
mod round_trip;

use starling_types::{
    BlobRef, ClientRun, Epoch, FailureClass, IndexRange, JobId, KindCode, MemoryBytes, MemoryTable,
    Millis, NodeId, Po2, Reference, Role, Task,
};

use crate::{
    ClientMessage, Done, Failure, GoodbyeReason, Grant, Hello, Input, JobAd, LeaseId, NodeMessage,
    Offer, PeerAddr, Wanted, Welcome,
};

/// The public key of the secret of 32 sevens: a node id has to be a key.
fn key() -> iroh_base::SecretKey {
    iroh_base::SecretKey::from_bytes(&[7; 32])
}

fn node_id() -> NodeId {
    NodeId(*key().public().as_bytes())
}

fn addr() -> PeerAddr {
    PeerAddr {
        node_id: node_id(),
        direct: vec!["192.168.1.5:7000".parse().unwrap(), "[::1]:7000".parse().unwrap()],
        relay: Some("https://relay.example.org/".parse().unwrap()),
    }
}

fn blob() -> BlobRef {
    BlobRef { reference: Reference([0xab; 32]), size_bytes: 6_400_000 }
}

fn lease() -> LeaseId {
    LeaseId { job: JobId([5; 16]), epoch: Epoch(300) }
}

const SYSTEM: &str = "risc0/a54dc85a/2";

/// A node that proves of two sizes, joins, and takes another kind without a word on its memory.
fn hello() -> Hello {
    let sized = [(14, 300), (18, 580)];
    let sized = sized.map(|(po2, mib)| (Po2::try_from(po2).unwrap(), MemoryBytes::from_mib(mib)));
    let any = Some(MemoryBytes::from_mib(290));
    let kinds = [
        (KindCode(2), MemoryTable { by_po2: sized.into(), any: None }),
        (KindCode(3), MemoryTable { by_po2: [].into(), any }),
        (KindCode(300), MemoryTable::default()),
    ];
    Hello {
        systems: vec![Offer { system: SYSTEM.into(), kinds: kinds.into(), speed_permille: 1100 }],
        memory: MemoryBytes::from_mib(4096),
        slots: 2,
    }
}

fn grant() -> Grant {
    Grant {
        lease: lease(),
        system: SYSTEM.into(),
        task: Task { kind: KindCode(3), range: IndexRange::new(12, 14).unwrap() },
        arguments: vec![18, 0],
        inputs: vec![
            Input { blob: blob(), role: Role::Input, holders: vec![addr()] },
            Input { blob: blob(), role: Role::Challenge, holders: vec![] },
        ],
        renew_within: Millis(10_000),
        deadline: Millis(600_000),
        ahead: false,
    }
}

fn ad() -> JobAd {
    JobAd {
        job: JobId([5; 16]),
        client: addr(),
        systems: vec![Wanted { system: SYSTEM.into(), kinds: [2, 3].map(KindCode).into() }],
        memory: MemoryBytes::from_mib(900),
        issued_at_unix_ms: 1_700_000_000_000,
        ttl_ms: 60_000,
    }
}

fn node_messages() -> Vec<NodeMessage> {
    let done = Done {
        lease: lease(),
        result: blob(),
        prove_ms: 12_345,
        peak_memory: MemoryBytes::from_mib(800),
    };
    let failure =
        Failure { lease: lease(), class: FailureClass::Node, message: "out of memory".into() };
    vec![
        NodeMessage::Hello(hello()),
        NodeMessage::WorkRequested,
        NodeMessage::Renew { lease: lease(), done_permille: 420, waits: false },
        NodeMessage::Decline { lease: lease(), busy: true },
        NodeMessage::Done(done),
        NodeMessage::Failed(failure),
        NodeMessage::Leaving { reason: "stopped".into() },
        NodeMessage::Renew { lease: lease(), done_permille: 0, waits: true },
    ]
}

fn client_messages() -> Vec<ClientMessage> {
    let welcome = Welcome { run: ClientRun(0x0123_4567_89ab_cdef) };
    let job_over = GoodbyeReason::JobOver { job: lease().job };
    vec![
        ClientMessage::Welcome(welcome),
        ClientMessage::Grant(grant()),
        ClientMessage::Revoke { lease: lease(), reason: "done elsewhere".into() },
        ClientMessage::Verdict { lease: lease(), accepted: true, reason: String::new() },
        ClientMessage::Goodbye {
            reason: GoodbyeReason::ShuttingDown,
            message: "the job is proved".into(),
        },
        ClientMessage::Goodbye { reason: job_over, message: String::new() },
    ]
}
