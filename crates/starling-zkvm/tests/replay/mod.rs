//! A host that answers as it answered once before: what segments have recorded of its answers.
//!
//! So RISC Zero's executor and ours can be given the same guest with the same randomness, and no implementation of
//! system calls is needed.

use std::{cell::RefCell, collections::VecDeque};

use anyhow::{Context as _, Result};
use risc0_circuit_rv32im::execute as published;
use starling_rv32im::execute as ours;

/// What a host answered: what it gave to be read, and what it said was written.
pub(crate) type Answers = (Vec<Vec<u8>>, Vec<u32>);

/// The answers in an execution, by its segments in their order.
pub(crate) fn answers(segments: &[ours::Segment]) -> Answers {
    let reads = segments.iter().flat_map(|segment| segment.read_record.iter().cloned());
    let writes = segments.iter().flat_map(|segment| segment.write_record.iter().copied());
    (reads.collect(), writes.collect())
}

/// What is left to be answered.
pub(crate) struct Replay {
    reads: RefCell<VecDeque<Vec<u8>>>,
    writes: RefCell<VecDeque<u32>>,
}

impl Replay {
    pub(crate) fn new((reads, writes): Answers) -> Self {
        Self { reads: RefCell::new(reads.into()), writes: RefCell::new(writes.into()) }
    }

    fn read(&self, buf: &mut [u8]) -> Result<u32> {
        let record = self.reads.borrow_mut().pop_front().context("more is read than was")?;
        let part = buf.get_mut(..record.len()).context("less is read than was")?;
        part.copy_from_slice(&record);
        Ok(record.len() as u32)
    }

    fn write(&self) -> Result<u32> {
        self.writes.borrow_mut().pop_front().context("more is written than was")
    }
}

impl published::Syscall for Replay {
    fn host_read(
        &self,
        _: &mut impl published::SyscallContext,
        _: u32,
        buf: &mut [u8],
    ) -> Result<u32> {
        self.read(buf)
    }

    fn host_write(&self, _: &mut impl published::SyscallContext, _: u32, _: &[u8]) -> Result<u32> {
        self.write()
    }
}

impl ours::Syscall for Replay {
    fn host_read(&self, _: &mut impl ours::SyscallContext, _: u32, buf: &mut [u8]) -> Result<u32> {
        self.read(buf)
    }

    fn host_write(&self, _: &mut impl ours::SyscallContext, _: u32, _: &[u8]) -> Result<u32> {
        self.write()
    }
}
