//! File descriptors: what a guest reads from and writes to, and pipes that it makes.

use std::{
    collections::{BTreeMap, VecDeque},
    io::{self, ErrorKind, Read, Write},
};

use anyhow::{Context as _, Result, bail, ensure};

use crate::{
    execute::{JOURNAL_BYTES_MAX, stream::Stop},
    machine::SyscallContext,
};

use super::region::{self, More};

/// File descriptors are smaller: RISC Zero's own limit.
const FD_END: u32 = 1000;

/// The most bytes in all pipes.
const PIPE_BYTES_MAX: usize = JOURNAL_BYTES_MAX;

/// Where bytes of a guest go.
pub(in crate::execute) trait Sink: Write {
    /// Whether more bytes would be dropped: then they need not be read.
    fn is_full(&self) -> bool {
        false
    }
}

/// What a guest can read and write.
#[derive(Default)]
pub(in crate::execute) struct Files<'a> {
    readers: BTreeMap<u32, Box<dyn Read + 'a>>,
    writers: BTreeMap<u32, Box<dyn Sink + 'a>>,
    pipes: BTreeMap<u32, VecDeque<u8>>,
}

impl<'a> Files<'a> {
    /// Lets the guest read from `fd`.
    pub(in crate::execute) fn add_reader(&mut self, fd: u32, reader: Box<dyn Read + 'a>) {
        self.readers.insert(fd, reader);
    }

    /// Lets the guest write to `fd`.
    pub(in crate::execute) fn add_writer(&mut self, fd: u32, writer: Box<dyn Sink + 'a>) {
        self.writers.insert(fd, writer);
    }

    /// Makes a pipe; its ends for reading and for writing. As RISC Zero has it, they are one descriptor.
    pub(super) fn pipe(&mut self) -> Result<[u32; 2]> {
        let taken = |fd: &u32| {
            self.readers.contains_key(fd)
                || self.writers.contains_key(fd)
                || self.pipes.contains_key(fd)
        };
        let free = (0..FD_END).find(|fd| !taken(fd));
        let fd = free.with_context(|| format!("all {FD_END} file descriptors are in use"))?;
        self.pipes.insert(fd, VecDeque::new());
        Ok([fd; 2])
    }

    /// Reads from `fd` until `buf` is full or there is no more; how much was read.
    pub(super) fn read(&mut self, fd: u32, buf: &mut [u8]) -> Result<usize> {
        if let Some(pipe) = self.pipes.get_mut(&fd) {
            return Ok(read_all(pipe, buf)?);
        }
        let reader = self.readers.get_mut(&fd);
        let reader = reader.with_context(|| format!("bad read file descriptor {fd}"))?;
        Ok(read_all(reader.as_mut(), buf)?)
    }

    /// Writes `bytes` of the host's to `fd`.
    pub(super) fn write(&mut self, fd: u32, bytes: &[u8]) -> Result<()> {
        Ok(self.writer(fd)?.write_all(bytes)?)
    }

    /// Writes `len` bytes of the guest's memory from `start` on to `fd`.
    pub(super) fn write_region(
        &mut self,
        fd: u32,
        ctx: &mut impl SyscallContext,
        stop: &dyn Stop,
        [start, len]: [u32; 2],
    ) -> Result<()> {
        let piped: usize = self.pipes.values().map(VecDeque::len).sum();
        if let Some(pipe) = self.pipes.get_mut(&fd) {
            ensure!(
                len as usize <= PIPE_BYTES_MAX - piped,
                "the guest's pipes hold more than {PIPE_BYTES_MAX} bytes"
            );
            return region::read(ctx, stop, start, len, |bytes| {
                pipe.extend(bytes);
                Ok(More::Wanted)
            });
        }
        let writer = self.writer(fd)?;
        if writer.is_full() {
            return Ok(());
        }
        region::read(ctx, stop, start, len, |bytes| {
            writer.write_all(bytes)?;
            Ok(if writer.is_full() { More::Enough } else { More::Wanted })
        })
    }

    fn writer(&mut self, fd: u32) -> Result<&mut (dyn Sink + 'a)> {
        let Some(writer) = self.writers.get_mut(&fd) else {
            bail!("bad write file descriptor {fd}");
        };
        Ok(writer.as_mut())
    }
}

/// Reads until `buf` is full or the end is reached: a guest sees no short reads.
fn read_all(reader: &mut dyn Read, buf: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buf.len() {
        match reader.read(&mut buf[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
