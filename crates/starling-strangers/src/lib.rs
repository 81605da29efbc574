//! Bytes from strangers and from files: every decoder of them, and the rule that it is held to. Whatever the bytes are, they are
//! decoded or refused, without a panic; what decodes survives another round trip; errors print without control characters.
//!
//! A [`Target`] is one decoder, or a few that read the same bytes. `fuzz/` runs each under libFuzzer, and `tests.rs` runs
//! each over its seeds, which are in `fuzz/seeds`. A rule that is broken panics: that is how a target tells either of them.
//!
//! What a crate keeps to itself it checks in a module `rules` of its own, which is called here.

mod blobs;
mod files;
mod forged;
mod lines;
#[cfg(test)]
mod tests;
mod verdicts;
mod wire;

use std::fmt::{Debug, Display};

use starling_proto::Message;

/// A decoder and its rule.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// What it is called: in `fuzz/fuzz_targets`, and in `fuzz/seeds`.
    pub name: &'static str,
    /// Decodes any bytes. It panics when the rule is broken.
    pub check: fn(&[u8]),
}

/// Every decoder.
pub const TARGETS: [Target; 16] = [
    Target { name: "blob_messages", check: wire::blob_messages },
    Target { name: "child_lines", check: lines::child_lines },
    Target { name: "client_message", check: wire::client_message },
    Target { name: "control_lines", check: lines::control_lines },
    Target { name: "guest_binary", check: files::guest_binary },
    Target { name: "hosted_wire", check: lines::hosted_wire },
    Target { name: "job_ad", check: wire::job_ad },
    Target { name: "job_log", check: files::job_log },
    Target { name: "node_message", check: wire::node_message },
    Target { name: "receipt_blob", check: blobs::receipt_blob },
    Target { name: "receipt_file", check: files::receipt_file },
    Target { name: "segment_blob", check: blobs::segment_blob },
    Target { name: "small_files", check: files::small_files },
    Target { name: "ticket", check: wire::ticket },
    Target { name: "verify_task", check: verdicts::verify_task },
    Target { name: "zstd_frame", check: blobs::zstd_frame },
];

/// Checks `bytes` by the rule of the target that is called `name`.
///
/// # Panics
/// When the rule is broken, or there is no such target.
pub fn check(name: &str, bytes: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    (target.expect("a target has the name of its program").check)(bytes);
}

/// Decodes `bytes` as `M`; what decodes must survive another round trip within the size limit.
fn check_message<M: Message + Debug + PartialEq>(bytes: &[u8]) {
    let message = match M::decode(bytes) {
        Ok(message) => message,
        Err(error) => return check_error(&error),
    };
    let encoded = message.encode();
    assert!(
        encoded.len() <= M::SIZE_BYTES_MAX,
        "a decoded message encodes to more bytes than a peer accepts: {message:?}"
    );
    assert_eq!(M::decode(&encoded), Ok(message), "a decoded message does not encode to itself");
}

/// Checks that an error can be shown, and that a stranger's words in it cannot drive a terminal.
fn check_error(error: &impl Display) {
    let text = error.to_string();
    assert!(!text.contains(char::is_control), "an error shows control characters: {text:?}");
}
