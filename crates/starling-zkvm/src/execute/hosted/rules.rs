//! What holds of any bytes that come from RISC Zero's client. Fuzzing and the test of its seeds ask for it.

use std::fmt::Debug;

use prost::Message;

use super::{
    given, povw_of,
    wire::{Hello, IoReply, Request, receive, send},
};

/// Reads `bytes` as each of the messages that a host program's client sends, and what an environment holds as it is used.
///
/// # Panics
/// When a rule is broken: a message that is read is written the same.
pub fn hosted_wire(bytes: &[u8]) {
    check_messages(bytes);
    // No fuzzer keeps the size right that stands before a message.
    let size = u32::try_from(bytes.len()).expect("a fuzzer's input is small");
    check_messages(&[&size.to_le_bytes(), bytes].concat());
}

fn check_messages(bytes: &[u8]) {
    check_message::<Hello>(bytes);
    check_message::<IoReply>(bytes);
    let Some(request) = check_message::<Request>(bytes) else { return };
    let Some(environment) = request.execute.and_then(|execute| execute.env) else { return };
    let known = given(&environment);
    assert!(known.len() <= environment.assumptions.len());
    // Either is fine: it names a job, or is an error.
    let _ = povw_of(&environment.povw_job_id);
}

fn check_message<T: Message + Default + PartialEq + Debug>(mut bytes: &[u8]) -> Option<T> {
    let message: T = receive(&mut bytes).ok()?;
    let mut written = Vec::new();
    send(&mut written, &message).expect("memory takes what was read from it");
    let again: T = receive(&mut written.as_slice()).expect("a written message is read");
    assert_eq!(again, message);
    Some(message)
}
