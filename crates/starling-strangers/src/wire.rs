//! What peers send: messages on connections, ads, and tickets.

use data_encoding::BASE32_NOPAD;
use iroh_base::SecretKey;
use sha3::{Digest as _, Keccak256};
use starling_proto::{
    BlobHeader, BlobRequest, ClientMessage, JobAd, Message as _, NodeMessage, ParseTicketError,
    Ticket,
};
use starling_types::NodeId;

use crate::{check_error, check_message};

/// Some moment; ads that are not valid then take another branch.
const NOW_UNIX_MS: u64 = 1_800_000_000_000;

/// What a node says on a job connection.
pub(crate) fn node_message(bytes: &[u8]) {
    check_message::<NodeMessage>(bytes);
}

/// What a client says on a job connection.
pub(crate) fn client_message(bytes: &[u8]) {
    check_message::<ClientMessage>(bytes);
}

/// The request for a blob, and the head of the answer.
pub(crate) fn blob_messages(bytes: &[u8]) {
    check_message::<BlobRequest>(bytes);
    check_message::<BlobHeader>(bytes);
}

/// Job ads: the bytes as gossip brings them, and as what a peer with a key of its own may sign.
pub(crate) fn job_ad(bytes: &[u8]) {
    // A seed is a signed one. It is valid at its time alone, which is not this.
    match JobAd::verify(bytes, NOW_UNIX_MS) {
        Ok(ad) => panic!("bytes that nobody signed are accepted as {ad:?}"),
        Err(error) => check_error(&error),
    }
    check_message::<JobAd>(bytes);
    check_signed(bytes);
}

/// No fuzzer forges a signature: the payload is signed here, in the name of the ad's client.
fn check_signed(payload: &[u8]) {
    let Ok(mut ad) = JobAd::decode(payload) else { return };
    let key = SecretKey::from_bytes(&[7; 32]);
    ad.client.node_id = NodeId(*key.public().as_bytes());
    let signed = ad.sign(&key);
    if let Err(error) = JobAd::verify(&signed, NOW_UNIX_MS) {
        check_error(&error);
    }
    let issued = ad.issued_at_unix_ms;
    assert_eq!(JobAd::verify(&signed, issued), Ok(ad), "a signed ad is not the ad that was signed");
}

/// Tickets: arbitrary text, and arbitrary bytes behind a right checksum.
pub(crate) fn ticket(bytes: &[u8]) {
    if let Ok(text) = str::from_utf8(bytes) {
        let _ = check_ticket(text);
    }
    if !bytes.is_empty() {
        let wrapped = check_ticket(&wrap(bytes));
        assert_ne!(wrapped, Err(ParseTicketError::BadChecksum), "tickets are written another way");
    }
}

/// Parses `text`; a ticket must print as itself.
fn check_ticket(text: &str) -> Result<Ticket, ParseTicketError> {
    let parsed = text.parse::<Ticket>();
    match &parsed {
        Ok(ticket) => assert_eq!(ticket.to_string().parse().as_ref(), Ok(ticket)),
        Err(error) => check_error(error),
    }
    parsed
}

/// A ticket that holds `bytes`, the version included: no fuzzer finds the checksum.
fn wrap(bytes: &[u8]) -> String {
    let digest = Keccak256::digest(bytes);
    let ticket = [bytes, &digest[..4]].concat();
    format!("starling{}", BASE32_NOPAD.encode(&ticket))
}
