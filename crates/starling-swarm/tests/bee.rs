//! References against the published vectors, and however the bytes arrive.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use serde_json::Value;
use starling_swarm::{ReferenceHasher, reference_of};
use starling_types::{BlobRef, Reference};

fn vectors() -> Value {
    serde_json::from_str(include_str!("vectors/swarm.json")).unwrap()
}

fn reference(vector: &Value) -> Reference {
    vector["reference"].as_str().unwrap().parse().unwrap()
}

fn pattern(size_bytes: usize) -> Vec<u8> {
    (0..size_bytes).map(|i| (i % 255) as u8).collect()
}

#[test]
fn references_agree_with_those_of_bee() {
    let vectors = vectors();
    let patterns = vectors["pattern_mod_255"].as_array().unwrap();
    assert_eq!(patterns.len(), 6);
    for vector in patterns {
        let size_bytes = vector["len"].as_u64().unwrap();
        let bytes = pattern(size_bytes as usize);
        assert_eq!(reference_of(&bytes), reference(vector), "{size_bytes} bytes");
    }
    for vector in vectors["utf8"].as_array().unwrap() {
        let text = vector["text"].as_str().unwrap();
        assert_eq!(reference_of(text.as_bytes()), reference(vector), "{text:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_split_of_the_bytes_yields_one_reference(
        size_bytes in 0_usize..20_000,
        cuts in prop::collection::vec(0_usize..20_000, 0..12),
    ) {
        let bytes = pattern(size_bytes);
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(size_bytes)).collect();
        cuts.sort_unstable();
        let mut hasher = ReferenceHasher::new();
        let mut start = 0;
        for end in cuts.into_iter().chain([size_bytes]) {
            hasher.update(&bytes[start..end]);
            start = end;
        }
        let whole = BlobRef { reference: reference_of(&bytes), size_bytes: size_bytes as u64 };
        prop_assert_eq!(hasher.finish(), whole);
    }
}
