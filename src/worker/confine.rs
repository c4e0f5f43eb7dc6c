//! What the worker gives up before it reads a byte from the network. Best effort where the kernel may be too old
//! (Landlock), hard where it cannot be.

use super::filter;
use landlock::{
    ABI, Access, AccessFs, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, Scope, path_beneath_rules,
};
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// Newer rights than the kernel knows are left out.
const NEWEST: ABI = ABI::V6;

/// Where name resolution and TLS read.
const READ: [&str; 14] = [
    "/etc/resolv.conf",
    "/run/systemd/resolve",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/nsswitch.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/etc/protocols",
    "/etc/ssl",
    "/etc/gnutls",
    "/usr/share/ca-certificates",
    // Modules of name resolution are loaded when first needed.
    "/lib",
    "/usr/lib",
    "/dev/urandom",
];

/// Heap and other private memory: 4K video has some 200 MB of reference pictures while libav looks for parameters.
const MOST_MEMORY_BYTES: u64 = 512 << 20;
const MOST_FILES: u64 = 64;

#[derive(Debug, thiserror::Error)]
pub(super) enum ConfineError {
    #[error("the kernel did not take the limit on {what}: {source}")]
    Limit { what: &'static str, source: rustix::io::Errno },
    #[error("the kernel did not take away the right to gain rights: {0}")]
    Privileges(rustix::io::Errno),
    #[error("Landlock: {0}")]
    Landlock(#[from] RulesetError),
    #[error("the kernel did not take the filter of system calls: {0}")]
    Filter(#[from] seccompiler::Error),
}

/// Binds the whole process if it has one thread only.
pub(super) fn confine() -> Result<(), ConfineError> {
    let limits = [
        (Resource::Core, 0, "core dumps"),
        // Pipes and sockets are no files.
        (Resource::Fsize, 0, "file size"),
        // No threads either; nothing here starts one. Root is exempt.
        (Resource::Nproc, 0, "processes"),
        (Resource::Nofile, MOST_FILES, "open files"),
        (Resource::Data, MOST_MEMORY_BYTES, "memory"),
    ];
    for (resource, most, what) in limits {
        let limit = Rlimit { current: Some(most), maximum: Some(most) };
        setrlimit(resource, limit).map_err(|source| ConfineError::Limit { what, source })?;
    }
    rustix::thread::set_no_new_privs(true).map_err(ConfineError::Privileges)?;
    // Nobody of the same account looks into its memory, where the camera's password is.
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(ConfineError::Privileges)?;
    let status = Ruleset::default()
        .handle_access(AccessFs::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?
        .create()?
        .add_rules(path_beneath_rules(READ, AccessFs::ReadFile | AccessFs::ReadDir))?
        .restrict_self()?;
    if status.ruleset != landlock::RulesetStatus::FullyEnforced {
        eprintln!("Landlock: {:?}", status.ruleset);
    }
    // Last: it takes away the calls that the rest was done with.
    Ok(filter::apply()?)
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream, ToSocketAddrs};
    use std::process::Command;

    fn socket(family: rustix::net::AddressFamily) -> rustix::io::Result<std::os::fd::OwnedFd> {
        rustix::net::socket(family, rustix::net::SocketType::RAW, None)
    }

    /// Names the directory to try in; set for the process that confines itself.
    const TRY_IN: &str = "CUSTODIAN_TEST_TRY_CONFINED";

    /// Runs in a process of its own, started below: nothing of it could be undone.
    #[test]
    fn tries_what_it_may_not() {
        let Ok(dir) = std::env::var(TRY_IN) else { return };
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let parent = rustix::process::getppid().unwrap();
        super::confine().unwrap();
        let tried = [
            ("reads a password", std::fs::read("/etc/passwd").is_ok()),
            ("reads footage", std::fs::read(format!("{dir}/footage")).is_ok()),
            ("lists a directory", std::fs::read_dir(&dir).is_ok()),
            ("writes a file", std::fs::write(format!("{dir}/new"), b"x").is_ok()),
            ("removes a file", std::fs::remove_file(format!("{dir}/footage")).is_ok()),
            ("starts a program", Command::new("/bin/true").status().is_ok()),
            ("takes a gigabyte", Vec::<u8>::new().try_reserve_exact(1 << 30).is_ok()),
            ("looks into its parent", rustix::process::test_kill_process(parent).is_ok()),
            ("listens", TcpListener::bind(("127.0.0.1", 0)).is_ok()),
            ("sees every packet", socket(rustix::net::AddressFamily::PACKET).is_ok()),
            ("lets itself be looked into", super::set_dumpable_behavior(super::DumpableBehavior::Dumpable).is_ok()),
            (
                "raises a limit",
                super::setrlimit(super::Resource::Core, super::Rlimit { current: Some(1), maximum: Some(1) }).is_ok()
                    && !rustix::process::getuid().is_root(),
            ),
        ];
        for (what, done) in tried {
            println!("{what}: {done}");
        }
        println!("connects: {}", TcpStream::connect(listener.local_addr().unwrap()).is_ok());
        println!("resolves names: {}", ("localhost", 80).to_socket_addrs().is_ok());
    }

    #[test]
    fn only_the_network_is_left() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("footage"), b"sealed").unwrap();
        let mut tries = Command::new(std::env::current_exe().unwrap());
        tries.args(["--exact", "worker::confine::tests::tries_what_it_may_not", "--nocapture"]);
        let output = tries.env(TRY_IN, dir.path()).output().unwrap();
        let told = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
        let done: Vec<&str> = told.lines().filter_map(|line| line.strip_suffix(": true")).collect();
        let refused = told.lines().filter(|line| line.ends_with(": false")).count();
        assert_eq!(done, ["connects", "resolves names"], "{told}");
        assert_eq!(refused, 12, "{told}");
        assert!(dir.path().join("footage").exists());
    }
}
