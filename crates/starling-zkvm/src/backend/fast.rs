//! Proving with SIMD, as this project does it: everything on one pool of threads.
//!
//! `starling-fastprove` proves what it is given. Here is where traces come from, who has the threads and the randomness,
//! and how much memory a proof may take.

use anyhow::Context as _;
use rand::RngExt as _;
use risc0_circuit_keccak::{KECCAK_CONTROL_IDS, KECCAK_PO2_RANGE};
use risc0_zkp::{
    core::hash::poseidon2::Poseidon2HashSuite,
    field::baby_bear::{BabyBearElem, P},
};
use risc0_zkvm::{Output, ReceiptClaim, SegmentReceipt, SuccinctReceipt, Unknown};
use starling_babybear::vector::Isa;
use starling_fastprove::{
    keccak, phase,
    recursion::{self, Code, Options, Prover, RECURSION_PO2},
    rv32im::accum::Unset,
    segment::{self, SegmentError, Witness, WitnessError},
    stark::{Engine, MemoryPlan, Pool},
};
use starling_rv32im::SegmentWitness;
use starling_types::Profile;

use super::{KeccakProof, Prove};
use crate::{
    AssumptionId, WorkReceipt,
    leaf::{KeccakRequest, Segment},
    panic,
    verify::assumption_context,
};

/// The fast provers.
pub(super) struct Fast {
    threads: rayon::ThreadPool,
    isa: Isa,
    /// For segments and keccak; nothing is kept between two, since recursion comes in between.
    pool: Pool,
    recursion: Prover,
    profile: Profile,
}

impl Fast {
    /// With `threads`, or as many as there are cores.
    pub(super) fn new(threads: Option<u32>) -> anyhow::Result<Self> {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        let count = threads.map_or_else(cores, |threads| threads as usize);
        let profile = Profile::default();
        let threads = start_threads(count, |count| {
            let builder = rayon::ThreadPoolBuilder::new().num_threads(count);
            builder.thread_name(|index| format!("prove-{index}")).build()
        })?;
        let recursion = recursion(profile);
        Ok(Self { threads, isa: Isa::best(), pool: Pool::new(0), recursion, profile })
    }

    /// The seal of a segment, not verified: another each time.
    fn seal(&self, segment: &Segment) -> Result<Vec<u32>, SegmentError> {
        let plan = match self.profile {
            Profile::Usual => MemoryPlan::EVERYTHING,
            Profile::Frugal => self.threads.install(|| frugal(segment.po2())),
        };
        self.leaf(plan, |engine| segment_seal(engine, segment, random_element(), Unset::Zero))
    }

    /// Proves a leaf on all threads. What recursion keeps for its next proof would lie beside what a large one takes.
    fn leaf<T: Send>(&self, plan: MemoryPlan, prove: impl FnOnce(&Engine) -> T + Send) -> T {
        self.recursion.release_memory();
        let (isa, pool) = (self.isa, self.pool.clone());
        // A hash suite is for one thread: the one that drives the proof.
        self.threads.install(|| {
            prove(&Engine::new(isa, Poseidon2HashSuite::new_suite(), pool).with_plan(plan))
        })
    }
}

/// How long threads that have nothing to do may take to end.
const THREADS_END: std::time::Duration = std::time::Duration::from_millis(100);

/// Starts as many threads as are wanted, or as many as the system lets: half as often as it denies some of them.
fn start_threads<P, E>(wanted: usize, start: impl Fn(usize) -> Result<P, E>) -> anyhow::Result<P>
where
    E: std::error::Error + Send + Sync + 'static,
{
    let mut count = wanted;
    loop {
        match start(count) {
            Ok(pool) => {
                if count < wanted {
                    tracing::warn!(
                        count,
                        wanted,
                        "the system allows fewer threads than are wanted"
                    );
                }
                return Ok(pool);
            }
            Err(_) if count > 1 => {
                count /= 2;
                // Those that did start are told to end, and hold their stacks until they have.
                std::thread::sleep(THREADS_END);
            }
            Err(error) => return Err(error).context("cannot start one thread"),
        }
    }
}

/// What a frugal proof of a segment may hold in memory for each of its rows, beside some 175 bytes of its witness. The least that
/// there could be is a fifth less and takes a tenth more time.
const FRUGAL_BYTES_A_ROW: usize = 1_850;

