//! `starling verify`: the stock verifier on a receipt file.

use serde_json::json;
use starling_zkvm::{Digest, receipt};

use crate::{
    args::{Common, VerifyArgs},
    exit::{Code, CommandResult, Exit},
    output::print,
};

pub fn run(common: &Common, args: &VerifyArgs) -> CommandResult {
    let image_id = parse_image_id(&args.image_id)?;
    let receipt = receipt::read_receipt(&args.receipt).map_err(Exit::usage)?;
    if let Err(error) = receipt::verify_receipt(&receipt, image_id) {
        let text = format!("{} does not verify: {error}", args.receipt.display());
        return Err(Exit::message(Code::Invalid, text));
    }
    let info = receipt::receipt_info(&receipt)?;
    print(
        common,
        vec![
            ("valid", json!(true)),
            ("kind", json!(info.kind)),
            ("image_id", json!(image_id.to_string())),
            ("claim_digest", json!(info.claim_digest.to_string())),
            ("journal", json!(hex::encode(&info.journal))),
        ],
    );
    Ok(())
}

fn parse_image_id(text: &str) -> Result<Digest, Exit> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let mut bytes = [0; 32];
    hex::decode_to_slice(digits, &mut bytes).map_err(|_| {
        Exit::usage(anyhow::anyhow!(
            "{text:?} is no image id: it is 64 hex digits, as `starling inspect GUEST` prints it"
        ))
    })?;
    Ok(Digest::from(bytes))
}
