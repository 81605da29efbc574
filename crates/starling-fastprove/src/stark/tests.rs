use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use risc0_circuit_recursion::CircuitImpl;
use risc0_zkp::INV_RATE;
use risc0_zkp::adapter::TapsProvider as _;
use risc0_zkp::core::hash::HashSuite;
use risc0_zkp::core::hash::poseidon2::Poseidon2HashSuite;
use risc0_zkp::core::hash::sha::Sha256HashSuite;
use risc0_zkp::field::baby_bear::{BabyBear, BabyBearElem};
use risc0_zkp::field::{Elem as _, ExtElem as _, RootsOfUnity as _};
use risc0_zkp::hal::cpu::{CpuBuffer, CpuHal};
use risc0_zkp::hal::{AccumPreflight, Buffer as _, CircuitHal, Hal as _};
use risc0_zkp::prove::write_iop::WriteIOP;
use risc0_zkp::taps::TapSet;

use super::*;

type Hal = CpuHal<BabyBear>;
type Elems = CpuBuffer<BabyBearElem>;

const P: u32 = 0x7800_0001;

/// The recursion circuit's taps, with constraints that are none: any function of the same values will do to
/// compare two provers, since both commit to whatever they get.
struct Sums;

impl Sums {
    /// A few products of what the taps read in `row`, `stride` rows a cycle apart, and of the globals.
    fn value(
        groups: &[&[u32]],
        globals: &[&[u32]],
        mix: BabyBearExtElem,
        rows: usize,
        row: usize,
        stride: usize,
    ) -> BabyBearExtElem {
        let mut sum = BabyBearExtElem::from_subfield(&elem(globals[0][0] ^ globals[1][0] & 1));
        for tap in recursion_taps().taps().step_by(7) {
            let at = (rows + row - tap.back() * stride) % rows;
            let value = elem(groups[tap.group()][tap.offset() * rows + at]);
            sum = sum * mix + BabyBearExtElem::from_subfield(&value);
        }
        sum
    }
}

impl Circuit for Sums {
    fn taps(&self) -> &TapSet<'_> {
        recursion_taps()
    }

    fn eval_check(&self, call: EvalCheck<'_>) {
        let rows = 1 << call.po2;
        let inverse = vanishing_inverse(call.po2, call.coset);
        for row in 0..rows {
            let value = Self::value(call.groups, call.globals, call.poly_mix, rows, row, 1);
            for (plane, part) in (value * inverse).subelems().iter().enumerate() {
                call.check[plane * rows + row] = part.as_u32_montgomery();
            }
        }
    }
}

impl CircuitHal<Hal> for Sums {
    fn accumulate(
        &self,
        _: &AccumPreflight,
        _: &Elems,
        _: &Elems,
        _: &Elems,
        _: &Elems,
        _: &Elems,
        _: usize,
    ) {
        unreachable!("the columns are given");
    }

    fn eval_check(
        &self,
        check: &Elems,
        groups: &[&Elems],
        globals: &[&Elems],
        poly_mix: BabyBearExtElem,
        po2: usize,
        steps: usize,
    ) {
        let words = |buffers: &[&Elems]| -> Vec<Vec<u32>> {
            let words =
                |buffer: &Elems| buffer.to_vec().iter().map(|e| e.as_u32_montgomery()).collect();
            buffers.iter().copied().map(words).collect()
        };
        let (groups, globals) = (words(groups), words(globals));
        let groups: Vec<&[u32]> = groups.iter().map(Vec::as_slice).collect();
        let globals: Vec<&[u32]> = globals.iter().map(Vec::as_slice).collect();
        let rows = steps * INV_RATE;
        check.view_mut(|check| {
            for row in 0..rows {
                let value = Self::value(&groups, &globals, poly_mix, rows, row, INV_RATE);
                for (plane, part) in
                    (value * vanishing_inverse(po2, row)).subelems().iter().enumerate()
                {
                    check[plane * rows + row] = *part;
                }
            }
        });
    }
}

/// 1 / (x^n - 1) in a row of the whole domain.
fn vanishing_inverse(po2: usize, row: usize) -> BabyBearElem {
    let x = BabyBearElem::ROU_FWD[po2 + 2].pow(row) * BabyBearElem::new(3);
    (x.pow(1 << po2) - BabyBearElem::ONE).inv()
}

fn recursion_taps() -> &'static TapSet<'static> {
    CircuitImpl::new().get_taps()
}

fn elem(word: u32) -> BabyBearElem {
    BabyBearElem::new_raw(word)
}

fn elems(words: &[u32]) -> Vec<BabyBearElem> {
    words.iter().copied().map(elem).collect()
}

/// What a proof is of: a trace for each group, and two globals.
struct Columns {
    po2: usize,
    groups: Vec<Vec<u32>>,
    globals: [Vec<u32>; 2],
}

