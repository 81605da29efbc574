//! Every backend against RISC Zero's own field element, on the edges of the range and at random.

use proptest::prelude::*;
use risc0_core::field::baby_bear::BabyBearElem as Elem;

use super::{Factors, Isa, Kernel, P, Vector, dispatch};
use crate::testing::sizes;

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
        let table = Factors::new(self.right.to_vec());
        let whole = self.left.len() / V::LANES * V::LANES;
        let [mut times, mut times_first, mut times_prepared] = [(); 3].map(|()| vec![0; whole]);
        for at in (0..whole).step_by(V::LANES) {
            let x = V::read(self.left, at);
            x.times(V::factors(&table, at)).write(&mut times, at);
            x.times(V::factor(&table, 0)).write(&mut times_first, at);
            x.times(V::prepare(self.right[0])).write(&mut times_prepared, at);
        }
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
            ("times", times),
            ("times the first", times_first),
            ("times the first, prepared", times_prepared),
        ]
    }
}

/// The same with RISC Zero's elements.
fn expected(left: &[u32], right: &[u32]) -> Columns {
    let on = |op: &dyn Fn(Elem, Elem) -> Elem| -> Vec<u32> {
        let pairs = left.iter().zip(right);
        pairs.map(|(&a, &b)| op(Elem::new_raw(a), Elem::new_raw(b)).as_u32_montgomery()).collect()
    };
    vec![
        ("add", on(&|a, b| a + b)),
        ("sub", on(&|a, b| a - b)),
        ("mul", on(&|a, b| a * b)),
        ("neg", on(&|a, _| -a)),
        ("double", on(&|a, _| a + a)),
        ("two products", on(&|a, b| a * b + b * b)),
        ("seven products", on(&|a, b| a * b + (a * a + b * b) * Elem::new(3))),
        ("times", on(&|a, b| a * b)),
        ("times the first", on(&|a, _| a * Elem::new_raw(right[0]))),
        ("times the first, prepared", on(&|a, _| a * Elem::new_raw(right[0]))),
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
    let starts: Vec<usize> = (0..17).collect();
    for start in sizes(&starts, 1) {
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
