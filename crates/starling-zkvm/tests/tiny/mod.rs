//! A guest of a few instructions: counts down, makes the system calls that a test is about, and ends with an exit
//! code and an output.
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

/// Where memory begins that a program touches or asks to be zeroed.
const DATA_ADDRESS: u32 = 0x0100_0000;

const PAGE_BYTES: i32 = 1024;

/// Where calls put what they return: memory that the program does not otherwise use.
const RETURN_ADDRESS: u32 = 0x0030_0000;

// Registers, by their names in the calling convention.
const ZERO: u32 = 0;
const T0: u32 = 5;
const T1: u32 = 6;
const A0: u32 = 10;
const A1: u32 = 11;
const A2: u32 = 12;
const A3: u32 = 13;
const A4: u32 = 14;
const A5: u32 = 15;
const T6: u32 = 31;

/// `ecall`, to the function of the kernel whose number is in `t0`.
const ECALL: u32 = 0x0000_0073;
const ECALL_HALT: i32 = 0;
const ECALL_SOFTWARE: i32 = 2;

/// The system calls of `risc0_zkvm_platform` that programs make: their numbers, for the kernel, and their names, for
/// the host.
const KECCAK: (i32, &str) = (7, "risc0_zkvm_platform::syscall::nr::SYS_KECCAK");
const VERIFY: (i32, &str) = (14, "risc0_zkvm_platform::syscall::nr::SYS_VERIFY_INTEGRITY");
const VERIFY2: (i32, &str) = (15, "risc0_zkvm_platform::syscall::nr::SYS_VERIFY_INTEGRITY2");

/// How a program ends.
#[derive(Clone, Copy)]
pub(crate) enum End {
    Halted(u8),
    Paused(u8),
}

/// The program with an empty journal, as a program binary.
pub(crate) fn program(turns: u32, exit_code: u8) -> Vec<u8> {
    ProgramBinary::new(&elf(turns, exit_code), V1COMPAT_ELF).encode()
}

/// The program with an empty journal, without its kernel.
pub(crate) fn elf(turns: u32, exit_code: u8) -> Vec<u8> {
    Tiny::counting(turns).elf(End::Halted(exit_code), output(vec![]))
}

/// The program with exit code 0 and an output of this digest, as a program binary.
pub(crate) fn program_with_output(turns: u32, output: Digest) -> Vec<u8> {
    Tiny::counting(turns).program(End::Halted(0), output)
}

/// The digest of an output with an empty journal.
fn output(assumptions: Vec<risc0_zkvm::Assumption>) -> Digest {
    let assumptions: Assumptions = assumptions.into();
    Output { journal: Vec::new().into(), assumptions: assumptions.into() }.digest::<Sha256>()
}

/// A program as it grows.
pub(crate) struct Tiny {
    code: Vec<u32>,
    /// What follows the code.
    data: Vec<u32>,
    /// Instructions that load the address of data: where they are, the register, and which word of the data.
    addresses: Vec<(usize, u32, usize)>,
    /// What was assumed, the last first.
    assumptions: Vec<risc0_zkvm::Assumption>,
    /// Bytes at [`DATA_ADDRESS`] that the program asks to be zeroed.
    zero_bytes: u32,
}

impl Tiny {
    /// Counts down from `turns`.
    pub(crate) fn counting(turns: u32) -> Self {
        let mut code = load(T1, turns).to_vec();
        code.extend([add(T1, T1, -1), branch_back_unless_zero(T1, 1)]);
        Self::of_code(code)
    }

    /// Writes a word, another for each, into so many pages of memory.
    pub(crate) fn touching(pages: u32) -> Self {
        let mut code = [load(T0, DATA_ADDRESS), load(T1, pages)].concat();
        code.extend([store(T0, T0), add(T0, T0, PAGE_BYTES), add(T1, T1, -1)]);
        code.push(branch_back_unless_zero(T1, 3));
        Self::of_code(code)
    }

    /// Counts down from `turns`, and does these instructions then.
    pub(crate) fn doing(turns: u32, instructions: &[u32]) -> Self {
        let mut tiny = Self::counting(turns);
        tiny.code.extend(instructions);
        tiny
    }

    /// Asks for so much zeroed memory, and never looks at it.
    pub(crate) fn zeroed(bytes: u32) -> Self {
        Self { zero_bytes: bytes, ..Self::of_code(Vec::new()) }
    }

    fn of_code(code: Vec<u32>) -> Self {
        Self {
            code,
            data: Vec::new(),
            addresses: Vec::new(),
            assumptions: Vec::new(),
            zero_bytes: 0,
        }
    }

    /// Takes for true what a receipt claims.
    pub(crate) fn verify(self, claim: Digest, control_root: Digest) -> Self {
        self.assume(VERIFY, claim, control_root)
    }

    /// Takes for true what keccak proofs, united, claim.
    pub(crate) fn verify_keccak(self, claim: Digest, control_root: Digest) -> Self {
        self.assume(VERIFY2, claim, control_root)
    }

