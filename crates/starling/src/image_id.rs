//! Image ids as people have them: in hex, as the eight words of a `methods.rs`, or by the guest itself.

use std::path::Path;

use anyhow::anyhow;
use starling_zkvm::Digest;

use crate::{exit::Exit, files};

/// The digits of an image id.
const DIGITS: usize = 64;

/// The words of an image id.
const WORDS: usize = 8;

/// The image id that `text` is, or that the guest in the file of that name has.
///
/// # Errors
/// With exit code 2, and with what is wrong.
pub fn parse(text: &str) -> Result<Digest, Exit> {
    let trimmed = text.trim();
    let wrong = match of_text(trimmed) {
        Ok(digest) => return Ok(digest),
        Err(wrong) => wrong,
    };
    if Path::new(text).is_file() {
        return Ok(files::read_guest_aloud(Path::new(text))?.image_id());
    }
    Err(Exit::usage(anyhow!(
        "{text:?} is not an image id: {wrong}; it is {DIGITS} hex digits, as `starling inspect GUEST` prints it, {WORDS} \
         numbers, as `methods.rs` has them, or a guest's file"
    )))
}

fn of_text(text: &str) -> Result<Digest, String> {
    if text.contains([',', '[', ' ']) {
        return of_words(text);
    }
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
    if let Some(other) = digits.chars().find(|char| !char.is_ascii_hexdigit()) {
        return Err(format!("{other:?} is not a hex digit"));
    }
    let mut bytes = [0; DIGITS / 2];
    hex::decode_to_slice(digits, &mut bytes)
        .map(|()| Digest::from(bytes))
        .map_err(|_| format!("it has {} hex digits", digits.len()))
}

/// `[1, 2, ...]`, or a whole line of Rust that ends so: words whose bytes are little-endian.
fn of_words(text: &str) -> Result<Digest, String> {
    // A type may stand in front: `pub const GUEST_ID: [u32; 8] = [...];`.
    let listed = text.rsplit_once('[').map_or(text, |(_, listed)| listed);
    let listed = listed.trim_end_matches(';').trim_end().trim_end_matches(']');
    let numbers = listed.split([',', ' ']).filter(|number| !number.is_empty());
    let words = numbers.map(word).collect::<Result<Vec<u32>, String>>()?;
    <[u32; WORDS]>::try_from(words)
        .map(Digest::from)
        .map_err(|words| format!("it has {} numbers", words.len()))
}

fn word(text: &str) -> Result<u32, String> {
    let plain = text.replace('_', "");
    let plain = plain.strip_suffix("u32").unwrap_or(&plain);
    let parsed = match plain.strip_prefix("0x").or_else(|| plain.strip_prefix("0X")) {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => plain.parse(),
    };
    parsed.map_err(|error| format!("{text:?} is not a 32-bit number ({error})"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const ID: &str = "1a02b22d0ce3341e19a27ddf0da51cd8ac81903e0776e6ce3c440a0b7a6c018b";

    fn error(text: &str) -> String {
        of_text(text).unwrap_err()
    }

    #[test]
    fn an_image_id_may_be_hex_of_any_case_with_or_without_its_prefix() {
        let expected = Digest::from(<[u8; 32]>::try_from(hex::decode(ID).unwrap()).unwrap());
        let upper = ID.to_uppercase();
        for text in [ID.into(), format!("0x{ID}"), format!("0X{upper}"), format!(" {upper}\n")] {
            assert_eq!(parse(&text).unwrap(), expected, "{text:?}");
        }
    }

    #[test]
    fn an_image_id_may_be_its_words_as_rust_writes_them() {
        let digest = parse(ID).unwrap();
        let words = format!("{:?}", digest.as_words());
        let plain = words.trim_matches(['[', ']']).replace(',', "");
        let hex: Vec<_> =
            digest.as_words().iter().map(|word| format!("{word:#010x}_u32")).collect();
        let line = format!("pub const CHAIN_ID: [u32; 8] = {words};");
        for text in [words, plain, format!("[{},]", hex.join(", ")), line] {
            assert_eq!(parse(&text).unwrap(), digest, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_with_an_image_id_is_said() {
        assert_eq!(error(&ID[1..]), "it has 63 hex digits");
        assert_eq!(error(""), "it has 0 hex digits");
        assert_eq!(error(&ID.replace('a', "g")), "'g' is not a hex digit");
        assert_eq!(error("[1, 2, 3]"), "it has 3 numbers");
        assert!(
            error("[1, 2, 3, 4, 5, 6, 7, 4294967296]").contains("\"4294967296\" is not a 32-bit")
        );
    }
}
