//! Attachments and pools: a real controller, its REST API over TCP, and embedded switches.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod commands;
mod crowd;
mod lab;
mod owners;
mod picking;
mod references;
mod restart;
