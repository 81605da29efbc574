//! The executor: left as it is, without debugger, analysis and tests.

use super::Edit;

pub const EDITS: &[Edit] = &[
    Edit::once("execute/mod.rs", "pub mod gdb;\n", ""),
    Edit::once("execute/mod.rs", "#[cfg(test)]\nmod tests;\n", ""),
    Edit::once("execute/mod.rs", "pub mod testutil;\n", ""),
    Edit::once("execute/mod.rs", "    bigint::analyze::analyze as bigint_analyze,\n", ""),
    Edit::once("execute/bigint.rs", "pub mod analyze;\n", ""),
    // Its unit tests are its own affair.
    Edit::once("execute/bigint.rs", "#[cfg(test)]", "#[cfg(any())]"),
    Edit { file: "execute/pager.rs", from: "#[test]", to: "#[cfg(any())]", count: 2 },
    Edit { file: "execute/r0vm.rs", from: "#[cfg(test)]", to: "#[cfg(any())]", count: 4 },
];
