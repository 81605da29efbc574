//! Programs for tests: every kind of row, with operands drawn from a seed.

#![allow(clippy::unwrap_used)]

use rand::rngs::StdRng;
use rand::{Rng as _, RngExt as _, SeedableRng as _};
use risc0_circuit_recursion::layout::CODE_LAYOUT;
use risc0_zkp::field::Elem as _;
use risc0_zkp::field::baby_bear::BabyBearElem as Elem;
use risc0_zkp::layout::Reg;
use starling_babybear::vector::P;

use super::code::{Code, Programs};
use super::program::{ProgramError, ProgramId};
use super::row::{CODE_COLUMNS, Keep, Load, Micro, MicroOp, Row};

/// The control columns of `row`.
pub(crate) fn encode(row: &Row) -> [Elem; CODE_COLUMNS] {
    let mut code = [Elem::ZERO; CODE_COLUMNS];
    let mut set = |register: &Reg, value: u32| code[register.offset] = Elem::new(value);
    let (top, select) = (&CODE_LAYOUT.code, &CODE_LAYOUT.code.select);
    let macros = top.inst.macro_ops;
    let mut macro_op = |opcode: &Reg, operands: [u32; 3], write: u32| {
        set(select.macro_ops, 1);
        set(opcode, 1);
        set(top.write_addr, write);
        macros.operand.iter().zip(operands).for_each(|(register, operand)| set(register, operand));
    };
    match *row {
        Row::Micro { write, ops } => {
            set(select.micro_ops, 1);
            set(top.write_addr, write);
            for (inst, micro) in top.inst.micro_ops.iter().zip(ops) {
                set(inst.opcode, micro.op as u32);
                inst.operand.iter().zip(micro.operands).for_each(|(reg, value)| set(reg, value));
            }
        }
        Row::Nop => macro_op(macros.opcode.nop, [0; 3], 0),
        Row::WomInit => macro_op(macros.opcode.wom_init, [0; 3], 0),
        Row::WomFini { end } => macro_op(macros.opcode.wom_fini, [0; 3], end),
        Row::BitAnd { write, inputs: [a, b] } => {
            macro_op(macros.opcode.bit_and_elem, [a, b, 0], write)
        }
        Row::BitOpShorts { write, inputs: [a, b], and } => {
            macro_op(macros.opcode.bit_op_shorts, [a, b, and.into()], write);
        }
        Row::ShaInit { a, e } => macro_op(macros.opcode.sha_init, [a, e, 0], 0),
        Row::ShaLoad { word, constant, shorts } => {
            macro_op(macros.opcode.sha_load, [word, constant, shorts.into()], 0);
        }
        Row::ShaMix { constant } => macro_op(macros.opcode.sha_mix, [0, constant, 0], 0),
        Row::ShaFini { a, e } => macro_op(macros.opcode.sha_fini, [a, e, 0], 0),
        Row::SetGlobal { first, digest } => {
            macro_op(macros.opcode.set_global, [first, digest.into(), 0], 0);
        }
        Row::PoseidonLoad(load) => {
            let inst = top.inst.poseidon2_load;
            set(select.poseidon2_load, 1);
            set(inst.do_mont, load.from_montgomery.into());
            set(inst.keep_state, (load.keep == Keep::All).into());
            set(inst.keep_upper_state, (load.keep == Keep::Capacity).into());
            set(inst.prep_full, load.begin.into());
            set([inst.group.g0, inst.group.g1, inst.group.g2][usize::from(load.group)], 1);
            inst.inputs.iter().zip(load.inputs).for_each(|(register, input)| set(register, input));
        }
        Row::PoseidonFull { pair } => {
            let inst = top.inst.poseidon2_full;
            set(select.poseidon2_full, 1);
            set([inst.c0, inst.c1, inst.c2, inst.c3][usize::from(pair)], 1);
        }
        Row::PoseidonPartial => set(select.poseidon2_partial, 1),
        Row::PoseidonStore { write, group, to_montgomery } => {
            let inst = top.inst.poseidon2_store;
            set(select.poseidon2_store, 1);
            set(top.write_addr, write);
            set(inst.do_mont, to_montgomery.into());
            set([inst.group.g0, inst.group.g1, inst.group.g2][usize::from(group)], 1);
        }
    }
    code
}

/// The code of a program that RISC Zero ships.
pub(crate) fn shipped(id: ProgramId) -> Result<Code, ProgramError> {
    Programs::new(starling_programs::words).code(id)
}

/// A program of `rows` of code over a trace of 2^`po2` rows.
pub(crate) fn code(rows: &[Row], po2: usize) -> Code {
    Code { cells: rows.iter().flat_map(encode).collect(), po2 }
}

/// Rows of every kind, and an input that they accept.
pub(crate) fn random(seed: u64) -> (Vec<Row>, Vec<u32>) {
    let mut writer = Writer {
        rows: vec![Row::WomInit],
        input: vec![],
        next: 0,
        random: StdRng::seed_from_u64(seed),
    };
    writer.constants();
    for _ in 0..writer.random.random_range(3..12) {
        match writer.random.random_range(0..6) {
            0 => writer.sha256(),
            1 | 2 => writer.poseidon2(),
            3 => writer.bits(),
            _ => writer.micro(),
        }
    }
    writer.finish()
}

/// Addresses of 16-bit words, two each, and of words that are elements, one each.
const SHORTS: u32 = 24;

struct Writer {
    rows: Vec<Row>,
    input: Vec<u32>,
    /// The address that is written next.
    next: u32,
    random: StdRng,
}

