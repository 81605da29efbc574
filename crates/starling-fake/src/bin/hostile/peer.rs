//! One peer of the enemy: an endpoint with a key of its own, and what it says over a job connection.

use std::sync::Arc;

use iroh::{
    Endpoint, EndpointAddr, PublicKey, SecretKey, TransportAddr,
    endpoint::{Connection, QuicTransportConfig, RecvStream, SendStream, VarInt, presets},
};
use sha3::{Digest as _, Sha3_256};
use starling_fake::SYSTEMS;
use starling_proto::{
    ClientMessage, Hello, JOB_ALPN, Message, NodeMessage, Offer, PeerAddr, limits::SLOT_COUNT_MAX,
};
use starling_types::{KindCode, MemoryBytes, MemoryTable};
use tokio::sync::mpsc;

use crate::{
    Result,
    behaviour::{Manner, Part},
    tally::Tally,
};

/// What a slow reader lets come on a stream before it has read that: less than any blob of a test.
const SLOW_WINDOW_BYTES: u32 = 1024;

/// The kinds of tasks of all fake jobs end before this number.
const KIND_END: u32 = 10;

/// The `nth` key of the enemy.
pub(crate) fn key(nth: u64) -> SecretKey {
    let hash = Sha3_256::digest(format!("hostile {nth}").as_bytes());
    let mut bytes = [0; 32];
    bytes.copy_from_slice(&hash);
    SecretKey::from_bytes(&bytes)
}

/// `addr` as iroh dials it.
pub(crate) fn dialable(addr: &PeerAddr) -> Result<EndpointAddr> {
    let id = PublicKey::from_bytes(&addr.node_id.0)?;
    Ok(EndpointAddr::from_parts(id, addr.direct.iter().copied().map(TransportAddr::Ip)))
}

/// An endpoint on loopback.
pub(crate) async fn endpoint(
    key: SecretKey,
    window: Option<u32>,
    alpns: Vec<Vec<u8>>,
) -> Result<Endpoint> {
    let mut transport = QuicTransportConfig::builder();
    if let Some(window) = window {
        transport = transport.stream_receive_window(VarInt::from_u32(window));
    }
    let builder = Endpoint::builder(presets::Minimal)
        .secret_key(key)
        .transport_config(transport.build())
        .clear_ip_transports()
        .bind_addr("127.0.0.1:0")?
        .alpns(alpns);
    Ok(builder.bind().await?)
}

/// `message` as it travels.
pub(crate) fn framed(message: &impl Message) -> Vec<u8> {
    let body = message.encode();
    [&(body.len() as u32).to_le_bytes()[..], &body].concat()
}

/// The next message on a stream.
pub(crate) async fn take<M: Message>(stream: &mut RecvStream) -> Result<M> {
    let mut size = [0; 4];
    stream.read_exact(&mut size).await?;
    let size = u32::from_le_bytes(size) as usize;
    if size > M::SIZE_BYTES_MAX {
        return Err("the victim says more than it may".into());
    }
    let mut body = vec![0; size];
    stream.read_exact(&mut body).await?;
    Ok(M::decode(&body)?)
}

/// A peer of the enemy.
pub(crate) struct Peer {
    endpoint: Endpoint,
    target: EndpointAddr,
    pub(crate) tally: Arc<Tally>,
}

impl Peer {
    pub(crate) async fn new(
        nth: u64,
        target: &PeerAddr,
        part: Part,
        tally: Arc<Tally>,
    ) -> Result<Self> {
        let window = (part == Part::Node(Manner::ReadsSlowly)).then_some(SLOW_WINDOW_BYTES);
        let endpoint = endpoint(key(nth), window, vec![]).await?;
        Ok(Self { endpoint, target: dialable(target)?, tally })
    }

    pub(crate) async fn dial(&self, alpn: &[u8]) -> Result<Connection> {
        let connection = self.endpoint.connect(self.target.clone(), alpn).await?;
        Tally::add(&self.tally.connections, 1);
        Ok(connection)
    }

    pub(crate) async fn close(&self) {
        self.endpoint.close().await;
    }
}

/// A job connection on which a hello was said.
pub(crate) struct Conversation {
    pub(crate) connection: Connection,
    send: SendStream,
    heard: mpsc::Receiver<ClientMessage>,
    tally: Arc<Tally>,
}

impl Conversation {
    /// Says hello, with claims that would be worth something if anybody believed them.
    pub(crate) async fn begin(peer: &Peer) -> Result<Self> {
        let connection = peer.dial(JOB_ALPN).await?;
        let (send, mut recv) = connection.open_bi().await?;
        let (hear, heard) = mpsc::channel(64);
        tokio::spawn(async move {
            while let Ok(message) = take(&mut recv).await {
                if hear.send(message).await.is_err() {
                    return;
                }
            }
        });
        let mut conversation = Self { connection, send, heard, tally: peer.tally.clone() };
        let kinds = (1..KIND_END).map(|kind| (KindCode(kind), MemoryTable::default())).collect();
        let offer = Offer { system: SYSTEMS[0].into(), kinds, speed_permille: 1_000_000 };
        let memory = MemoryBytes::from_mib(1 << 20);
        let hello = Hello { systems: vec![offer], memory, slots: SLOT_COUNT_MAX };
        conversation.say(&NodeMessage::Hello(hello)).await?;
        Ok(conversation)
    }

    pub(crate) async fn say(&mut self, message: &NodeMessage) -> Result<()> {
        self.send.write_all(&framed(message)).await?;
        Tally::add(&self.tally.messages, 1);
        Ok(())
    }

    /// What the client says next; `None` when it says no more. Nothing is lost when the future is dropped.
    pub(crate) async fn hear(&mut self) -> Option<ClientMessage> {
        self.heard.recv().await
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        self.connection.close(VarInt::from_u32(0), b"");
    }
}
