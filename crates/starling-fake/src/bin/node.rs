//! A node whose provers are fake: `starling-fake-node TICKET DIR KEY MANNERS`. It ends when its client says goodbye. With `-`
//! instead of a ticket it says its own, works for all clients that it hears of there, and does not end.

use std::{error::Error, path::Path};

use starling_fake::{SYSTEMS, fake_prover, log_as_told};
use starling_net::{Net, NetConfig};
use starling_node::{NAMED_PATIENCE, Node, NodeConfig, NodeFiles};
use starling_proto::Ticket;
use starling_store::{DataDir, DiskBudget};
use starling_types::MemoryBytes;
use tokio_util::sync::CancellationToken;

/// What the node's blobs may take.
const DISK_BYTES: u64 = 1 << 30;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    log_as_told();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [ticket, dir, key, manners] = &arguments[..] else {
        return Err("starling-fake-node TICKET DIR KEY MANNERS".into());
    };
    let client = match ticket.as_str() {
        "-" => None,
        ticket => Some(ticket.parse::<Ticket>()?.0),
    };
    let data_dir = DataDir::open(Path::new(dir), "a fake node")?;
    let budget = DiskBudget { max_bytes: DISK_BYTES, min_free_bytes: 0 };
    let blobs = data_dir.unrooted_blobs(budget)?;
    let secret_key = [key.parse()?; 32];
    let config = NetConfig::loopback(secret_key);
    let net = Net::bind(config, blobs).await?;
    let prover = std::env::current_exe()?.with_file_name("starling-fake-prover");
    let config = NodeConfig {
        memory: MemoryBytes::from_mib(1024),
        slots: 1,
        systems: vec![fake_prover(&prover, SYSTEMS[0], manners)],
        results_bytes_max: DISK_BYTES / 2,
        patience: NAMED_PATIENCE,
    };
    let files = NodeFiles { scratch: data_dir.scratch()?, home: data_dir.path().to_owned() };
    let node = Node::new(net.clone(), files, config)?;
    let stop = CancellationToken::new();
    let ended = match client {
        Some(client) => node.serve_client(client, stop).await,
        None => {
            println!("ticket {}", net.ticket());
            node.serve_ads(net.ads(&[]).await?, stop).await;
            Ok(())
        }
    };
    net.close().await;
    Ok(ended?)
}
