//! What executes can be proved: whatever the executor runs has rows that the circuit takes, and what has none is refused by
//! its address. Otherwise a guest could make segments that all nodes of a network try in vain.

use std::sync::LazyLock;

use risc0_binfmt::{Page, WordAddr};
use starling_image::Image;

use super::{
    hostile::{Alone, bare::image_of},
    tests::witness,
    *,
};
use crate::{
    Cause, Fault,
    execute::{
        CycleLimit, ECALL_DISPATCH_ADDR, Executor, HOST_ECALL_POSEIDON2, HOST_ECALL_SHA2,
        HOST_ECALL_TERMINATE, KERNEL_START_ADDR, MACHINE_REGS_ADDR, PAGE_BYTES, PFLAG_IS_ELEM,
        REG_A0, REG_A1, REG_A2, REG_A3, REG_A4, REG_A7, REG_T0, SUSPEND_MODE_ADDR, SUSPEND_PC_ADDR,
        USER_REGS_ADDR, USER_START_ADDR,
    },
};

const PO2: u32 = 14;

/// Where the instruction is that a test is about.
const CODE: u32 = USER_START_ADDR.0;

/// From there on, wherever an instruction of the tests may jump, is another that ends the program.
const CODE_BYTES: u32 = 0x4_0000;

/// What register t0 points to, with such instructions around it.
const BASE: u32 = CODE + 0x4000;

const ECALL: u32 = 0x0000_0073;
const MRET: u32 = 0x3020_0073;

/// The only segment of the program in this memory.
fn run(image: Image) -> anyhow::Result<Segment> {
    let mut executor = Executor::new(image, &Alone, None, vec![], None);
    let mut segments = Vec::new();
    executor.run(PO2 as usize, 2000, CycleLimit::Hard(1000), |segment| {
        segments.push(segment);
        Ok(())
    })?;
    assert_eq!(segments.len(), 1);
    let mut segment = segments.remove(0);
    // As large as the smallest that is proved.
    segment.po2 = segment.po2.max(PO2);
    Ok(segment)
}

/// A program that begins with this instruction. The kernel ends it at its first call.
fn beginning_with(instruction: u32) -> Image {
    static CALLS: LazyLock<Image> = LazyLock::new(|| {
        let calls = (CODE..CODE + CODE_BYTES).step_by(4).map(|at| (at, ECALL));
        let rest = [
            (KERNEL_START_ADDR.0, ECALL),
            (ECALL_DISPATCH_ADDR.0, KERNEL_START_ADDR.0),
            (USER_REGS_ADDR.0 + 4 * REG_T0 as u32, BASE),
            (MACHINE_REGS_ADDR.0 + 4 * REG_A7 as u32, HOST_ECALL_TERMINATE),
            (SUSPEND_PC_ADDR.0, CODE),
            (SUSPEND_MODE_ADDR.0, 0),
        ];
        image_of(&calls.chain(rest).collect::<Vec<_>>())
    });
    let mut image = CALLS.clone();
    let mut first = Page::default();
    (0..PAGE_BYTES as u32 / 4).for_each(|word| first.store(WordAddr(word), ECALL));
    first.store(WordAddr(0), instruction);
    image.set_page(CODE / PAGE_BYTES as u32, first);
    image
}

/// Whether the executor runs this instruction. If it does, the instruction has its rows; if not, it is named.
fn runs(instruction: u32) -> bool {
    match run(beginning_with(instruction)) {
        Ok(segment) => {
            let rows = witness(&segment);
            assert!(rows.is_ok(), "{instruction:#010x} runs: {}", rows.unwrap_err());
            true
        }
        Err(error) => {
            let fault: Option<&Fault> = error.downcast_ref();
            let fault = fault.unwrap_or_else(|| panic!("{instruction:#010x}: {error:#}"));
            assert_eq!((fault.pc, fault.in_kernel), (CODE, false), "{instruction:#010x}: {fault}");
            false
        }
    }
}

