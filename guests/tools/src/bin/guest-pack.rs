//! Packs a guest's ELF and RISC Zero's kernel into one program binary ("R0BF"), and prints its image id.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result};
use clap::Parser;
use risc0_binfmt::{ProgramBinary, compute_image_id};
use risc0_zkos_v1compat::V1COMPAT_ELF;

/// Packs a guest's ELF with RISC Zero's kernel into a program binary, and prints its image id.
#[derive(Parser)]
struct Args {
    /// The guest as the linker wrote it.
    user_elf: PathBuf,
    /// Where to write the program binary.
    out: PathBuf,
}

fn main() -> Result<()> {
    let Args { user_elf, out } = Args::parse();
    let elf = fs::read(&user_elf).with_context(|| format!("cannot read {}", user_elf.display()))?;
    let program = ProgramBinary::new(&elf, V1COMPAT_ELF).encode();
    // Also the check that both ELF files are what they are taken for.
    let image_id = compute_image_id(&program)
        .with_context(|| format!("{} is no rv32im guest", user_elf.display()))?;
    fs::write(&out, program).with_context(|| format!("cannot write {}", out.display()))?;
    println!("{image_id}");
    Ok(())
}
