//! Inputs of the `ecdsa` guest: signatures by made-up keys over made-up messages.

use anyhow::{Context, Result};
use k256::ecdsa::{Signature, SigningKey, signature::hazmat::PrehashSigner};

use crate::derived;

/// The input for `signatures` signatures, each by a key of its own.
pub fn input(signatures: u32) -> Result<Vec<u8>> {
    let mut input = signatures.to_le_bytes().to_vec();
    for index in 0..signatures {
        let key = SigningKey::from_slice(&derived("signing key", index))
            .with_context(|| format!("made-up key {index} is no secp256k1 scalar"))?;
        let message_hash = derived("message", index);
        let signature: Signature = key
            .sign_prehash(&message_hash)
            .with_context(|| format!("cannot sign made-up message {index}"))?;
        input.extend(key.verifying_key().to_sec1_point(true).as_bytes());
        input.extend(message_hash);
        input.extend(signature.to_bytes());
    }
    Ok(input)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn each_signature_takes_129_bytes() {
        assert_eq!(input(0).unwrap().len(), 4);
        assert_eq!(input(3).unwrap().len(), 4 + 3 * (33 + 32 + 64));
    }
}
