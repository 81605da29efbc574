//! Verifies a batch of ECDSA signatures over secp256k1, with plain rv32 instructions: heavy arithmetic
//! on little memory.
//!
//! - Input: the number of signatures (`u32`, little-endian), then each as public key (SEC1, compressed:
//!   33 bytes), hash of the message (32 bytes) and signature (`r`, `s`: 64 bytes).
//! - Journal: the number of signatures (`u32`, little-endian), then the SHA-256 of all public keys and
//!   message hashes, in their order.
//!
//! One bad key or signature fails the guest.

#![no_main]

use std::io::Read;

use input_reader::InputReader;
use k256::ecdsa::{Signature, VerifyingKey, signature::hazmat::PrehashVerifier};
use risc0_zkvm::{
    guest::env,
    sha::{Impl, Sha256},
};

risc0_zkvm::guest::entry!(main);

const PUBLIC_KEY_SIZE_BYTES: usize = 33;
const MESSAGE_HASH_SIZE_BYTES: usize = 32;
const SIGNATURE_SIZE_BYTES: usize = 64;

fn main() {
    let mut bytes = Vec::new();
    env::stdin().read_to_end(&mut bytes).expect("the host serves standard input");
    let mut input = InputReader::new(&bytes);
    let count = input.count(
        PUBLIC_KEY_SIZE_BYTES + MESSAGE_HASH_SIZE_BYTES + SIGNATURE_SIZE_BYTES,
        "signatures",
    );

    let mut signed = Vec::with_capacity(count * (PUBLIC_KEY_SIZE_BYTES + MESSAGE_HASH_SIZE_BYTES));
    for index in 0..count {
        let public_key = input.bytes(PUBLIC_KEY_SIZE_BYTES, "public key");
        let message_hash = input.bytes(MESSAGE_HASH_SIZE_BYTES, "message hash");
        let signature = input.bytes(SIGNATURE_SIZE_BYTES, "signature");

        let Ok(key) = VerifyingKey::from_sec1_bytes(public_key) else {
            panic!("public key {index} is no point of secp256k1");
        };
        let Ok(signature) = Signature::from_slice(signature) else {
            panic!("signature {index} has a scalar out of range");
        };
        if key.verify_prehash(message_hash, &signature).is_err() {
            panic!("signature {index} does not verify");
        }
        signed.extend_from_slice(public_key);
        signed.extend_from_slice(message_hash);
    }
    input.finish();

    env::commit_slice(&(count as u32).to_le_bytes());
    env::commit_slice(Impl::hash_bytes(&signed).as_bytes());
}
