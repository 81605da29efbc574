//! An EVM without precompiles, since a token calls none: linking them makes more than three times
//! the code.
//!
//! A call to one ends the guest with an error, so that leaving them out never changes a result.

use revm::{
    context_interface::{Cfg, ContextTr},
    handler::PrecompileProvider,
    interpreter::{CallInputs, InterpreterResult},
    primitives::{Address, AddressSet},
};

/// The highest precompile address below 256 (EIP-2537's), in Osaka.
const LAST_LOW_ADDRESS: u8 = 0x11;

/// The address of P256VERIFY (EIP-7951), in Osaka.
const P256_VERIFY: [u8; 2] = [0x01, 0x00];

/// Refuses what it should run.
#[derive(Default)]
pub struct NoPrecompiles {
    none_warm: AddressSet,
}

impl<CTX: ContextTr> PrecompileProvider<CTX> for NoPrecompiles {
    type Output = InterpreterResult;

    fn set_spec(&mut self, _spec: <CTX::Cfg as Cfg>::Spec) -> bool {
        false
    }

    fn run(
        &mut self,
        _context: &mut CTX,
        inputs: &CallInputs,
    ) -> Result<Option<InterpreterResult>, String> {
        let address = inputs.bytecode_address;
        if is_precompile(&address) {
            return Err(format!("the contract calls precompile {address}, which this guest lacks"));
        }
        Ok(None)
    }

    fn warm_addresses(&self) -> &AddressSet {
        &self.none_warm
    }
}

fn is_precompile(address: &Address) -> bool {
    let (high, low) = address.split_at(18);
    high.iter().all(|&byte| byte == 0)
        && (low == P256_VERIFY || (low[0] == 0 && (1..=LAST_LOW_ADDRESS).contains(&low[1])))
}
