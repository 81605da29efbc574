//! Files: those that anybody may hand to a command, and those in a data directory, which may come from a damaged disk.

use std::io::Write as _;

use risc0_binfmt::ProgramBinary;
use risc0_zkos_v1compat::V1COMPAT_ELF;
use risc0_zkvm::{Digest, Receipt};
use starling_node_core::Speed;
use starling_zkvm::{
    Guest,
    receipt::{ReceiptError, read_receipt, receipt_info, verify_receipt},
};
use tempfile::NamedTempFile;

use crate::check_error;

/// The file header of an executable for 32-bit RISC-V. Its one program header is what follows.
const ELF_HEADER: &[u8; 52] = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\xf3\0\x01\0\0\0\
    \0\x08\x20\0\x34\0\0\0\0\0\0\0\0\0\0\0\x34\0\x20\0\x01\0\0\0\0\0\0\0";

/// Programs: as they are, with the right kernel, and with the right kernel and file header.
pub(crate) fn guest_binary(bytes: &[u8]) {
    check_guest(bytes.into());
    check_guest([bytes, V1COMPAT_ELF].concat());
    check_guest(ProgramBinary::new(bytes, V1COMPAT_ELF).encode());
    let elf = [ELF_HEADER, bytes].concat();
    check_guest(ProgramBinary::new(&elf, V1COMPAT_ELF).encode());
}

/// Parses `bytes`; a guest must be itself, and what RISC Zero takes it for.
fn check_guest(bytes: Vec<u8>) {
    match Guest::parse(bytes.clone()) {
        Ok(guest) => {
            // An ELF without a kernel is packed with ours.
            assert!(guest.bytes() == bytes || bytes.starts_with(b"\x7fELF"));
            let stock = risc0_zkvm::compute_image_id(guest.bytes());
            let stock = stock.expect("a guest has an image id");
            assert_eq!(guest.image_id(), stock);
        }
        Err(error) => check_error(&error),
    }
}

/// Receipt files, which anybody may hand to `starling verify` and `starling inspect`.
pub(crate) fn receipt_file(bytes: &[u8]) {
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
}

/// Reads `bytes` as a file, as users do.
fn read(bytes: &[u8]) -> Result<Receipt, ReceiptError> {
    let mut file = NamedTempFile::new().expect("temporary files can be made");
    file.write_all(bytes).expect("the disk has room for a few bytes");
    read_receipt(file.path())
}

/// A job's log: the bodies of its events, one on each line, folded to the job that they make.
pub(crate) fn job_log(bytes: &[u8]) {
    starling_client::rules::job_log(bytes);
}

/// The small files of a data directory: its lock, and how fast its node has proved.
pub(crate) fn small_files(bytes: &[u8]) {
    starling_store::rules::lock_file(bytes);
    let Ok(text) = str::from_utf8(bytes) else { return };
    let speed: Speed = text.parse().unwrap_or_else(|never| match never {});
    assert_eq!(speed.to_string().parse(), Ok(speed), "a speed is not read as it is written");
}
