#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use risc0_circuit_recursion::CircuitImpl as RecursionImpl;
use risc0_circuit_rv32im::CircuitImpl as Rv32imImpl;
use risc0_zkp::adapter::PolyExt;
use risc0_zkp::field::ExtElem as _;
use risc0_zkp::field::baby_bear::BabyBear;

use super::keccak::CircuitImpl as KeccakImpl;
use super::*;
use crate::circuits::{Entry, KECCAK, RECURSION, RV32IM};
use starling_babybear::vector::P;

/// The circuits, each with how the verifier evaluates its constraints.
static CIRCUITS: [(&Entry, &(dyn PolyExt<BabyBear> + Sync)); 3] =
    [(&RECURSION, &RecursionImpl), (&RV32IM, &Rv32imImpl), (&KECCAK, &KeccakImpl)];

/// Deterministic words below the modulus; each eighth is one of the values that arithmetic goes wrong at.
fn words(seed: u32, count: usize) -> Vec<u32> {
    let mut state = u64::from(seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        match state >> 61 {
            0 => [0, 1, P - 1, P / 2][(state >> 32) as usize % 4],
            _ => (state >> 16) as u32 % P,
        }
    };
    (0..count).map(|_| next()).collect()
}

fn elements(words: &[u32]) -> Vec<Elem> {
    words.iter().map(|word| Elem::new_raw(*word)).collect()
}

/// Random columns of a domain, and all else that the constraints are evaluated on.
struct Case {
    circuit: usize,
    po2: usize,
    domain: Domain,
    groups: Vec<Vec<u32>>,
    globals: [Vec<u32>; 2],
    poly_mix: Ext,
}

impl Case {
    fn new(circuit: usize, seed: u32, po2: usize, domain: Domain) -> Self {
        let (entry, _) = CIRCUITS[circuit];
        let rows = match domain {
            Domain::Whole => INV_RATE << po2,
            Domain::Coset(_) => 1 << po2,
        };
        let group = |group: usize| words(seed + group as u32, entry.columns(group) * rows);
        Self {
            circuit,
            po2,
            domain,
            groups: (0..entry.taps().num_groups()).map(group).collect(),
            globals: [words(seed + 10, entry.globals), words(seed + 11, entry.mix)],
            poly_mix: Ext::from_subelems(elements(&words(seed + 12, 4))),
        }
    }

    fn entry(&self) -> &'static Entry {
        CIRCUITS[self.circuit].0
    }

    fn rows(&self) -> usize {
        self.groups[0].len() / self.entry().columns(0)
    }

    fn eval_check(&self, isa: Isa) -> Vec<u32> {
        // Garbage, which evaluation has to overwrite.
        let mut check = vec![u32::MAX; COORDINATES * self.rows()];
        let groups: Vec<&[u32]> = self.groups.iter().map(Vec::as_slice).collect();
        let globals: Vec<&[u32]> = self.globals.iter().map(Vec::as_slice).collect();
        let evaluation = Evaluation {
            isa,
            po2: self.po2,
            domain: self.domain,
            groups: &groups,
            globals: &globals,
            poly_mix: self.poly_mix,
        };
        self.entry().constraints().eval_check(&mut check, &evaluation);
        check
    }

    /// What the verifier's own evaluation of the constraints gives at `row`.
    fn expected(&self, row: usize) -> Ext {
        let taps = self.entry().taps();
        let rows = self.rows();
        let (stride, index) = match self.domain {
            Domain::Whole => (INV_RATE, row),
            Domain::Coset(coset) => (1, INV_RATE * row + coset),
        };
        let values: Vec<Ext> = taps
            .taps()
            .map(|tap| {
                let from = (row + rows * 100 - tap.back() * stride) % rows;
                let word = self.groups[tap.group()][tap.offset() * rows + from];
                Ext::from(Elem::new_raw(word))
            })
            .collect();
        let globals = self.globals.each_ref().map(|list| elements(list));
        let verifier = CIRCUITS[self.circuit].1;
        let total = verifier.poly_ext(&self.poly_mix, &values, &[&globals[0], &globals[1]]).tot;
        let x = SHIFT * Elem::ROU_FWD[self.po2 + log2_ceil(INV_RATE)].pow(index);
        total * Ext::from(x.pow(1 << self.po2) - Elem::ONE).inv()
    }

    fn assert_row(&self, check: &[u32], row: usize) {
        let expected = self.expected(row);
        for (coordinate, element) in expected.elems().iter().enumerate() {
            let word = check[coordinate * self.rows() + row];
            let name = self.entry().name;
            assert_eq!(
                word,
                element.as_u32_montgomery(),
                "{name}, row {row}, coordinate {coordinate}"
            );
        }
    }
}

