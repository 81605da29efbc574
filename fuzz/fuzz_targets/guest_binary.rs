//! Program binaries: as they are, with the right kernel, and with the right kernel and file headers.

#![no_main]

use libfuzzer_sys::fuzz_target;
use risc0_binfmt::ProgramBinary;
use risc0_zkos_v1compat::V1COMPAT_ELF;
use starling_fuzz::check_error;
use starling_zkvm::Guest;

/// The file header of an executable for 32-bit RISC-V. Its one program header is what follows.
const ELF_HEADER: &[u8; 52] = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\xf3\0\x01\0\0\0\
    \0\x08\x20\0\x34\0\0\0\0\0\0\0\0\0\0\0\x34\0\x20\0\x01\0\0\0\0\0\0\0";

fuzz_target!(|bytes: &[u8]| {
    check_guest(bytes.into());
    check_guest([bytes, V1COMPAT_ELF].concat());
    check_guest(ProgramBinary::new(bytes, V1COMPAT_ELF).encode());
    let elf = [ELF_HEADER, bytes].concat();
    check_guest(ProgramBinary::new(&elf, V1COMPAT_ELF).encode());
});

/// Parses `bytes`; a guest must be itself, and what RISC Zero takes it for.
fn check_guest(bytes: Vec<u8>) {
    match Guest::parse(bytes.clone()) {
        Ok(guest) => {
            // A bare ELF is packed.
            assert!(guest.bytes() == bytes || bytes.starts_with(b"\x7fELF"));
            let stock = risc0_zkvm::compute_image_id(guest.bytes()).expect("a guest has an image id");
            assert_eq!(guest.image_id(), stock);
        }
        Err(error) => check_error(&error),
    }
}
