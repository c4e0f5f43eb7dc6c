//! Arguments in, exit status out.

use std::process::ExitCode;

fn main() -> ExitCode {
    cctv_custodian::cmd::run()
}
