//! A client with one fake job: `starling-fake-client DIR PORT PLAN COUNT [SIZE [JOIN]]`. It says its ticket, how many events are
//! logged whenever there are more, and what it delivers. Killed and started again on the same directory, it goes on. `SIZE` is
//! that of each piece of raw data, `JOIN` the ticket of a node that tells others of it.

use std::{error::Error, net::Ipv4Addr, path::Path, time::Duration};

use starling_client::{
    JobError, NetworkOptions, RunOptions,
    shell::{Client, Service, System},
};
use starling_fake::{Merges, Request, Rounds, Segments, Sums, log_as_told};
use starling_proto::Ticket;
use starling_types::JobId;

/// What the blobs may take.
const DISK_BYTES: u64 = 1 << 30;

/// How large each piece of raw data is, unless it is said.
const SIZE_BYTES: u32 = 1000;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    log_as_told();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [dir, port, plan, count, more @ ..] = &arguments[..] else {
        return Err(
            "starling-fake-client DIR PORT segments|merges|rounds COUNT [SIZE [JOIN]]".into()
        );
    };
    let size_bytes = more.first().map_or(Ok(SIZE_BYTES), |size| size.parse())?;
    let join = more.get(1).map(|ticket| ticket.parse::<Ticket>()).transpose()?;
    // Fixed, so that nodes find the client again when it was killed.
    let bind = Some((Ipv4Addr::LOCALHOST, port.parse()?).into());
    let join = join.into_iter().map(|Ticket(addr)| addr).collect();
    let network = NetworkOptions { bind, join, ..NetworkOptions::default() };
    let dir = Path::new(dir);
    let request = Request { count: count.parse()?, size_bytes };
    match plan.as_str() {
        "segments" => run(dir, network, |client| Segments::create(client, request)).await,
        "merges" => run(dir, network, |client| Merges::create(client, request)).await,
        "rounds" => run(dir, network, |client| Rounds::create(client, request)).await,
        other => Err(format!("there is no plan {other:?}").into()),
    }
}

async fn run<S: System<Delivered = Sums>>(
    dir: &Path,
    network: NetworkOptions,
    create: impl FnOnce(&Client<S>) -> Result<JobId, JobError>,
) -> Result<(), Box<dyn Error>> {
    let client = Client::<S>::open(dir, "a fake client", DISK_BYTES)?;
    let job = create(&client)?;
    let service = Service::start(client, network).await?;
    println!("ticket {}", service.ticket());
    let handle = service.submit(job, RunOptions::default());
    let result = handle.result();
    tokio::pin!(result);
    let mut told = 0;
    let delivered = loop {
        tokio::select! {
            outcome = &mut result => break outcome?,
            () = tokio::time::sleep(Duration::from_millis(20)) => {
                let logged = handle.events(0).await?.len();
                if logged > told {
                    told = logged;
                    println!("events {told}");
                }
            }
        }
    };
    for sum in delivered.iter() {
        println!("delivered {}", String::from(*sum));
    }
    service.close().await;
    Ok(())
}
