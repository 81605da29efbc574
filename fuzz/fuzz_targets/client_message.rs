//! What a client says on a job connection.

#![no_main]

use libfuzzer_sys::fuzz_target;
use starling_fuzz::check_message;
use starling_proto::ClientMessage;

fuzz_target!(|bytes: &[u8]| check_message::<ClientMessage>(bytes));