/// What a keccak proof may hold in memory, as long as it can do with so little: the largest there are, of 2^18 rows,
/// take 1.2 GB at least, those of 2^17 half of that. Up to 2^15 rows nothing has to be computed twice.
const KECCAK_BUDGET_BYTES: usize = 1 << 30;

/// What a frugal proof of a segment of 2^po2 rows has in memory, on the threads of the current pool. A segment of a stranger
/// may say that it has any number of rows, and is refused for it before it is proved.
fn frugal(po2: usize) -> MemoryPlan {
    let po2 = po2.min(starling_rv32im::PO2_MAX as usize);
    MemoryPlan::for_budget(&segment::demand(po2), FRUGAL_BYTES_A_ROW << po2)
}

/// The prover of recursion, whose proofs draw their seeds from the system's generator.
fn recursion(profile: Profile) -> Prover {
    let options = Options::default().with_profile(match profile {
        Profile::Usual => recursion::Profile::Usual,
        Profile::Frugal => recursion::Profile::Frugal,
    });
    Prover::new(options, starling_programs::words, rand::random)
}

/// The seal of `segment`, for the words of one random element: with the same, it is the same. Only tests want another
/// [`Unset`] than zero.
fn segment_seal(
    engine: &Engine,
    segment: &Segment,
    rand_z: [u32; 4],
    unset: Unset,
) -> Result<Vec<u32>, SegmentError> {
    // What a stranger's segment runs through was written for segments of one's own: it panics on others.
    let preflight = || panic::catch(|| SegmentWitness::new(&segment.circuit, rand_z));
    let witness = phase("preflight", preflight);
    let witness = witness.map_err(panicked)?.map_err(no_witness)?;
    let output = segment.output.as_ref();
    segment::prove(engine, &mut Trace { witness, output }, unset)
}

/// The receipt of `segment` around its seal, verified.
fn segment_receipt(segment: &Segment, seal: Vec<u32>) -> anyhow::Result<SegmentReceipt> {
    Ok(segment::receipt(seal, segment.index, segment.output.clone())?)
}

/// An element that nobody can know before the segment's memory is fixed.
fn random_element() -> [u32; 4] {
    let mut rng = rand::rng();
    std::array::from_fn(|_| rng.random_range(0..P))
}

/// A witness as the prover wants it.
struct Trace<'a> {
    witness: SegmentWitness,
    /// What the segment says that its output is.
    output: Option<&'a Output>,
}

impl Witness for Trace<'_> {
    fn po2(&self) -> usize {
        self.witness.po2()
    }

    fn fill_data(&mut self, data: &mut [u32]) -> Result<Vec<u32>, WitnessError> {
        let globals = panic::catch(|| self.witness.fill_data(data));
        let globals = globals.map_err(panicked)?.map_err(no_witness)?;
        // There will be no receipt around a proof of another output: better to know that before the proof is made.
        segment::check_claim(&globals, self.output)?;
        Ok(globals)
    }

    fn fill_bigint(&mut self, point: [u32; 4], accum: &mut [u32]) -> Result<(), WitnessError> {
        let filled = panic::catch(|| self.witness.fill_bigint(point, accum));
        filled.map_err(panicked)?.map_err(no_witness)
    }
}

fn panicked(message: String) -> WitnessError {
    WitnessError { reason: message }
}

fn no_witness(error: starling_rv32im::WitnessError) -> WitnessError {
    WitnessError { reason: error.to_string() }
}

impl Prove for Fast {
    /// Another profile than the last task's takes another prover of recursion, which has to make its programs ready anew:
    /// a second, and nothing of the other is left in memory.
    fn prepare(&mut self, profile: Profile) -> anyhow::Result<()> {
        if profile != self.profile {
            self.recursion = recursion(profile);
            self.profile = profile;
        }
        Ok(())
    }

    fn prove_segment(&self, segment: &Segment) -> anyhow::Result<SegmentReceipt> {
        segment_receipt(segment, self.seal(segment)?)
    }

    fn lift(&self, receipt: &SegmentReceipt) -> anyhow::Result<SuccinctReceipt<ReceiptClaim>> {
        Ok(self.threads.install(|| self.recursion.lift(receipt))?)
    }

    fn lift_work(&self, receipt: &SegmentReceipt) -> anyhow::Result<WorkReceipt> {
        Ok(self.threads.install(|| self.recursion.lift_povw(receipt))?)
    }

