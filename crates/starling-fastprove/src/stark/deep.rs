//! DEEP-ALI: the constraints, and the claim about the trace that FRI then proves.
//!
//! The verifier asks for the value of every column at a random point and at the points that the taps tie to it. If
//! those values are right, then what is left of each column after subtracting their interpolation divides by what
//! vanishes on the points; [`quotient`] is all columns mixed that way, a polynomial whose degree FRI bounds.

use rayon::prelude::*;
use risc0_zkp::INV_RATE;
use risc0_zkp::core::poly::poly_interpolate;
use risc0_zkp::field::baby_bear::{BabyBearElem, BabyBearExtElem};
use risc0_zkp::field::{Elem as _, RootsOfUnity as _};
use risc0_zkp::taps::TapSet;
use starling_babybear::ntt;
use starling_babybear::poly::{self, NonZeroRemainder, PLANES};

use super::engine::Engine;
use super::group::Group;
use super::members::Members;
use super::transcript::Transcript;
use super::{Circuit, EvalCheck};
use crate::pool::Buffer;

/// The check polynomial has up to [`INV_RATE`] times the trace's rows, so it is committed to in as many pieces.
const CHECK_COLUMNS: usize = INV_RATE * PLANES;

/// Words that one thread moves at a time between a coset and the whole domain.
const INTERLEAVE_WORDS: usize = 1 << 12;

/// Commits to the quotient of the mixed constraints by what vanishes on the trace.
pub(super) fn commit_check<C: Circuit>(
    engine: &Engine,
    circuit: &C,
    po2: usize,
    members: &mut Members,
    globals: &[&[u32]],
    transcript: &mut Transcript,
) -> Group {
    let domain = INV_RATE << po2;
    let mut check = engine.pool().take(PLANES * domain);
    let mut part = engine.pool().take(PLANES << po2);
    let poly_mix = transcript.random_ext_elem();
    // Columns that are not kept in each coset are still in the last one since they were committed to.
    for coset in (0..INV_RATE).rev() {
        circuit.eval_check(EvalCheck {
            isa: engine.isa(),
            check: &mut part,
            groups: &members.coset(engine, coset),
            globals,
            poly_mix,
            po2,
            coset,
        });
        // Planes are as much longer as rows are further apart, so one rule places all of them.
        check
            .par_chunks_mut(INV_RATE * INTERLEAVE_WORDS)
            .zip(part.par_chunks(INTERLEAVE_WORDS))
            .for_each(|(check, part)| {
                for (check, &word) in check.chunks_exact_mut(INV_RATE).zip(part) {
                    check[coset] = word;
                }
            });
    }
    drop(part);
    members.rest_all(engine);

    ntt::interpolate(engine.isa(), &mut check, domain);
    // The pieces are g_i in f(x) = g_0(x^4) + x g_1(x^4) + x^2 g_2(x^4) + x^3 g_3(x^4). In bit-reversed order each
    // one's coefficients lie together, in bit-reversed order: there is nothing to move.
    // Keeping no values costs a hundredth of the proof's time for the openings, and spares memory where most is in use.
    let group = Group::from_coefficients(engine, check, CHECK_COLUMNS);
    group.commit(transcript);
    group
}

