//! One file for every target: the name of the binary says which it is.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let target = ticketing_fuzz::Target::find(env!("CARGO_BIN_NAME"));
    (target.expect("a binary is named after a target").run)(input);
});
