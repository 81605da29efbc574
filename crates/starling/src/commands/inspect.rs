//! `starling inspect`: what a guest binary or a receipt file holds.

use anyhow::anyhow;
use serde_json::json;
use starling_zkvm::{Guest, receipt};

use crate::{
    args::{Common, InspectArgs},
    exit::{CommandResult, Exit},
    files::{self, GUEST_SIZE_BYTES_MAX},
    output::{Fields, print},
};

/// The bytes that every program binary begins with.
const GUEST_MAGIC: &[u8] = b"R0BF";

/// The bytes that every ELF file begins with: a guest that was not packed with its kernel.
const ELF_MAGIC: &[u8] = b"\x7fELF";

/// Journal bytes that are shown; the rest is counted.
const JOURNAL_SHOWN_BYTES: usize = 1024;

pub fn run(common: &Common, args: &InspectArgs) -> CommandResult {
    let bytes = files::read(&args.file, "file", GUEST_SIZE_BYTES_MAX)?;
    let fields = if bytes.starts_with(GUEST_MAGIC) || bytes.starts_with(ELF_MAGIC) {
        guest(bytes)?
    } else {
        match receipt::read_receipt(&args.file) {
            Ok(receipt) => receipt_fields(&receipt)?,
            Err(error) => {
                return Err(Exit::usage(anyhow!(
                    "{} is neither a guest (it does not begin with R0BF) nor a receipt ({error})",
                    args.file.display()
                )));
            }
        }
    };
    print(common, fields);
    Ok(())
}

fn guest(bytes: Vec<u8>) -> Result<Fields, Exit> {
    let size_bytes = bytes.len();
    let guest = Guest::parse(bytes).map_err(Exit::usage)?;
    Ok(vec![
        ("what", json!("guest")),
        ("image_id", json!(guest.image_id().to_string())),
        ("size_bytes", json!(size_bytes)),
        ("user_elf_bytes", json!(guest.user_elf_bytes())),
        ("kernel_elf_bytes", json!(guest.kernel_elf_bytes())),
        ("entry", json!(format!("{:#010x}", guest.entry()))),
    ])
}

fn receipt_fields(receipt: &starling_zkvm::Receipt) -> Result<Fields, Exit> {
    let info = receipt::receipt_info(receipt)?;
    let shown = &info.journal[..info.journal.len().min(JOURNAL_SHOWN_BYTES)];
    let cut = if shown.len() < info.journal.len() { "..." } else { "" };
    Ok(vec![
        ("what", json!(format!("{} receipt", info.kind))),
        ("image_id", json!(info.image_id.map(|digest| digest.to_string()))),
        ("exit_code", json!(info.exit_code.map(|code| format!("{code:?}")))),
        ("claim_digest", json!(info.claim_digest.to_string())),
        ("post_state", json!(info.post_state.map(|digest| digest.to_string()))),
        ("output_digest", json!(info.output_digest.map(|digest| digest.to_string()))),
        ("segments", json!(info.segment_count)),
        ("seal_bytes", json!(info.seal_bytes)),
        ("journal_bytes", json!(info.journal.len())),
        ("journal", json!(format!("{}{cut}", hex::encode(shown)))),
    ])
}
