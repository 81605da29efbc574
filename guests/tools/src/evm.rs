//! Inputs of the `evm-transfer` guest: a token, its holders' balances, and transfers among them.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use sha3::{Digest, Keccak256};

use crate::{count_bytes, derived};

/// The token's runtime bytecode; its source and how it was compiled lie beside it.
const TOKEN_HEX: &str = include_str!("../../evm-transfer/contract/token.hex");

/// Where OpenZeppelin's `ERC20` keeps `_balances`.
const BALANCES_SLOT: u8 = 0;

/// Where OpenZeppelin's `ERC20` keeps `_totalSupply`.
const TOTAL_SUPPLY_SLOT: u8 = 2;

/// What each sender holds at first. Nobody sends as often as it would take to run out.
const BALANCE: u128 = 1_000_000_000_000;

/// One recipient in this many is new to the token, since writing a first balance is another path
/// (and another price) than adding to one.
const NEW_RECIPIENT_EVERY: u32 = 4;

type Address = [u8; 20];

/// The input for `transfers` transfers of the token among made-up accounts.
///
/// There are half as many holders as transfers, and at least one; the holders take turns in sending.
pub fn input(transfers: u32) -> Result<Vec<u8>> {
    let code = token_code()?;
    let holders = (transfers / 2).max(1);

    let mut storage = BTreeMap::new();
    for holder in 0..holders {
        storage.insert(balance_key(&account(holder)), word(BALANCE));
    }
    storage.insert(word(TOTAL_SUPPLY_SLOT.into()), word(BALANCE * u128::from(holders)));

    let mut input = Vec::new();
    input.extend(address("token", 0));
    input.extend(count_bytes(code.len()));
    input.extend(code);
    input.extend(count_bytes(storage.len()));
    for (key, value) in storage {
        input.extend(key);
        input.extend(value);
    }
    input.extend(transfers.to_le_bytes());
    for index in 0..transfers {
        let recipient = if index % NEW_RECIPIENT_EVERY == 0 {
            address("newcomer", index)
        } else {
            account((index + 1) % holders)
        };
        input.extend(account(index % holders));
        input.extend(recipient);
        input.extend(word(u128::from(index) + 1));
    }
    Ok(input)
}

fn token_code() -> Result<Vec<u8>> {
    hex::decode(TOKEN_HEX.trim())
        .context("the token's bytecode in evm-transfer/contract/token.hex is not hexadecimal")
}

fn account(index: u32) -> Address {
    address("holder", index)
}

fn address(label: &str, index: u32) -> Address {
    let mut address = [0; 20];
    address.copy_from_slice(&derived(label, index)[12..]);
    address
}

/// Solidity's place of `_balances[holder]`: keccak256(key ‖ slot), each a word.
fn balance_key(holder: &Address) -> [u8; 32] {
    Keccak256::new()
        .chain_update([0; 12])
        .chain_update(holder)
        .chain_update(word(BALANCES_SLOT.into()))
        .finalize()
        .into()
}

fn word(number: u128) -> [u8; 32] {
    let mut word = [0; 32];
    word[16..].copy_from_slice(&number.to_be_bytes());
    word
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_size_follows_from_the_counts() {
        let code = token_code().unwrap().len();
        let size = |holders: usize, transfers: usize| {
            20 + 4 + code + 4 + 64 * (holders + 1) + 4 + 72 * transfers
        };
        assert_eq!(input(1).unwrap().len(), size(1, 1));
        assert_eq!(input(10).unwrap().len(), size(5, 10));
    }

    #[test]
    fn an_input_is_the_same_every_time() {
        assert_eq!(input(7).unwrap(), input(7).unwrap());
    }
}
