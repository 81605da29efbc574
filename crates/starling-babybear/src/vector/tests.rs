//! Every backend against RISC Zero's own field element, on the edges of the range and at random.

use proptest::prelude::*;
use risc0_core::field::baby_bear::BabyBearElem as Elem;

use super::{Isa, Kernel, P, Vector, dispatch, quotient};

/// The words where carries and borrows change.
const EDGES: [u32; 10] =
    [0, 1, 2, P - 1, P - 2, P / 2, P / 2 + 1, 0x0fff_fffe, 0x7000_0000, 0x0800_0001];

/// All that a vector computes with two operands, as columns.
struct Pairwise<'a> {
    left: &'a [u32],
    right: &'a [u32],
}

/// Results of [`Pairwise`], by the name of the method.
type Columns = Vec<(&'static str, Vec<u32>)>;

/// Applies `op` vector by vector; a last part that does not fill a vector is padded with zeros.
#[inline(always)]
fn map<V: Vector>(left: &[u32], right: &[u32], op: impl Fn(V, V) -> V) -> Vec<u32> {
    let padded = left.len().next_multiple_of(V::LANES);
    let (mut a, mut b) = (left.to_vec(), right.to_vec());
    a.resize(padded, 0);
    b.resize(padded, 0);
    let mut out = vec![0; padded];
    for at in (0..padded).step_by(V::LANES) {
        op(V::read(&a, at), V::read(&b, at)).write(&mut out, at);
    }
    out.truncate(left.len());
    out
}

impl Kernel for Pairwise<'_> {
    type Output = Columns;

    #[inline(always)]
    fn run<V: Vector>(self) -> Columns {
        let on = |op: fn(V, V) -> V| map(self.left, self.right, op);
        let quotients: Vec<u32> = self.right.iter().map(|&word| quotient(word)).collect();
        let with = |a: V, at: usize| a.mul_with(V::read(self.right, at), V::read(&quotients, at));
        let mut mul_with = vec![0; self.left.len()];
        for at in (0..self.left.len() / V::LANES).map(|i| i * V::LANES) {
            with(V::read(self.left, at), at).write(&mut mul_with, at);
        }
        mul_with.truncate(self.left.len() / V::LANES * V::LANES);
        vec![
            ("add", on(V::add)),
            ("sub", on(V::sub)),
            ("mul", on(V::mul)),
            ("neg", on(|a, _| a.neg())),
            ("double", on(|a, _| a.double())),
            ("two products", on(|a, b| V::wide_reduce(a.wide_mul_add(b, b.wide_mul(b))))),
            (
                "seven products",
                on(|a, b| {
                    let mut wide = a.wide_mul(b);
                    for _ in 0..3 {
                        wide = V::wide_fold(a.wide_mul_add(a, wide));
                        wide = V::wide_add(wide, b.wide_mul(b));
                    }
                    V::wide_reduce(V::wide_fold(wide))
                }),
            ),
            ("mul_with", mul_with),
        ]
    }
}

/// The same with RISC Zero's elements.
fn expected(left: &[u32], right: &[u32]) -> Columns {
    let on = |op: fn(Elem, Elem) -> Elem| -> Vec<u32> {
        let pairs = left.iter().zip(right);
        pairs.map(|(&a, &b)| op(Elem::new_raw(a), Elem::new_raw(b)).as_u32_montgomery()).collect()
    };
    vec![
        ("add", on(|a, b| a + b)),
        ("sub", on(|a, b| a - b)),
        ("mul", on(|a, b| a * b)),
        ("neg", on(|a, _| -a)),
        ("double", on(|a, _| a + a)),
        ("two products", on(|a, b| a * b + b * b)),
        ("seven products", on(|a, b| a * b + (a * a + b * b) * Elem::new(3))),
        ("mul_with", on(|a, b| a * b)),
    ]
}

fn compare(left: &[u32], right: &[u32]) {
    for isa in Isa::available() {
        let found = dispatch(isa, Pairwise { left, right });
        for ((name, found), (_, expected)) in found.iter().zip(expected(left, right)) {
            assert_eq!(found[..], expected[..found.len()], "{name} on {}", isa.name());
        }
    }
}

#[test]
fn edge_values_compute_as_risc_zero_has_them() {
    let left: Vec<u32> = EDGES.iter().flat_map(|&a| EDGES.map(|_| a)).collect();
    let right: Vec<u32> = EDGES.iter().flat_map(|_| EDGES).collect();
    // 16 divides neither 100 nor the shifted part: every pair meets several lanes.
    for start in 0..17 {
        compare(&left[start..], &right[start..]);
    }
}

proptest! {
    #[test]
    fn random_values_compute_as_risc_zero_has_them(
        pairs in prop::collection::vec((0..P, 0..P), 16..100)
    ) {
        let (left, right): (Vec<u32>, Vec<u32>) = pairs.into_iter().unzip();
        compare(&left, &right);
    }
}

#[test]
fn the_scalar_backend_is_always_there() {
    assert_eq!(Isa::available().next(), Some(Isa::Scalar));
    assert!(Isa::available().any(|isa| isa == Isa::best()));
}

#[test]
fn lanes_are_what_the_vectors_have() {
    struct Lanes;
    impl Kernel for Lanes {
        type Output = usize;
        fn run<V: Vector>(self) -> usize {
            V::LANES
        }
    }
    for isa in Isa::available() {
        assert_eq!(dispatch(isa, Lanes), isa.lanes());
    }
}
