//! Where the circuit has its columns: the published layout, included.

/// The circuit's field, the counts of its columns and their layout.
#[allow(warnings, clippy::all, missing_docs, rustdoc::all)]
pub(crate) mod circuit {
    use risc0_core::field::{Field, baby_bear::BabyBear};
    use risc0_zkp::layout::Reg;

    pub type CircuitField = BabyBear;
    pub type Val = <BabyBear as Field>::Elem;
    pub type ExtVal = <BabyBear as Field>::ExtElem;

    macro_rules! set_field {
        (BabyBear) => {};
    }

    // The lists of buffers repeat what their definitions say.
    macro_rules! define_buffer_list {
        ($($list:tt)*) => {};
    }

    macro_rules! define_tap_buffer {
        (accum, $count:literal, $group:literal) => {
            pub const REGCOUNT_ACCUM: usize = $count;
        };
        (code, $count:literal, $group:literal) => {};
        (data, $count:literal, $group:literal) => {
            pub const REGCOUNT_DATA: usize = $count;
        };
    }

    macro_rules! define_global_buffer {
        (global, $count:literal) => {
            pub const REGCOUNT_GLOBAL: usize = $count;
        };
        (mix, $count:literal) => {};
    }

    macro_rules! define_buffer {
        (test, $count:literal) => {};
    }

    include!(concat!(env!("OUT_DIR"), "/published/zirgen/types.rs.inc"));
    include!(concat!(env!("OUT_DIR"), "/published/zirgen/defs.rs.inc"));
    include!(concat!(env!("OUT_DIR"), "/published/zirgen/layout.rs.inc"));
}
