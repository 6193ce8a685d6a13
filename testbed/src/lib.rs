//! Test labs.
