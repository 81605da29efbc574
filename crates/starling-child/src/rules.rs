//! What holds of any bytes in the pipes between a supervisor and its prover child. Fuzzing and the test of its seeds ask for it.
//!
//! A child that a stranger has taken over says what it likes to its parent, so that direction matters most.

use std::{
    fmt::Debug,
    pin::pin,
    task::{Context, Poll, Waker},
};

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    host::read_request,
    process::{read, read_result},
    protocol::{Answer, Configure, DONE_PERMILLE, Heard, RESULT_BYTES_MAX, Ready, read_line},
};

/// The request that the parent waits for.
const REQUEST_ID: u64 = 7;

/// Reads `bytes` as a child does: how it is configured, then tasks with their inputs.
///
/// # Panics
/// When a rule is broken: a line that is read is written the same, and an input is as long as it was announced.
pub fn said_by_parent(bytes: &[u8]) {
    let mut stream = bytes;
    if let Ok(Some(line)) = read_line(&mut stream)
        && let Ok(configure) = serde_json::from_str::<Configure>(&line)
    {
        check_written(&configure);
        read_requests(stream);
    }
    read_requests(bytes);
}

fn read_requests(mut stream: &[u8]) {
    while let Ok(Some((request, inputs))) = read_request(&mut stream, |_| Ok(())) {
        check_written(&request);
        let announced = request.inputs.iter().map(|input| input.size_bytes);
        assert!(announced.eq(inputs.iter().map(|input| input.len() as u64)), "{request:?}");
    }
}

/// Reads `bytes` as a parent does that waits for the answer to one request: that the child is ready, then how far it is, then
/// its answer with the result.
///
/// # Panics
/// When a rule is broken: a line that is read is written the same, a task gets on with each word of it, and a result is as long
/// as it was announced and no longer than any.
pub fn said_by_child(bytes: &[u8]) {
    let mut stream = bytes;
    if let Ok(ready) = at_once(read::<Ready>(&mut stream)) {
        check_written(&ready);
        read_answers(stream);
    }
    read_answers(bytes);
}

fn read_answers(mut stream: &[u8]) {
    let mut done_permille = 0;
    while let Ok(answer) = at_once(read::<Answer>(&mut stream)) {
        check_written(&answer);
        match answer.heard(REQUEST_ID, done_permille) {
            Some(Heard::Progress(permille)) => {
                assert!(permille > done_permille && permille <= DONE_PERMILLE, "{permille}");
                done_permille = permille;
            }
            Some(Heard::End) => {
                assert!(answer.result_bytes <= RESULT_BYTES_MAX, "{answer:?}");
                if let Ok(result) = at_once(read_result(&mut stream, answer.result_bytes)) {
                    assert_eq!(result.len() as u64, answer.result_bytes);
                }
                return;
            }
            None => return,
        }
    }
}

/// What is read must be written so that it is read the same.
fn check_written<T: Serialize + DeserializeOwned + PartialEq + Debug>(message: &T) {
    let line = serde_json::to_string(message).expect("messages have string keys only");
    assert!(!line.contains('\n'), "a message takes more than a line: {line}");
    let again: T = serde_json::from_str(&line).expect("a written message is read");
    assert_eq!(again, *message);
}

/// What a future comes to that has nothing to wait for.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => unreachable!("bytes in memory keep nobody waiting"),
    }
}
