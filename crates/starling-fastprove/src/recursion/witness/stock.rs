//! The stock CPU code for the same columns, to compare with.
#![allow(unsafe_code)]

use risc0_circuit_recursion_sys::{
    RawAccumBuffers, RawExecBuffers, RawPreflightCycle, RawPreflightTrace, StepMode,
    risc0_circuit_recursion_cpu_accum, risc0_circuit_recursion_cpu_witgen,
};
use risc0_sys::ffi_wrap;
use risc0_zkp::field::baby_bear::BabyBearElem as Elem;

use super::accum::{ACCUM_COLUMNS, MIX_ELEMENTS};
use super::data::DATA_COLUMNS;
use crate::recursion::code::Code;
use crate::recursion::machine::{GLOBALS, Run};
use crate::recursion::program::{Program, control_columns};
use crate::recursion::row::{CODE_COLUMNS, MicroOp, Row};

/// What the stock code takes for a cell that was not written.
const INVALID: u32 = u32::MAX;

/// The stock witness of one program.
pub(super) struct Stock {
    pub control: Vec<u32>,
    pub data: Vec<u32>,
    pub globals: Vec<u32>,
    pub rows: usize,
}

impl Stock {
    /// The control and data columns, and the globals.
    pub fn new(code: &Code, program: &Program, run: &Run) -> Self {
        let column_len = 1 << program.po2();
        let mut control = vec![0; CODE_COLUMNS * column_len];
        control_columns(code, &mut control);
        let mut data = vec![INVALID; DATA_COLUMNS * column_len];
        let mut globals = vec![INVALID; GLOBALS];

        let mut iops = Vec::new();
        let mut cycles = Vec::new();
        for row in program.rows() {
            let is_par_safe = u32::from(!needs_order(row));
            cycles.push(RawPreflightCycle { iop_idx: iops.len() as u32, is_par_safe });
            if let Row::Micro { write, ops } = row {
                let reads =
                    ops.iter().zip(*write..).filter(|(micro, _)| micro.op == MicroOp::ReadBody);
                iops.extend(reads.map(|(_, address)| run.memory[address as usize]));
            }
        }
        let buffers = RawExecBuffers {
            ctrl: control.as_ptr().cast(),
            data: data.as_mut_ptr().cast(),
            global: globals.as_mut_ptr().cast(),
        };
        let trace = RawPreflightTrace {
            wom: run.memory.as_ptr(),
            cycles: cycles.as_mut_ptr(),
            iops: iops.as_ptr(),
            num_woms: run.memory.len() as u32,
            num_cycles: cycles.len() as u32,
            num_iops: iops.len() as u32,
        };
        // SAFETY: the buffers have the circuit's columns of 2^po2 words, and outlive the call. What the code writes to,
        // behind pointers to constants, was made from mutable vectors.
        let done = ffi_wrap(|| unsafe {
            let steps = column_len as u32;
            risc0_circuit_recursion_cpu_witgen(StepMode::SeqForward, &buffers, &trace, steps)
        });
        done.unwrap();
        zeroize(&mut data);
        zeroize(&mut globals);
        Self { control, data, globals, rows: cycles.len() }
    }

    /// The accumulator columns.
    pub fn accum(&mut self, mix: &[Elem; MIX_ELEMENTS]) -> Vec<u32> {
        let column_len = self.data.len() / DATA_COLUMNS;
        let mut accum = vec![INVALID; ACCUM_COLUMNS * column_len];
        let buffers = RawAccumBuffers {
            ctrl: self.control.as_ptr().cast(),
            global: self.globals.as_ptr().cast(),
            data: self.data.as_ptr().cast(),
            mix: mix.as_ptr(),
            accum: accum.as_mut_ptr().cast(),
        };
        // SAFETY: as above.
        let done = ffi_wrap(|| unsafe {
            risc0_circuit_recursion_cpu_accum(&buffers, self.rows as u32, column_len as u32)
        });
        done.unwrap();
        zeroize(&mut accum);
        accum
    }
}

/// Rows that read cells of the row before.
fn needs_order(row: &Row) -> bool {
    match row {
        Row::Micro { ops, .. } => {
            ops.iter().any(|micro| micro.op == MicroOp::MixRng && micro.operands[2] != 0)
        }
        row => row.continues(),
    }
}

fn zeroize(words: &mut [u32]) {
    for word in words {
        if *word == INVALID {
            *word = 0;
        }
    }
}
