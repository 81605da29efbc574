//! What a guest asks its host for, answered as RISC Zero's executor answers it: segments hold the answers, so they are
//! the same to the byte.
//!
//! A guest may ask for anything, as often as it likes: each call takes bounded memory and is over soon, or ends with the
//! execution. What it assumes, and randomness, is not answered here: see [`host`](super::host).

mod files;
mod keccak;
mod region;

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail, ensure};
use risc0_binfmt::ByteAddr;
use risc0_zkvm_platform::{
    WORD_SIZE, fileno,
    syscall::{
        DIGEST_BYTES,
        keccak_mode::{KECCAK_PERMUTE, KECCAK_PROVE},
        nr::{
            SYS_ARGC, SYS_ARGV, SYS_CYCLE_COUNT, SYS_GETENV, SYS_KECCAK, SYS_LOG, SYS_PANIC,
            SYS_PIPE, SYS_READ, SYS_WRITE,
        },
        reg_abi::{REG_A3, REG_A4, REG_A5},
    },
};

use self::{
    keccak::{Batch, STATE_BYTES},
    region::More,
};
use super::{JOURNAL_BYTES_MAX, failure::GuestPanic, stream::Stop};
use crate::{leaf::KeccakRequest, machine::SyscallContext};

pub(super) use self::files::{Files, Sink};

/// Arguments, names and values of environment variables must be shorter: RISC Zero's own limit.
const TEXT_BYTES_END: usize = 1024;

/// The most bytes of a panic message that are read.
const PANIC_BYTES_MAX: u32 = 1 << 20;

/// The most bytes that a guest sends in one call of a channel.
const CHANNEL_BYTES_MAX: usize = JOURNAL_BYTES_MAX;

/// A call of the host's own: what the guest sent, and what it is answered.
type Channel<'a> = dyn FnMut(&str, Vec<u8>) -> Result<Vec<u8>> + 'a;

/// What there is for a guest to ask for.
pub(super) struct Resources<'a> {
    /// Its arguments.
    pub args: Vec<String>,
    /// Its environment variables.
    pub env: BTreeMap<String, String>,
    /// What it reads and writes.
    pub files: Files<'a>,
    /// The most cycles of a keccak proof, as a power of two.
    pub keccak_po2: u32,
    /// Takes its keccak requests.
    pub on_keccak: Box<dyn FnMut(KeccakRequest) -> Result<()> + 'a>,
    /// The names of calls of the host's own, and who answers them.
    pub channels: Vec<String>,
    /// Answers them.
    pub on_channel: Box<Channel<'a>>,
}

/// The host's side of system calls.
pub(super) struct Calls<'a> {
    resources: Resources<'a>,
    batch: Batch,
    /// Answers of channels that the guest has not fetched yet.
    waiting: BTreeMap<String, Vec<u8>>,
}

/// What a call returns in its two registers.
type Registers = [u32; 2];

/// The answer of calls that have none but their success.
const DONE: Registers = [0; 2];

impl<'a> Calls<'a> {
    pub(super) fn new(resources: Resources<'a>) -> Self {
        let batch = Batch::new(resources.keccak_po2);
        Self { resources, batch, waiting: BTreeMap::new() }
    }

    /// Answers the call `name`: fills `to_guest`, whole words that are all zero, and returns the registers.
    pub(super) fn answer(
        &mut self,
        name: &str,
        ctx: &mut impl SyscallContext,
        stop: &dyn Stop,
        to_guest: &mut [u8],
    ) -> Result<Registers> {
        let is = |call: &risc0_zkvm_platform::syscall::SyscallName| name == call.as_str();
        if is(&SYS_READ) {
            self.read(ctx, to_guest)
        } else if is(&SYS_WRITE) {
            returns_nothing(name, to_guest)?;
            let fd = ctx.peek_register(REG_A3)?;
            let region = [ctx.peek_register(REG_A4)?, ctx.peek_register(REG_A5)?];
            self.resources.files.write_region(fd, ctx, stop, region)?;
            Ok(DONE)
        } else if is(&SYS_KECCAK) {
            self.keccak(ctx, to_guest)
        } else if is(&SYS_ARGC) {
            returns_nothing(name, to_guest)?;
            Ok([self.resources.args.len().try_into()?, 0])
        } else if is(&SYS_ARGV) {
            let index = ctx.peek_register(REG_A3)?;
            let args = &self.resources.args;
            let argument = args.get(index as usize).with_context(|| {
                format!("the guest asks for argument {index} of {}", args.len())
            })?;
            give("an argument", argument, to_guest)
        } else if is(&SYS_GETENV) {
            let [start, len] = region_of(ctx)?;
            let size = (len as usize).min(TEXT_BYTES_END + 1);
            let variable = String::from_utf8(ctx.peek_region(ByteAddr(start), size)?)?;
            ensure!(
                variable.len() <= TEXT_BYTES_END,
                "the name of an environment variable has more than {TEXT_BYTES_END} bytes"
            );
            match self.resources.env.get(&variable) {
                Some(value) => give("the value of an environment variable", value, to_guest),
                None => Ok([u32::MAX, 0]),
            }
        } else if is(&SYS_CYCLE_COUNT) {
            returns_nothing(name, to_guest)?;
            let cycle = ctx.get_cycle();
            Ok([(cycle >> 32) as u32, cycle as u32])
        } else if is(&SYS_LOG) {
            returns_nothing(name, to_guest)?;
            let region = region_of(ctx)?;
            let files = &mut self.resources.files;
            files.write(fileno::STDOUT, format!("R0VM[{}] ", ctx.get_cycle()).as_bytes())?;
            files.write_region(fileno::STDOUT, ctx, stop, region)?;
            files.write(fileno::STDOUT, b"\n")?;
            Ok(DONE)
        } else if is(&SYS_PANIC) {
            returns_nothing(name, to_guest)?;
            panicked(ctx, stop)
        } else if is(&SYS_PIPE) {
            ensure!(to_guest.len() == 2 * WORD_SIZE, "a pipe has two ends");
            let ends = self.resources.files.pipe()?.map(u32::to_le_bytes);
            to_guest.copy_from_slice(ends.as_flattened());
            Ok(DONE)
        } else if self.resources.channels.iter().any(|channel| channel == name) {
            self.channel(name, ctx, stop, to_guest)
        } else {
            bail!("Unknown syscall: {name:?}")
        }
    }

