//! The guest's host: RISC Zero's system calls, with randomness that can be repeated.

use std::{
    cell::{Cell, RefCell},
    sync::atomic::{AtomicBool, Ordering},
};

use anyhow::{Result, bail};
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng as _, SeedableRng as _},
};
use risc0_binfmt::ByteAddr;
use risc0_circuit_rv32im::execute::{Syscall, SyscallContext};
use risc0_zkvm::ExecutorImpl;
use risc0_zkvm_platform::syscall::nr::{
    SYS_KECCAK, SYS_RANDOM, SYS_VERIFY_INTEGRITY, SYS_VERIFY_INTEGRITY2,
};

use super::Unsupported;

/// The most bytes of a system call's name. RISC Zero's have about 40; custom ones are no longer.
const NAME_BYTES_MAX: u32 = 256;

/// Forwards to `inner`, except for randomness and for what cannot be proved.
pub(super) struct Host<'a> {
    inner: &'a ExecutorImpl<'static>,
    random: RefCell<ChaCha20Rng>,
    cancel: &'a AtomicBool,
    stop: &'a AtomicBool,
    refused: Cell<Option<Unsupported>>,
}

impl<'a> Host<'a> {
    pub(super) fn new(
        inner: &'a ExecutorImpl<'static>,
        seed: [u8; 32],
        cancel: &'a AtomicBool,
        stop: &'a AtomicBool,
    ) -> Self {
        let random = RefCell::new(ChaCha20Rng::from_seed(seed));
        Self { inner, random, cancel, stop, refused: Cell::new(None) }
    }

    /// What ended the execution because it cannot be proved here.
    pub(super) fn refused(&self) -> Option<Unsupported> {
        self.refused.get()
    }
}

impl Syscall for Host<'_> {
    fn host_read(&self, ctx: &mut impl SyscallContext, fd: u32, buf: &mut [u8]) -> Result<u32> {
        if self.stop.load(Ordering::Relaxed) || self.cancel.load(Ordering::Relaxed) {
            bail!("execution stopped");
        }
        // The kernel's second read of each call fetches the return registers: no name, nothing to replace.
        if fd == 0 {
            return self.inner.host_read(ctx, fd, buf);
        }
        let name = peek_name(ctx, ByteAddr(fd))?;
        let refused = if name == SYS_KECCAK.as_str().as_bytes() {
            Some(Unsupported::Keccak)
        } else if name == SYS_VERIFY_INTEGRITY.as_str().as_bytes()
            || name == SYS_VERIFY_INTEGRITY2.as_str().as_bytes()
        {
            Some(Unsupported::Assumptions)
        } else {
            None
        };
        if let Some(refused) = refused {
            self.refused.set(Some(refused));
            bail!("{refused}");
        }
        let read_bytes = self.inner.host_read(ctx, fd, buf)?;
        if name == SYS_RANDOM.as_str().as_bytes() {
            self.random.borrow_mut().fill_bytes(buf);
        }
        Ok(read_bytes)
    }

    // Beware: at tracing level DEBUG for risc0, the forwarded call requires the bytes to be UTF-8.
    fn host_write(&self, ctx: &mut impl SyscallContext, fd: u32, buf: &[u8]) -> Result<u32> {
        self.inner.host_write(ctx, fd, buf)
    }
}

/// The system call's name, NUL excluded. A guest may point anywhere: the forwarded call would read on for
/// as long as it finds no NUL.
fn peek_name(ctx: &mut impl SyscallContext, start: ByteAddr) -> Result<Vec<u8>> {
    let mut name = Vec::new();
    for offset in 0..NAME_BYTES_MAX {
        match ctx.peek_u8(start + offset)? {
            0 => return Ok(name),
            byte => name.push(byte),
        }
    }
    bail!("the name of a system call has more than {NAME_BYTES_MAX} bytes")
}
