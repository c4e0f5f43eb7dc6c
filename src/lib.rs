//! Custodian keeps a clinic's CCTV footage exactly as long as the notice on the wall says, and shows it to nobody
//! without an approved, recorded reason.
//!
//! The map of the house. Each room may use those below it, never those beside or above it (`tests/house.rs` holds this).
#![deny(unsafe_code, missing_debug_implementations)]
#![warn(clippy::unwrap_used, clippy::expect_used, clippy::let_underscore_must_use)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod access;
pub mod app;
pub mod catalog;
pub mod clock;
pub mod cmd;
pub mod config;
pub mod crypto;
pub mod disk;
pub mod domain;
pub mod fragment;
pub mod http;
pub mod ingest;
pub mod ledger;
pub mod retention;
pub mod segment;
pub mod vault;
pub mod worker;
