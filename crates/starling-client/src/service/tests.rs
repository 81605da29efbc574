//! Nodes on this machine and those who would like to be taken for them, without a proof: the program that is started only writes
//! down what it is told.

#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeSet,
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use starling_net::{Net, NetConfig, Source};
use starling_proto::{ClientMessage, Hello, NodeMessage, Offer};
use starling_store::{BlobStore, DiskBudget};
use starling_types::{MemoryBytes, MemoryTable, TaskKind};
use starling_zkvm::{Backend, zkvm};

use crate::{Assignment, Client, LocalNodes, NetworkOptions, SandboxPolicy, Service};

const DISK_BYTES: u64 = 1 << 30;

/// No step takes so long, unless something hangs.
const HANGS_AFTER: Duration = Duration::from_secs(30);

/// A service whose local nodes are scripts that keep what they hear in `NAME.args`, `NAME.env` and `NAME.told`.
struct World {
    dir: tempfile::TempDir,
    service: Service,
}

impl World {
    async fn new(count: u32, open: impl FnOnce(NetworkOptions) -> NetworkOptions) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("program");
        let told = dir.path().display();
        let script = format!(
            "#!/bin/sh\n\
             name={told}/$(basename \"$4\")\n\
             printf '%s\\n' \"$@\" > $name.args\n\
             env > $name.env\n\
             head -n 1 > $name.part && mv $name.part $name.told\n\
             cat > /dev/null\n"
        );
        write_program(&program, &script);
        let nodes = LocalNodes {
            count,
            program,
            memory_each: MemoryBytes(0),
            threads_each: 1,
            backend: Backend::Fast,
            sandbox: SandboxPolicy::Try,
            disk_budget_bytes: 0,
            loopback: true,
        };
        let client = Client::open(&dir.path().join("client"), "a test", DISK_BYTES).unwrap();
        let network = open(NetworkOptions::on_this_machine(nodes));
        let service = Service::start(client, network).await.unwrap();
        Self { dir, service }
    }

    /// What the node of this number is told, and its arguments and environment.
    async fn told(&self, index: u32) -> (Assignment, String) {
        let path = |ending: &str| self.dir.path().join(format!("{index}.{ending}"));
        let since = Instant::now();
        while !path("told").exists() {
            assert!(since.elapsed() < HANGS_AFTER, "it is told nothing");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let told = fs::read(path("told")).unwrap();
        let shown = ["args", "env"].map(|ending| fs::read_to_string(path(ending)).unwrap());
        (Assignment::read(&mut &told[..]).await.unwrap(), shown.concat())
    }

    /// Another process of this machine, under a key.
    async fn process(&self, secret_key: [u8; 32]) -> Net {
        let budget = DiskBudget { max_bytes: 1 << 20, min_free_bytes: 0 };
        let dir = self.dir.path().join(hex::encode(&secret_key[..4]));
        Net::bind(NetConfig::loopback(secret_key), BlobStore::open(&dir, budget).unwrap())
            .await
            .unwrap()
    }
}

/// Writes a program by another process: one that is open for writing, as by a process that is forked meanwhile, can't be run.
fn write_program(path: &Path, script: &str) {
    let write = format!("cat > '{0}' && chmod 700 '{0}'", path.display());
    let mut shell = Command::new("sh").args(["-c", &write]).stdin(Stdio::piped()).spawn().unwrap();
    shell.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    assert!(shell.wait().unwrap().success());
}

/// Introduces itself as a node does; what the client says to that.
async fn come(node: &Net, service: &Service) -> anyhow::Result<Option<ClientMessage>> {
    let mut session = node.connect_job(&service.ticket().0).await?;
    let kinds = TaskKind::ALL.map(|kind| (kind.code(), MemoryTable::default())).into();
    let hello = Hello {
        systems: vec![Offer { system: zkvm(), kinds, speed_permille: 1000 }],
        memory: MemoryBytes::from_mib(1024),
        slots: 1,
    };
    session.send(&NodeMessage::Hello(hello)).await?;
    Ok(session.recv().await?)
}

#[tokio::test]
async fn a_ticket_alone_lets_nobody_in_where_only_local_nodes_are_meant_to_come() {
    let world = World::new(2, |network| network).await;
    let (first, second) = (world.told(0).await.0, world.told(1).await.0);
    let segment = world.service.client().blobs.put(b"a segment with a secret in it").unwrap();
    let sources = [Source::peer(first.client.0.clone())];

    let stranger = world.process([7; 32]).await;
    let refused = come(&stranger, &world.service).await.unwrap_err().to_string();
    assert!(refused.contains("closed to all but its own peers"), "{refused}");
    assert!(stranger.fetch(segment.blob(), &sources).await.is_err());

    // Those that the client has started are let in, and let in each other.
    let mut ids = BTreeSet::from([first.client.0.node_id]);
    for told in [&first, &second] {
        let node = world.process(told.secret_key).await;
        ids.insert(node.id());
        let welcome = come(&node, &world.service).await.unwrap();
        assert!(matches!(welcome, Some(ClientMessage::Welcome(_))), "{welcome:?}");
        node.fetch(segment.blob(), &sources).await.unwrap();
    }
    assert_eq!((first.only, second.only), (Some(ids.clone()), Some(ids)));
    world.service.close().await;
}

#[tokio::test]
async fn a_client_that_is_reachable_lets_anybody_come_to_it_and_to_its_nodes() {
    let world = World::new(1, |network| NetworkOptions { reachable: true, ..network }).await;
    assert_eq!(world.told(0).await.0.only, None);
    world.service.close().await;
}

#[tokio::test]
async fn what_others_can_read_of_a_local_node_has_no_ticket_and_no_key() {
    let world = World::new(1, |network| network).await;
    let (told, shown) = world.told(0).await;
    assert!(shown.contains("--supervised"), "{shown}");
    for secret in [told.client.to_string(), hex::encode(told.secret_key)] {
        assert!(!shown.contains(&secret), "{shown}");
    }
    let log = world.service.data_dir().join("local/0/log").metadata().unwrap();
    assert_eq!(log.permissions().mode() & 0o777, 0o600);
    world.service.close().await;
}
