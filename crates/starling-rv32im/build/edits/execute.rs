//! The executor, without debugger, analysis and tests. It refuses what its circuit cannot prove, and says what a guest did.

use super::Edit;

const DECODER: &str = "execute/rv32im.rs";
const EXECUTOR: &str = "execute/executor.rs";
const MACHINE: &str = "execute/r0vm.rs";

pub const EDITS: &[Edit] = &[
    Edit::once("execute/mod.rs", "pub mod gdb;\n", ""),
    Edit::once("execute/mod.rs", "#[cfg(test)]\nmod tests;\n", ""),
    Edit::once("execute/mod.rs", "pub mod testutil;\n", ""),
    Edit::once("execute/mod.rs", "    bigint::analyze::analyze as bigint_analyze,\n", ""),
    Edit::once("execute/bigint.rs", "pub mod analyze;\n", ""),
    // Its unit tests are its own affair.
    Edit::once("execute/bigint.rs", "#[cfg(test)]", "#[cfg(any())]"),
    Edit { file: "execute/pager.rs", from: "#[test]", to: "#[cfg(any())]", count: 2 },
    Edit { file: MACHINE, from: "#[cfg(test)]", to: "#[cfg(any())]", count: 4 },
    // The circuit wants these bits clear. What has them set would run here, and no segment of it could be proved.
    Edit::once(DECODER, "(0b1100111, _, _) =>", "(0b1100111, 0b000, _) =>"),
    Edit::once(
        DECODER,
        "(0b1110011, 0b000, 0b0011000) =>",
        "(0b1110011, 0b000, 0b0011000) if word == 0x3020_0073 =>",
    ),
    Edit::once(
        DECODER,
        "(0b1110011, 0b000, 0b0000000) =>",
        "(0b1110011, 0b000, 0b0000000) if word & !0x0010_0000 == 0x0000_0073 =>",
    ),
    // It divides addresses by four, and the circuit does so in the field.
    Edit {
        file: "execute/sha2.rs",
        from: ")?)?.waddr();",
        to: ")?)?.waddr_aligned().ok_or_else(|| crate::fault::in_call(ctx, crate::Cause::ShaMisaligned))?;",
        count: 4,
    },
    // The published `sys_poseidon2` hands over addresses of words, and the published kernel hands them on. The executor takes
    // them for that, and the circuit for addresses of bytes. To divide them by four here would have such a guest proved on
    // other memory than it means.
    Edit::once(
        MACHINE,
        "        Poseidon2::ecall(self.ctx)?;\n        Ok(false)\n",
        "        Err(crate::fault::in_call(self.ctx, crate::Cause::Poseidon2))\n",
    ),
    // Faults as values (`fault.rs`), each with its address.
    Edit::once(
        DECODER,
        "    InstructionMisaligned = 0,\n",
        "    InstructionMisaligned(ByteAddr) = 0,\n",
    ),
    Edit::once(DECODER, "    LoadAddressMisaligned,\n", "    LoadAddressMisaligned(ByteAddr),\n"),
    Edit::once(DECODER, "    StoreAccessFault,\n", "    StoreAccessFault(ByteAddr),\n"),
    Edit::once(
        DECODER,
        "ctx.trap(Exception::InstructionMisaligned)",
        "ctx.trap(Exception::InstructionMisaligned(new_pc))",
    ),
    Edit {
        file: DECODER,
        from: "ctx.trap(Exception::LoadAddressMisaligned)",
        to: "ctx.trap(Exception::LoadAddressMisaligned(addr))",
        count: 3,
    },
    Edit::once(
        DECODER,
        "ctx.trap(Exception::StoreAccessFault)",
        "ctx.trap(Exception::StoreAccessFault(addr))",
    ),
    Edit::once(
        MACHINE,
        "            bail!(\"Invalid trap address: {dispatch_addr:?}, cause: {cause:?}\");\n",
        "            return Err(crate::fault::of(self.ctx, &cause));\n",
    ),
    Edit::once(
        MACHINE,
        "            bail!(\"Illegal mret in user mode\");\n",
        "            let mret = Exception::IllegalInstruction(0x3020_0073, line!());
            return Err(crate::fault::of(self.ctx, &mret));\n",
    ),
    Edit::once(
        EXECUTOR,
        "                            bail!(
                                \"Session limit exceeded: {} >= {max_cycles}\",
                                self.cycles.user
                            );\n",
        "                            return Err(crate::OverLimit(max_cycles).into());\n",
    ),
];
