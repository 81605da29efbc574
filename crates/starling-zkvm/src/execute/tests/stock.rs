//! Sessions beside those of the stock executor.

use std::{cell::RefCell, collections::BTreeMap};

use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng as _, SeedableRng as _},
};
use risc0_binfmt::{ByteAddr, ProgramBinary};
use risc0_circuit_rv32im::execute::{
    CycleLimit as StockLimit, Executor as StockExecutor, Segment as StockSegment, Syscall,
    SyscallContext,
};
use risc0_zkvm::{ExecutorEnv, ExecutorImpl, ReceiptClaim};
use risc0_zkvm_platform::syscall::nr::SYS_RANDOM;

use super::{
    assumed::{keccak_guest, keccak_options},
    published,
    segments::{self, Case},
    *,
};

/// The stock executor's system calls, but for randomness.
struct Forward<'a, 'env> {
    inner: &'a ExecutorImpl<'env>,
    random: RefCell<ChaCha20Rng>,
}

impl Syscall for Forward<'_, '_> {
    fn host_read(
        &self,
        ctx: &mut impl SyscallContext,
        fd: u32,
        buf: &mut [u8],
    ) -> anyhow::Result<u32> {
        let size = self.inner.host_read(ctx, fd, buf)?;
        let name = SYS_RANDOM.as_str().bytes().chain([0]).zip(fd..);
        if fd != 0
            && name
                .map(|(byte, at)| Ok(ctx.peek_u8(ByteAddr(at))? == byte))
                .collect::<anyhow::Result<Vec<_>>>()?
                .iter()
                .all(|same| *same)
        {
            self.random.borrow_mut().fill_bytes(buf);
        }
        Ok(size)
    }

    fn host_write(
        &self,
        ctx: &mut impl SyscallContext,
        fd: u32,
        buf: &[u8],
    ) -> anyhow::Result<u32> {
        self.inner.host_write(ctx, fd, buf)
    }
}

/// What all segments of a session are that the stock executor runs under the stock system calls, as one digest.
fn stock_segments(case: &Case) -> Digest {
    let options = case.options();
    let env = ExecutorEnv::builder()
        .stdin(options.input)
        .stdout(io::sink())
        .stderr(io::sink())
        .write_fd(fileno::JOURNAL, io::sink())
        .args(&options.args)
        .env_vars(options.env.into_iter().collect())
        .keccak_max_po2(options.keccak_po2)
        .unwrap()
        .build()
        .unwrap();
    let guest = guest(&format!("{}.bin", case.guest));
    let inner = ExecutorImpl::from_elf(env, guest.bytes()).unwrap();
    let random = RefCell::new(ChaCha20Rng::from_seed(options.seed));
    let host = Forward { inner: &inner, random };
    let image = ProgramBinary::decode(guest.bytes()).unwrap().to_image().unwrap();
    let mut executor = StockExecutor::new(image, &host, None, vec![], None);
    let mut all: Vec<StockSegment> = Vec::new();
    let keep = |segment| {
        all.push(segment);
        Ok(())
    };
    let po2 = options.segment_po2.get() as usize;
    executor.run(po2, MAX_INSN_CYCLES, StockLimit::None, keep).unwrap();
    for segment in &mut all {
        segment.po2 = segment.po2.max(SEGMENT_PO2_MIN);
    }
    segments::digest_of(&all)
}

#[test]
fn segments_are_those_of_the_stock_system_calls() {
    for case in segments::CASES {
        assert_eq!(segments::ours(case), stock_segments(case), "{} of {}", case.input, case.guest);
    }
}

#[test]
#[ignore = "records: `bench/record.sh` runs it"]
fn record_segments() {
    assert!(std::env::var_os("STARLING_RECORD").is_some(), "bench/record.sh runs what records");
    let of_guests =
        segments::CASES.iter().map(|case| (case.name(), stock_segments(case).to_string()));
    let recorded: BTreeMap<String, String> =
        of_guests.chain(published::live::paging_digests()).collect();
    segments::write(&recorded);
}

#[test]
fn the_session_is_the_one_that_the_stock_executor_runs() {
    let (execution, segments) = sha_chain(20, PO2);
    let guest = guest("sha-chain.bin");
    let input = 20_u32.to_le_bytes();
    let env = ExecutorEnv::builder().stdin(&input[..]).segment_limit_po2(PO2).build().unwrap();
    let session = ExecutorImpl::from_elf(env, guest.bytes()).unwrap().run().unwrap();
    assert_eq!(session.claim().unwrap().digest::<Sha256>(), execution.claim.digest());
    assert_eq!(session.segments.len(), segments.len());
    assert_eq!(session.user_cycles, execution.user_cycles);
    assert_eq!(session.total_cycles, execution.total_cycles);
    assert_eq!(session.journal.unwrap().bytes, execution.journal);
}

