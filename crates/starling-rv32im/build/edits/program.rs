//! Programs of big integers: each pays for its work, and what it says it has is not believed before it is read.

use super::Edit;

const EXECUTOR: &str = "execute/executor.rs";
const DECODED: &str = "execute/bibc.rs";
const CALL: &str = "execute/bigint.rs";
const PROVED: &str = "prove/witgen/bigint.rs";
const POLYNOMIAL: &str = "prove/witgen/byte_poly.rs";

pub const EDITS: &[Edit] = &[
    // Counts come from memory, and so do the lists: these end where it does.
    Edit::once(DECODED, "Vec::with_capacity(num_inputs)", "Vec::new()"),
    Edit::once(DECODED, "Vec::with_capacity(num_types)", "Vec::new()"),
    Edit::once(DECODED, "Vec::with_capacity(num_constants)", "Vec::new()"),
    Edit::once(DECODED, "Vec::with_capacity(num_ops)", "Vec::new()"),
    Edit::once(DECODED, "assert_eq!(magic, [", "anyhow::ensure!(magic == ["),
    Edit::once(DECODED, "assert_eq!(version, 1)", "anyhow::ensure!(version == 1)"),
    Edit::once(DECODED, "eval<T: BigIntIO>(&self, io: &mut T)", EVAL),
    Edit::once(
        DECODED,
        "            tracing::trace!(\"[{op_index}]: {op:?}\");\n",
        "            budget.pay(self, op_index, &regs)?;\n",
    ),
    // A constant word by word at its end, not by a sum of numbers for each word.
    Edit::once(DECODED, "let mut value = Natural::from(0_u64);", "let mut value = Vec::new();"),
    Edit::once(
        DECODED,
        "value |= Natural::from(word) << (i * 64);",
        "value.extend([word as u32, (word >> 32) as u32]);",
    ),
    Edit::once(
        DECODED,
        "Integer::from(value);",
        "Integer::from(Natural::from_owned_limbs_asc(value));",
    ),
    Edit::once(
        CALL,
        "ecall_execute(ctx: &mut impl Risc0Context)",
        "ecall_execute(ctx: &mut impl Risc0Context, rows_left: u64)",
    ),
    Edit::once(CALL, "let exec = ecall(ctx)?;", "let exec = ecall(ctx, rows_left)?;"),
    Edit::once(
        CALL,
        "fn ecall(ctx: &mut impl Risc0Context)",
        "fn ecall(ctx: &mut impl Risc0Context, rows_left: u64)",
    ),
    Edit::once(
        CALL,
        "    let nondet_program_size_bytes = ",
        "    let mut budget = crate::program::Budget::new(
        verify_program_size,
        nondet_program_size,
        consts_size,
        rows_left,
    )?;
    let nondet_program_size_bytes = ",
    ),
    Edit::once(CALL, "program.eval(&mut io)?", "program.eval(&mut io, &mut budget)?"),
    // What does not fit in a segment is refused before it is computed. The executor knows how large its segments are only
    // while it runs.
    Edit::once(
        EXECUTOR,
        "    povw_job_id: Option<PovwJobId>,\n}\n",
        "    povw_job_id: Option<PovwJobId>,\n    segment_limit: u32,\n}\n",
    ),
    Edit::once(
        EXECUTOR,
        "            povw_job_id,\n        }\n",
        "            povw_job_id,\n            segment_limit: 0,\n        }\n",
    ),
    Edit::once(
        EXECUTOR,
        "        let mut segment_counter = 0u32;\n",
        "        let mut segment_counter = 0u32;\n        self.segment_limit = segment_limit;\n",
    ),
    Edit::once(
        EXECUTOR,
        "bigint::ecall_execute(self)?",
        "{
            let rows_left = self.segment_limit.saturating_sub(self.segment_cycles());
            bigint::ecall_execute(self, rows_left.into())?
        }",
    ),
    Edit::once(
        PROVED,
        "    let exec = crate::execute::bigint::ecall(ctx)?;\n",
        "    let rows_left = ctx.rows_left();
    let exec = crate::execute::bigint::ecall(ctx, rows_left)?;\n",
    ),
    Edit::once(
        PROVED,
        "    bigint.run(ctx, &exec.witness)\n",
        "    bigint.run(ctx, &exec.witness)?;
    crate::program::check_rows(exec.verify_program_size, rows_left - ctx.rows_left())?;
    Ok(())\n",
    ),
    Edit::once(
        POLYNOMIAL,
        "                self.poly = new_poly.shift();\n",
        "                crate::program::check_polynomial(new_poly.len() + BIGINT_WIDTH_BYTES)?;
                self.poly = new_poly.shift();\n",
    ),
    Edit::once(
        POLYNOMIAL,
        "                self.total += &new_poly * &self.term * insn.coeff;\n",
        "                crate::program::check_polynomial(new_poly.len() + self.term.len())?;
                self.total += &new_poly * &self.term * insn.coeff;\n",
    ),
    Edit::once(
        "prove/witgen/preflight.rs",
        "    fn add_witness(&mut self, ",
        "    pub(crate) fn rows_left(&self) -> u64 {
        (1_u64 << self.segment.po2) - self.trace.cycles.len() as u64
    }

    fn add_witness(&mut self, ",
    ),
];

const EVAL: &str = "eval<T: BigIntIO>(
        &self,
        io: &mut T,
        budget: &mut crate::program::Budget,
    )";
