//! Loading of a program binary's two ELFs into pages.
//!
//! What is loaded equals what `risc0_binfmt` loads, which keeps a tree node for every word on the way. What an ELF only
//! asks to be zeroed takes no memory here.

use std::collections::BTreeMap;

use elf::{
    ElfBytes,
    abi::{EM_RISCV, ET_EXEC, PT_LOAD},
    endian::LittleEndian,
    file::Class,
    segment::ProgramHeader,
};
use risc0_binfmt::{KERNEL_START_ADDR, Page, WordAddr};
use starling_babybear::hash::PAGE_BYTES;
use thiserror::Error;

/// Where the kernel finds the address of the user program's first instruction.
const USER_START: u32 = 0x0001_0000;

/// Where a machine that is resumed finds the address to go on at, and the mode to go on in.
const SUSPEND_PC: u32 = 0xffff_0210;
const SUSPEND_MODE: u32 = 0xffff_0214;

/// The mode in which a kernel runs.
const MACHINE_MODE: u32 = 1;

/// The most program headers that an ELF may have.
const PROGRAM_HEADERS_MAX: usize = 256;

const WORD_BYTES: usize = size_of::<u32>();

/// Why a program binary cannot be loaded.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LoadError {
    /// It is the program's own ELF.
    #[error("the user program's {0}")]
    User(ElfError),
    /// It is the kernel's ELF.
    #[error("the kernel's {0}")]
    Kernel(ElfError),
}

/// Why an ELF cannot be loaded.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ElfError {
    /// It does not parse.
    #[error("ELF does not parse: {reason}")]
    Malformed {
        /// What the parser said.
        reason: String,
    },
    /// It is for another machine, or not executable.
    #[error("ELF is not an executable for 32-bit RISC-V")]
    NotExecutable,
    /// It has more program headers than are read.
    #[error("ELF has {count} program headers, the limit is {PROGRAM_HEADERS_MAX}")]
    TooManyHeaders {
        /// How many it has.
        count: usize,
    },
    /// Execution would begin where no instruction can be.
    #[error("entry point {address:#x} is not within its memory, or no multiple of 4")]
    BadEntry {
        /// The entry point.
        address: u64,
    },
    /// A segment is not where the program may have memory.
    #[error(
        "segment of {size_bytes} bytes at {address:#x} is not within its memory, or does not begin at a multiple of 4"
    )]
    BadSegment {
        /// Where it begins.
        address: u64,
        /// Its size in memory.
        size_bytes: u64,
    },
    /// A segment's content is not in the file.
    #[error("segment at {address:#x} goes beyond the end of the file")]
    CutOff {
        /// Where it begins in memory.
        address: u64,
    },
}

/// The pages that the two programs begin with. Where both have something, it is the user program's.
pub(crate) fn program(
    user_elf: &[u8],
    kernel_elf: &[u8],
) -> Result<BTreeMap<u32, Page>, LoadError> {
    let user = Program::parse(user_elf, KERNEL_START_ADDR.0).map_err(LoadError::User)?;
    let kernel = Program::parse(kernel_elf, u32::MAX).map_err(LoadError::Kernel)?;
    let mut memory = Memory::default();
    for part in kernel.parts.iter().chain(&user.parts) {
        memory.write(part);
    }
    memory.write_word(USER_START, user.entry);
    memory.write_word(SUSPEND_PC, kernel.entry);
    memory.write_word(SUSPEND_MODE, MACHINE_MODE);
    Ok(memory.pages)
}

/// What an ELF says, its addresses checked.
struct Program<'a> {
    entry: u32,
    parts: Vec<Part<'a>>,
}

/// A range of memory: whole words, of which the first come from the file and the others are zero.
struct Part<'a> {
    address: u32,
    size_bytes: usize,
    content: &'a [u8],
}

