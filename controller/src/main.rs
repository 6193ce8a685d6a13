//! `isolane`.
fn main() {}
