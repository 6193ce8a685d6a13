//! Any bytes as a stream of messages, cut anywhere, with multipart replies among them.
#![no_main]

#[path = "../laws.rs"]
#[allow(dead_code)] // each target has its laws
mod laws;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Some((chunk, stream)) = data.split_first() {
        laws::framing(stream, (*chunk).into());
        laws::reassembly(stream);
    }
});