impl Writer {
    fn any(&mut self) -> u32 {
        self.random.random_range(0..self.next)
    }

    fn shorts(&mut self) -> u32 {
        self.random.random_range(1..SHORTS)
    }

    fn flip(&mut self) -> bool {
        self.random.random()
    }

    fn push_micro(&mut self, ops: [(MicroOp, [u32; 3]); 3]) {
        let ops = ops.map(|(op, operands)| Micro { op, operands });
        self.rows.push(Row::Micro { write: self.next, ops });
        self.next += 3;
    }

    /// Address 0 holds 0, those up to [`SHORTS`] hold shorts.
    fn constants(&mut self) {
        while self.next < SHORTS {
            let mut constant = || {
                let word = self.random.next_u32();
                (MicroOp::Const, [word & 0xffff, word >> 16, 0])
            };
            let mut ops = [constant(), constant(), constant()];
            if self.next == 0 {
                ops[0].1 = [0; 3];
            }
            self.push_micro(ops);
        }
    }

    fn micro(&mut self) {
        for _ in 0..4 {
            let ops = [self.micro_op(), self.micro_op(), self.micro_op()];
            self.push_micro(ops);
        }
        // Each polynomial is read in a row of its own: an announcement and two reads.
        let coefficients = self.random.random_range(0..=4);
        let words = if coefficients == 2 { 2 } else { 2 * coefficients };
        let shape = 2 * coefficients + u32::from(self.flip());
        for _ in 0..words {
            let word = self.random.random_range(0..P);
            self.input.push(word);
        }
        let read = (MicroOp::ReadBody, [0, 0, self.flip().into()]);
        self.push_micro([(MicroOp::ReadHeader, [2, shape, 0]), read, read]);
    }

    fn micro_op(&mut self) -> (MicroOp, [u32; 3]) {
        let (a, b) = (self.any(), self.any());
        let (flag, other) = (u32::from(self.flip()), u32::from(self.flip()));
        match self.random.random_range(0..9) {
            0 => (MicroOp::Const, [self.random.random_range(0..P), b, 0]),
            1 => (MicroOp::Add, [a, b, flag]),
            2 => (MicroOp::Sub, [a, b, 0]),
            3 => (MicroOp::Mul, [a, b, 0]),
            4 => (MicroOp::Inv, [if self.flip() { 0 } else { a }, flag, 0]),
            5 => (MicroOp::Eq, [a, a, 0]),
            6 => (MicroOp::MixRng, [self.shorts(), self.shorts(), 0]),
            7 => (MicroOp::Select, [0, a, b]),
            _ => (MicroOp::Extract, [a, flag, other]),
        }
    }

    fn bits(&mut self) {
        let inputs = [self.any(), self.any()];
        self.rows.push(Row::BitAnd { write: self.next, inputs });
        for and in [false, true] {
            self.next += 1;
            let inputs = [self.shorts(), self.shorts()];
            self.rows.push(Row::BitOpShorts { write: self.next, inputs, and });
        }
        self.next += 1;
        self.rows.push(Row::Nop);
        // A chain of words, each a digit of the next.
        let first = (MicroOp::MixRng, [self.shorts(), self.shorts(), 0]);
        let next = (MicroOp::MixRng, [self.shorts(), self.shorts(), 1]);
        self.push_micro([first, next, next]);
        self.push_micro([next, next, next]);
    }

    fn sha256(&mut self) {
        for _ in 0..4 {
            let row = Row::ShaInit { a: self.shorts(), e: self.shorts() };
            self.rows.push(row);
        }
        for _ in 0..16 {
            let shorts = self.flip();
            let word = if shorts { self.shorts() } else { self.any() };
            let row = Row::ShaLoad { word, constant: self.shorts(), shorts };
            self.rows.push(row);
        }
        for _ in 0..48 {
            let row = Row::ShaMix { constant: self.shorts() };
            self.rows.push(row);
        }
        for at in 0..4 {
            self.rows.push(Row::ShaFini { a: self.next + 3 - at, e: self.next + 7 - at });
        }
        self.next += 8;
    }

    fn poseidon2(&mut self) {
        for block in 0..self.random.random_range(1..4) {
            for group in 0..self.random.random_range(1..=3) {
                let keep = match (block, group) {
                    (0, 0) => Keep::Nothing,
                    (_, 0) => {
                        if self.flip() {
                            Keep::All
                        } else {
                            Keep::Capacity
                        }
                    }
                    _ => Keep::All,
                };
                let inputs = std::array::from_fn(|_| self.any());
                let load = Load { inputs, group, keep, from_montgomery: self.flip(), begin: false };
                self.rows.push(Row::PoseidonLoad(load));
            }
            let Some(Row::PoseidonLoad(last)) = self.rows.last_mut() else { unreachable!() };
            last.begin = true;
            let full = |pair| Row::PoseidonFull { pair };
            self.rows.extend([full(0), full(1), Row::PoseidonPartial, full(2), full(3)]);
        }
        for group in 0..3 {
            let to_montgomery = self.flip();
            self.rows.push(Row::PoseidonStore { write: self.next, group, to_montgomery });
            self.next += 8;
        }
    }

    fn finish(mut self) -> (Vec<Row>, Vec<u32>) {
        // Each address is used: those that were written are.
        for digest in 0..4 {
            let first = self.random.random_range(0..self.next - 4);
            self.rows.push(Row::SetGlobal { first, digest });
        }
        self.rows.push(Row::WomFini { end: self.next });
        (self.rows, self.input)
    }
}
