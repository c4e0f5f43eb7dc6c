//! Arguments in, exit status out.

use std::alloc::System;
use std::process::ExitCode;
use zeroizing_alloc::ZeroAlloc;

/// All memory is overwritten when it is freed: keys that libraries expanded, pictures on their way, what persons said.
/// `tests/memory.rs` found them there before.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<System> = ZeroAlloc(System);

fn main() -> ExitCode {
    cctv_custodian::cmd::run()
}
