//! An enemy of the network, for tests: `starling-hostile BEHAVIOUR --ticket TICKET [--count N] [--keys N] [--seconds N]` behaves
//! like this towards the process that gave the ticket; `starling-hostile list` says what behaviours there are, and
//! `starling-hostile bench` measures what each costs a job.
//!
//! It speaks the real protocols over real QUIC and keeps to none of their rules. It proves nothing: what it does, anybody can do
//! who has a key, and keys are free. Ten times a second it says on stdout how much it has done so far.

mod behaviour;
mod bench;
mod client;
mod gossip;
mod node;
mod peer;
mod stranger;
mod tally;

use std::{error::Error, sync::Arc, time::Duration};

use starling_proto::{PeerAddr, Ticket};
use tokio::task::JoinSet;

use self::{
    behaviour::{Behaviour, Part},
    peer::Peer,
    tally::Tally,
};

/// Whatever goes wrong here is printed and ends the try, or the program.
type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Before a peer that was turned away tries again: so that it costs its victim more than itself.
const RETRY: Duration = Duration::from_millis(50);

const USAGE: &str = "starling-hostile BEHAVIOUR --ticket TICKET [--count N] [--keys N] [--seconds N] | list | bench";

/// What the program was told.
struct Orders {
    behaviour: Behaviour,
    target: PeerAddr,
    /// How many peers behave so at once.
    count: u64,
    /// How many keys they have together; each takes the next one whenever it connects.
    keys: u64,
    time: Duration,
}

impl Orders {
    fn parse(behaviour: Behaviour, mut words: impl Iterator<Item = String>) -> Result<Self> {
        let (mut target, mut count, mut keys, mut seconds) = (None, 8, None, 600);
        while let Some(word) = words.next() {
            let value = words.next().ok_or_else(|| format!("{word} without a value"))?;
            match word.as_str() {
                "--ticket" => target = Some(value.parse::<Ticket>()?.0),
                "--count" => count = value.parse()?,
                "--keys" => keys = Some(value.parse()?),
                "--seconds" => seconds = value.parse()?,
                _ => return Err(USAGE.into()),
            }
        }
        let target = target.ok_or("whom? --ticket TICKET says it")?;
        let keys = keys.unwrap_or(count).max(count).max(1);
        Ok(Self { behaviour, target, count, keys, time: Duration::from_secs(seconds) })
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut words = std::env::args().skip(1);
    match words.next().as_deref() {
        Some("list") => {
            for behaviour in Behaviour::ALL {
                println!("{behaviour}: {}", behaviour.says());
            }
            Ok(())
        }
        Some("bench") => bench::run(words).await,
        Some(name) => behave(Orders::parse(name.parse()?, words)?).await,
        None => Err(USAGE.into()),
    }
}

async fn behave(orders: Orders) -> Result<()> {
    let tally = Arc::new(Tally::default());
    let Orders { behaviour, target, count, keys, time } = orders;
    let mut peers = JoinSet::new();
    match behaviour.part() {
        Part::Gossip => {
            peers.spawn(gossip::flood(target, keys, tally.clone()));
        }
        Part::Client(answers) => {
            peers.spawn(client::pretend(target, count, answers, tally.clone()));
        }
        part => {
            for nth in 0..count {
                peers.spawn(persist(part, target.clone(), nth, (count, keys), tally.clone()));
            }
        }
    }
    let telling = async {
        loop {
            tokio::time::sleep(Duration::from_millis(100)).await;
            println!("{tally}");
        }
    };
    tokio::select! {
        () = tokio::time::sleep(time) => Ok(()),
        () = telling => Ok(()),
        Some(ended) = peers.join_next() => ended?,
    }
}

/// Behaves so again and again, whatever comes of it. It ends only when this machine gives it no socket.
async fn persist(
    part: Part,
    target: PeerAddr,
    nth: u64,
    (count, keys): (u64, u64),
    tally: Arc<Tally>,
) -> Result<()> {
    let mut kept = Vec::new();
    let mut key = nth;
    loop {
        let peer = Peer::new(key, &target, part, tally.clone()).await?;
        // A peer with one key stays where it is; one with more comes back as somebody else.
        loop {
            let tried = match part {
                Part::Node(manner) => node::work(&peer, manner, &mut kept).await,
                Part::Stranger(manner) => stranger::behave(&peer, manner, nth).await,
                Part::Gossip | Part::Client(_) => return Ok(()),
            };
            if let Err(error) = tried {
                tally.note(&*error);
                tokio::time::sleep(RETRY).await;
            }
            if keys > count {
                break;
            }
        }
        peer.close().await;
        key = (key + count) % keys;
    }
}