/// An instruction by its fields, from the lowest.
fn fields(opcode: u32, rd: u32, funct3: u32, rs1: u32, rs2: u32, funct7: u32) -> u32 {
    funct7 << 25 | rs2 << 20 | rs1 << 15 | funct3 << 12 | rd << 7 | opcode
}

#[test]
fn every_instruction_that_runs_has_its_rows_and_every_other_is_refused_by_its_address() {
    let mut run = 0;
    for opcode in (3..0x80).step_by(4) {
        for funct3 in 0..8 {
            for funct7 in [0, 1, 0x18, 0x20] {
                run += usize::from(runs(fields(opcode, 8, funct3, REG_T0 as u32, 0, funct7)));
            }
        }
    }
    // Ten of register and register and eight that multiply; six with any immediate, and three shifts; five loads, three
    // stores, six branches; a jump to a register, of four offsets each; and with any third field as well two that load an
    // upper immediate, and a jump.
    assert_eq!(run, 10 + 8 + 6 * 4 + 3 + (5 + 3 + 6 + 1) * 4 + 3 * 8 * 4);
}

#[test]
fn calls_and_returns_have_no_other_bits_set() {
    for funct7 in [0, 1, 0x18] {
        for (rs2, rs1, rd) in [0, 1, 2, 3]
            .into_iter()
            .flat_map(|rs2| [(rs2, 0, 0), (rs2, 0, 1), (rs2, 1, 0), (rs2, 1, 1)])
        {
            let word = fields(0x73, rd, 0, rs1, rs2, funct7);
            assert_eq!(runs(word), word == ECALL, "{word:#010x}");
        }
    }
    // A breakpoint and a return are known for what they are.
    let fault = |word| *run(beginning_with(word)).unwrap_err().downcast_ref::<Fault>().unwrap();
    assert_eq!(fault(0x0010_0073).cause, Cause::Breakpoint);
    assert_eq!(fault(MRET).cause, Cause::Illegal { word: MRET });
}

#[test]
fn a_fault_says_what_was_done_and_to_which_address() {
    let fault = |word| run(beginning_with(word)).unwrap_err().downcast_ref::<Fault>().copied();
    let caused = |cause| Some(Fault { pc: CODE, in_kernel: false, stack_pointer: 0, cause });
    let t0 = REG_T0 as u32;
    let cases = [
        (0x0000_4501, Cause::Illegal { word: 0x0000_4501 }),
        (fields(0x03, 8, 2, t0, 1, 0), Cause::LoadMisaligned { address: BASE + 1 }),
        (fields(0x03, 8, 1, t0, 3, 0), Cause::LoadMisaligned { address: BASE + 3 }),
        (fields(0x03, 8, 2, 0, 8, 0), Cause::LoadOutside { address: 8 }),
        (fields(0x23, 2, 2, t0, 0, 0), Cause::StoreMisaligned { address: BASE + 2 }),
        (fields(0x23, 4, 2, 0, 0, 0), Cause::StoreOutside { address: 4 }),
        (fields(0x67, 0, 0, t0, 2, 0), Cause::JumpMisaligned { to: BASE + 2 }),
    ];
    for (word, cause) in cases {
        assert_eq!(fault(word), caused(cause), "{word:#010x}");
    }
    // It jumps, and then there is nothing.
    let jump = fault(fields(0x67, 0, 0, 0, 16, 0)).unwrap();
    assert_eq!((jump.pc, jump.cause), (16, Cause::Outside));
}

/// Where a kernel has the constants of SHA-256: in its own memory, where no program reads or writes.
const CONSTANTS: u32 = KERNEL_START_ADDR.0 + 0x400;

