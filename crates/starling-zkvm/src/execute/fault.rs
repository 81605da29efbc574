//! What a guest tried that the machine cannot do, in a person's words: what, where, and what it usually means.

use thiserror::Error;

use crate::machine::{Cause, Fault, KERNEL_START_ADDR, ZERO_PAGE_END_ADDR};

/// Below the lowest address that a stack can have, and so far above it that a frame may have been begun: a stack that is
/// used up.
const STACK_USED_UP_BELOW: u32 = ZERO_PAGE_END_ADDR.0 + 4096;

/// `unimp` as RISC-V's compilers write it.
const UNIMP: u32 = 0xc000_1073;

/// A guest that did what the machine does not do. There is nothing to prove.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "{}{}{fault}{}",
    function.as_deref().map(|name| format!("in {name}")).unwrap_or_default(),
    if function.is_some() { ", " } else { "" },
    meaning.map(|meaning| format!("; {meaning}")).unwrap_or_default()
)]
pub struct GuestFault {
    /// What was done, and at which instruction.
    pub fault: Fault,
    /// The function that the instruction is in, where the guest's ELF has its symbols.
    pub function: Option<String>,
    /// What that usually means.
    pub meaning: Option<&'static str>,
}

impl GuestFault {
    /// `fault`, with what `function_at` knows of addresses.
    pub(super) fn new(fault: Fault, function_at: impl Fn(u32) -> Option<String>) -> Self {
        Self { fault, function: function_at(fault.pc), meaning: meaning(&fault) }
    }
}

/// What a fault usually means.
fn meaning(fault: &Fault) -> Option<&'static str> {
    let Fault { pc, stack_pointer, cause, .. } = *fault;
    // A program that has not set it up yet has none.
    let is_used_up =
        stack_pointer != 0 && !(STACK_USED_UP_BELOW..KERNEL_START_ADDR.0).contains(&stack_pointer);
    Some(match cause {
        Cause::LoadOutside { .. } | Cause::StoreOutside { .. } if is_used_up => {
            "its stack is used up: recurse less, or keep large arrays on the heap"
        }
        Cause::LoadOutside { address } | Cause::StoreOutside { address }
            if address < ZERO_PAGE_END_ADDR.0 =>
        {
            "usually a null pointer"
        }
        Cause::LoadOutside { .. } | Cause::StoreOutside { .. } => {
            "a guest has the addresses from 0x00010000 to 0xbfffffff"
        }
        Cause::LoadMisaligned { .. } | Cause::StoreMisaligned { .. } => {
            "the machine wants each size aligned: usually a raw pointer that was cast; `read_unaligned` and \
             `write_unaligned` need no alignment"
        }
        Cause::JumpMisaligned { .. } => {
            "usually an overwritten function pointer, or code with compressed instructions: build for \
             riscv32im-risc0-zkvm-elf"
        }
        Cause::Outside if pc == 0 => "usually a call of a null function pointer",
        Cause::Outside => "usually an overwritten function pointer or return address",
        Cause::Breakpoint => {
            "compilers put it where a program must not get to, and some aborts end that way"
        }
        Cause::Poseidon2 => {
            "RISC Zero's executor and its circuit take the addresses that `sys_poseidon2` hands over for different memory: \
             hash in the guest's own code, or with SHA-256"
        }
        Cause::ShaMisaligned => "usually a raw pointer that was cast",
        Cause::NoCall => return None,
        Cause::Illegal { word } => return of_word(word),
    })
}

/// What an instruction that the machine does not have usually is.
fn of_word(word: u32) -> Option<&'static str> {
    const BUILD: &str =
        "floating point: build for riscv32im-risc0-zkvm-elf, where it is done in software";
    Some(match (word & 0x7f, word) {
        (_, 0) => "there is no code: usually a wrong function pointer or return address",
        (low, _) if low & 3 != 3 => {
            "a compressed instruction, or data: build for riscv32im-risc0-zkvm-elf, which has none of them"
        }
        (0x07 | 0x27 | 0x43 | 0x47 | 0x4b | 0x4f | 0x53, _) => BUILD,
        (0x2f, _) => {
            "an atomic instruction: build with `-C passes=lower-atomic`, as `cargo risczero build` does"
        }
        (0x0f, _) => "a fence: build with `-C passes=lower-atomic`, as `cargo risczero build` does",
        (_, UNIMP) => "compilers put it where a program must not get to, and an `abort` is one",
        (0x73, _) if word & 0x7000 != 0 => "a control register: the machine has none",
        (0x73, _) => "a call or return with bits set that must be clear to be proved",
        (0x67, _) => "a jump with bits set that must be clear to be proved",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn shown(cause: Cause, stack_pointer: u32) -> String {
        let fault = Fault { pc: 0x0020_0804, in_kernel: false, stack_pointer, cause };
        GuestFault::new(fault, |_| None).to_string()
    }

    #[test]
    fn a_fault_says_where_it_is_what_was_done_and_what_that_means() {
        let cause = Cause::StoreOutside { address: 0xfff0 };
        assert_eq!(
            shown(cause, 0x001f_0000),
            "at pc 0x00200804: a store to 0x0000fff0, which is outside of its memory; usually a null pointer"
        );
        let fault = Fault { pc: 8, in_kernel: true, stack_pointer: 0, cause: Cause::NoCall };
        let named = GuestFault::new(fault, |pc| Some(format!("main::at_{pc}")));
        assert_eq!(
            named.to_string(),
            "in main::at_8, in the kernel, called at pc 0x00000008: a call that the kernel does not handle"
        );
    }

    #[test]
    fn a_stack_that_is_used_up_is_told_from_a_null_pointer() {
        let cause = Cause::StoreOutside { address: 0xfff0 };
        for stack_pointer in [0xfff0, 0x0001_0010, 0xffff_ff00] {
            assert!(shown(cause, stack_pointer).contains("stack is used up"), "{stack_pointer:#x}");
        }
        for stack_pointer in [0x0020_0400, 0x0010_0000, 0] {
            assert!(shown(cause, stack_pointer).contains("null pointer"), "{stack_pointer:#x}");
        }
    }

    #[test]
    fn instructions_of_other_machines_are_known() {
        let cases = [
            (0x0000_4501, "compressed"),
            (0x0000_0000, "no code"),
            (0x0000_0053, "floating point"),
            (0x1000_202f, "atomic"),
            (0x0ff0_000f, "fence"),
            (0xc000_1073, "abort"),
            (0xc000_2073, "control register"),
            (0x0000_00f3, "must be clear"),
            (0x0000_10e7, "must be clear"),
        ];
        for (word, expected) in cases {
            let shown = shown(Cause::Illegal { word }, 0x0010_0000);
            assert!(shown.contains(&format!("{word:#010x}")), "{shown}");
            assert!(shown.contains(expected), "{expected}: {shown}");
        }
    }
}
