//! What a system call sees of the machine, as RISC Zero's own implementation of the calls knows it.

use std::io::Read;

use anyhow::Result;
use risc0_binfmt::ByteAddr;
use risc0_circuit_rv32im::execute::SyscallContext as PublishedContext;

use crate::machine::SyscallContext;

/// The same methods under another trait.
pub(super) struct Context<'a, C>(pub &'a mut C);

impl<C: SyscallContext> PublishedContext for Context<'_, C> {
    fn peek_register(&mut self, index: usize) -> Result<u32> {
        self.0.peek_register(index)
    }

    fn peek_u32(&mut self, address: ByteAddr) -> Result<u32> {
        self.0.peek_u32(address)
    }

    fn peek_u8(&mut self, address: ByteAddr) -> Result<u8> {
        self.0.peek_u8(address)
    }

    fn peek_region(&mut self, address: ByteAddr, size: usize) -> Result<Vec<u8>> {
        self.0.peek_region(address, size)
    }

    fn read_region(&mut self, address: ByteAddr, size: usize) -> Result<impl Read> {
        self.0.read_region(address, size)
    }

    fn peek_page(&mut self, index: u32) -> Result<Vec<u8>> {
        self.0.peek_page(index)
    }

    fn get_cycle(&self) -> u64 {
        self.0.get_cycle()
    }

    fn get_pc(&self) -> u32 {
        self.0.get_pc()
    }
}
