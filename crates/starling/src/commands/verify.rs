//! `starling verify`: the stock verifier on a receipt file.

use anyhow::anyhow;
use serde_json::json;
use starling_zkvm::receipt;

use crate::{
    args::{Common, VerifyArgs},
    class::Class,
    exit::{Code, CommandResult, Exit},
    files::{self, Settled},
    image_id,
    output::{journal, print},
};

pub fn run(common: &Common, args: &VerifyArgs) -> CommandResult {
    let image_id = image_id::parse(&args.image_id)?;
    let file = Settled::new(&args.receipt, "receipt")?;
    if files::is_program(file.path(), "receipt")? {
        let text = anyhow!("{} is a program, not a receipt", args.receipt.display());
        return Err(Exit::usage(text).classed(Class::NotAReceipt));
    }
    let receipt = files::read_receipt(file.path(), "not a receipt")?;
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
