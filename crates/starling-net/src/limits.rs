//! What a peer may cost: every queue, count and wait of this crate, and why it is as large as it is.

use std::time::Duration;

/// Job connections that a client keeps at once. A node needs one, and a client that serves more
/// nodes than this spends its machine on them.
pub const JOB_CONNECTION_COUNT_MAX: usize = 1024;

/// How long a peer may be of no use before a newcomer gets its place, should all be taken: a node that works says so every
/// 5 s.
pub const PLACE_USELESS_MAX: Duration = Duration::from_secs(60);

/// Places that one peer has: its connection, and one that it lost and this side has not missed yet.
pub const PLACE_COUNT_PER_PEER_MAX: usize = 2;

/// The part of all places, and of all transfers of their sort, that peers of one network have at most (IPv4: 24 bits, IPv6: 48;
/// all that come by relay are one) which have delivered nothing yet: one in so many, so that nobody with one network shuts out all
/// others. Those that have private addresses are of a network that is one's own, and not counted.
pub const PLACES_PER_NETWORK_PART: usize = 4;

/// Peers that are remembered for having delivered: a few for each place.
pub const DELIVERED_PEERS_MAX: usize = 4 * JOB_CONNECTION_COUNT_MAX;

/// Messages that a peer may say on a job connection in a second, on average: twice what a node says that gets on in all the
/// slots that there can be, each of which it tells of once a second.
pub const MESSAGES_PER_SECOND_MAX: u32 = 2 * starling_proto::limits::SLOT_COUNT_MAX;

/// And at once, after a silence: all that such a node has to say when it comes back.
pub const MESSAGE_BURST_MAX: u64 = 4 * starling_proto::limits::SLOT_COUNT_MAX as u64;

/// Job connections that wait to be accepted by the client. A process that accepts none, as a mere
/// node, is not burdened by more than these.
pub const JOB_BACKLOG_COUNT_MAX: usize = 64;

/// Blob connections that strangers may keep open.
pub const BLOB_CONNECTION_COUNT_MAX: usize = 256;

/// Gossip connections: the protocol keeps five neighbours and some in reserve.
pub const GOSSIP_CONNECTION_COUNT_MAX: usize = 64;

/// Blobs that one connection fetches at once. A node has a few slots, each with at most two inputs.
pub const BLOB_STREAM_COUNT_MAX: usize = 16;

/// Streams in one direction that a peer may open: gossip has one for each topic, and nothing else here has any.
pub const UNI_STREAM_COUNT_MAX: u32 = 4;

/// What a peer that has dialed may send before it is read, over all streams of its connection: a message of each stream, and
/// enough for 2.5 MB/s over a tenth of a second.
pub const UNREAD_BYTES_MAX: u32 = 256 << 10;

/// And a peer that this process has dialed, of which there are few: inputs come over these connections.
pub const UNREAD_BYTES_DIALED_MAX: u32 = 4 << 20;

/// What is sent on a connection before the peer says that it has come. [`SERVE_COUNT_MAX`] bounds how many are sent to.
pub const UNACKNOWLEDGED_BYTES_MAX: u64 = 1 << 20;

/// All that peers which have dialed may have sent and this process has not read, over all places: a third of a gigabyte.
pub const UNREAD_BYTES_ALL_MAX: u64 = UNREAD_BYTES_MAX as u64
    * (JOB_CONNECTION_COUNT_MAX + BLOB_CONNECTION_COUNT_MAX + GOSSIP_CONNECTION_COUNT_MAX) as u64;
const _: () = assert!(UNREAD_BYTES_ALL_MAX <= (1 << 30) / 3);

/// Blobs that are served at once in all: each holds a file and a buffer.
pub const SERVE_COUNT_MAX: usize = 256;

/// Blobs that one peer is served at once, and only one once half of the places that it may have are taken.
pub const SERVE_COUNT_PER_PEER_MAX: usize = BLOB_STREAM_COUNT_MAX;

