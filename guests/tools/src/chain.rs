//! Inputs of the guests that hash in a chain: `sha-chain`, `sha-ecall` and `keccak`.

/// The input for a chain of `n` hashes, from `seed` or, without one, from zeros.
pub fn input(n: u32, seed: Option<[u8; 32]>) -> Vec<u8> {
    let mut input = n.to_le_bytes().to_vec();
    input.extend(seed.into_iter().flatten());
    input
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_optional() {
        assert_eq!(input(513, None), [1, 2, 0, 0]);
        assert_eq!(input(1, Some([9; 32])).len(), 36);
    }
}
