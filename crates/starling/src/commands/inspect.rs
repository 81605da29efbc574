//! `starling inspect`: what a guest binary or a receipt file holds.

use serde_json::json;
use starling_zkvm::{Guest, receipt};

use crate::{
    args::{Common, InspectArgs},
    exit::{CommandResult, Exit},
    files::{self, Settled},
    output::{Fields, print},
};

/// Journal bytes that are shown; the rest is counted.
const JOURNAL_SHOWN_BYTES: usize = 1024;

pub fn run(common: &Common, args: &InspectArgs) -> CommandResult {
    let file = Settled::new(&args.file, "file")?;
    let fields = if files::is_program(file.path(), "file")? {
        guest_fields(&files::read_guest_aloud(file.path())?)
    } else {
        receipt_fields(&files::read_receipt(file.path(), "neither a guest nor a receipt")?)?
    };
    print(common, fields)
}

fn guest_fields(guest: &Guest) -> Fields {
    vec![
        ("what", json!("guest")),
        ("image_id", json!(guest.image_id().to_string())),
        ("image_id_words", json!(guest.image_id().as_words())),
        ("size_bytes", json!(guest.bytes().len())),
        ("user_elf_bytes", json!(guest.user_elf_bytes())),
        ("kernel_elf_bytes", json!(guest.kernel_elf_bytes())),
        ("kernel", json!(guest.kernel().to_string())),
        ("entry", json!(format!("{:#010x}", guest.entry()))),
    ]
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
        ("onchain_seal", json!(info.onchain_seal.map(|seal| format!("0x{}", hex::encode(seal))))),
        ("journal_bytes", json!(info.journal.len())),
        ("journal", json!(format!("{}{cut}", hex::encode(shown)))),
    ])
}