impl<'a> Program<'a> {
    /// Parses an ELF whose memory is below `end`.
    fn parse(file: &'a [u8], end: u32) -> Result<Self, ElfError> {
        let elf = ElfBytes::<LittleEndian>::minimal_parse(file)
            .map_err(|error| ElfError::Malformed { reason: error.to_string() })?;
        let header = &elf.ehdr;
        if (header.class, header.e_machine, header.e_type) != (Class::ELF32, EM_RISCV, ET_EXEC) {
            return Err(ElfError::NotExecutable);
        }
        let address = header.e_entry;
        let entry = u32::try_from(address)
            .ok()
            .filter(|entry| *entry < end && entry.is_multiple_of(WORD_BYTES as u32))
            .ok_or(ElfError::BadEntry { address })?;
        let headers = elf
            .segments()
            .ok_or_else(|| ElfError::Malformed { reason: "it has no program headers".into() })?;
        let count = headers.len();
        if count > PROGRAM_HEADERS_MAX {
            return Err(ElfError::TooManyHeaders { count });
        }
        let loaded = headers.iter().filter(|header| header.p_type == PT_LOAD);
        let parts =
            loaded.map(|header| Part::parse(file, &header, end)).collect::<Result<_, _>>()?;
        Ok(Self { entry, parts })
    }
}

impl<'a> Part<'a> {
    fn parse(file: &'a [u8], header: &ProgramHeader, end: u32) -> Result<Self, ElfError> {
        let end = u64::from(end);
        let &ProgramHeader { p_vaddr, p_memsz, p_filesz, p_offset, .. } = header;
        let bad = || ElfError::BadSegment { address: p_vaddr, size_bytes: p_memsz };
        // Sizes below `end` first: after that, nothing overflows.
        if p_memsz >= end || p_filesz >= end {
            return Err(bad());
        }
        let words = p_memsz.div_ceil(WORD_BYTES as u64);
        let size = words * WORD_BYTES as u64;
        let address = u32::try_from(p_vaddr).map_err(|_| bad())?;
        let last = u64::from(address) + size.saturating_sub(WORD_BYTES as u64);
        if !address.is_multiple_of(WORD_BYTES as u32) || (words > 0 && last >= end) {
            return Err(bad());
        }
        // What the file has beyond the memory's last word is not loaded.
        let content_bytes = p_filesz.min(size) as usize;
        let content = usize::try_from(p_offset)
            .ok()
            .filter(|_| p_offset <= u64::from(u32::MAX))
            .and_then(|offset| file.get(offset..)?.get(..content_bytes))
            .or((content_bytes == 0).then_some(&[][..]))
            .ok_or(ElfError::CutOff { address: p_vaddr })?;
        Ok(Self { address, size_bytes: size as usize, content })
    }
}

/// A memory as it is written.
#[derive(Default)]
struct Memory {
    pages: BTreeMap<u32, Page>,
}

impl Memory {
    fn write_word(&mut self, address: u32, word: u32) {
        let page = self.pages.entry(address / PAGE_BYTES as u32).or_default();
        page.store(WordAddr(address / WORD_BYTES as u32), word);
    }

    fn write(&mut self, part: &Part<'_>) {
        let mut at = 0;
        while at < part.size_bytes {
            let address = part.address + at as u32;
            let in_page = PAGE_BYTES - address as usize % PAGE_BYTES;
            let next = part.size_bytes.min(at + in_page);
            let content = part.content.get(at..).unwrap_or_default();
            let content = &content[..content.len().min(next - at)];
            let index = address / PAGE_BYTES as u32;
            let page = match content {
                // Zeros change nothing but what was written before.
                [] => self.pages.get_mut(&index),
                [..] => Some(self.pages.entry(index).or_default()),
            };
            if let Some(page) = page {
                let first = address / WORD_BYTES as u32;
                let mut words = content.chunks(WORD_BYTES);
                for word in first..first + ((next - at) / WORD_BYTES) as u32 {
                    let mut bytes = [0; WORD_BYTES];
                    let given = words.next().unwrap_or_default();
                    bytes[..given.len()].copy_from_slice(given);
                    page.store(WordAddr(word), u32::from_le_bytes(bytes));
                }
            }
            at = next;
        }
    }
}