    /// Asks the host for the keccak permutation of `state`.
    pub(crate) fn permute(mut self, state: [u64; 25]) -> Self {
        let words = state.iter().flat_map(|word| [*word as u32, (*word >> 32) as u32]);
        let at = self.keep(words);
        self.code.extend(load(A0, RETURN_ADDRESS));
        self.code.extend([add(A1, ZERO, 50), add(A3, ZERO, 0)]);
        self.load_address(A4, at);
        self.call(KECCAK)
    }

    /// Asks the host to have the permutations so far proved.
    pub(crate) fn prove_keccak(mut self, claim: Digest, control_root: Digest) -> Self {
        self.code.extend([add(A0, ZERO, 0), add(A1, ZERO, 0), add(A3, ZERO, 1)]);
        let claim = self.keep(claim.as_words().iter().copied());
        self.load_address(A4, claim);
        let control_root = self.keep(control_root.as_words().iter().copied());
        self.load_address(A5, control_root);
        self.call(KECCAK)
    }

    /// The program, with an empty journal.
    pub(crate) fn end(self, end: End) -> Vec<u8> {
        let output = output(self.assumptions.clone());
        self.program(end, output)
    }

    /// The program, with an output of this digest.
    pub(crate) fn program(self, end: End, output: Digest) -> Vec<u8> {
        ProgramBinary::new(&self.elf(end, output), V1COMPAT_ELF).encode()
    }

    fn elf(mut self, end: End, output: Digest) -> Vec<u8> {
        // The first argument holds the type, 0 or 1, and above it the exit code; the second points to the digest of
        // the output.
        let (kind, exit_code) = match end {
            End::Halted(code) => (0, code),
            End::Paused(code) => (1, code),
        };
        self.code.push(add(T0, ZERO, ECALL_HALT));
        self.code.push(add(A0, ZERO, i32::from(exit_code) << 8 | kind));
        let at = self.keep(output.as_words().iter().copied());
        self.load_address(A1, at);
        self.code.push(ECALL);
        let data_address = START_ADDRESS + 4 * self.code.len() as u32;
        for (at, register, word) in self.addresses {
            let instructions = load(register, data_address + 4 * word as u32);
            self.code[at..at + 2].copy_from_slice(&instructions);
        }
        self.code.extend(self.data);
        elf_of(&self.code, self.zero_bytes)
    }

    fn assume(mut self, call: (i32, &str), claim: Digest, control_root: Digest) -> Self {
        let at = self.keep(claim.as_words().iter().chain(control_root.as_words()).copied());
        self.code.extend([add(A0, ZERO, 0), add(A1, ZERO, 0)]);
        self.load_address(A3, at);
        self.code.push(add(A4, ZERO, 64));
        self.assumptions.insert(0, risc0_zkvm::Assumption { claim, control_root });
        self.call(call)
    }

    fn call(mut self, (number, name): (i32, &str)) -> Self {
        let mut name = name.as_bytes().to_vec();
        name.resize(name.len() / 4 * 4 + 4, 0);
        let words = name.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word));
        let at = self.keep(words);
        self.load_address(A2, at);
        self.code.extend([add(T0, ZERO, ECALL_SOFTWARE), add(T6, ZERO, number), ECALL]);
        self
    }

    /// Where the words will be in the data.
    fn keep(&mut self, words: impl IntoIterator<Item = u32>) -> usize {
        let at = self.data.len();
        self.data.extend(words);
        at
    }

    fn load_address(&mut self, register: u32, word: usize) {
        self.addresses.push((self.code.len(), register, word));
        self.code.extend([0, 0]);
    }
}

fn elf_of(words: &[u32], zero_bytes: u32) -> Vec<u8> {
    let program_bytes = 4 * words.len() as u32;
    let mut elf = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    let mut halves = |halves: &[u16], words: &[u32]| {
        elf.extend(halves.iter().flat_map(|half| half.to_le_bytes()));
        elf.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    };
    // An executable for RISC-V: version, entry, program headers, no sections, no flags.
    halves(&[2, 243], &[1, START_ADDRESS, HEADER_BYTES, 0, 0]);
    let headers = 1 + u16::from(zero_bytes > 0);
    halves(&[HEADER_BYTES as u16, PROGRAM_HEADER_BYTES as u16, headers, 0, 0, 0], &[]);
    // Loaded segments: offset, addresses, sizes in file and memory, readable and executable, or writable, aligned.
    let offset = HEADER_BYTES + u32::from(headers) * PROGRAM_HEADER_BYTES;
    halves(&[], &[1, offset, START_ADDRESS, START_ADDRESS, program_bytes, program_bytes, 5, 4]);
    if zero_bytes > 0 {
        halves(&[], &[1, offset, DATA_ADDRESS, DATA_ADDRESS, 0, zero_bytes, 6, 4]);
    }
    halves(&[], words);
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

/// `sw what, 0(to)`.
fn store(what: u32, to: u32) -> u32 {
    what << 20 | to << 15 | 2 << 12 | 0x23
}

/// `bne register, zero` to so many instructions before, up to 7.
fn branch_back_unless_zero(register: u32, instructions: u32) -> u32 {
    let offset = 16 - 2 * instructions;
    0xfe00_0000 | ZERO << 20 | register << 15 | 1 << 12 | offset << 8 | 1 << 7 | 0x63
}
