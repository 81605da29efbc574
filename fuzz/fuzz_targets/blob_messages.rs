//! The request for a blob, and the head of the answer.

#![no_main]

use libfuzzer_sys::fuzz_target;
use starling_fuzz::check_message;
use starling_proto::{BlobHeader, BlobRequest};

fuzz_target!(|bytes: &[u8]| {
    check_message::<BlobRequest>(bytes);
    check_message::<BlobHeader>(bytes);
});
