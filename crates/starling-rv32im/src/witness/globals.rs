//! The globals that are known before any row runs; rows set the others.

use risc0_binfmt::PovwNonce;
use risc0_zkp::field::ExtElem as _;

use super::columns::{UNSET, montgomery};
use crate::{
    execute::Segment,
    zirgen::circuit::{ExtVal, LAYOUT_GLOBAL, REGCOUNT_GLOBAL},
};

/// All globals, unset but for the known ones: the state before, the input, the random element, how the segment ends and
/// the nonce of its work.
pub(super) fn known(segment: &Segment, rand_z: ExtVal) -> Vec<u32> {
    let claim = &segment.claim;
    let nonce = segment.povw_nonce.unwrap_or(PovwNonce::ZERO).to_u16s();
    let pairs = |words: &[u32]| words.iter().map(|word| [word & 0xffff, word >> 16]).collect();
    let state: Vec<[u32; 2]> = pairs(claim.pre_state.as_words());
    let input: Vec<[u32; 2]> = pairs(claim.input.as_words());
    let nonce = nonce.chunks_exact(2).map(|pair| [pair[0].into(), pair[1].into()]).collect();

    let mut globals = vec![UNSET; REGCOUNT_GLOBAL];
    for (layout, halves) in [
        (LAYOUT_GLOBAL.state_in, state),
        (LAYOUT_GLOBAL.input, input),
        (LAYOUT_GLOBAL.povw_nonce, nonce),
    ] {
        for (word, [low, high]) in layout.values.iter().zip(halves) {
            globals[word.low._super.offset] = montgomery(low);
            globals[word.high._super.offset] = montgomery(high);
        }
    }
    let random = LAYOUT_GLOBAL.rng._super.offset;
    for (word, element) in globals[random..].iter_mut().zip(rand_z.subelems()) {
        *word = element.as_u32_montgomery();
    }
    globals[LAYOUT_GLOBAL.is_terminate._super.offset] =
        montgomery(claim.terminate_state.is_some().into());
    globals[LAYOUT_GLOBAL.shutdown_cycle._super.offset] = montgomery(segment.segment_threshold);
    globals
}
