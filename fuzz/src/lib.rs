//! What the fuzz targets share: the rules that bytes from strangers are held to.
//!
//! A rule that is broken panics, which is how a target tells libFuzzer. The targets themselves only say
//! which decoder their bytes go to.

use std::fmt::{Debug, Display};

use starling_proto::Message;

#[cfg(feature = "zkvm")]
pub mod zkvm;

/// Decodes `bytes` as `M`; what decodes must survive another round trip within the size limit.
pub fn check_message<M: Message + Debug + PartialEq>(bytes: &[u8]) {
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
pub fn check_error(error: &impl Display) {
    let text = error.to_string();
    assert!(!text.contains(char::is_control), "an error shows control characters: {text:?}");
}
