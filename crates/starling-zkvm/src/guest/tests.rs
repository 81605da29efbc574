#![allow(clippy::unwrap_used)]

use super::*;
use crate::testing::{damaged, guest, guest_bytes, halting_guest, tiny};

fn halting_elf() -> Vec<u8> {
    tiny::elf(1, 0)
}

fn refusal(bytes: &[u8]) -> String {
    Guest::parse(bytes.to_vec()).unwrap_err().to_string()
}

#[test]
fn a_shipped_guest_has_the_image_id_that_risc0_computes() {
    let guest = guest("sha-chain.bin");
    assert_eq!(guest.image_id(), risc0_zkvm::compute_image_id(guest.bytes()).unwrap());
    assert_eq!(guest.kernel_elf_bytes(), V1COMPAT_ELF.len());
    assert_eq!(halting_guest().entry(), 0x0020_0800);
}

#[test]
fn a_file_that_is_no_guest_is_told_what_it_is() {
    assert_eq!(Guest::parse(Vec::new()).unwrap_err(), GuestError::Empty);
    assert!(refusal(b"\x7fELF\x02\x01").contains("an ELF for another machine"));
    assert!(refusal(b"{\"n\": 3}\n").contains("text"));
    assert!(refusal(&[0xff; 64]).contains("something else"));
    assert!(refusal(b"R0").contains("cut off"));
}

#[test]
fn a_compressed_file_is_told_with_what_and_what_unpacks_it() {
    let guest = guest_bytes("sha-chain.bin");
    let zstd = zstd::encode_all(&guest[..], 1).unwrap();
    assert!(refusal(&zstd).ends_with("compressed with zstd; unpack it first: `zstd -d FILE`"));
    for (magic, command) in [
        (&b"\x1f\x8b\x08\0"[..], "`gzip -dk FILE`"),
        (b"\xfd7zXZ\0\0", "`xz -dk FILE`"),
        (b"BZh9", "`bzip2 -dk FILE`"),
        (b"PK\x03\x04\x14", "`unzip FILE`"),
    ] {
        let error = refusal(&[magic, &[0x5a; 100]].concat());
        assert!(error.ends_with(command), "{error}");
    }
}

#[test]
fn an_elf_without_a_kernel_is_packed_with_the_one_that_is_linked_here() {
    let elf = halting_elf();
    let packed = ProgramBinary::new(&elf, V1COMPAT_ELF).encode();
    let bare = Guest::parse(elf).unwrap();
    assert_eq!(bare.bytes(), packed);
    let image_id = risc0_zkvm::compute_image_id(&packed).unwrap();
    assert_eq!(bare.image_id(), image_id);
    let told = bare.remark().unwrap();
    assert!(told.contains("without a kernel") && told.contains(&image_id.to_string()), "{told}");
    // What was packed is a guest like any other.
    assert_eq!(Guest::parse(packed).unwrap().remark(), None);
}

#[test]
fn every_cut_of_a_guest_is_refused_as_cut_off() {
    let bytes = guest_bytes("sha-chain.bin");
    for cut in damaged(&bytes, 200, 0).skip(1) {
        let error = Guest::parse(cut).unwrap_err();
        assert!(matches!(error, GuestError::Truncated { .. }), "{error}");
    }
}

#[test]
fn a_damaged_guest_never_panics() {
    let bytes = ProgramBinary::new(&halting_elf(), V1COMPAT_ELF).encode();
    let user_end = bytes.len() - V1COMPAT_ELF.len();
    for at in 0..user_end {
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            // A flipped bit of the code is another guest; anything else must be an error, not a panic.
            let _ = Guest::parse(flipped);
        }
    }
}

/// Today's kernel with other bytes behind its own, which nothing loads.
fn other_kernel() -> Vec<u8> {
    [V1COMPAT_ELF, b"another"].concat()
}

/// A kernel whose only instruction ends the machine.
fn foreign_kernel() -> Vec<u8> {
    let mut elf = tiny::elf(1, 0);
    // The entry point, and the address of the only segment: where kernels are.
    for at in [24, 52 + 8, 52 + 12] {
        elf[at..at + 4].copy_from_slice(&0xc000_0000_u32.to_le_bytes());
    }
    elf
}

