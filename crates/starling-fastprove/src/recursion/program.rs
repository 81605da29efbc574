//! Recursion programs: what they are called, and their code, decoded for the machine and for the witness.

use risc0_circuit_recursion::control_id::{
    BN254_IDENTITY_CONTROL_ID, MIN_LIFT_PO2, POSEIDON2_CONTROL_IDS, SHA256_CONTROL_IDS,
};
use risc0_zkp::core::digest::Digest;
use risc0_zkp::field::Elem as _;
use risc0_zkp::field::baby_bear::BabyBearElem as Elem;
use risc0_zkp::{MAX_CYCLES_PO2, ZK_CYCLES};
use thiserror::Error;

use super::code::Code;
use super::row::{CODE_COLUMNS, Row, RowError};

/// Rows that one thread fills at a time, at least: enough that taking a share costs nothing beside it.
const CHUNK_ROWS: usize = 2048;

/// Why a program cannot be proved.
#[derive(Debug, Error)]
pub enum ProgramError {
    /// There is no such program, or none for this hash function.
    #[error("no recursion program {name} for hash function {hashfn}")]
    Unknown {
        /// The program.
        name: String,
        /// The hash function.
        hashfn: &'static str,
    },
    /// The program's code cannot be read, or is not code.
    #[error("recursion program {name} cannot be read: {reason}")]
    Unreadable {
        /// The program.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A row of the program cannot be proved.
    #[error("recursion program {name} cannot be proved because of row {row}: {reason}")]
    Row {
        /// The program.
        name: String,
        /// The row.
        row: usize,
        /// What is wrong with it.
        reason: RowError,
    },
    /// The program is not what it is called.
    #[error("recursion program {name} has control id {actual}, expected {expected}")]
    ControlId {
        /// The program.
        name: String,
        /// The control id that it should have.
        expected: Digest,
        /// The root of its control group.
        actual: Digest,
    },
}

/// The hash functions that recursion programs are proved with here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HashFn {
    /// What everything is proved with that is to be verified by another recursion program.
    Poseidon2,
    /// For verifiers outside of the field.
    Sha256,
    /// Over the scalar field of BN254, for Groth16: the identity program alone.
    Poseidon254,
}

impl HashFn {
    /// As RISC Zero calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Poseidon2 => "poseidon2",
            Self::Sha256 => "sha-256",
            Self::Poseidon254 => "poseidon_254",
        }
    }
}

/// One of the programs that the circuit's crate ships.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ProgramId {
    /// Verifies a segment's receipt of 2^`po2` cycles.
    Lift {
        /// The segment's size.
        po2: usize,
    },
    /// As lift, and counts the work.
    LiftPovw {
        /// The segment's size.
        po2: usize,
    },
    /// Two receipts of one session.
    Join,
    /// Two receipts with counted work of one session.
    JoinPovw,
    /// As that, and drops the count.
    JoinUnwrapPovw,
    /// A receipt and one that it assumes.
    Resolve,
    /// A receipt with counted work, and one that it assumes.
    ResolvePovw,
    /// As that, and drops the count.
    ResolveUnwrapPovw,
    /// Two receipts of anything.
    Union,
    /// One receipt, to prove it with another hash function.
    Identity,
    /// A receipt with counted work, to drop the count.
    UnwrapPovw,
    /// Hashes two digests.
    Test,
}

impl ProgramId {
    /// The name of the program's file.
    pub fn file_name(self) -> String {
        match self {
            Self::Lift { po2 } => return format!("lift_rv32im_v2_{po2}.zkr"),
            Self::LiftPovw { po2 } => return format!("lift_rv32im_v2_povw_{po2}.zkr"),
            Self::Join => "join.zkr",
            Self::JoinPovw => "join_povw.zkr",
            Self::JoinUnwrapPovw => "join_unwrap_povw.zkr",
            Self::Resolve => "resolve.zkr",
            Self::ResolvePovw => "resolve_povw.zkr",
            Self::ResolveUnwrapPovw => "resolve_unwrap_povw.zkr",
            Self::Union => "union.zkr",
            Self::Identity => "identity.zkr",
            Self::UnwrapPovw => "unwrap_povw.zkr",
            Self::Test => "test_recursion_circuit.zkr",
        }
        .into()
    }

    /// The root of the program's control group, which names it in receipts.
    pub fn control_id(self, hashfn: HashFn) -> Result<Digest, ProgramError> {
        let name = self.file_name();
        let table: &[(&str, Digest)] = match hashfn {
            HashFn::Poseidon2 => &POSEIDON2_CONTROL_IDS,
            HashFn::Sha256 => &SHA256_CONTROL_IDS,
            HashFn::Poseidon254 => &[("identity.zkr", BN254_IDENTITY_CONTROL_ID)],
        };
        let found = table.iter().find(|(entry, _)| *entry == name);
        found.map(|(_, id)| *id).ok_or(ProgramError::Unknown { name, hashfn: hashfn.name() })
    }

    /// All programs, lifts of each size among them.
    pub fn all() -> impl Iterator<Item = Self> {
        let po2s = MIN_LIFT_PO2..=MAX_CYCLES_PO2;
        let lifts = po2s.flat_map(|po2| [Self::Lift { po2 }, Self::LiftPovw { po2 }]);
        lifts.chain([
            Self::Join,
            Self::JoinPovw,
            Self::JoinUnwrapPovw,
            Self::Resolve,
            Self::ResolvePovw,
            Self::ResolveUnwrapPovw,
            Self::Union,
            Self::Identity,
            Self::UnwrapPovw,
            Self::Test,
        ])
    }
}

