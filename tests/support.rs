//! What the tests and the demo share: cameras, raw disks, players, the daemon as a process, its API from outside.
//!
//! An integration test says `mod support;`, the demo `#[path = "../support.rs"] mod support;`. The paths below are
//! spelt out so that both find the same files.
#![allow(dead_code, reason = "each test uses its own part of this")]

#[path = "support/api.rs"]
pub mod api;
#[path = "support/cached_disk.rs"]
pub mod cached_disk;
#[path = "support/choir.rs"]
pub mod choir;
#[path = "support/commands.rs"]
pub mod commands;
#[path = "support/daemon.rs"]
pub mod daemon;
#[path = "support/in_process.rs"]
pub mod in_process;
#[path = "support/liar.rs"]
pub mod liar;
#[path = "support/peers.rs"]
pub mod peers;
#[path = "support/probe.rs"]
pub mod probe;
#[path = "support/raw_disk.rs"]
pub mod raw_disk;
#[path = "support/raw_http.rs"]
pub mod raw_http;
#[path = "support/raw_search.rs"]
pub mod raw_search;
#[path = "support/read_back.rs"]
pub mod read_back;
#[path = "support/rogues.rs"]
pub mod rogues;
#[path = "support/scene.rs"]
pub mod scene;
#[path = "support/site.rs"]
pub mod site;
#[path = "support/spans.rs"]
pub mod spans;
#[path = "support/stored.rs"]
pub mod stored;
#[path = "support/wire.rs"]
pub mod wire;
