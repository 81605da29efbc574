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

/// The circuits, each with the SHA-256 of the four planes that the stock kernel makes of these columns.
pub static CIRCUITS: [(&Entry, &str); 3] = [
    (&RECURSION, "dd7764dbe30ff4aa319293c50996e53e83178566d97c0e30d51c2bd7cff64cff"),
    (&RV32IM, "44e8dbfc0f6321f413515242a9c2f6ab1dc72cb932581ea47e566dbaa3d69067"),
    (&KECCAK, "52c9e7d41099649e07657ae535562ec050a22b2c6ab536c12448c85f2aba735c"),
];

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
pub fn digest(words: &[u32]) -> String {
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    Impl::hash_bytes(&bytes).to_string()
}