#[test]
fn the_stock_executor_has_a_short_final_segment_that_cannot_be_lifted() {
    let env = ExecutorEnv::builder().build().unwrap();
    let stock = ExecutorImpl::from_elf(env, halting_guest().bytes()).unwrap().run().unwrap();
    assert_eq!(stock.segments[0].resolve().unwrap().po2(), 13);
}

/// The output in a stock segment, where it is private.
fn output_in(segment: &risc0_zkvm::Segment) -> Output {
    let words = risc0_zkvm::serde::to_vec(segment).unwrap();
    let segment: crate::Segment = risc0_zkvm::serde::from_slice(&words).unwrap();
    segment.output.unwrap()
}

#[test]
fn a_paused_guest_claims_what_the_stock_executor_says() {
    let guest = tiny(Tiny::counting(1).end(End::Paused(3)));
    let (execution, _) = run(&guest, options(&[], 16)).unwrap();
    assert_eq!(execution.exit_code, ExitCode::Paused(3));
    assert_ne!(execution.claim.post, Digest::ZERO);
    let env = ExecutorEnv::builder().build().unwrap();
    let session = ExecutorImpl::from_elf(env, guest.bytes()).unwrap().run().unwrap();
    assert_eq!(session.claim().unwrap().digest::<Sha256>(), execution.claim.digest());
}

/// What the stock executor puts into the last segment of this session.
fn stock_output(guest: &Guest, input: &[u8]) -> Output {
    let env = ExecutorEnv::builder().stdin(input).segment_limit_po2(PO2).build().unwrap();
    let mut last = None;
    let keep = |segment| {
        last = Some(segment);
        Ok(Box::new(risc0_zkvm::NullSegmentRef) as Box<dyn risc0_zkvm::SegmentRef>)
    };
    ExecutorImpl::from_elf(env, guest.bytes()).unwrap().run_with_callback(keep).unwrap();
    output_in(&last.unwrap())
}

#[test]
fn a_delivered_claim_is_opened_as_the_stock_prover_opens_it() {
    let input = 1_u32.to_le_bytes();
    let (guest, (execution, _)) = (guest("sha-chain.bin"), sha_chain(1, PO2));
    let output = Some(stock_output(&guest, &input)).into();
    let stock = ReceiptClaim { output, ..execution.claim.to_receipt_claim() };
    let ours = execution.claim.with_journal(&execution.journal).unwrap();
    assert_eq!(bincode::serialize(&ours).unwrap(), bincode::serialize(&stock).unwrap());
}

#[test]
fn the_session_of_a_guest_that_assumes_is_the_one_that_the_stock_executor_runs() {
    let claim = digest(5);
    let guest = tiny(Tiny::counting(1).verify(claim, Digest::ZERO).end(End::Halted(0)));
    let assumption = risc0_zkvm::Assumption { claim, control_root: Digest::ZERO };
    let env = ExecutorEnv::builder().add_assumption(assumption.clone()).build().unwrap();
    let session = ExecutorImpl::from_elf(env, guest.bytes()).unwrap().run().unwrap();
    let assumptions = vec![AssumptionId::of_receipt(claim)];
    let options = ExecuteOptions { assumptions, ..options(&[], 20) };
    let (execution, _) = run(&guest, options).unwrap();
    // A stock session's claim keeps what nobody proved.
    assert_eq!(session.claim().unwrap().digest::<Sha256>(), execution.claim.digest());
    assert_eq!(session.user_cycles, execution.user_cycles);
}

#[test]
fn the_stock_executor_takes_the_same_keccak_session_for_proved() {
    let (guest, _) = keccak_guest();
    let env = ExecutorEnv::builder().keccak_max_po2(14).unwrap().build().unwrap();
    let session = ExecutorImpl::from_elf(env, guest.bytes()).unwrap().run().unwrap();
    let (execution, _) = run_all(&guest, keccak_options()).unwrap();
    let stock = session.claim().unwrap().digest::<Sha256>();
    assert_eq!(stock, execution.resolved_claim().digest());
}

#[test]
fn a_guest_of_the_keccak_accelerator_has_the_session_that_the_stock_executor_runs() {
    let (guest, input) = (guest("keccak.bin"), 100_u32.to_le_bytes());
    let options = ExecuteOptions { keccak_po2: 14, ..options(&input, PO2) };
    let (execution, _) = run_all(&guest, options).unwrap();

    let mut env = ExecutorEnv::builder();
    let env = env.stdin(&input[..]).segment_limit_po2(PO2).keccak_max_po2(14).unwrap();
    let session =
        ExecutorImpl::from_elf(env.build().unwrap(), guest.bytes()).unwrap().run().unwrap();
    let stock = session.claim().unwrap().digest::<Sha256>();
    assert_eq!(stock, execution.resolved_claim().digest());
    assert_eq!(session.journal.unwrap().bytes, execution.journal);
    assert_eq!(session.total_cycles, execution.total_cycles);
}
