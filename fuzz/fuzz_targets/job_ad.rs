//! Job ads: the bytes as gossip brings them, and as what a peer with a key of its own may sign.

#![no_main]

use iroh_base::SecretKey;
use libfuzzer_sys::fuzz_target;
use starling_fuzz::{check_error, check_message};
use starling_proto::{JobAd, Message as _};
use starling_types::NodeId;

/// Some moment; ads that are not valid then take another branch.
const NOW_UNIX_MS: u64 = 1_800_000_000_000;

fuzz_target!(|bytes: &[u8]| {
    match JobAd::verify(bytes, NOW_UNIX_MS) {
        Ok(ad) => panic!("bytes that nobody signed are accepted as {ad:?}"),
        Err(error) => check_error(&error),
    }
    check_message::<JobAd>(bytes);
    check_signed(bytes);
});

/// No fuzzer forges a signature: the payload is signed here, in the name of the ad's client.
fn check_signed(payload: &[u8]) {
    let Ok(mut ad) = JobAd::decode(payload) else { return };
    let key = SecretKey::from_bytes(&[7; 32]);
    ad.client.node_id = NodeId(*key.public().as_bytes());
    let signed = ad.sign(&key);
    if let Err(error) = JobAd::verify(&signed, NOW_UNIX_MS) {
        check_error(&error);
    }
    let issued = ad.issued_at_unix_ms;
    assert_eq!(JobAd::verify(&signed, issued), Ok(ad), "a signed ad is not the ad that was signed");
}