/// A kernel that makes one call with these registers, and ends.
fn calling(number: u32, arguments: [u32; 5]) -> Image {
    const SET_A7_TO_ZERO: u32 = 0x0000_0893;
    let begin = KERNEL_START_ADDR.0;
    let register = |at: usize, word| (MACHINE_REGS_ADDR.0 + 4 * at as u32, word);
    let arguments = [REG_A0, REG_A1, REG_A2, REG_A3, REG_A4].into_iter().zip(arguments);
    let mut memory: Vec<_> = arguments.map(|(at, word)| register(at, word)).collect();
    memory.extend([
        register(REG_A7, number),
        (begin, ECALL),
        (begin + 4, SET_A7_TO_ZERO),
        (begin + 8, ECALL),
        (SUSPEND_PC_ADDR.0, begin),
        (SUSPEND_MODE_ADDR.0, 1),
    ]);
    // Some of it is no element of the field.
    let noise = |at: u32| (0..256).map(move |word| (at + 4 * word, word.wrapping_mul(0x9e37_79b9)));
    memory.extend(noise(CODE).chain(noise(CONSTANTS)));
    image_of(&memory)
}

/// Of these calls, those that run and have no rows; and how many run.
fn unprovable<const N: usize>(number: u32, calls: [[u32; 5]; N]) -> (Vec<String>, usize) {
    let (mut unprovable, mut run_count) = (Vec::new(), 0);
    for arguments in calls {
        // The included executor asserts some of what it wants.
        if let Ok(segment) = caught(|| run(calling(number, arguments))) {
            run_count += 1;
            if let Err(error) = witness(&segment) {
                unprovable.push(format!("{arguments:x?} runs: {error}"));
            }
        }
    }
    (unprovable, run_count)
}

#[test]
fn calls_of_sha_256_with_odd_arguments_have_their_rows_or_are_refused() {
    let (state, data, out, constants) = (CODE, CODE + 64, CODE + 512, CONSTANTS);
    let (unprovable, run_count) = unprovable(
        HOST_ECALL_SHA2,
        [
            [state, out, data, 1, constants],
            [state, out, data, 10, constants],
            [state, out, data, 11, constants],
            [state, out, data, 0, constants],
            [state, out, data, 0xffff_0001, constants],
            [state, state, state, 2, constants],
            [state + 1, out, data, 1, constants],
            [state, out + 2, data, 1, constants],
            [state, out, data + 3, 1, constants],
            [state, out, data, 1, constants + 1],
            [0, out, data, 1, constants],
            [state, out, data, 1, u32::MAX],
            [state, out, u32::MAX - 70, 2, constants],
            [state, MACHINE_REGS_ADDR.0, data, 1, constants],
        ],
    );
    assert!(unprovable.is_empty(), "{unprovable:#?}");
    assert!(run_count > 3, "{run_count} calls run at all");
}

/// What such a call with these registers ends with, where that is a fault.
fn fault_of_call(number: u32, arguments: [u32; 5]) -> Option<Cause> {
    let error = run(calling(number, arguments)).err()?;
    error.downcast_ref().map(|fault: &Fault| fault.cause)
}

#[test]
fn a_call_of_sha_256_with_a_misaligned_address_is_refused_by_its_name() {
    let aligned = [CODE, CODE + 512, CODE + 64, 1, CONSTANTS];
    assert_eq!(fault_of_call(HOST_ECALL_SHA2, aligned), None);
    for at in [0, 1, 2, 4] {
        let mut arguments = aligned;
        arguments[at] += 2;
        assert_eq!(fault_of_call(HOST_ECALL_SHA2, arguments), Some(Cause::ShaMisaligned), "{at}");
    }
}

#[test]
fn every_call_of_poseidon2_is_refused_by_its_name() {
    let bytes = [CODE, CODE + 64, CODE + 512];
    // As the published guests make them; and as the circuit reads them.
    for [state, data, out] in [bytes.map(|at| at / 4), bytes] {
        for arguments in [
            [state, data, out, 1, 0],
            [0, data, out, 1, 0],
            [state, data, out, 0, 0],
            [state, data, out, 3 | PFLAG_IS_ELEM, 0],
            [state, data, out, 1 | 0x3fff_0000, 0],
            [state, state, state, 2, 0],
            [u32::MAX; 5],
        ] {
            let fault = fault_of_call(HOST_ECALL_POSEIDON2, arguments);
            assert_eq!(fault, Some(Cause::Poseidon2), "{arguments:x?}");
        }
    }
}
