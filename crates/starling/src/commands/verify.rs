//! `starling verify`: the stock verifier on a receipt file.

use anyhow::anyhow;
use serde_json::json;
use starling_zkvm::{Digest, receipt};

use crate::{
    args::{Common, VerifyArgs},
    exit::{Code, CommandResult, Exit},
    files,
    output::{journal, print},
};

pub fn run(common: &Common, args: &VerifyArgs) -> CommandResult {
    let image_id = parse_image_id(&args.image_id)?;
    if files::is_program(&args.receipt, "receipt")? {
        return Err(Exit::usage(anyhow!("{} is a program, not a receipt", args.receipt.display())));
    }
    let receipt = files::read_receipt(&args.receipt, "no receipt")?;
    if let Err(error) = receipt::verify_receipt(&receipt, image_id) {
        let text = format!("{} does not verify: {error}", args.receipt.display());
        return Err(Exit::message(Code::Invalid, text));
    }
    let info = receipt::receipt_info(&receipt)?;
    let mut fields = vec![
        ("valid", json!(true)),
        ("kind", json!(info.kind)),
        ("image_id", json!(image_id.to_string())),
        ("claim_digest", json!(info.claim_digest.to_string())),
    ];
    fields.extend(journal(info.journal));
    print(common, fields)
}

fn parse_image_id(text: &str) -> Result<Digest, Exit> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let mut bytes = [0; 32];
    hex::decode_to_slice(digits, &mut bytes).map_err(|_| {
        Exit::usage(anyhow!(
            "{text:?} is no image id: it is 64 hex digits, as `starling inspect GUEST` prints it"
        ))
    })?;
    Ok(Digest::from(bytes))
}
