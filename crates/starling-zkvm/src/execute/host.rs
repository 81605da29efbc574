//! The guest's host: system calls, with randomness that can be repeated and assumptions that can be proved.

use std::cell::{Cell, RefCell};

use anyhow::{Result, anyhow, bail, ensure};
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng as _, SeedableRng as _},
};
use risc0_binfmt::ByteAddr;
use risc0_zkvm::Digest;
use risc0_zkvm_platform::{
    WORD_SIZE,
    syscall::{
        DIGEST_BYTES, SyscallName,
        nr::{SYS_RANDOM, SYS_VERIFY_INTEGRITY, SYS_VERIFY_INTEGRITY2},
        reg_abi::REG_A3,
    },
};

use super::{
    ASSUMPTIONS_MAX, ExecuteError,
    assumed::{Assumed, Proof, Refused},
    calls::{Calls, Resources},
    image,
    stream::Stop,
};
use crate::{
    AssumptionId,
    machine::{Syscall, SyscallContext},
};

/// The most bytes of a system call's name. RISC Zero's have about 40; custom ones are no longer.
const NAME_BYTES_MAX: u32 = 256;

/// Answers a guest's system calls.
pub(super) struct Host<'a> {
    calls: RefCell<Calls<'a>>,
    random: RefCell<ChaCha20Rng>,
    stop: &'a dyn Stop,
    assumed: &'a Assumed,
    /// Where the guest's program ends and its heap begins.
    memory_end: u32,
    /// What the last call returns in its two registers.
    returned: Cell<[u32; 2]>,
    refused: RefCell<Option<ExecuteError>>,
}

impl<'a> Host<'a> {
    pub(super) fn new(
        resources: Resources<'a>,
        seed: [u8; 32],
        stop: &'a dyn Stop,
        assumed: &'a Assumed,
        memory_end: u32,
    ) -> Self {
        Self {
            calls: RefCell::new(Calls::new(resources)),
            random: RefCell::new(ChaCha20Rng::from_seed(seed)),
            stop,
            assumed,
            memory_end,
            returned: Cell::default(),
            refused: RefCell::new(None),
        }
    }

    /// What ended the execution because it cannot be proved.
    pub(super) fn take_refused(&self) -> Option<ExecuteError> {
        self.refused.take()
    }

    /// Answers a call that assumes a claim: two digests at the address in its first argument.
    fn assume(&self, ctx: &mut impl SyscallContext, buf: &[u8], proof: Proof) -> Result<[u32; 2]> {
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
            Ok(()) => return Ok([0; 2]),
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

impl Syscall for Host<'_> {
    fn host_read(&self, ctx: &mut impl SyscallContext, fd: u32, buf: &mut [u8]) -> Result<u32> {
        if self.stop.is_stopped() {
            bail!("execution stopped");
        }
        // The kernel's second read of each call fetches the return registers.
        if fd == 0 {
            let registers = self.returned.get().map(u32::to_le_bytes);
            let registers = registers.as_flattened();
            ensure!(buf.len() == registers.len(), "a call returns {} bytes", registers.len());
            buf.copy_from_slice(registers);
            return Ok(registers.len() as u32);
        }
        // Any other descriptor is the address of the call's name.
        let name = peek_name(ctx, ByteAddr(fd))?;
        let is = |call: &SyscallName| name == call.as_str();
        let words = buf.len().next_multiple_of(WORD_SIZE);
        let registers = if is(&SYS_VERIFY_INTEGRITY) {
            self.assume(ctx, buf, Proof::AtHand)?
        } else if is(&SYS_VERIFY_INTEGRITY2) {
            self.assume(ctx, buf, Proof::Later)?
        } else if is(&SYS_RANDOM) {
            self.random.borrow_mut().fill_bytes(buf);
            [words.try_into()?, 0]
        } else {
            let mut to_guest = vec![0; words];
            let mut calls = self.calls.borrow_mut();
            let registers = calls.answer(&name, ctx, self.stop, &mut to_guest)?;
            buf.copy_from_slice(&to_guest[..buf.len()]);
            registers
        };
        self.returned.set(registers);
        Ok(buf.len().try_into()?)
    }

    /// The kernel's own messages, which no guest makes.
    fn host_write(&self, ctx: &mut impl SyscallContext, _fd: u32, buf: &[u8]) -> Result<u32> {
        tracing::debug!("kernel, cycle {}: {}", ctx.get_cycle(), String::from_utf8_lossy(buf));
        Ok(buf.len().try_into()?)
    }
}

/// The system call's name, NUL excluded. A guest may point anywhere: there need not be a NUL.
fn peek_name(ctx: &mut impl SyscallContext, start: ByteAddr) -> Result<String> {
    let mut name = Vec::new();
    for offset in 0..NAME_BYTES_MAX {
        match ctx.peek_u8(start + offset)? {
            0 => return Ok(String::from_utf8(name)?),
            byte => name.push(byte),
        }
    }
    bail!("the name of a system call has more than {NAME_BYTES_MAX} bytes")
}