#[test]
fn every_row_of_a_small_domain_is_what_the_verifier_computes() {
    // Fewer rows than some taps reach back, so that they go around more than once.
    for circuit in 0..CIRCUITS.len() {
        for (seed, domain) in
            [Domain::Whole, Domain::Coset(0), Domain::Coset(3)].into_iter().enumerate()
        {
            let case = Case::new(circuit, seed as u32, 4, domain);
            let check = case.eval_check(Isa::best());
            for row in 0..case.rows() {
                case.assert_row(&check, row);
            }
        }
    }
}

#[test]
fn rows_around_the_seams_of_blocks_and_chunks_are_what_the_verifier_computes() {
    for (po2, domain) in [(11, Domain::Whole), (13, Domain::Coset(2))] {
        let case = Case::new(0, 77, po2, domain);
        let check = case.eval_check(Isa::best());
        assert!(case.rows() > CHUNK_ROWS);
        for seam in [0, BLOCK, 2 * BLOCK, CHUNK_ROWS, CHUNK_ROWS + BLOCK, case.rows()] {
            for row in [seam + case.rows() - 1, seam, seam + 100] {
                case.assert_row(&check, row % case.rows());
            }
        }
    }
}

#[test]
fn all_instruction_sets_agree() {
    for circuit in 0..CIRCUITS.len() {
        for domain in [Domain::Whole, Domain::Coset(1)] {
            let case = Case::new(circuit, 5, 9, domain);
            let expected = case.eval_check(Isa::Scalar);
            for isa in Isa::available() {
                let (name, isa_name) = (case.entry().name, isa.name());
                assert!(case.eval_check(isa) == expected, "{name}: {isa_name} differs from scalar");
            }
        }
    }
}

#[test]
fn the_largest_words_do_not_overflow_sums() {
    for circuit in 0..CIRCUITS.len() {
        let mut case = Case::new(circuit, 3, 4, Domain::Coset(2));
        for words in case.groups.iter_mut().chain(&mut case.globals) {
            words.fill(P - 1);
        }
        for isa in Isa::available() {
            let check = case.eval_check(isa);
            for row in 0..case.rows() {
                case.assert_row(&check, row);
            }
        }
    }
}

#[test]
fn the_cosets_make_up_the_whole_domain() {
    let whole = Case::new(0, 9, 8, Domain::Whole);
    let check = whole.eval_check(Isa::best());
    let rows = 1 << whole.po2;
    for coset in 0..INV_RATE {
        let part = |words: &Vec<u32>| words.iter().skip(coset).step_by(INV_RATE).copied().collect();
        let case = Case {
            domain: Domain::Coset(coset),
            groups: whole.groups.iter().map(part).collect(),
            globals: whole.globals.clone(),
            ..whole
        };
        assert!(case.eval_check(Isa::best()) == part(&check), "coset {coset} of {rows} rows");
    }
}

#[test]
#[should_panic(expected = "words of group 2")]
fn a_group_of_another_shape_is_refused() {
    let mut case = Case::new(1, 1, 4, Domain::Coset(0));
    case.groups[2].pop();
    case.eval_check(Isa::best());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn any_row_is_what_the_verifier_computes(
        circuit in 0..CIRCUITS.len(),
        seed in 0u32..1 << 30,
        row in 0usize..64,
    ) {
        let case = Case::new(circuit, seed, 6, Domain::Coset(seed as usize % INV_RATE));
        case.assert_row(&case.eval_check(Isa::best()), row);
    }
}