/// The part of all transfers that peers have at most which hold no lease: one in so many, so that whoever works is served at
/// once, whatever others do.
pub const OTHERS_PART: usize = 2;

/// And the part that strangers have at most.
pub const STRANGERS_PART: usize = 4;

/// How long a peer that has shown that it works counts as one that does: a lease that is not renewed for so long is over, and
/// nodes renew theirs four times as often.
pub const WORKS_FOR: Duration = Duration::from_secs(20);

/// How long a peer that asks for a blob waits for its turn before it is told to come later: it may have other sources, and it
/// waits for an answer no longer than [`BLOB_MESSAGE_TIMEOUT`].
pub const SERVE_WAIT_MAX: Duration =
    Duration::from_millis(BLOB_MESSAGE_TIMEOUT.as_millis() as u64 / 2);

/// How long to wait before sources are asked again that are busy.
pub const BUSY_PAUSE: Duration = Duration::from_secs(2);

/// How long sources may be busy before a fetch is given up: peers that read nothing hold their turns for a sixth of that
/// ([`BLOB_IDLE_TIMEOUT`]).
pub const BUSY_PATIENCE: Duration = Duration::from_secs(120);

/// Blobs that are fetched at once: each holds a file, a blocking thread and a few buffers. The rest wait.
pub const FETCH_COUNT_MAX: usize = 64;

/// And from one peer, while less than half of those are taken; after that, one: slow peers do not hinder others.
pub const FETCH_COUNT_PER_PEER_MAX: usize = 8;

/// Sources that are tried for one blob.
pub const SOURCE_COUNT_MAX: usize = 16;

/// Connections to holders of blobs that are kept for the next fetch.
pub const POOL_CONNECTION_COUNT_MAX: usize = 32;

/// Holders of which is remembered that they could not be reached: many more than are dialled at a time.
pub const POOL_FAILURE_COUNT_MAX: usize = 1024;

/// Control messages waiting to be sent on one connection. A full queue makes the sender wait.
pub const SEND_QUEUE_COUNT_MAX: usize = 64;

/// How long a peer may leave a full queue standing before it counts as gone.
pub const SEND_TIMEOUT: Duration = Duration::from_secs(30);

/// How long last words may take to arrive before the connection is closed over them.
pub const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// What a packet and its answer are taken to need before one was measured. A third of what QUIC recommends: who leaves waits nine
/// times as long for a peer that was dialled and never answered, which should be a second, not three; and over a bad link the
/// first packet is sent again sooner. Where the way is longer, a packet or two are sent in vain.
pub const RTT_ASSUMED: Duration = Duration::from_millis(100);

/// How long dialing a client may take: some tries over a bad link, and through a relay.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// How long dialing a holder of a blob may take. There are others, and a lease waits for its inputs.
pub const HOLDER_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Addresses of one peer that are tried at once, where strangers say that they are its: the best of two networks in both families.
pub const DIALLED_AT_ONCE_MAX: usize = 4;

/// New addresses that are tried in a minute on the word of strangers, ads and leases together: each gets some ten packets, so that
/// these are 200 KB/s at most. A node with all slots that there can be meets fewer.
pub const NEW_ADDRS_MAX: usize = 1024;

/// And those of one public network (IPv4: 24 bits, IPv6: 48), so that an ad aims nobody at anybody: 6 KB/s.
pub const NEW_ADDRS_PER_NETWORK_MAX: usize = 32;

/// The minute.
pub const NEW_ADDR_PERIOD: Duration = Duration::from_secs(60);

/// Addresses that are remembered for having answered: they are not new, and are dialled again at any time.
pub const ANSWERED_ADDR_COUNT_MAX: usize = 1024;

/// How long a peer that has connected may take to open its stream and be accepted.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(15);

