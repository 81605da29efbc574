//! One row of a recursion program, decoded.
//!
//! A program is a matrix: each row holds, in the columns of the control group, which instruction the circuit
//! executes in that cycle and with which operands. [`Row`] is such a row in the words of the circuit's designers,
//! with addresses and flags as plain numbers.

use risc0_circuit_recursion::layout::{CODE_LAYOUT, RecursionMicroInstLayout};
use risc0_zkp::field::baby_bear::BabyBearElem as Elem;
use risc0_zkp::layout::Reg;
use thiserror::Error;

/// Columns of the control group.
pub(crate) const CODE_COLUMNS: usize = 23;

/// Micro operations in one row.
pub(crate) const MICRO_OPS: usize = 3;

/// Words of a Poseidon2 digest, and elements that one row moves between memory and state.
pub(crate) const DIGEST_ELEMENTS: usize = 8;

/// Values of the memory that one row uses, at most.
pub(crate) const USES_MAX: usize = 9;

/// Why a row is not an instruction that can be proved here.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum RowError {
    /// No instruction, or several at once, are selected.
    #[error("it selects no instruction, or several")]
    Selector,
    /// The instruction is not in the circuit's CPU witness generator either.
    #[error("it evaluates checked bytes, which no CPU prover of this release supports")]
    CheckedBytes,
    /// A micro operation of unknown number.
    #[error("it has micro operation {0}, known are 0 to 10")]
    MicroOp(u32),
    /// A register that must be one of a few values is not.
    #[error("its {name} is {value}")]
    Field {
        /// What the register says.
        name: &'static str,
        /// What it holds.
        value: u32,
    },
}

/// What a micro operation does with its operands `a`, `b`, `c`; `[a]` is the memory at `a`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum MicroOp {
    /// The constant `(a, b, 0, 0)`.
    Const,
    /// `[a] + [b]`; the first element of `[a]` is also an output if `c` is not 0.
    Add,
    /// `[a] - [b]`
    Sub,
    /// `[a] * [b]`
    Mul,
    /// The inverse of `[a]`, or if `b` is 0 whether its first element is 0.
    Inv,
    /// Fails unless `[a]` equals `[b]`.
    Eq,
    /// Announces `a` polynomials of the input, with the shape `b`.
    ReadHeader,
    /// The next polynomial, in Montgomery form if `c` is not 0.
    ReadBody,
    /// Four 16-bit words of `[a]` and `[b]`, after `c` times the word before, as digits to the base 2^16.
    MixRng,
    /// `[b + c * [a]]`
    Select,
    /// Element `2 b + c` of `[a]`.
    Extract,
}

/// One micro operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Micro {
    pub op: MicroOp,
    pub operands: [u32; 3],
}

/// What is kept of a Poseidon2 state when a digest is added to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    Nothing,
    /// The elements that the sponge does not absorb into.
    Capacity,
    All,
}

/// Adds a digest from memory to a Poseidon2 state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Load {
    pub inputs: [u32; DIGEST_ELEMENTS],
    /// Which third of the state.
    pub group: u8,
    pub keep: Keep,
    /// The words in memory are the elements' Montgomery form.
    pub from_montgomery: bool,
    /// The permutation begins with this row.
    pub begin: bool,
}

/// One cycle of the recursion circuit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Row {
    Micro {
        write: u32,
        ops: [Micro; MICRO_OPS],
    },
    Nop,
    WomInit,
    WomFini {
        end: u32,
    },
    /// The bitwise and of two elements.
    BitAnd {
        write: u32,
        inputs: [u32; 2],
    },
    /// The bitwise exclusive or of two pairs of 16-bit words; or their and, put together to one element.
    BitOpShorts {
        write: u32,
        inputs: [u32; 2],
        and: bool,
    },
    ShaInit {
        a: u32,
        e: u32,
    },
    /// A round of SHA-256 with a word of the message: two 16-bit words, or an element in Montgomery form.
    ShaLoad {
        word: u32,
        constant: u32,
        shorts: bool,
    },
    ShaMix {
        constant: u32,
    },
    ShaFini {
        a: u32,
        e: u32,
    },
    SetGlobal {
        first: u32,
        digest: u8,
    },
    PoseidonLoad(Load),
    /// Two full rounds; `pair` of 0 to 3.
    PoseidonFull {
        pair: u8,
    },
    PoseidonPartial,
    PoseidonStore {
        write: u32,
        group: u8,
        to_montgomery: bool,
    },
}