/// Where a thread can begin to fill in rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Start {
    pub row: usize,
    /// Uses of the memory in all rows before.
    pub uses: usize,
}

/// A program, decoded.
#[derive(Debug)]
pub(crate) struct Program {
    name: String,
    po2: usize,
    rows: Vec<Row>,
    /// The first is row 0. None is a row that depends on the one before it.
    starts: Vec<Start>,
    memory_len: usize,
}

impl Program {
    /// Decodes `code`, which is called `name`.
    pub fn decode(name: String, code: &Code) -> Result<Self, ProgramError> {
        let shape =
            |reason: &str| ProgramError::Unreadable { name: name.clone(), reason: reason.into() };
        let (cells, rest) = code.cells.as_chunks::<CODE_COLUMNS>();
        if !rest.is_empty() {
            return Err(shape("it does not have the circuit's columns"));
        }
        if code.po2 > MAX_CYCLES_PO2 || cells.len() + ZK_CYCLES > 1 << code.po2 {
            return Err(shape("it is longer than the trace"));
        }
        let mut rows = Vec::with_capacity(cells.len());
        let mut starts = Vec::new();
        let (mut uses, mut address_max) = (0, 0);
        for (at, row) in cells.iter().enumerate() {
            let row = Row::decode(row).map_err(|reason| ProgramError::Row {
                name: name.clone(),
                row: at,
                reason,
            })?;
            let due = starts.last().is_none_or(|start: &Start| start.row + CHUNK_ROWS <= at);
            if due && (at == 0 || !row.continues()) {
                starts.push(Start { row: at, uses });
            }
            uses += row.use_count();
            address_max = address_max.max(row.address_max());
            rows.push(row);
        }
        // Each row uses at most nine addresses, and each address must be used.
        if address_max as usize >= uses.max(1) {
            return Err(shape("it leaves addresses of the memory unused"));
        }
        Ok(Self { name, po2: code.po2, rows, starts, memory_len: address_max as usize + 1 })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The binary logarithm of the rows of the trace.
    pub fn po2(&self) -> usize {
        self.po2
    }

    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    pub fn starts(&self) -> &[Start] {
        &self.starts
    }

    /// Addresses of the memory.
    pub fn memory_len(&self) -> usize {
        self.memory_len
    }
}

/// Writes `code` to `columns`, the control columns of the trace; rows after it are zero.
pub(crate) fn control_columns(code: &Code, columns: &mut [u32]) {
    let (cells, _) = code.cells.as_chunks::<CODE_COLUMNS>();
    for (at, column) in columns.chunks_exact_mut(1 << code.po2).enumerate() {
        let (used, free) = column.split_at_mut(cells.len());
        for (word, row) in used.iter_mut().zip(cells) {
            *word = row[at].as_u32_montgomery();
        }
        free.fill(Elem::ZERO.as_u32_montgomery());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recursion::testing;

    #[test]
    fn every_program_that_is_shipped_can_be_proved() {
        let mut count = 0;
        for id in ProgramId::all() {
            for hashfn in [HashFn::Poseidon2, HashFn::Sha256] {
                id.control_id(hashfn).unwrap();
            }
            let program = Program::decode(id.file_name(), &testing::shipped(id).unwrap()).unwrap();
            let starts = program.starts();
            assert_eq!(starts[0], Start { row: 0, uses: 0 });
            assert!(starts.iter().skip(1).all(|start| !program.rows()[start.row].continues()));
            count += 1;
        }
        assert_eq!(count, POSEIDON2_CONTROL_IDS.len());
    }

    #[test]
    fn programs_that_are_not_shipped_are_errors() {
        let error = ProgramId::Lift { po2: 13 }.control_id(HashFn::Poseidon2).unwrap_err();
        assert!(
            error.to_string().contains("no recursion program lift_rv32im_v2_13.zkr"),
            "{error}"
        );
        let error = ProgramId::Join.control_id(HashFn::Poseidon254).unwrap_err();
        assert!(error.to_string().contains("for hash function poseidon_254"), "{error}");
        let error = testing::shipped(ProgramId::Lift { po2: 99 }).unwrap_err();
        assert!(matches!(error, ProgramError::Unreadable { .. }), "{error}");
    }

    #[test]
    fn code_of_another_shape_is_an_error() {
        let rows = [Row::Nop; 4];
        let reason = |code: &Code| Program::decode("test".into(), code).unwrap_err().to_string();
        let far = Row::SetGlobal { first: 1 << 30, digest: 0 };
        assert!(reason(&testing::code(&[far], 11)).contains("unused"));
        let mut code = testing::code(&rows, 11);
        code.cells.pop();
        assert!(reason(&code).contains("columns"));
        assert!(reason(&testing::code(&rows, 10)).contains("longer than the trace"));
        assert!(reason(&testing::code(&rows, 99)).contains("longer than the trace"));
        let mut code = testing::code(&rows, 11);
        code.cells[..CODE_COLUMNS].fill(Elem::ZERO);
        assert!(reason(&code).contains("row 0"));
    }
}
