//! A real node whose provers are fake, in this process; its provers are processes of their own.

use std::path::Path;

use starling_blobs::MemoryBlobs;
use starling_fake::{SYSTEMS, fake_prover};
use starling_net::{Net, PeerAddr};
use starling_node::{NAMED_PATIENCE, Node, NodeConfig, NodeError, NodeFiles};
use starling_store::{DataDir, DiskBudget};
use starling_types::{MemoryBytes, NodeId};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::loopback;

/// What a node is.
#[derive(Clone)]
pub(crate) struct Setup {
    /// Of which its key is made.
    pub(crate) key: u8,
    /// How its provers behave.
    pub(crate) manners: &'static str,
    pub(crate) systems: Vec<&'static str>,
    /// What its blobs may take, in bytes.
    pub(crate) disk_bytes: u64,
    /// Whether they are in memory, and not on the disk.
    pub(crate) in_memory: bool,
    pub(crate) slots: u32,
}

impl Setup {
    pub(crate) fn new(key: u8, manners: &'static str) -> Self {
        let systems = vec![SYSTEMS[0]];
        Self { key, manners, systems, disk_bytes: 1 << 30, in_memory: false, slots: 1 }
    }

    /// Starts it; it serves the client until that says goodbye or the node is dropped.
    pub(crate) async fn serve(self, client: PeerAddr) -> Running {
        let Self { key, manners, systems, disk_bytes, in_memory, slots } = self;
        let dir = tempfile::tempdir().unwrap();
        let data_dir = DataDir::open(dir.path(), "a test").unwrap();
        let net = if in_memory {
            Net::bind(loopback(key), MemoryBlobs::new(disk_bytes)).await
        } else {
            let budget = DiskBudget { max_bytes: disk_bytes, min_free_bytes: 0 };
            Net::bind(loopback(key), data_dir.unrooted_blobs(budget).unwrap()).await
        };
        let net = net.unwrap();
        let id = net.id();
        let program = Path::new(env!("CARGO_BIN_EXE_starling-fake-prover"));
        let config = NodeConfig {
            memory: MemoryBytes::from_mib(1024),
            slots,
            systems: systems
                .into_iter()
                .map(|system| fake_prover(program, system, manners))
                .collect(),
            results_bytes_max: disk_bytes / 2,
            patience: NAMED_PATIENCE,
        };
        let files =
            NodeFiles { scratch: data_dir.scratch().unwrap(), home: data_dir.path().to_owned() };
        let node = Node::new(net.clone(), files, config).unwrap();
        let task = tokio::spawn(async move {
            let ended = node.serve_client(client, CancellationToken::new()).await;
            net.close().await;
            // Not before: its lock is of a directory in use.
            drop(data_dir);
            ended
        });
        Running { id, task, _dir: dir }
    }
}

/// A node at work.
pub(crate) struct Running {
    pub(crate) id: NodeId,
    task: JoinHandle<Result<(), NodeError>>,
    _dir: TempDir,
}

impl Running {
    /// How it ended with its client.
    pub(crate) async fn ended(self) -> Result<(), NodeError> {
        self.task.await.unwrap()
    }
}