/// Opens `groups`, the check polynomial's last, at the verifier's point, and mixes them into the polynomial whose
/// degree is left to prove: four planes of bit-reversed coefficients.
pub(super) fn quotient(
    engine: &Engine,
    taps: &TapSet<'_>,
    po2: usize,
    groups: &[&Group],
    transcript: &mut Transcript,
) -> Result<Buffer, NonZeroRemainder> {
    let isa = engine.isa();
    let rows = 1 << po2;
    let points = Points { z: transcript.random_ext_elem(), back: BabyBearElem::ROU_REV[po2] };

    let claims = claims(engine, taps, &points, groups);
    transcript.write_field_elem_slice(&claims);
    transcript.commit(&engine.suite().hashfn.hash_ext_elem_slice(&claims));
    let mix = transcript.random_ext_elem();

    let registers: Vec<_> = taps.regs().collect();
    let sizes: Vec<u32> = registers.iter().map(|register| register.size() as u32).collect();
    let mut combo_of: Vec<u32> =
        registers.iter().map(|register| register.combo_id() as u32).collect();
    let check_combo = taps.combos_size();
    combo_of.resize(registers.len() + CHECK_COLUMNS, check_combo as u32);

    let plane_words = PLANES * rows;
    let mut combos = engine.pool().take_filled((check_combo + 1) * plane_words, 0);
    let (mut start, mut rest) = (BabyBearExtElem::ONE, &combo_of[..]);
    for group in groups {
        let (which, others) = rest.split_at(group.columns());
        if let Some(coefficients) = group.coefficients() {
            poly::mix_into(isa, &mut combos, rows, coefficients, which, start, mix);
        }
        start *= mix.pow(which.len());
        rest = others;
    }
    // Dividing goes from the highest power down.
    ntt::bit_reverse(isa, &mut combos, rows);
    poly::combos_prepare(&mut combos, rows, &claims, &sizes, &combo_of[..registers.len()], mix);
    let mut roots: Vec<Vec<_>> = taps
        .combos()
        .map(|combo| combo.slice().iter().map(|&back| points.back(back.into())).collect())
        .collect();
    roots.push(vec![points.check()]);
    poly::combos_divide(isa, &mut combos, rows, &roots)?;

    let mut sum = engine.pool().take(plane_words);
    poly::sum_planes(isa, &mut sum, &combos);
    drop(combos);
    ntt::bit_reverse(isa, &mut sum, rows);
    Ok(sum)
}

/// Where the verifier wants columns evaluated.
struct Points {
    z: BabyBearExtElem,
    /// What a point is multiplied with to reach the row before.
    back: BabyBearElem,
}

impl Points {
    fn back(&self, rows: usize) -> BabyBearExtElem {
        self.z * self.back.pow(rows)
    }

    /// The check polynomial's pieces are polynomials in x^4.
    fn check(&self) -> BabyBearExtElem {
        self.z.pow(INV_RATE)
    }
}

/// What is claimed of the columns: for each register the polynomial through its values at its taps' points, by
/// its coefficients, and then the value of each check column.
fn claims(
    engine: &Engine,
    taps: &TapSet<'_>,
    points: &Points,
    groups: &[&Group],
) -> Vec<BabyBearExtElem> {
    let evaluate = |group: &Group, queries: &[poly::Query]| match group.coefficients() {
        Some(coefficients) => poly::evaluate_at(
            engine.isa(),
            coefficients,
            group.rows(),
            queries,
            poly::Order::BitReversed,
        ),
        None => vec![BabyBearExtElem::ZERO; queries.len()],
    };
    let (check, traces) = groups.split_last().expect("the check group was just committed");

    let mut xs = Vec::with_capacity(taps.tap_size());
    let mut values = Vec::with_capacity(taps.tap_size());
    for (index, group) in traces.iter().enumerate() {
        let queries: Vec<_> = taps
            .group_taps(index)
            .map(|tap| poly::Query { column: tap.offset(), x: points.back(tap.back()) })
            .collect();
        xs.extend(queries.iter().map(|query| query.x));
        values.extend(evaluate(group, &queries));
    }
    let mut claims = vec![BabyBearExtElem::ZERO; values.len()];
    let mut at = 0;
    for register in taps.regs() {
        let size = register.size();
        poly_interpolate(&mut claims[at..], &xs[at..], &values[at..], size);
        at += size;
    }
    let queries: Vec<_> =
        (0..check.columns()).map(|column| poly::Query { column, x: points.check() }).collect();
    claims.extend(evaluate(check, &queries));
    claims
}
