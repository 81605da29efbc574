//! How many, how long and how often: every bound of a node, and why it is so.

use starling_types::Millis;

/// Connections to clients at the same time. Work is taken from all of them, and each is a socket's state.
pub const LINK_COUNT_MAX: usize = 64;

/// Connections to clients whose addresses begin alike (IPv4: 24 bits, IPv6: 48): one network's, most likely one
/// person's. A quarter, so that nobody with one network shuts out all others. Loopback and clients that the user
/// named are not counted.
pub const LINK_COUNT_PER_PREFIX_MAX: usize = LINK_COUNT_MAX / 4;

/// Clients that are known, connected or not: those that wait for a connection are a few times as many. A newcomer takes the place
/// of one that has been of less use.
pub const CLIENT_COUNT_MAX: usize = 4 * LINK_COUNT_MAX;

/// And of one network, as with the connections.
pub const CLIENT_COUNT_PER_PREFIX_MAX: usize = CLIENT_COUNT_MAX / 4;

/// Clients that only ads tell of and that are dialled at once after a while without any: as many as there are connections.
pub const HEARSAY_DIALS_MAX: u64 = LINK_COUNT_MAX as u64;

/// And then one in so long, 240 in a minute: an ad costs its sender nothing, and each dial some packets to whom it names.
pub const HEARSAY_DIAL_PERIOD: Millis = Millis(250);

/// Clients that are left alone for a while after their goodbye.
pub const RESTING_COUNT_MAX: usize = 1024;

/// How long a client may take to be connected and to answer the greeting.
pub const GREETING_TIME: Millis = Millis(40_000);

/// How long it may take when others wait for its connection, unless the user named it: whoever is there answers within a few
/// packets.
pub const GREETING_PATIENCE: Millis = Millis(5_000);

/// The first pause before a client is dialled again; it doubles with every failure.
pub const REDIAL_TIME_MIN: Millis = Millis(1_000);

/// The longest such pause.
pub const REDIAL_TIME_MAX: Millis = Millis(30_000);

/// How long a client that the user named is dialled in vain, when nothing is held for it and the user does not say otherwise.
pub const NAMED_PATIENCE: Millis = Millis(60_000);

/// How long leases and results of a client are kept while it can't be reached: a laptop's lid, a restart of a
/// router. Longer than any client waits.
pub const AWAY_TIME_MAX: Millis = Millis(10 * 60_000);

/// How long a client that is only known by its ads is remembered after the last: ads come every 5 s.
pub const AD_MEMORY: Millis = Millis(60_000);

/// How long a client that said goodbye is left alone, so that its last ads call nobody back.
pub const REST_TIME: Millis = Millis(10_000);

/// How long one that dismissed this node is left alone: it will hardly change its mind.
pub const DISMISSED_TIME: Millis = Millis(30 * 60_000);

/// How long a client may grant nothing while others wait for its connection.
pub const SILENT_TIME_MAX: Millis = Millis(60_000);

/// How long a request for work stays alone: after that another client is asked as well.
pub const ASK_PATIENCE: Millis = Millis(5_000);

/// And a request to a client of which no lease has come to a proof: whoever has work answers within a few packets, and what is
/// granted late takes no slot from anybody.
pub const TRIAL_PATIENCE: Millis = Millis(500);

/// How long a client whose lease was declined is not asked again, unless something becomes free here before.
pub const DECLINE_PAUSE: Millis = Millis(30_000);

/// How long the inputs of a lease may take to come, beside what their bytes take: its slot does nothing until then. Some
/// holders that do not answer, and then the client.
pub const INPUT_TIME_MIN: Millis = Millis(3 * 60_000);

/// And in all, whatever their size.
pub const INPUT_TIME_MAX: Millis = Millis(15 * 60_000);

/// What a transfer of inputs has to reach: the network gives one that is slower up by itself.
pub const INPUT_BYTES_PER_SECOND_MIN: u64 = 16 * 1024;

/// How long a slot waits for inputs of a client of which a lease has come to a proof; of others it does not wait at all. Their
/// transfer goes on, and the slot is for who can begin with it. Five seconds: a usual segment over a usual line at home.
pub const INPUT_PATIENCE: Millis = Millis(5_000);

/// Leases whose inputs are on their way without a slot, beyond one for each slot. For a newcomer the oldest is given back that has
/// been on its way for [`INPUT_PATIENCE`]: so that clients that serve nothing, however many, keep nobody from being tried.
pub const PENDING_COUNT_MAX: usize = 8;

/// How long a client whose inputs did not come gets no slot: as long as it held one, and at least this. It doubles with each
/// time, until a lease of it comes to a proof.
pub const STALL_PAUSE_MIN: Millis = Millis(1_000);

/// The longest such pause.
pub const STALL_PAUSE_MAX: Millis = Millis(3_600_000);

/// The longest such pause of a client that says that it serves too many others: it should have fewer in a minute, and who says so
/// to keep a place has that without a slot.
pub const BUSY_PAUSE_MAX: Millis = Millis(60_000);

/// A slot is given to one lease for no longer than this, whatever the client says and however well its proof gets on: one
/// that creeps from one thousandth to the next would otherwise have it for a thousand deadlines. A day: no task that takes a
/// machine longer is worth giving to it.
pub const SLOT_TIME_MAX: Millis = Millis(24 * 3_600_000);

/// A lease is renewed this many times within the time that it must be renewed in, so that a lost or late
/// renewal or two cost nothing.
pub const RENEWALS_PER_TERM: u64 = 4;

/// But no more often than this, whatever the client says.
pub const RENEWAL_PERIOD_MIN: Millis = Millis(250);

/// A renewal goes early when the task has got on by so much since the last: twenty more for a whole task.
pub const NEWS_PERMILLE: u32 = 50;

/// But not before this has passed since the last.
pub const NEWS_PERIOD: Millis = Millis(1_000);

/// How often a proof is begun again after its prover was killed from outside. Twice in a row is not an accident: the
/// system is short of memory.
pub const KILLS_FORGIVEN: u32 = 1;

/// Results that are kept for others to fetch. Each cost a proof, so this is days of work.
pub const RESULT_COUNT_MAX: usize = 4096;

/// How often a full disk is looked at.
pub const DISK_PERIOD: Millis = Millis(5_000);

/// The room on the disk with which the node goes on: the inputs of a large task and its result, a few times.
pub const DISK_ROOM_BYTES: u64 = 32 << 20;