#[test]
fn the_image_id_is_that_of_the_kernel_that_a_guest_carries() {
    for kernel in [other_kernel(), foreign_kernel()] {
        let program = ProgramBinary::new(&halting_elf(), &kernel).encode();
        let guest = Guest::parse(program.clone()).unwrap();
        assert_eq!(guest.image_id(), risc0_zkvm::compute_image_id(&program).unwrap());
        assert_eq!(guest.kernel_elf_bytes(), kernel.len());
        let told = guest.remark().unwrap();
        assert!(told.contains("is not known here") && told.contains("3.0.0 and 3.0.1"), "{told}");
    }
    let foreign = ProgramBinary::new(&halting_elf(), &foreign_kernel()).encode();
    assert_ne!(Guest::parse(foreign).unwrap().image_id(), halting_guest().image_id());
}

#[test]
fn a_kernel_that_cannot_be_loaded_is_told_from_a_program_that_cannot() {
    let with_kernel = |kernel: &[u8]| refusal(&ProgramBinary::new(&halting_elf(), kernel).encode());
    let cut = foreign_kernel();
    assert!(with_kernel(&cut[..cut.len() - 4]).contains("cut off: its kernel's segment"));
    assert!(with_kernel(b"no ELF at all").contains("the guest's kernel cannot be loaded"));
    let mut large = foreign_kernel();
    // `p_memsz` of the only program header.
    large[52 + 20..52 + 24].copy_from_slice(&0x3000_0000_u32.to_le_bytes());
    assert!(with_kernel(&large).contains("805306368 bytes of initialised memory"));
}

#[test]
fn another_abi_or_format_is_refused() {
    let good = ProgramBinary::new(&halting_elf(), V1COMPAT_ELF).encode();
    let mut format = good.clone();
    format[4] = 2;
    assert!(refusal(&format).contains("binary format 2"));
    let mut newer = ProgramBinary::new(&[1], V1COMPAT_ELF);
    newer.header.abi_version.major = 2;
    let error = refusal(&newer.encode());
    assert!(error.contains("V1Compat 2.0.0"), "{error}");
}

#[test]
fn a_program_that_asks_for_gigabytes_is_refused_before_they_are_allocated() {
    let mut elf = halting_elf();
    // `p_memsz` of the only program header.
    elf[52 + 20..52 + 24].copy_from_slice(&0xb000_0000_u32.to_le_bytes());
    let error = refusal(&ProgramBinary::new(&elf, V1COMPAT_ELF).encode());
    assert!(error.contains("2952790016 bytes of initialised memory"), "{error}");
}

/// An ELF that is nothing but its symbols: one function of 16 bytes at 0x200800 under this name.
fn elf_with_symbol(name: &str) -> Vec<u8> {
    const HEADER: u32 = 52;
    const SECTION: u32 = 40;
    const SYMBOL: u32 = 16;
    let names = format!("\0{name}\0").into_bytes();
    let (symbols_at, names_at) = (HEADER + 3 * SECTION, HEADER + 3 * SECTION + 2 * SYMBOL);
    let mut elf = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    let mut put = |halves: &[u16], words: &[u32]| {
        elf.extend(halves.iter().flat_map(|half| half.to_le_bytes()));
        elf.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    };
    // No program headers; three sections behind the header.
    put(&[2, 243], &[1, 0x0020_0800, 0, HEADER, 0]);
    put(&[HEADER as u16, 32, 0, SECTION as u16, 3, 0], &[]);
    // None; symbols, whose names are in section 2; names.
    put(&[], &[0; 10]);
    put(&[], &[0, 2, 0, 0, symbols_at, 2 * SYMBOL, 2, 1, 4, SYMBOL]);
    put(&[], &[0, 3, 0, 0, names_at, names.len() as u32, 0, 0, 1, 0]);
    // None; a global function.
    put(&[], &[0; 4]);
    put(&[], &[1, 0x0020_0800, 16]);
    put(&[0x12, 1], &[]);
    elf.extend(names);
    elf
}

#[test]
fn an_address_is_named_by_the_function_around_it() {
    let elf = elf_with_symbol("_ZN4main5outer17h0123456789abcdefE");
    assert_eq!(symbol_at(&elf, 0x0020_0800).as_deref(), Some("main::outer"));
    assert_eq!(symbol_at(&elf, 0x0020_080f).as_deref(), Some("main::outer"));
    assert_eq!(symbol_at(&elf, 0x0020_0810), None);
    assert_eq!(symbol_at(&elf_with_symbol(&"x".repeat(3000)), 0x0020_0800).unwrap().len(), 200);
    for damaged in damaged(&elf, 100, 200) {
        let _ = symbol_at(&damaged, 0x0020_0800);
    }
    // The shipped guests have none.
    assert_eq!(guest("sha-chain.bin").function_at(0x0020_0800), None);
}
