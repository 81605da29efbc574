//! A guest without anything: one call of the accelerator of big integers in machine mode, then a jump to itself.

use std::collections::{BTreeMap, BTreeSet};

use risc0_binfmt::{Page, WordAddr};
use risc0_circuit_rv32im::Rv32imV2Claim;
use risc0_zkp::core::digest::Digest;
use starling_image::{Image, MEMORY_PAGES};

use crate::execute::{
    HOST_ECALL_BIGINT, MACHINE_REGS_ADDR, REG_A0, REG_A7, REG_S2, REG_T0, REG_T1, REG_T2, REG_T3,
    SUSPEND_MODE_ADDR, SUSPEND_PC_ADDR, Segment,
};

const CODE: u32 = 0xc000_0000;
const BLOB: u32 = 0xc000_0100;
const COMPUTES: u32 = 0xc010_0000;
/// The word before it is read as well.
const PROVES: u32 = 0xc020_0010;
/// Where register s2 points to, which programs read from and write to.
pub(super) const ARENA: u32 = 0xc030_0000;

/// `ecall`, and a jump to itself.
const INSTRUCTIONS: [u32; 2] = [0x0000_0073, 0x0000_006f];

// Rows, with a coefficient of 0: what they read, the operation, and the register. The last reads nothing.
const READ: u32 = 4 << 21 | (REG_S2 as u32) << 16;
pub(super) const SHIFT: u32 = 1 << 24 | READ;
pub(super) const SET_TERM: u32 = 2 << 24 | READ;
pub(super) const ADD_TOTAL: u32 = 3 << 24 | READ;
pub(super) const RESET: u32 = 2 << 28 | 4 << 21;

/// A program of big integers, with what it says of itself where that is not so.
#[derive(Default)]
pub(super) struct Program {
    pub(super) types: Vec<u64>,
    pub(super) constants: Vec<u64>,
    pub(super) operations: Vec<u64>,
    pub(super) operation_count: Option<u32>,
    pub(super) rows: Vec<u32>,
    pub(super) rows_said: Option<u32>,
    pub(super) constant_words: u32,
    pub(super) arena: Vec<u32>,
}

// Operations by their codes: a type of the result in 12 bits, and two operands in 24 each.

pub(super) fn constant(from: u64, words: u64) -> u64 {
    2 | from << 16 | words << 40
}

pub(super) fn load(result: u64, chunk: u64) -> u64 {
    3 | result << 4 | chunk << 16 | (REG_S2 as u64) << 32
}

pub(super) fn store(result: u64, chunk: u64, value: u64) -> u64 {
    4 | result << 4 | chunk << 16 | (REG_S2 as u64) << 32 | value << 40
}

pub(super) fn binary(code: u64, left: u64, right: u64) -> u64 {
    code | left << 16 | right << 40
}

impl Program {
    /// The guest's memory: bytes' addresses and words.
    pub(super) fn memory(&self) -> Vec<(u32, u32)> {
        let operations = self.operation_count.unwrap_or(self.operations.len() as u32);
        let mut computes = vec![u32::from_le_bytes(*b"bibc"), 1, 0];
        computes.extend([self.types.len() as u32, self.constants.len() as u32, operations]);
        let types = self.types.iter().flat_map(|coefficients| [*coefficients, 0, 0, 0]);
        let words = types.chain(self.constants.iter().copied()).chain(self.operations.clone());
        computes.extend(words.flat_map(|word| [word as u32, (word >> 32) as u32]));

        let rows = self.rows_said.unwrap_or(self.rows.len() as u32);
        let blob = [computes.len() as u32, rows, self.constant_words];
        let registers = [
            (REG_A7, HOST_ECALL_BIGINT),
            (REG_T0, 1),
            (REG_A0, BLOB),
            (REG_T1, COMPUTES),
            (REG_T2, PROVES),
            (REG_T3, ARENA),
            (REG_S2, ARENA),
        ];
        let at = |begin: u32, words: &[u32]| -> Vec<_> {
            (begin..).step_by(4).zip(words.iter().copied()).collect()
        };
        let mut memory = at(CODE, &INSTRUCTIONS);
        memory.extend(at(BLOB, &blob));
        memory.extend(at(COMPUTES, &computes));
        memory.extend(at(PROVES, &self.rows));
        memory.push((ARENA, 9));
        memory.extend(at(ARENA, &self.arena));
        memory.extend(registers.map(|(at, word)| (MACHINE_REGS_ADDR.0 + 4 * at as u32, word)));
        memory.extend([(SUSPEND_PC_ADDR.0, CODE), (SUSPEND_MODE_ADDR.0, 1)]);
        memory
    }

    /// A segment in which the program runs.
    pub(super) fn segment(&self, po2: u32) -> Segment {
        segment_of(&self.memory(), po2)
    }
}

/// An image of words at bytes' addresses.
pub(in crate::witness) fn image_of(memory: &[(u32, u32)]) -> Image {
    let mut pages = BTreeMap::<u32, Page>::new();
    for (at, word) in memory {
        pages.entry(at / 1024).or_default().store(WordAddr(at / 4), *word);
    }
    let mut image = Image::default();
    pages.into_iter().for_each(|(index, page)| image.set_page(index, page));
    image
}

/// A segment that begins with this memory and runs for two instructions, the first of which may take many rows.
pub(super) fn segment_of(memory: &[(u32, u32)], po2: u32) -> Segment {
    let mut image = image_of(memory);
    let mut nodes = BTreeSet::new();
    for (at, _) in memory {
        let mut node = MEMORY_PAGES + at / 1024;
        while node != 0 && nodes.insert(node) {
            node /= 2;
        }
    }
    Segment {
        partial_image: image.partial(&nodes),
        claim: Rv32imV2Claim {
            pre_state: image.image_id(),
            post_state: Digest::ZERO,
            input: Digest::ZERO,
            output: None,
            terminate_state: None,
            shutdown_cycle: None,
        },
        read_record: vec![],
        write_record: vec![],
        suspend_cycle: 2,
        paging_cycles: 0,
        segment_threshold: 0,
        po2,
        index: 0,
        povw_nonce: None,
    }
}
