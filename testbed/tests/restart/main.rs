//! The real controller is killed and started again, over embedded switches.

// All of this is test code, its helpers too.
#![allow(clippy::expect_used, clippy::unwrap_used)]

mod backups;
mod disks;
mod ends;
mod returning;
mod ring;