    /// Bytes of a file: whole words to the guest's buffer, and what is left of a word in a register.
    fn read(&mut self, ctx: &mut impl SyscallContext, to_guest: &mut [u8]) -> Result<Registers> {
        let fd = ctx.peek_register(REG_A3)?;
        let wanted = ctx.peek_register(REG_A4)? as usize;
        ensure!(
            wanted >= to_guest.len(),
            "the guest reads {wanted} bytes into a buffer of {}",
            to_guest.len()
        );
        let files = &mut self.resources.files;
        let in_words = files.read(fd, to_guest)?;
        // More than a word is left only when the file has ended.
        let rest = wanted - in_words;
        let mut last = [0; WORD_SIZE];
        let in_last = match last.get_mut(..rest) {
            Some(last) => files.read(fd, last)?,
            None => 0,
        };
        Ok([(in_words + in_last).try_into()?, u32::from_le_bytes(last)])
    }

    fn keccak(&mut self, ctx: &mut impl SyscallContext, to_guest: &mut [u8]) -> Result<Registers> {
        match ctx.peek_register(REG_A3)? {
            KECCAK_PERMUTE => {
                let at = ByteAddr(ctx.peek_register(REG_A4)?);
                let state = ctx.peek_region(at, STATE_BYTES)?;
                let full = self.batch.permute(&state, to_guest)?;
                Ok([full.into(), 0])
            }
            KECCAK_PROVE => {
                returns_nothing("keccak proof", to_guest)?;
                let [claim, root] = [REG_A4, REG_A5].map(|register| -> Result<_> {
                    ctx.peek_register(register)
                        .and_then(|at| ctx.peek_region(ByteAddr(at), DIGEST_BYTES))
                });
                let request = self.batch.request(&claim?, &root?)?;
                (self.resources.on_keccak)(request)?;
                Ok(DONE)
            }
            mode => bail!("there is no keccak mode {mode}"),
        }
    }

    /// A call in two steps: the guest sends and learns the size of the answer, then fetches that.
    fn channel(
        &mut self,
        name: &str,
        ctx: &mut impl SyscallContext,
        stop: &dyn Stop,
        to_guest: &mut [u8],
    ) -> Result<Registers> {
        if let Some(answer) = self.waiting.remove(name) {
            let size = answer.len().min(to_guest.len());
            to_guest[..size].copy_from_slice(&answer[..size]);
            if size < answer.len() {
                self.waiting.insert(name.into(), answer[size..].to_vec());
            }
            return Ok([size.try_into()?, 0]);
        }
        returns_nothing(name, to_guest)?;
        let [start, len] = region_of(ctx)?;
        ensure!(
            len as usize <= CHANNEL_BYTES_MAX,
            "the guest sends {len} bytes to {name}, the limit is {CHANNEL_BYTES_MAX}"
        );
        let mut sent = Vec::new();
        region::read(ctx, stop, start, len, |bytes| {
            sent.extend_from_slice(bytes);
            Ok(More::Wanted)
        })?;
        let answer = (self.resources.on_channel)(name, sent)?;
        let size = answer.len().try_into()?;
        self.waiting.insert(name.into(), answer);
        Ok([size, 0])
    }
}

/// The address and the length in a call's second and third arguments.
fn region_of(ctx: &mut impl SyscallContext) -> Result<[u32; 2]> {
    Ok([ctx.peek_register(REG_A3)?, ctx.peek_register(REG_A4)?])
}

fn returns_nothing(name: &str, to_guest: &[u8]) -> Result<()> {
    ensure!(to_guest.is_empty(), "the guest wants {} bytes of {name}", to_guest.len());
    Ok(())
}

/// Gives a text as far as the guest has room, and its length.
fn give(what: &str, text: &str, to_guest: &mut [u8]) -> Result<Registers> {
    ensure!(
        text.len() < TEXT_BYTES_END,
        "{what} has {} bytes, a guest takes less than {TEXT_BYTES_END}",
        text.len()
    );
    let size = text.len().min(to_guest.len());
    to_guest[..size].copy_from_slice(&text.as_bytes()[..size]);
    Ok([text.len().try_into()?, 0])
}

/// Ends the execution with the guest's message, which may be of any size and need not be text.
fn panicked(ctx: &mut impl SyscallContext, stop: &dyn Stop) -> Result<Registers> {
    let [start, len] = region_of(ctx)?;
    let mut message = Vec::new();
    region::read(ctx, stop, start, len.min(PANIC_BYTES_MAX), |bytes| {
        message.extend_from_slice(bytes);
        Ok(More::Wanted)
    })?;
    // It ends in a person's terminal.
    let shown = |char: char| char == '\n' || char == '\t' || !char.is_control();
    let message: String = String::from_utf8_lossy(&message)
        .chars()
        .map(|char| if shown(char) { char } else { char::REPLACEMENT_CHARACTER })
        .collect();
    if len > PANIC_BYTES_MAX {
        let said = format!("(with a message of {len} bytes, which begins) {message}");
        return Err(GuestPanic(said).into());
    }
    Err(GuestPanic(message).into())
}

#[cfg(test)]
mod tests;
