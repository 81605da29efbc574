//! Compiles the witness functions from the published C++, with what we put beside them in `cxx/`.
//!
//! The generated source holds two families in one file: functions that fill a row of data, and functions that accumulate.
//! Only what the first needs is compiled: all that `step_Top` reaches by name. Large functions are spread over several
//! files, so that cores share the work; small ones stand in a header as `inline`, so that they are inlined in all. The
//! namespace is ours, so that nothing meets RISC Zero's own build of the same source in one program.

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, thread};

use starling_source::{Published, headers};

use crate::functions::{Function, ROOT, declared, defined, needed};

/// The crate with the generated C++.
const KERNELS: Published = Published {
    name: "risc0-circuit-rv32im-sys",
    file: None,
    variable: "STARLING_RV32IM_SYS_SOURCE",
};

/// How far the compiler optimises: what costs least in all. CPU seconds with gcc 12 on one core of a Xeon with AVX-512, the
/// witness being the data columns of a segment of 2^16 rows (`cargo bench -p starling-rv32im`), some 2 % of its proof:
///
/// | level | build | witness |
/// |---|---|---|
/// | 1 | 14 | 0.124 |
/// | 2 | 30 | 0.115 |
/// | 3 | 29 | as 2, within the noise |
///
/// So the higher levels pay after two thousand segments. The whole of the published file, which accumulates as well, takes
/// 190 at level 3.
const OPT_LEVEL: u32 = 1;

/// The longest function that is compiled `inline`, in bytes of source: three quarters of the functions, a fifth of the
/// text.
const INLINE_BYTES_MAX: usize = 3000;

/// How many files the others are spread over. The two largest functions are a tenth of the text each, and each file costs
/// half a second for its headers.
const FILES: usize = 4;

/// Names a sanitizer to compile with, `address` for one, for runs by hand.
const SANITIZE: &str = "STARLING_WITNESS_SANITIZE";

/// Writes the files and compiles them to a library that the crate is linked with.
pub fn compile(output: &Path) -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=cxx");
    println!("cargo::rerun-if-env-changed={SANITIZE}");
    let published = KERNELS.find()?.join("kernels/cxx");
    let steps_header = read(&published.join("steps.h"))?;
    let steps = read(&published.join("steps.cpp"))?;
    let declarations = declared(&steps_header)?;
    let functions = needed(defined(&steps, declarations)?)?;

    let header = "#pragma once\n#include \"runtime.h\"\nnamespace starling_rv32im {\n";
    let types = read(&published.join("types.h.inc"))?;
    let layout = read(&published.join("layout.cpp.inc"))?;
    // Their namespace ends as ours does.
    crate::write(&output.join("steps.h"), &format!("{header}{types}{declarations}"))?;

    let (small, large): (Vec<_>, Vec<_>) = functions
        .into_iter()
        .partition(|function| function.text.len() <= INLINE_BYTES_MAX && function.name != ROOT);
    let mut inline = "#pragma once\n#include \"steps.h\"\nnamespace starling_rv32im {\n".to_owned();
    inline.push_str(&layout);
    for function in small {
        write!(inline, "\ninline {}\n", function.text)?;
    }
    inline.push_str("}\n");
    crate::write(&output.join("inline.h"), &inline)?;

    let mut files = vec![PathBuf::from("cxx/witness.cpp")];
    for (index, text) in spread(large).into_iter().enumerate() {
        let file = output.join(format!("rows{index}.cpp"));
        crate::write(&file, &text)?;
        files.push(file);
    }
    compile_files(output, &files)
}

/// Compiles the files side by side.
fn compile_files(output: &Path, files: &[PathBuf]) -> Result<(), Box<dyn Error>> {
    let mut build = cc::Build::new();
    build
        .cpp(true)
        .std("c++17")
        .opt_level(OPT_LEVEL)
        .debug(false)
        .warnings(false)
        // The field's functions, too, are in RISC Zero's own build.
        .define("risc0", "starling_risc0")
        .flag("-fvisibility=hidden")
        .includes([output, Path::new("cxx"), &headers()?]);
    if let Ok(sanitizer) = env::var(SANITIZE) {
        build.flag(format!("-fsanitize={sanitizer}")).flag("-fno-omit-frame-pointer");
        println!("cargo::rustc-link-lib=dylib={}", sanitizer.replace("address", "asan"));
    }

    let jobs = env::var("NUM_JOBS").ok().and_then(|jobs| jobs.parse().ok()).unwrap_or(1_usize);
    let mut objects = Vec::new();
    for files in files.chunks(jobs.max(1)) {
        let compiled: Vec<_> = thread::scope(|scope| {
            let build = &build;
            let running: Vec<_> = files
                .iter()
                .map(|file| {
                    scope.spawn(move || build.clone().file(file).try_compile_intermediates())
                })
                .collect();
            running.into_iter().map(|thread| thread.join()).collect()
        });
        for result in compiled {
            objects.extend(result.map_err(|_| "the compiler's thread panicked")??);
        }
    }
    build.objects(objects).try_compile("starling_rv32im_witness")?;
    Ok(())
}

/// Sets out functions on [`FILES`] files of about equal length, largest first.
fn spread(mut functions: Vec<Function>) -> Vec<String> {
    functions.sort_by_key(|function| std::cmp::Reverse(function.text.len()));
    let mut files = vec!["#include \"inline.h\"\nnamespace starling_rv32im {\n".to_owned(); FILES];
    for function in functions {
        if let Some(file) = files.iter_mut().min_by_key(|file| file.len()) {
            file.push_str(function.text);
            file.push('\n');
        }
    }
    for file in &mut files {
        file.push_str("}\n");
    }
    files
}

fn read(path: &Path) -> Result<String, String> {
    println!("cargo::rerun-if-changed={}", path.display());
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}
