//! Tickets: arbitrary text, and arbitrary bytes behind a right checksum.

#![no_main]

use data_encoding::BASE32_NOPAD;
use libfuzzer_sys::fuzz_target;
use sha3::{Digest as _, Keccak256};
use starling_fuzz::check_error;
use starling_proto::{ParseTicketError, Ticket};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = str::from_utf8(bytes) {
        let _ = check_ticket(text);
    }
    if !bytes.is_empty() {
        let wrapped = check_ticket(&wrap(bytes));
        assert_ne!(wrapped, Err(ParseTicketError::BadChecksum), "tickets are written another way");
    }
});

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
