use std::process::ExitCode;

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("worker") => cctv_custodian::worker::run(),
        _ => ExitCode::FAILURE,
    }
}