    fn join(
        &self,
        left: &SuccinctReceipt<ReceiptClaim>,
        right: &SuccinctReceipt<ReceiptClaim>,
    ) -> anyhow::Result<SuccinctReceipt<ReceiptClaim>> {
        Ok(self.threads.install(|| self.recursion.join(left, right))?)
    }

    fn join_work(&self, left: &WorkReceipt, right: &WorkReceipt) -> anyhow::Result<WorkReceipt> {
        Ok(self.threads.install(|| self.recursion.join_povw(left, right))?)
    }

    fn resolve(
        &self,
        conditional: &SuccinctReceipt<ReceiptClaim>,
        assumption: &SuccinctReceipt<Unknown>,
    ) -> anyhow::Result<SuccinctReceipt<ReceiptClaim>> {
        Ok(self.threads.install(|| self.recursion.resolve(conditional, assumption))?)
    }

    fn resolve_work(
        &self,
        conditional: &WorkReceipt,
        assumption: &SuccinctReceipt<Unknown>,
    ) -> anyhow::Result<WorkReceipt> {
        Ok(self.threads.install(|| self.recursion.resolve_povw(conditional, assumption))?)
    }

    fn unwrap_work(&self, receipt: &WorkReceipt) -> anyhow::Result<SuccinctReceipt<ReceiptClaim>> {
        Ok(self.threads.install(|| self.recursion.unwrap_povw(receipt))?)
    }

    fn union(
        &self,
        one: &SuccinctReceipt<Unknown>,
        other: &SuccinctReceipt<Unknown>,
    ) -> anyhow::Result<SuccinctReceipt<Unknown>> {
        Ok(self.threads.install(|| self.recursion.union(one, other))?.into_unknown())
    }

    fn prove_keccak(&self, request: &KeccakRequest) -> anyhow::Result<KeccakProof> {
        // The program that lifts it verifies it. What it needs follows from the number of these threads: asked for
        // elsewhere, as many more would be started to count them.
        let demand = self.threads.install(|| keccak::demand(request.po2))?;
        let plan = match self.profile {
            Profile::Usual => MemoryPlan::for_budget(&demand, KECCAK_BUDGET_BYTES),
            Profile::Frugal => MemoryPlan::LEAST,
        };
        let seal = self.leaf(plan, |engine| keccak::prove(engine, &request.input, request.po2))?;
        Ok(KeccakProof::Seal(seal))
    }

    fn lift_keccak(
        &self,
        request: &KeccakRequest,
        proof: KeccakProof,
        assumption: &AssumptionId,
    ) -> anyhow::Result<SuccinctReceipt<Unknown>> {
        #[cfg(not(feature = "stock"))]
        let KeccakProof::Seal(seal) = proof;
        #[cfg(feature = "stock")]
        let KeccakProof::Seal(seal) = proof else {
            anyhow::bail!("a receipt of another prover");
        };
        let control_id = request
            .po2
            .checked_sub(*KECCAK_PO2_RANGE.start())
            .and_then(|at| KECCAK_CONTROL_IDS.get(at))
            .with_context(|| {
                format!("there is no program for keccak proofs of po2 {}", request.po2)
            })?;
        let words = starling_programs::words(&format!("keccak_lift_{}.zkr", request.po2))?;
        let program = Code::from_words(&words, RECURSION_PO2);
        drop(words);
        let input = lift_input(request, &seal);
        let receipt = self.threads.install(|| {
            self.recursion.prove_zkr(program, *control_id, KECCAK_CONTROL_IDS, &input)
        })?;
        receipt.verify_integrity_with_context(&assumption_context(assumption.control_root))?;
        Ok(receipt)
    }
}

/// What the program reads that lifts a keccak proof: the root of the programs that its receipt belongs to, the seal,
/// the claim in halves of words, and the count of cycles.
fn lift_input(request: &KeccakRequest, seal: &[u32]) -> Vec<u32> {
    // The program reads field elements as the circuits keep them in memory.
    let element = |value: u32| BabyBearElem::new(value).as_u32_montgomery();
    let halves =
        request.claim_digest.as_words().iter().flat_map(|word| [word & 0xffff, word >> 16]);
    let mut input = request.control_root.as_words().to_vec();
    input.extend(seal);
    input.extend(halves.map(element));
    input.push(1 << request.po2);
    input
}

#[cfg(test)]
mod tests;
