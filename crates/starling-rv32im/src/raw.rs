//! The trace of a preflight as the C++ reads it: records in C's layout, as `cxx/runtime.h` has them too.

/// Asserts the size of a record and where its fields are: the numbers that `cxx/runtime.h` asserts of its own.
macro_rules! assert_layout {
    ($record:ty, $size:literal, $($field:ident at $offset:literal),+) => {
        const _: () = {
            assert!(size_of::<$record>() == $size);
            $(assert!(std::mem::offset_of!($record, $field) == $offset);)+
        };
    };
}
pub(crate) use assert_layout;

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

#[rustfmt::skip]
assert_layout!(
    RawPreflightCycle, 36, state at 0, pc at 4, major at 8, minor at 9, machine_mode at 10, padding at 11,
    user_cycle at 12, txn_idx at 16, paging_idx at 20, bigint_idx at 24, diff_count at 28
);
#[rustfmt::skip]
assert_layout!(
    RawMemoryTransaction, 20, addr at 0, cycle at 4, word at 8, prev_cycle at 12, prev_word at 16
);
