//! The executor of the rv32im circuit: the one place that says whose it is.

pub(crate) use risc0_circuit_rv32im::{MAX_INSN_CYCLES, MAX_INSN_CYCLES_LOWER_PO2};
pub(crate) use starling_rv32im::execute::{
    CycleLimit, Executor, ExecutorResult, KERNEL_START_ADDR, Segment as CircuitSegment, Syscall,
    SyscallContext, ZERO_PAGE_END_ADDR,
};
pub use starling_rv32im::{Cause, Fault};
pub(crate) use starling_rv32im::{OverLimit, ProgramError};
