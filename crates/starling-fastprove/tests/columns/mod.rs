//! Made-up columns of a circuit over a whole domain, the same on every machine.
#![allow(clippy::unwrap_used, dead_code)]

use risc0_zkp::INV_RATE;
use risc0_zkp::core::hash::sha::{Impl, Sha256 as _};
use risc0_zkp::field::Elem as _;
use risc0_zkp::field::baby_bear::{BabyBearElem as Elem, BabyBearExtElem as Ext};
use starling_babybear::vector::{Isa, P};
use starling_fastprove::circuits::{Entry, KECCAK, RECURSION, RV32IM};
use starling_fastprove::constraints::{Domain, Evaluation};

/// The binary logarithm of the trace's rows.
pub const PO2: usize = 8;

/// The circuits.
pub static CIRCUITS: [&Entry; 3] = [&RECURSION, &RV32IM, &KECCAK];

/// What the stock kernels were recorded to make of these columns: a [line] for each of [`CIRCUITS`].
pub const RECORDED: &str = include_str!("recorded.txt");

/// A line of what is recorded: the circuit, and the SHA-256 of the four planes of its check polynomial.
pub fn line(circuit: &Entry, check: &[u32]) -> String {
    format!("{} {}\n", circuit.name, digest(check))
}

/// The columns and the globals.
pub struct Columns {
    /// The groups in the order of the taps.
    pub groups: Vec<Vec<Elem>>,
    /// The circuit's own globals, and the mix.
    pub globals: [Vec<Elem>; 2],
}

impl Columns {
    /// The columns for `circuit`.
    pub fn new(circuit: &Entry) -> Self {
        let mut word = 1u32;
        let mut random = |count| -> Vec<Elem> {
            let mut next = || {
                word = word.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                Elem::new(word % P)
            };
            (0..count).map(|_| next()).collect()
        };
        let groups = 0..circuit.taps().num_groups();
        Self {
            groups: groups.map(|group| random(circuit.columns(group) * rows())).collect(),
            globals: [circuit.globals, circuit.mix].map(random),
        }
    }

    /// The four planes of the check polynomial, where the challenge is one.
    pub fn eval_check(&self, circuit: &Entry, isa: Isa) -> Vec<u32> {
        let groups: Vec<&[u32]> =
            self.groups.iter().map(|group| bytemuck::cast_slice(group)).collect();
        let globals = self.globals.each_ref().map(|list| bytemuck::cast_slice(list));
        let evaluation = Evaluation {
            isa,
            po2: PO2,
            domain: Domain::Whole,
            groups: &groups,
            globals: &globals,
            poly_mix: Ext::ONE,
        };
        let mut check = vec![0u32; 4 * rows()];
        circuit.constraints().eval_check(&mut check, &evaluation);
        check
    }
}

/// The rows of the domain.
pub fn rows() -> usize {
    INV_RATE << PO2
}

/// The SHA-256 of `words` in little-endian bytes.
fn digest(words: &[u32]) -> String {
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    Impl::hash_bytes(&bytes).to_string()
}
