//! Inputs of the `bigint` guest: made-up numbers of a width that is accelerated.

use clap::ValueEnum;

use crate::derived;

/// A width of numbers that the guest multiplies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Width {
    /// 256 bits, as of elliptic curves.
    #[value(name = "256")]
    Bits256,
    /// 4,096 bits, as of RSA.
    #[value(name = "4096")]
    Bits4096,
}

impl Width {
    /// How many bits a number has.
    pub fn bits(self) -> u32 {
        match self {
            Self::Bits256 => 256,
            Self::Bits4096 => 4096,
        }
    }
}

/// The input for `n` squarings of a made-up base modulo a made-up number, which is odd and of full width.
pub fn input(n: u32, width: Width) -> Vec<u8> {
    let mut base = number("base", width);
    let mut modulus = number("modulus", width);
    modulus[0] |= 1;
    // The highest bits, since numbers are little-endian: of the modulus set, of the base not.
    let last = modulus.len() - 1;
    modulus[last] |= 0x80;
    base[last] &= 0x7f;

    let mut input = n.to_le_bytes().to_vec();
    input.extend(width.bits().to_le_bytes());
    input.extend(base);
    input.extend(modulus);
    input
}

fn number(label: &str, width: Width) -> Vec<u8> {
    let digests = width.bits() / 256;
    (0..digests).flat_map(|index| derived(label, index)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_and_modulus_have_the_width_asked_for() {
        assert_eq!(input(1, Width::Bits256).len(), 4 + 4 + 2 * 32);
        assert_eq!(input(1, Width::Bits4096).len(), 4 + 4 + 2 * 512);
    }

    #[test]
    fn the_base_is_below_the_modulus() {
        for width in [Width::Bits256, Width::Bits4096] {
            let input = input(0, width);
            let (base, modulus) = input[8..].split_at((input.len() - 8) / 2);
            assert!(base.iter().rev().lt(modulus.iter().rev()), "{width:?}");
        }
    }
}
