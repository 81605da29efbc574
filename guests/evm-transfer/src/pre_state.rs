//! The world before the first transfer: one contract, its code and storage as the input gives them.
//!
//! Like a stateless executor it holds what the transactions touch and nothing else. An account it was
//! not given is an empty one; a slot it was not given is zero.

use std::convert::Infallible;

use input_reader::InputReader;
use revm::{
    Database,
    bytecode::Bytecode,
    primitives::{Address, B256, Bytes, U256},
    state::AccountInfo,
};

/// A storage key and its value, 32 bytes each.
const SLOT_SIZE_BYTES: usize = 64;

/// The contract's account, and nobody else's.
pub struct PreState {
    address: Address,
    info: AccountInfo,
    /// Sorted by key, so that a look-up needs no hashing.
    slots: Vec<(U256, U256)>,
}

impl PreState {
    /// Reads the contract's address, code and storage.
    ///
    /// # Panics
    /// When the input is too short, the code is no legacy bytecode, or keys are not in ascending order.
    pub fn read(input: &mut InputReader) -> Self {
        let address = Address::new(*input.array("contract address"));
        let code_size_bytes = input.count(1, "bytes of code");
        let code = input.bytes(code_size_bytes, "code");
        let code = Bytecode::new_legacy(Bytes::copy_from_slice(code));
        let info = AccountInfo::from_bytecode(code);

        let slot_count = input.count(SLOT_SIZE_BYTES, "storage slots");
        let mut slots: Vec<(U256, U256)> = Vec::with_capacity(slot_count);
        for index in 0..slot_count {
            let key = U256::from_be_bytes(*input.array::<32>("slot key"));
            let value = U256::from_be_bytes(*input.array::<32>("slot value"));
            if slots.last().is_some_and(|&(last, _)| last >= key) {
                panic!("slot {index} is out of order: keys must ascend");
            }
            slots.push((key, value));
        }
        Self { address, info, slots }
    }

    /// The contract's address.
    pub fn address(&self) -> Address {
        self.address
    }

    /// The slots given, in ascending order of their keys.
    pub fn slots(&self) -> &[(U256, U256)] {
        &self.slots
    }
}

impl Database for PreState {
    type Error = Infallible;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, Infallible> {
        Ok((address == self.address).then(|| self.info.clone()))
    }

    fn code_by_hash(&mut self, code_hash: B256) -> Result<Bytecode, Infallible> {
        unreachable!("`basic` returns accounts with their code, yet {code_hash} was asked for")
    }

    fn storage(&mut self, address: Address, key: U256) -> Result<U256, Infallible> {
        if address != self.address {
            return Ok(U256::ZERO);
        }
        let found = self.slots.binary_search_by_key(&key, |&(key, _)| key);
        Ok(found.map_or(U256::ZERO, |index| self.slots[index].1))
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, Infallible> {
        panic!("block {number}'s hash was asked for: the input holds no block hashes")
    }
}
