//! What a guest tried that the machine cannot do, as values, which the included executor returns in its errors.

use std::fmt;

use thiserror::Error;

use crate::execute::{
    MEPC_ADDR, REG_SP, USER_REGS_ADDR,
    r0vm::{LoadOp, Risc0Context},
    rv32im::Exception,
};

/// An instruction that cannot be carried out, where no handler of the guest's kernel takes it. There is nothing to prove.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub struct Fault {
    /// Where the instruction is; of a fault within the kernel, the call that the kernel was answering.
    pub pc: u32,
    /// Whether the kernel did it, on behalf of the program.
    pub in_kernel: bool,
    /// The program's stack pointer.
    pub stack_pointer: u32,
    /// What it does.
    pub cause: Cause,
}

/// What an instruction does that the machine does not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Cause {
    /// It is no instruction of the machine, or has bits set that the circuit wants clear.
    #[error("the instruction {word:#010x} is not one of this machine")]
    Illegal {
        /// The instruction.
        word: u32,
    },
    /// It is `ebreak`.
    #[error("a breakpoint")]
    Breakpoint,
    /// It jumps to where no instruction can begin.
    #[error("a jump to {to:#010x}, which is no multiple of four")]
    JumpMisaligned {
        /// Where it jumps to.
        to: u32,
    },
    /// There can be no instruction: the address is not the program's.
    #[error("no instruction can be there")]
    Outside,
    /// It loads from an address that its size does not divide.
    #[error("a load from {address:#010x}, which is not aligned")]
    LoadMisaligned {
        /// The address.
        address: u32,
    },
    /// It loads from memory that is not the program's.
    #[error("a load from {address:#010x}, which is outside of its memory")]
    LoadOutside {
        /// The address.
        address: u32,
    },
    /// It stores to an address that its size does not divide.
    #[error("a store to {address:#010x}, which is not aligned")]
    StoreMisaligned {
        /// The address.
        address: u32,
    },
    /// It stores to memory that is not the program's.
    #[error("a store to {address:#010x}, which is outside of its memory")]
    StoreOutside {
        /// The address.
        address: u32,
    },
    /// It calls a kernel that has no handler for calls.
    #[error("a call that the kernel does not handle")]
    NoCall,
    /// It has the machine hash with Poseidon2. Executor and circuit take the addresses of such a call for different memory.
    #[error("a call of Poseidon2, which cannot be proved")]
    Poseidon2,
    /// It has the machine hash with SHA-256, and one of the addresses is no multiple of four.
    #[error("a call of SHA-256 with an address that is no multiple of four")]
    ShaMisaligned,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pc, cause, in_kernel, .. } = self;
        let place = if *in_kernel { "in the kernel, called at pc" } else { "at pc" };
        write!(f, "{place} {pc:#010x}: {cause}")
    }
}

/// An execution that ran into the limit set for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("it does not end within {0} user cycles")]
pub struct OverLimit(pub u64);

/// The fault that this exception is of the guest that runs in `ctx`.
pub(crate) fn of(ctx: &mut impl Risc0Context, cause: &Exception) -> anyhow::Error {
    let cause = match *cause {
        Exception::InstructionMisaligned(to) => Cause::JumpMisaligned { to: to.0 },
        Exception::InstructionFault => Cause::Outside,
        Exception::IllegalInstruction(word, _) => Cause::Illegal { word },
        Exception::Breakpoint => Cause::Breakpoint,
        Exception::LoadAddressMisaligned(at) => Cause::LoadMisaligned { address: at.0 },
        Exception::LoadAccessFault(at) => Cause::LoadOutside { address: at.0 },
        Exception::StoreAddressMisaligned(at) => Cause::StoreMisaligned { address: at.0 },
        Exception::StoreAccessFault(at) => Cause::StoreOutside { address: at.0 },
        Exception::InvalidEcallDispatch(_) | Exception::UserEnvCall(_) => Cause::NoCall,
    };
    in_call(ctx, cause)
}

/// The fault that `cause` is of the guest that runs in `ctx`: directly of a call that the machine answers.
pub(crate) fn in_call(ctx: &mut impl Risc0Context, cause: Cause) -> anyhow::Error {
    let in_kernel = ctx.get_machine_mode() != 0;
    // What cannot be read now says nothing of the fault.
    let called_at = ctx.load_u32(LoadOp::Peek, MEPC_ADDR.waddr()).unwrap_or_default();
    let stack_pointer = ctx.load_register(LoadOp::Peek, USER_REGS_ADDR.waddr(), REG_SP);
    let fault = Fault {
        pc: if in_kernel { called_at } else { ctx.get_pc().0 },
        in_kernel,
        stack_pointer: stack_pointer.unwrap_or_default(),
        cause,
    };
    fault.into()
}