impl Columns {
    fn random(po2: usize) -> Self {
        let mut rng = StdRng::seed_from_u64(po2 as u64);
        let mut words =
            |count: usize| -> Vec<u32> { (0..count).map(|_| rng.random_range(0..P)).collect() };
        let mut groups: Vec<_> = (0..recursion_taps().num_groups())
            .map(|group| words(recursion_taps().group_size(group) << po2))
            .collect();
        // Edge values where they meet each other's columns and rows.
        groups[1][..2 << po2].fill(0);
        groups[2][..3].copy_from_slice(&[0, P - 1, P - 1]);
        let globals = [words(20), words(32)];
        Self { po2, groups, globals }
    }

    fn stock_seal(&self, suite: &HashSuite<BabyBear>) -> Vec<u32> {
        let hal = Hal::new(suite.clone());
        let mut prover = risc0_zkp::prove::Prover::new(&hal, recursion_taps());
        prover.iop().commit(&suite.hashfn.hash_elem_slice(&elems(&self.globals[0])));
        prover.set_po2(self.po2);
        for group in [1, 2, 0] {
            prover.commit_group(group, &hal.copy_from_elem("group", &elems(&self.groups[group])));
        }
        let [mix, out] =
            self.globals.each_ref().map(|words| hal.copy_from_elem("globals", &elems(words)));
        prover.finalize(&[&mix, &out], &Sums)
    }

    fn begin<'a>(&self, engine: &'a Engine) -> Session<'a, Sums> {
        let mut session = Session::new(engine, &Sums, self.po2);
        let hash = engine.suite().hashfn.hash_elem_slice(&elems(&self.globals[0]));
        session.transcript().commit(&hash);
        session
    }

    /// Group 2 is recalled, as the accumulators of some circuits need it.
    fn seal(&self, engine: &Engine) -> Vec<u32> {
        let mut session = self.begin(engine);
        session.commit(1, engine.pool().take_copy(&self.groups[1]));
        session.commit_to_recall(2, engine.pool().take_copy(&self.groups[2]));
        let accum = engine.pool().take_copy(&self.groups[0]);
        session.recall(2, |trace| assert!(trace == self.groups[2], "the trace that was committed"));
        session.commit(0, accum);
        self.finish(session)
    }

    fn demand(&self) -> Demand {
        let groups = [(1, Held::Own), (2, Held::Recalled), (0, Held::Own)];
        Demand::new(recursion_taps(), self.po2, &groups, 0)
    }

    fn finish(&self, session: Session<'_, Sums>) -> Vec<u32> {
        session.finish(&self.globals.each_ref().map(Vec::as_slice)).unwrap()
    }
}

fn poseidon2(isa: Isa) -> Engine {
    Engine::new(isa, Poseidon2HashSuite::new_suite(), Pool::new(0))
}

#[track_caller]
fn assert_same_seal(seal: &[u32], stock: &[u32]) {
    // A seal is far too long to print.
    let differ = seal.iter().zip(stock).position(|(ours, theirs)| ours != theirs);
    assert_eq!((differ, seal.len()), (None, stock.len()), "first word that differs, and lengths");
}

#[test]
fn challenges_and_seal_are_those_of_the_stock_transcript() {
    for suite in [Poseidon2HashSuite::new_suite(), Sha256HashSuite::new_suite()] {
        let mut ours = Transcript::new(&suite);
        let mut stock = WriteIOP::<BabyBear>::new(suite.rng.as_ref());
        for round in 0..3 {
            let words = [round, 7, P - 1];
            ours.write_u32_slice(&words);
            stock.write_u32_slice(&words);
            ours.write_field_elem_slice(&elems(&words));
            stock.write_field_elem_slice(&elems(&words));
            let digest = suite.hashfn.hash_elem_slice(&elems(&words));
            ours.commit(&digest);
            stock.commit(&digest);
            assert_eq!(ours.random_elem(), stock.random_elem());
            assert_eq!(ours.random_ext_elem(), stock.random_ext_elem());
            assert_eq!(ours.random_bits(20), stock.random_bits(20));
        }
        assert_eq!(ours.into_seal(), stock.proof);
    }
}

#[test]
fn seals_equal_stock_seals_whatever_the_vectors_are() {
    // No round of FRI, one that folds to less than the least, one, and two.
    for po2 in [7, 9, 10, 12] {
        let columns = Columns::random(po2);
        let stock = columns.stock_seal(&Poseidon2HashSuite::new_suite());
        for isa in Isa::available() {
            assert_same_seal(&columns.seal(&poseidon2(isa)), &stock);
        }
    }
}

