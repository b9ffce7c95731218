#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| octopoid_fuzz::import(data));