impl Row {
    /// Decodes `code`, the control columns of one row.
    pub fn decode(code: &[Elem; CODE_COLUMNS]) -> Result<Self, RowError> {
        let code = Code(code);
        let select = &CODE_LAYOUT.code.select;
        let kinds = [
            select.micro_ops,
            select.macro_ops,
            select.poseidon2_load,
            select.poseidon2_full,
            select.poseidon2_partial,
            select.poseidon2_store,
            select.checked_bytes,
        ];
        match code.one_hot(kinds).ok_or(RowError::Selector)? {
            0 => code.micro(),
            1 => code.macro_op(),
            2 => code.load(),
            3 => {
                let pair = CODE_LAYOUT.code.inst.poseidon2_full;
                let pair = code.one_hot([pair.c0, pair.c1, pair.c2, pair.c3]);
                Ok(Row::PoseidonFull { pair: pair.ok_or(RowError::Selector)? as u8 })
            }
            4 => Ok(Row::PoseidonPartial),
            5 => {
                let inst = CODE_LAYOUT.code.inst.poseidon2_store;
                let group = [inst.group.g0, inst.group.g1, inst.group.g2];
                Ok(Row::PoseidonStore {
                    write: code.write(),
                    group: code.one_hot(group).ok_or(RowError::Selector)? as u8,
                    to_montgomery: code.flag("Montgomery flag", inst.do_mont)?,
                })
            }
            _ => Err(RowError::CheckedBytes),
        }
    }

    /// How many values of the memory this row uses, and checks against what other rows use.
    pub fn use_count(&self) -> usize {
        match self {
            Row::Micro { .. } | Row::PoseidonLoad(_) | Row::PoseidonStore { .. } => USES_MAX,
            Row::BitAnd { .. } | Row::BitOpShorts { .. } => 3,
            Row::ShaInit { .. }
            | Row::ShaLoad { .. }
            | Row::ShaMix { .. }
            | Row::ShaFini { .. } => 2,
            Row::SetGlobal { .. } => 4,
            Row::Nop
            | Row::WomInit
            | Row::WomFini { .. }
            | Row::PoseidonFull { .. }
            | Row::PoseidonPartial => 0,
        }
    }

    /// Whether this row's values depend on the row before it, beyond the memory.
    pub fn continues(&self) -> bool {
        matches!(
            self,
            Row::ShaInit { .. }
                | Row::ShaLoad { .. }
                | Row::ShaMix { .. }
                | Row::ShaFini { .. }
                | Row::PoseidonLoad(_)
                | Row::PoseidonFull { .. }
                | Row::PoseidonPartial
                | Row::PoseidonStore { .. }
        )
    }

    /// The highest address that the row names, where it does not compute it.
    pub fn address_max(&self) -> u32 {
        match *self {
            Row::Micro { write, ops } => {
                let read = |micro: Micro| match micro.op {
                    MicroOp::Const | MicroOp::ReadHeader | MicroOp::ReadBody => 0,
                    MicroOp::Inv | MicroOp::Select | MicroOp::Extract => micro.operands[0],
                    _ => micro.operands[0].max(micro.operands[1]),
                };
                let read = ops.map(read).into_iter().max().unwrap_or(0);
                read.max(write.saturating_add(MICRO_OPS as u32 - 1))
            }
            Row::BitAnd { write, inputs } | Row::BitOpShorts { write, inputs, .. } => {
                write.max(inputs[0]).max(inputs[1])
            }
            Row::ShaInit { a, e } | Row::ShaFini { a, e } => a.max(e),
            Row::ShaLoad { word, constant, .. } => word.max(constant),
            Row::ShaMix { constant } => constant,
            Row::SetGlobal { first, .. } => first.saturating_add(GLOBAL_READS as u32 - 1),
            Row::PoseidonLoad(load) => load.inputs.into_iter().max().unwrap_or(0),
            Row::PoseidonStore { write, .. } => write.saturating_add(DIGEST_ELEMENTS as u32 - 1),
            Row::Nop
            | Row::WomInit
            | Row::WomFini { .. }
            | Row::PoseidonFull { .. }
            | Row::PoseidonPartial => 0,
        }
    }
}

/// Values of the memory that make one digest of the globals.
pub(crate) const GLOBAL_READS: usize = 4;

/// Digests of the globals.
const GLOBAL_DIGESTS: u32 = 4;

/// The control columns of one row.
struct Code<'a>(&'a [Elem; CODE_COLUMNS]);

