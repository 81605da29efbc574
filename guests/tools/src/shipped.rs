//! The inputs in `guests/inputs`, all of them, so that they can be made again when an image id changes.

use std::{collections::BTreeMap, slice};

use anyhow::{Context, Result};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::{
    bigint::{self, Width},
    chain,
    compose::{self, Receipt},
    ecdsa, echo, evm,
};

/// What `image-ids.json` says of a guest, as far as an input depends on it.
#[derive(Debug, Deserialize)]
struct Guest {
    image_id: String,
}

/// Each input with its name in `guests/inputs`, for the guests of this `image-ids.json`.
pub fn inputs(image_ids: &str) -> Result<BTreeMap<String, Vec<u8>>> {
    let guests: BTreeMap<String, Guest> =
        serde_json::from_str(image_ids).context("cannot read the image ids")?;
    let mut inputs = BTreeMap::new();
    let mut add = |name: &str, input: Vec<u8>| inputs.insert(format!("{name}.bin"), input);

    for n in [1, 100, 1000] {
        add(&format!("sha-chain-{n}"), chain::input(n, None));
    }
    for transfers in [1, 10, 100] {
        add(&format!("evm-{transfers}"), evm::input(transfers)?);
    }
    for signatures in [1, 4] {
        add(&format!("ecdsa-{signatures}"), ecdsa::input(signatures)?);
    }
    for n in [1, 200] {
        add(&format!("keccak-{n}"), chain::input(n, None));
    }
    add("bigint-256-1", bigint::input(1, Width::Bits256));
    add("bigint-4096-17", bigint::input(17, Width::Bits4096));

    add("echo-all", [b"\0", GREETING].concat());
    add("echo-frames", echo::frames_input(&[b"", GREETING, b"the last one"]));
    add("echo-environment", echo::environment_input(&["GREETING", "NOT_SET"]));
    add("echo-hash", [b"\x03", GREETING].concat());

    add("fail-ok", vec![0]);
    add("fail-panic", b"\x01the input asks for a panic".to_vec());
    add("fail-exit-7", vec![2, 7]);
    add("fail-endless", vec![3]);
    add("fail-read-beyond", vec![4]);
    add("fail-journal-1-mib", b"\x05\0\x04\0\0".to_vec());
    add("fail-journal-too-large", vec![5]);
    add("fail-not-utf8", vec![6]);
    add("fail-pause", vec![7]);
    add("fail-pause-3", vec![7, 3]);

    let receipt = |guest: &str, journal: Vec<u8>| -> Result<Receipt> {
        let Guest { image_id } = guests.get(guest).with_context(|| format!("no guest {guest}"))?;
        let mut bytes = [0; 32];
        hex::decode_to_slice(image_id, &mut bytes)
            .with_context(|| format!("{image_id} is not an image id"))?;
        Ok(Receipt { image_id: bytes, journal })
    };
    let hash = receipt("sha-ecall", sha_ecall_journal(1))?;
    let ok = receipt("fail", b"ok".to_vec())?;
    let one = compose::input(slice::from_ref(&hash), &[]);
    let of_one = receipt("compose", compose_journal(1, &one))?;
    add("compose-0", compose::input(&[], &[]));
    add("compose-1", one);
    add("compose-3", compose::input(&[hash.clone(), ok, hash], &[]));
    add("compose-chain", compose::input(&[of_one], &[]));
    Ok(inputs)
}

/// What `echo` is given to commit.
const GREETING: &[u8] = b"Hello from the host.\n";

/// What `sha-ecall` commits for `n` hashes from zeros.
fn sha_ecall_journal(n: u32) -> Vec<u8> {
    let digest = (0..n).fold([0; 32], |digest, _| Sha256::digest(digest).into());
    [&n.to_le_bytes()[..], &digest].concat()
}

/// What `compose` commits for an input of `count` receipts.
fn compose_journal(count: u32, input: &[u8]) -> Vec<u8> {
    [&count.to_le_bytes()[..], &Sha256::digest(input)].concat()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    #[test]
    fn the_repository_holds_exactly_these_inputs() {
        let guests = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let image_ids = fs::read_to_string(guests.join("image-ids.json")).unwrap();
        let mut held = BTreeMap::new();
        for entry in fs::read_dir(guests.join("inputs")).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            held.insert(name, fs::read(entry.path()).unwrap());
        }
        let made = inputs(&image_ids).unwrap();
        assert!(made.keys().eq(held.keys()), "made {:?}, held {:?}", made.keys(), held.keys());
        for (name, input) in made {
            assert!(held[&name] == input, "{name} is another");
        }
    }
}
