//! What the worker gives up before it reads a byte from the network. Best effort where the kernel may be too old
//! (Landlock), hard where it cannot be.

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
    Ok(())
}
