//! The trace of a preflight as the C++ reads it: three kinds of records in C's layout.

/// One row of a trace that no table fills: what was done, and where its transactions and bytes begin.
#[derive(Clone, Debug, PartialEq)]
#[repr(C)]
pub(crate) struct RawPreflightCycle {
    /// The state of the machine after this row.
    pub state: u32,
    /// The program counter after this row.
    pub pc: u32,
    /// The kind of row, of 13.
    pub major: u8,
    /// The kind within the kind, of 8.
    pub minor: u8,
    /// The mode of the machine after this row.
    pub machine_mode: u8,
    /// Always 0.
    pub padding: u8,
    /// How many instructions were before.
    pub user_cycle: u32,
    /// Where this row's memory transactions begin.
    pub txn_idx: u32,
    /// The node of the memory tree that this row is about.
    pub paging_idx: u32,
    /// Where this row's 16 bytes of a big integer begin.
    pub bigint_idx: u32,
    /// How often twice this row's number, and that plus one, occur as distances of transactions.
    pub diff_count: [u32; 2],
}

/// One access to memory.
#[derive(Clone, Debug, PartialEq)]
#[repr(C)]
pub(crate) struct RawMemoryTransaction {
    /// The address, in words.
    pub addr: u32,
    /// When: twice the row's number, plus one for a write.
    pub cycle: u32,
    /// The word after it.
    pub word: u32,
    /// When this address was accessed before.
    pub prev_cycle: u32,
    /// The word before it.
    pub prev_word: u32,
}
