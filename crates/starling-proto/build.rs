//! Compiles the protobuf schema without an installed `protoc`.

use std::io;

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=proto");
    let schema = protox::compile(["proto/starling.proto"], ["proto"]).map_err(io::Error::other)?;
    prost_build::Config::new().compile_fds(schema)
}
