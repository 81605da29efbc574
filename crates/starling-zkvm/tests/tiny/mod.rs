//! A guest of nine instructions: counts down, then ends with an exit code and an output.
//!
//! Rust guests touch so much memory at their start that two of their segments cost minutes to prove.

// Tests of more than one crate share this file, and none of them uses all of it.
#![allow(dead_code)]

use risc0_binfmt::{Digestible as _, ProgramBinary};
use risc0_zkos_v1compat::V1COMPAT_ELF;
use risc0_zkp::core::hash::sha::Impl as Sha256;
use risc0_zkvm::{Assumptions, Digest, Output};

const START_ADDRESS: u32 = 0x0020_0800;
const HEADER_BYTES: u32 = 52;
const PROGRAM_HEADER_BYTES: u32 = 32;

// Registers, by their names in the calling convention.
const ZERO: u32 = 0;
const T0: u32 = 5;
const T1: u32 = 6;
const A0: u32 = 10;
const A1: u32 = 11;

/// The program with an empty journal, as a program binary.
pub(crate) fn program(turns: u32, exit_code: u8) -> Vec<u8> {
    ProgramBinary::new(&elf(turns, exit_code), V1COMPAT_ELF).encode()
}

/// The program with an empty journal, without its kernel.
pub(crate) fn elf(turns: u32, exit_code: u8) -> Vec<u8> {
    let output = Output { journal: Vec::new().into(), assumptions: Assumptions(vec![]).into() };
    elf_with_output(turns, exit_code, output.digest::<Sha256>())
}

/// The program with exit code 0 and an output of this digest, as a program binary.
pub(crate) fn program_with_output(turns: u32, output: Digest) -> Vec<u8> {
    ProgramBinary::new(&elf_with_output(turns, 0, output), V1COMPAT_ELF).encode()
}

fn elf_with_output(turns: u32, exit_code: u8, output: Digest) -> Vec<u8> {
    let instruction_count = 9;
    let output_address = START_ADDRESS + 4 * instruction_count;
    let mut words = Vec::new();
    words.extend(load(T1, turns));
    words.push(add(T1, T1, -1));
    words.push(branch_back_one_unless_zero(T1));
    // System call 0 is "halt": its first argument holds the halt type 0 and, above it, the exit code; its
    // second points to the digest of the output.
    words.push(add(T0, ZERO, 0));
    words.push(add(A0, ZERO, i32::from(exit_code) << 8));
    words.extend(load(A1, output_address));
    words.push(0x0000_0073);
    assert_eq!(words.len(), instruction_count as usize);
    words.extend(output.as_words());

    let program_bytes = 4 * words.len() as u32;
    let mut elf = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    let mut halves = |halves: &[u16], words: &[u32]| {
        elf.extend(halves.iter().flat_map(|half| half.to_le_bytes()));
        elf.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    };
    // An executable for RISC-V: version, entry, program headers, no sections, no flags.
    halves(&[2, 243], &[1, START_ADDRESS, HEADER_BYTES, 0, 0]);
    halves(&[HEADER_BYTES as u16, PROGRAM_HEADER_BYTES as u16, 1, 0, 0, 0], &[]);
    // One loaded segment: offset, addresses, sizes in file and memory, readable and executable, aligned.
    let offset = HEADER_BYTES + PROGRAM_HEADER_BYTES;
    halves(&[], &[1, offset, START_ADDRESS, START_ADDRESS, program_bytes, program_bytes, 5, 4]);
    halves(&[], &words);
    elf
}

/// `lui` and `addi`: the second sign-extends, so the first rounds.
fn load(register: u32, value: u32) -> [u32; 2] {
    let high = value.wrapping_add(0x800) & 0xffff_f000;
    let low = value.wrapping_sub(high) as i32;
    [high | register << 7 | 0x37, add(register, register, low)]
}

fn add(to: u32, from: u32, value: i32) -> u32 {
    (value as u32) << 20 | from << 15 | to << 7 | 0x13
}

/// `bne register, zero, -4`.
fn branch_back_one_unless_zero(register: u32) -> u32 {
    0xfe00_0000 | ZERO << 20 | register << 15 | 1 << 12 | 0xe << 8 | 1 << 7 | 0x63
}
