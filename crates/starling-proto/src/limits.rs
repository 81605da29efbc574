//! How large anything from a peer may be, and why. Sizes are checked before bytes are decoded, counts
//! and lengths right after.

pub use starling_types::INPUT_COUNT_MAX;
use starling_types::Po2;

/// A control message of a job connection, decoded or not.
///
/// A grant of a task with two inputs has a KiB at most, one of a wide merge some 20, a hello of all systems at their largest some 30.
/// A message of 64 KiB decodes to a few MiB at the very worst
/// (an empty repeated message takes two bytes on the wire and some hundred in memory).
pub const CONTROL_MESSAGE_SIZE_BYTES_MAX: usize = 64 * 1024;

/// A blob request or the header of its answer: a reference and two numbers, with room to grow.
pub const BLOB_MESSAGE_SIZE_BYTES_MAX: usize = 256;

/// A signed job ad: gossip floods it to everybody, and everybody pays for it. Holds
/// [`DIRECT_ADDR_COUNT_MAX`] addresses and both texts at their longest.
pub const AD_SIZE_BYTES_MAX: usize = 4 * 1024;

/// A text in a message: the reason of a failure with the first lines of a panic.
pub const TEXT_SIZE_BYTES_MAX: usize = 1024;

/// The URL of a relay.
pub const RELAY_URL_SIZE_BYTES_MAX: usize = 512;

/// Addresses of one peer: a machine with several interfaces, each with a v4 and some v6 addresses.
pub const DIRECT_ADDR_COUNT_MAX: usize = 16;

/// An address in text: the longest IPv6 address with a scope (58 bytes) and a port.
pub const DIRECT_ADDR_SIZE_BYTES_MAX: usize = 64;

/// Holders named for one input: more would hardly help a node that failed to reach these. A grant of [`INPUT_COUNT_MAX`] inputs whose
/// holders have a few addresses each takes a third of a control message; where addresses are so many or so long that they do not
/// fit, fewer holders of each input are named, since the client has it as well.
pub const HOLDER_COUNT_MAX: usize = 4;

/// Task kinds of one system that a message lists: the zkVM has eight.
pub const TASK_KIND_COUNT_MAX: usize = 16;

/// What a node states of one kind: a figure for each po2, and one for whatever else there is.
pub const NEED_COUNT_MAX: usize = (Po2::MAX - Po2::MIN) as usize + 2;

/// What a lease has to say besides its task, as its system encodes it: the zkVM takes two bytes.
pub const ARGUMENTS_SIZE_BYTES_MAX: usize = 256;

/// Proof systems that one node offers: releases of a few stand beside each other while a network moves on.
pub const SYSTEM_COUNT_MAX: usize = 8;

/// The name of a proof system.
pub const SYSTEM_NAME_SIZE_BYTES_MAX: usize = 128;

/// Tasks that one node works on at once: far beyond the cores of any machine.
pub const SLOT_COUNT_MAX: u32 = 1024;

/// How far a task is, in thousandths: all of it.
pub const DONE_PERMILLE_MAX: u32 = 1000;

/// A blob. The largest ones known are journals of 100 MB; a segment of po2 24 has some 7 MB, and
/// every receipt is smaller than that.
pub const BLOB_SIZE_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// A length of time in a message: a year, so that sums of a few never overflow anything.
pub const DURATION_MS_MAX: u64 = 365 * 24 * 60 * 60 * 1000;

/// How long a job ad may say that it is valid: a client that is gone is forgotten after this, and a live
/// one repeats its ad long before.
pub const AD_TTL_MS_MAX: u64 = 10 * 60 * 1000;

/// How far the clocks of two machines may differ before ads are refused. Home machines without time
/// service drift by seconds a week.
pub const CLOCK_SKEW_MS_MAX: u64 = 2 * 60 * 1000;

/// A ticket as text: base32 of a peer's address, at its largest below 3 KiB.
pub const TICKET_SIZE_BYTES_MAX: usize = 4 * 1024;
