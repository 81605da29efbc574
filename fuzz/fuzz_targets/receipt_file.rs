//! Receipt files, which anybody may hand to `starling verify` and `starling inspect`.

#![no_main]

use std::io::Write as _;

use libfuzzer_sys::fuzz_target;
use risc0_zkvm::{Digest, Receipt};
use starling_fuzz::check_error;
use starling_zkvm::receipt::{ReceiptError, read_receipt, receipt_info, verify_receipt};
use tempfile::NamedTempFile;

fuzz_target!(|bytes: &[u8]| {
    let receipt = match read(bytes) {
        Ok(receipt) => receipt,
        Err(error) => return check_error(&error),
    };
    let encoded = bincode::serialize(&receipt).expect("memory takes any value");
    let again = read(&encoded).expect("a written receipt can be read");
    assert_eq!(bincode::serialize(&again).expect("memory takes any value"), encoded);

    if let Err(error) = receipt_info(&receipt) {
        check_error(&error);
    }
    match verify_receipt(&receipt, Digest::from([1; 8])) {
        Ok(()) => panic!("a receipt that nobody proved is accepted"),
        Err(error) => check_error(&error),
    }
});

/// Reads `bytes` as a file, as users do.
fn read(bytes: &[u8]) -> Result<Receipt, ReceiptError> {
    let mut file = NamedTempFile::new().expect("temporary files can be made");
    file.write_all(bytes).expect("the disk has room for a few bytes");
    read_receipt(file.path())
}
