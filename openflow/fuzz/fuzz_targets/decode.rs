//! Any bytes as one message.
#![no_main]

#[path = "../laws.rs"]
#[allow(dead_code)] // each target has its laws
mod laws;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    laws::decoding(data);
    laws::decoding(&laws::framed(data));
});