#[test]
fn seals_of_other_suites_equal_stock_seals() {
    let columns = Columns::random(10);
    let stock = columns.stock_seal(&Sha256HashSuite::new_suite());
    let engine = Engine::new(Isa::best(), Sha256HashSuite::new_suite(), Pool::new(0));
    assert_same_seal(&columns.seal(&engine), &stock);
}

/// Plans that differ in what is put aside: nothing, some of one group, all of one and some of another, everything.
fn plans() -> impl Iterator<Item = MemoryPlan> {
    (0..=INV_RATE).flat_map(|cosets_kept| {
        [0, 5, 50, 140, usize::MAX].into_iter().flat_map(move |spare_columns| {
            [false, true].map(|trace_kept| MemoryPlan { cosets_kept, spare_columns, trace_kept })
        })
    })
}

#[test]
fn what_is_kept_in_memory_does_not_show_in_the_seal() {
    let columns = Columns::random(9);
    let whole = columns.seal(&poseidon2(Isa::best()));
    for plan in plans() {
        assert_same_seal(&columns.seal(&poseidon2(Isa::best()).with_plan(plan)), &whole);
    }
}

#[test]
fn a_group_of_zeros_is_what_committing_to_zeros_gives() {
    let mut columns = Columns::random(9);
    columns.groups[1].fill(0);
    let stock = columns.stock_seal(&Poseidon2HashSuite::new_suite());
    let engine = poseidon2(Isa::best());
    let mut session = columns.begin(&engine);
    session.commit_zero(1);
    for group in [2, 0] {
        session.commit(group, engine.pool().take_copy(&columns.groups[group]));
    }
    assert_same_seal(&columns.finish(session), &stock);

    let trace = engine.pool().take_copy(&columns.groups[1]);
    let count = recursion_taps().group_size(1);
    let committed = Group::from_trace(&engine, trace, count).root();
    assert_eq!(Group::zero(&engine, count, 1 << columns.po2).root(), committed);
}

#[test]
fn a_group_made_before_serves_many_proofs() {
    let columns = Columns::random(9);
    let engine = poseidon2(Isa::best());
    let frugal = poseidon2(Isa::best()).with_plan(MemoryPlan::LEAST);
    let trace = engine.pool().take_copy(&columns.groups[1]);
    // It keeps no values: each proof computes them again.
    let ready = Arc::new(Group::from_trace(&frugal, trace, recursion_taps().group_size(1)));
    assert_eq!(ready.rows(), 1 << columns.po2);
    let seals = [(); 2].map(|()| {
        let mut session = columns.begin(&engine);
        session.commit_ready(1, ready.clone());
        for group in [2, 0] {
            session.commit(group, engine.pool().take_copy(&columns.groups[group]));
        }
        columns.finish(session)
    });
    let stock = columns.seal(&engine);
    seals.iter().for_each(|seal| assert_same_seal(seal, &stock));
}

#[test]
fn threads_and_pooled_garbage_do_not_show_in_the_seal() {
    let columns = Columns::random(9);
    let one = columns.seal(&poseidon2(Isa::best()));
    let threads = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
    threads.install(|| {
        let engine =
            Engine::new(Isa::best(), Poseidon2HashSuite::new_suite(), Pool::new(usize::MAX));
        for _ in 0..2 {
            assert_same_seal(&columns.seal(&engine), &one);
        }
    });
}

#[test]
fn a_proof_takes_the_memory_that_its_plan_says() {
    let columns = Columns::random(10);
    for plan in plans() {
        let engine = poseidon2(Isa::best()).with_plan(plan);
        columns.seal(&engine);
        let peak = engine.pool().stock().peak_bytes;
        let said = columns.demand().peak_bytes(plan);
        // Trees are not from the pool, and not all is there at the peak.
        let trees = ((4 * 4) << columns.po2) * size_of::<u32>();
        assert!((said - trees..=said).contains(&peak), "{peak} bytes with {plan:?}, {said} said");
        assert_eq!(engine.pool().stock().live_bytes, 0);
    }
}

#[test]
fn the_least_plan_holds_each_column_once_and_little_more() {
    let columns = Columns::random(10);
    let engine = poseidon2(Isa::best()).with_plan(MemoryPlan::LEAST);
    columns.seal(&engine);
    let peak = (engine.pool().stock().peak_bytes / size_of::<u32>()) >> columns.po2;
    // The check polynomial's pieces, and the leaves of its tree.
    assert!(peak <= 163 + 16 + 32, "{peak} words a row for 163 columns");
}

#[test]
#[should_panic(expected = "group 1 is committed already")]
fn a_group_is_committed_once() {
    let columns = Columns::random(7);
    let engine = poseidon2(Isa::best());
    let mut session = columns.begin(&engine);
    for _ in 0..2 {
        session.commit(1, engine.pool().take_copy(&columns.groups[1]));
    }
}
