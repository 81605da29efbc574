//! ERC-20 transfers on `revm`, over a pre-state that the input brings along, as a stateless executor
//! of Ethereum blocks gets it: nothing is deployed, so a proof of a single transfer stays small.
//!
//! Input, numbers of counts and sizes as little-endian `u32`, EVM words big-endian:
//! - the contract's address (20 bytes); the size of its code, then the code; the number of its
//!   storage slots, then each as key and value (32 + 32 bytes), keys ascending;
//! - the number of transfers, then each as sender, recipient (20 + 20 bytes) and amount (32 bytes).
//!
//! Journal (76 bytes): the number of transfers (`u32`) and the gas they used (`u64`), little-endian; the
//! SHA-256 of the input; the SHA-256 of the resulting storage, written as the input has it.
//!
//! A transfer that reverts fails the guest, and so does one that its sender cannot afford.

#![no_main]

use std::{collections::BTreeMap, io::Read};

use input_reader::InputReader;
use revm::{
    Context, ExecuteEvm, MainContext,
    context::{ContextTr, Evm, TxEnv, result::ExecutionResult},
    handler::{EthFrame, instructions::EthInstructions},
    primitives::{Address, TxKind, U256, hex},
};
use risc0_zkvm::{
    guest::env,
    sha::{Impl, Sha256},
};

mod no_precompiles;
mod pre_state;

use no_precompiles::NoPrecompiles;
use pre_state::PreState;

risc0_zkvm::guest::entry!(main);

/// Sender, recipient and amount.
const TRANSFER_SIZE_BYTES: usize = 20 + 20 + 32;

/// The selector of `transfer(address,uint256)`.
const TRANSFER_SELECTOR: [u8; 4] = [0xa9, 0x05, 0x9c, 0xbb];

/// Several times what a token's transfer needs, and below every cap of the protocol.
const GAS_LIMIT: u64 = 1_000_000;

fn main() {
    let mut bytes = Vec::new();
    env::stdin().read_to_end(&mut bytes).expect("the host serves standard input");
    let mut input = InputReader::new(&bytes);
    let pre_state = PreState::read(&mut input);
    let transfer_count = input.count(TRANSFER_SIZE_BYTES, "transfers");

    let token = pre_state.address();
    let context = Context::mainnet().with_db(pre_state).modify_cfg_chained(|cfg| {
        // The input lists transfers, not signed transactions, so there are no nonces to compare.
        cfg.disable_nonce_check = true;
        cfg.tx_chain_id_check = false;
    });
    // Not `build_mainnet`, which links every precompile before another provider replaces them.
    let instructions = EthInstructions::new_mainnet_with_spec(context.cfg.spec);
    let mut evm: Evm<_, _, _, _, EthFrame> =
        Evm::new(context, instructions, NoPrecompiles::default());

    let mut gas_used = 0;
    for index in 0..transfer_count {
        let sender = Address::new(*input.array("sender"));
        let recipient = *input.array("recipient");
        let amount = *input.array("amount");
        let call = TxEnv {
            caller: sender,
            kind: TxKind::Call(token),
            data: transfer_call(recipient, amount).into(),
            gas_limit: GAS_LIMIT,
            chain_id: None,
            ..TxEnv::default()
        };
        match evm.transact_one(call) {
            Ok(ExecutionResult::Success { gas, .. }) => gas_used += gas.tx_gas_used(),
            Ok(ExecutionResult::Revert { output, .. }) => {
                panic!("transfer {index} reverted: 0x{}", hex::encode(output))
            }
            Ok(ExecutionResult::Halt { reason, .. }) => {
                panic!("transfer {index} halted: {reason:?}")
            }
            Err(error) => panic!("transfer {index} cannot be executed: {error}"),
        }
    }
    input.finish();

    let changed = evm.finalize();
    let mut storage: BTreeMap<U256, U256> = evm.ctx.db().slots().iter().copied().collect();
    if let Some(account) = changed.get(&token) {
        storage.extend(account.storage.iter().map(|(&key, slot)| (key, slot.present_value)));
    }

    env::commit_slice(&(transfer_count as u32).to_le_bytes());
    env::commit_slice(&u64::to_le_bytes(gas_used));
    env::commit_slice(Impl::hash_bytes(&bytes).as_bytes());
    env::commit_slice(Impl::hash_bytes(&encode_storage(&storage)).as_bytes());
}

/// The call data of `transfer(recipient, amount)`.
fn transfer_call(recipient: [u8; 20], amount: [u8; 32]) -> Vec<u8> {
    let mut data = Vec::with_capacity(4 + 32 + 32);
    data.extend(TRANSFER_SELECTOR);
    data.extend([0; 12]);
    data.extend(recipient);
    data.extend(amount);
    data
}

/// Number of slots, then keys and values, as in the input. A slot that became zero is no longer there.
fn encode_storage(storage: &BTreeMap<U256, U256>) -> Vec<u8> {
    let kept = || storage.iter().filter(|(_, value)| !value.is_zero());
    let mut bytes = Vec::with_capacity(4 + 64 * storage.len());
    bytes.extend((kept().count() as u32).to_le_bytes());
    for (key, value) in kept() {
        bytes.extend(key.to_be_bytes::<32>());
        bytes.extend(value.to_be_bytes::<32>());
    }
    bytes
}
