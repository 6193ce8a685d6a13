//! The REST contract.