impl Code<'_> {
    fn get(&self, register: &Reg) -> u32 {
        self.0[register.offset].as_u32()
    }

    fn write(&self) -> u32 {
        self.get(CODE_LAYOUT.code.write_addr)
    }

    /// Which of `registers` is 1, if exactly that one is not 0.
    fn one_hot<const N: usize>(&self, registers: [&Reg; N]) -> Option<usize> {
        let values = registers.map(|register| self.get(register));
        let hot = values.iter().position(|&value| value == 1)?;
        let rest_is_cold = values.iter().enumerate().all(|(at, &value)| at == hot || value == 0);
        rest_is_cold.then_some(hot)
    }

    fn flag(&self, name: &'static str, register: &Reg) -> Result<bool, RowError> {
        match self.get(register) {
            0 => Ok(false),
            1 => Ok(true),
            value => Err(RowError::Field { name, value }),
        }
    }

    fn micro(&self) -> Result<Row, RowError> {
        let insts = CODE_LAYOUT.code.inst.micro_ops;
        let op = |inst: &RecursionMicroInstLayout| {
            let op = match self.get(inst.opcode) {
                0 => MicroOp::Const,
                1 => MicroOp::Add,
                2 => MicroOp::Sub,
                3 => MicroOp::Mul,
                4 => MicroOp::Inv,
                5 => MicroOp::Eq,
                6 => MicroOp::ReadHeader,
                7 => MicroOp::ReadBody,
                8 => MicroOp::MixRng,
                9 => MicroOp::Select,
                10 => MicroOp::Extract,
                unknown => return Err(RowError::MicroOp(unknown)),
            };
            Ok(Micro { op, operands: inst.operand.map(|register| self.get(register)) })
        };
        let ops = [op(insts[0])?, op(insts[1])?, op(insts[2])?];
        Ok(Row::Micro { write: self.write(), ops })
    }

    fn macro_op(&self) -> Result<Row, RowError> {
        let inst = CODE_LAYOUT.code.inst.macro_ops;
        let opcode = inst.opcode;
        let kinds = [
            opcode.nop,
            opcode.wom_init,
            opcode.wom_fini,
            opcode.bit_and_elem,
            opcode.bit_op_shorts,
            opcode.sha_init,
            opcode.sha_load,
            opcode.sha_mix,
            opcode.sha_fini,
            opcode.set_global,
        ];
        let operand = inst.operand;
        let [first, second] = [self.get(operand[0]), self.get(operand[1])];
        let (write, inputs) = (self.write(), [first, second]);
        Ok(match self.one_hot(kinds).ok_or(RowError::Selector)? {
            0 => Row::Nop,
            1 => Row::WomInit,
            2 => Row::WomFini { end: write },
            3 => Row::BitAnd { write, inputs },
            4 => Row::BitOpShorts {
                write,
                inputs,
                and: self.flag("kind of bit operation", operand[2])?,
            },
            5 => Row::ShaInit { a: first, e: second },
            6 => Row::ShaLoad {
                word: first,
                constant: second,
                shorts: self.flag("kind of SHA-256 word", operand[2])?,
            },
            7 => Row::ShaMix { constant: second },
            8 => Row::ShaFini { a: first, e: second },
            _ if second < GLOBAL_DIGESTS => Row::SetGlobal { first, digest: second as u8 },
            _ => return Err(RowError::Field { name: "digest of the globals", value: second }),
        })
    }

    fn load(&self) -> Result<Row, RowError> {
        let inst = CODE_LAYOUT.code.inst.poseidon2_load;
        let group = [inst.group.g0, inst.group.g1, inst.group.g2];
        let all = self.flag("flag that keeps the state", inst.keep_state)?;
        let capacity = self.flag("flag that keeps the capacity", inst.keep_upper_state)?;
        Ok(Row::PoseidonLoad(Load {
            inputs: inst.inputs.map(|register| self.get(register)),
            group: self.one_hot(group).ok_or(RowError::Selector)? as u8,
            keep: match (all, capacity) {
                (true, _) => Keep::All,
                (false, true) => Keep::Capacity,
                (false, false) => Keep::Nothing,
            },
            from_montgomery: self.flag("Montgomery flag", inst.do_mont)?,
            begin: self.flag("flag that begins the permutation", inst.prep_full)?,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recursion::testing::{encode, random};

    #[test]
    fn rows_of_every_kind_are_decoded_as_they_were_encoded() {
        let mut kinds = std::collections::HashSet::new();
        for row in (0..20).flat_map(|seed| random(seed).0) {
            assert_eq!(Row::decode(&encode(&row)), Ok(row));
            kinds.insert(std::mem::discriminant(&row));
        }
        assert_eq!(kinds.len(), 15, "every kind occurs");
    }

    #[test]
    fn rows_that_select_nothing_or_several_things_are_refused() {
        let nop = encode(&Row::Nop);
        let none = [Elem::new(0); CODE_COLUMNS];
        assert_eq!(Row::decode(&none), Err(RowError::Selector));
        for column in [1, 3, 9, 17] {
            let mut code = nop;
            code[column] = Elem::new(1);
            assert_eq!(Row::decode(&code), Err(RowError::Selector), "column {column}");
        }
    }

    #[test]
    fn registers_outside_of_their_range_are_refused() {
        let select = &CODE_LAYOUT.code.select;
        let row = |set: &[(&Reg, u32)]| {
            let mut code = [Elem::new(0); CODE_COLUMNS];
            set.iter().for_each(|(register, value)| code[register.offset] = Elem::new(*value));
            Row::decode(&code)
        };
        let opcode = CODE_LAYOUT.code.inst.micro_ops[0].opcode;
        assert_eq!(row(&[(select.micro_ops, 1), (opcode, 11)]), Err(RowError::MicroOp(11)));
        assert_eq!(row(&[(select.checked_bytes, 1)]), Err(RowError::CheckedBytes));
        let globals = CODE_LAYOUT.code.inst.macro_ops;
        let digest =
            [(select.macro_ops, 1), (globals.opcode.set_global, 1), (globals.operand[1], 4)];
        assert!(matches!(row(&digest), Err(RowError::Field { value: 4, .. })));
    }
}
