//! `small_files` of `starling-strangers`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| starling_strangers::check("small_files", bytes));
