//! The guest's host: RISC Zero's system calls, with randomness that can be repeated and assumptions that can be
//! proved.

use std::cell::{Cell, RefCell};

use anyhow::{Result, anyhow, bail, ensure};
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng as _, SeedableRng as _},
};
use risc0_binfmt::ByteAddr;
use risc0_circuit_rv32im::execute::Syscall as _;
use risc0_zkvm::{Digest, ExecutorImpl};
use risc0_zkvm_platform::syscall::{
    DIGEST_BYTES,
    nr::{SYS_RANDOM, SYS_VERIFY_INTEGRITY, SYS_VERIFY_INTEGRITY2},
    reg_abi::REG_A3,
};

use super::{
    ASSUMPTIONS_MAX, ExecuteError,
    assumed::{Assumed, Proof, Refused},
    context::Context,
    image,
    stream::Stop,
};
use crate::{
    AssumptionId,
    machine::{Syscall, SyscallContext},
};

/// The most bytes of a system call's name. RISC Zero's have about 40; custom ones are no longer.
const NAME_BYTES_MAX: u32 = 256;

/// What a call that succeeded returns in its two registers.
const SUCCESS: [u8; 8] = [0; 8];

/// Forwards to `inner`, except for randomness and for what is assumed.
pub(super) struct Host<'a, 'env> {
    inner: &'a ExecutorImpl<'env>,
    random: RefCell<ChaCha20Rng>,
    stop: &'a dyn Stop,
    assumed: &'a Assumed,
    /// Where the guest's program ends and its heap begins.
    memory_end: u32,
    /// The last call was answered here, so its registers are, too.
    answered: Cell<bool>,
    refused: RefCell<Option<ExecuteError>>,
}

impl<'a, 'env> Host<'a, 'env> {
    pub(super) fn new(
        inner: &'a ExecutorImpl<'env>,
        seed: [u8; 32],
        stop: &'a dyn Stop,
        assumed: &'a Assumed,
        memory_end: u32,
    ) -> Self {
        Self {
            inner,
            random: RefCell::new(ChaCha20Rng::from_seed(seed)),
            stop,
            assumed,
            memory_end,
            answered: Cell::new(false),
            refused: RefCell::new(None),
        }
    }

    /// What ended the execution because it cannot be proved.
    pub(super) fn take_refused(&self) -> Option<ExecuteError> {
        self.refused.take()
    }

    /// Answers a call that assumes a claim: two digests at the address in its first argument.
    fn assume(&self, ctx: &mut impl SyscallContext, buf: &[u8], proof: Proof) -> Result<()> {
        ensure!(buf.is_empty(), "a call that assumes a claim returns nothing");
        let at = ByteAddr(ctx.peek_register(REG_A3)?);
        let bytes = ctx.peek_region(at, 2 * DIGEST_BYTES)?;
        let digest = |half: &[u8]| {
            Digest::try_from(half).map_err(|error| anyhow!("a digest cannot be read: {error}"))
        };
        let (claim, control_root) = bytes.split_at(DIGEST_BYTES);
        let assumption =
            AssumptionId { claim: digest(claim)?, control_root: digest(control_root)? };
        let error = match self.assumed.assume(assumption, proof) {
            Ok(()) => return Ok(()),
            Err(Refused::TooMany) => {
                ExecuteError::TooMany { what: "assumptions", limit: ASSUMPTIONS_MAX }
            }
            Err(Refused::Unknown) => {
                let AssumptionId { claim, control_root } = assumption;
                let image_id = image::of_claim(ctx, self.memory_end, &claim);
                ExecuteError::UnknownAssumption { claim, control_root, image_id }
            }
        };
        let text = anyhow!("{error}");
        self.refused.replace(Some(error));
        Err(text)
    }
}

impl Syscall for Host<'_, '_> {
    fn host_read(&self, ctx: &mut impl SyscallContext, fd: u32, buf: &mut [u8]) -> Result<u32> {
        if self.stop.is_stopped() {
            bail!("execution stopped");
        }
        // The kernel's second read of each call fetches the return registers: no name, nothing to replace.
        if fd == 0 {
            if !self.answered.take() {
                return self.inner.host_read(&mut Context(ctx), fd, buf);
            }
            ensure!(buf.len() == SUCCESS.len(), "a call returns {} bytes", SUCCESS.len());
            buf.copy_from_slice(&SUCCESS);
            return Ok(SUCCESS.len() as u32);
        }
        let name = peek_name(ctx, ByteAddr(fd))?;
        let is = |call: &str| name == call.as_bytes();
        let proof = if is(SYS_VERIFY_INTEGRITY.as_str()) {
            Some(Proof::AtHand)
        } else if is(SYS_VERIFY_INTEGRITY2.as_str()) {
            Some(Proof::Later)
        } else {
            None
        };
        self.answered.set(proof.is_some());
        if let Some(proof) = proof {
            self.assume(ctx, buf, proof)?;
            return Ok(0);
        }
        let read_bytes = self.inner.host_read(&mut Context(ctx), fd, buf)?;
        if is(SYS_RANDOM.as_str()) {
            self.random.borrow_mut().fill_bytes(buf);
        }
        Ok(read_bytes)
    }

    // Beware: at tracing level DEBUG for risc0, the forwarded call requires the bytes to be UTF-8.
    fn host_write(&self, ctx: &mut impl SyscallContext, fd: u32, buf: &[u8]) -> Result<u32> {
        self.inner.host_write(&mut Context(ctx), fd, buf)
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