/// Handshakes that may be open before newcomers have to show that they are at their addresses: more than thousands of nodes that
/// come back in the same second have open at a time, and some 10 MB.
pub const HANDSHAKE_COUNT_CALM: usize = 256;

/// And those of all who have shown it.
pub const HANDSHAKE_COUNT_MAX: usize = 1024;

/// How long a handshake stays open that does not get on.
pub const HANDSHAKE_OPEN_MAX: Duration = CONNECTION_IDLE_TIMEOUT;

/// A connection that is silent for so long is dead: both sides send a sign of life every 5 seconds, and
/// machines that prove on every core are late with theirs.
pub const CONNECTION_IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// How long a blob request, or the header that answers it, may take to arrive.
pub const BLOB_MESSAGE_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a blob's bytes may stop before the transfer is given up, on either side.
pub const BLOB_IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// What a transfer must reach on average, beyond a first [`BLOB_IDLE_TIMEOUT`]: a slow holder must not hold a fetch for ever.
/// 16 KiB/s is below every link worth fetching over.
pub const BLOB_BYTES_PER_SECOND_MIN: u64 = 16 * 1024;

/// And over each [`BLOB_IDLE_TIMEOUT`]: one that drips bytes is left as soon as one that sends none. A quarter of the average,
/// since many fetch over one link at the same time.
pub const BLOB_BYTES_PER_SECOND_FLOOR: u64 = BLOB_BYTES_PER_SECOND_MIN / 4;

/// How long a caller that asks for a blob that is being fetched waits for that, before it goes to its own sources as well: this, and
/// what a usual link takes for the bytes.
pub const FLIGHT_PATIENCE_MIN: Duration = Duration::from_secs(2);

/// The speed of such a link: 2 Mbit/s.
pub const FLIGHT_BYTES_PER_SECOND: u64 = 256 * 1024;

/// And at most this: a second transfer of a large blob costs less than a client that is kept waiting by another.
pub const FLIGHT_PATIENCE_MAX: Duration = Duration::from_secs(30);

/// How long a transfer of so many bytes may take, on either side.
pub(crate) fn transfer_time_max(size_bytes: u64) -> Duration {
    BLOB_IDLE_TIMEOUT * 2 + Duration::from_secs(size_bytes / BLOB_BYTES_PER_SECOND_MIN)
}

/// Bytes of a blob that are read or written at once: large enough that going to the thread that may wait for a disk does
/// not count.
pub const BLOB_CHUNK_SIZE_BYTES: usize = 128 * 1024;

/// Verified ads that wait to be read; when full, new ones are dropped, since they are repeated anyway.
pub const AD_QUEUE_COUNT_MAX: usize = 64;

/// Jobs whose ads are remembered, to tell news from repetition. For a newcomer the oldest of the network with the most of them is
/// forgotten, so that the ads of a crowd keep nobody else from being heard.
pub const AD_JOB_COUNT_MAX: usize = 1024;

/// Jobs of one client that are remembered. Beyond them a new one is heard in place of the oldest, as often as that might have been
/// heard itself.
pub const AD_JOB_COUNT_PER_SIGNER_MAX: usize = 16;

/// How often it is said that an ad comes from another time.
pub const CLOCK_WARNING_PERIOD: Duration = Duration::from_secs(60);

/// The least time between two ads for the same job: clients repeat theirs every few seconds.
pub const AD_INTERVAL_MIN: Duration = Duration::from_secs(1);

/// How long to wait for the relay before going on without it.
pub const RELAY_TIMEOUT: Duration = Duration::from_secs(10);

/// How often a process that has lost all its gossip neighbours dials its bootstrap peers again.
pub const REJOIN_INTERVAL: Duration = Duration::from_secs(5);

/// The largest gossip message: a signed ad, or the protocol's own messages with the addresses of some
/// peers.
pub const GOSSIP_MESSAGE_SIZE_BYTES_MAX: usize = 2 * starling_proto::limits::AD_SIZE_BYTES_MAX;
