//! Inputs of the `compose` guest: what it is to verify.

use crate::count_bytes;

/// A receipt of a program that ended well, as `env::verify` names it.
#[derive(Debug, Clone)]
pub struct Receipt {
    /// Which program.
    pub image_id: [u8; 32],
    /// What it committed.
    pub journal: Vec<u8>,
}

/// Any claim, as `env::verify_assumption` names it.
#[derive(Debug, Clone)]
pub struct Assumption {
    /// The digest of the claim.
    pub claim: [u8; 32],
    /// Which programs may have proved it; zeros stand for the zkVM's own.
    pub control_root: [u8; 32],
}

/// The input to verify `receipts`, then `assumptions`.
pub fn input(receipts: &[Receipt], assumptions: &[Assumption]) -> Vec<u8> {
    let mut input = count_bytes(receipts.len()).to_vec();
    for Receipt { image_id, journal } in receipts {
        input.extend(image_id);
        input.extend(count_bytes(journal.len()));
        input.extend(journal);
    }
    if !assumptions.is_empty() {
        input.extend(count_bytes(assumptions.len()));
        for Assumption { claim, control_root } in assumptions {
            input.extend(claim);
            input.extend(control_root);
        }
    }
    input
}

#[cfg(test)]
mod tests {
    use std::slice;

    use super::*;

    #[test]
    fn receipts_come_first_and_assumptions_only_if_there_are_any() {
        let receipt = Receipt { image_id: [7; 32], journal: b"ok".to_vec() };
        let assumption = Assumption { claim: [8; 32], control_root: [0; 32] };
        assert_eq!(input(&[], &[]), [0; 4]);
        assert_eq!(input(slice::from_ref(&receipt), &[]).len(), 4 + 32 + 4 + 2);
        let both = input(&[receipt], &[assumption]);
        assert_eq!(both[4..36], [7; 32]);
        assert_eq!(both[36..46], *b"\x02\0\0\0ok\x01\0\0\0");
        assert_eq!(both[46..78], [8; 32]);
        assert_eq!(both.len(), 110);
    }
}
