//! What a worker gives up before it reads a byte, in layers that hold on their own.
//!
//! | layer | what is refused |
//! |---|---|
//! | `rlimit` | memory over 1.5 GiB, open files, writing to disk, child processes, core dumps |
//! | `no_new_privs` | gaining rights by starting a program |
//! | `landlock` | every path, every TCP connection (where the kernel's ABI knows it) |
//! | `seccomp` | every system call that computing and answering do not need |
//!
//! A kernel may lack the last two. The worker then goes on with the others, says so when asked, and
//! the server and `manara doctor` pass it on.

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, LandlockStatus, RestrictionStatus,
    Ruleset, RulesetAttr, RulesetError, RulesetStatus, Scope,
};
use rlimit::Resource;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, apply_filter,
};
use std::collections::BTreeMap;
use std::io;

/// Address space of a worker, in bytes.
pub(super) const MEMORY_BYTES: u64 = 1536 * 1024 * 1024;
/// Processor time of a worker over its life, in seconds.
pub(super) const LIFE_S: u64 = 600;
/// What a file descriptor's number must stay under: stdin, stdout and stderr are all there is.
const FILES: u64 = 3;
/// The newest rules that this program knows; an older kernel enforces what it knows of them.
pub(super) const LANDLOCK_ABI: ABI = ABI::V6;

/// A layer of the sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layer {
    Rlimit,
    NoNewPrivs,
    Landlock,
    Seccomp,
}

impl Layer {
    pub(crate) const ALL: [Self; 4] = [
        Self::Rlimit,
        Self::NoNewPrivs,
        Self::Landlock,
        Self::Seccomp,
    ];

    /// The layer's usual name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Rlimit => "rlimit",
            Self::NoNewPrivs => "no_new_privs",
            Self::Landlock => "landlock",
            Self::Seccomp => "seccomp",
        }
    }

    /// The layer of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|layer| layer.name() == name)
    }
}

/// Which layers a worker managed to switch on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layers {
    pub(super) rlimit: bool,
    pub(super) no_new_privs: bool,
    /// The ABI version that is enforced; 0 when the layer is off.
    pub(super) landlock_abi: u8,
    pub(super) seccomp: bool,
}

impl Layers {
    /// Whether this layer is on.
    pub(crate) fn has(self, layer: Layer) -> bool {
        match layer {
            Layer::Rlimit => self.rlimit,
            Layer::NoNewPrivs => self.no_new_privs,
            Layer::Landlock => self.landlock_abi > 0,
            Layer::Seccomp => self.seccomp,
        }
    }

    /// The names of the layers that are off.
    pub(crate) fn off(self) -> Vec<&'static str> {
        let off = Layer::ALL.into_iter().filter(|layer| !self.has(*layer));
        off.map(Layer::name).collect()
    }

    /// The version of landlock's rules that is enforced.
    pub(crate) fn landlock_abi(self) -> Option<u8> {
        (self.landlock_abi > 0).then_some(self.landlock_abi)
    }
}

/// Switches on every layer that the kernel has, except those withheld by whoever wants to see what
/// the others hold. What the kernel lacks is no error; a limit that cannot be lowered is.
pub(super) fn enter(withheld: &[Layer]) -> io::Result<Layers> {
    let wanted = |layer| !withheld.contains(&layer);
    let no_new_privs = wanted(Layer::NoNewPrivs) && rustix::thread::set_no_new_privs(true).is_ok();
    // Landlock needs a file descriptor for a moment, so it comes before the limit on those; the filter
    // comes last, for it refuses what the others are set up with.
    let landlock_abi = if wanted(Layer::Landlock) {
        no_paths_no_network().unwrap_or(0)
    } else {
        0
    };
    if wanted(Layer::Rlimit) {
        lower_limits()?;
    }
    let seccomp = wanted(Layer::Seccomp) && compute_and_answer_only().is_ok();
    Ok(Layers {
        rlimit: wanted(Layer::Rlimit),
        no_new_privs,
        landlock_abi,
        seccomp,
    })
}

/// Lowers every limit, never raises one.
fn lower_limits() -> io::Result<()> {
    let limits = [
        (Resource::CORE, 0),
        (Resource::FSIZE, 0),
        (Resource::NPROC, 0),
        (Resource::NOFILE, FILES),
        (Resource::AS, MEMORY_BYTES),
        (Resource::CPU, LIFE_S),
    ];
    for (resource, most) in limits {
        let most = most.min(resource.get_hard()?);
        resource.set(most, most)?;
    }
    Ok(())
}

/// Handles every kind of access and allows none. Returns the ABI version that is enforced.
fn no_paths_no_network() -> Result<u8, RulesetError> {
    let status = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(LANDLOCK_ABI))?
        .handle_access(AccessNet::from_all(LANDLOCK_ABI))?
        .scope(Scope::from_all(LANDLOCK_ABI))?
        .create()?
        .restrict_self()?;
    Ok(enforced(&status))
}

/// The ABI version that is enforced; 0 when none is.
pub(super) fn enforced(status: &RestrictionStatus) -> u8 {
    match (&status.ruleset, &status.landlock) {
        (RulesetStatus::NotEnforced, _) => 0,
        (_, LandlockStatus::Available { effective_abi, .. }) => {
            (*effective_abi).min(LANDLOCK_ABI) as u8
        }
        _ => 0,
    }
}

/// Everything that is not on the list fails with `EPERM`: a library that tries, say, to read a tuning
/// file goes on without it, and an intruder gets nowhere.
fn compute_and_answer_only() -> Result<(), seccompiler::Error> {
    let filter = SeccompFilter::new(
        allowed_calls()?,
        SeccompAction::Errno(libc::EPERM as u32),
        SeccompAction::Allow,
        std::env::consts::ARCH.try_into()?,
    )?;
    let program: BpfProgram = filter.try_into()?;
    apply_filter(&program)
}

fn allowed_calls() -> Result<BTreeMap<i64, Vec<SeccompRule>>, seccompiler::BackendError> {
    use SeccompCmpArgLen::Dword;
    let condition = |index, operator, value| SeccompCondition::new(index, Dword, operator, value);
    let freely = [
        // The pipes that are open already.
        libc::SYS_read,
        libc::SYS_readv,
        libc::SYS_write,
        libc::SYS_writev,
        libc::SYS_close,
        // Memory that does not become code; see below for the rest.
        libc::SYS_brk,
        libc::SYS_munmap,
        libc::SYS_mremap,
        libc::SYS_madvise,
        // Waiting, time, randomness for hash maps.
        libc::SYS_futex,
        libc::SYS_sched_yield,
        libc::SYS_nanosleep,
        libc::SYS_clock_nanosleep,
        libc::SYS_clock_gettime,
        libc::SYS_restart_syscall,
        libc::SYS_getrandom,
        // Ending, also by a stack overflow or an abort that says why.
        libc::SYS_getpid,
        libc::SYS_gettid,
        libc::SYS_rt_sigaction,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigreturn,
        libc::SYS_sigaltstack,
        libc::SYS_exit,
        libc::SYS_exit_group,
    ];
    let mut allowed: BTreeMap<i64, Vec<SeccompRule>> =
        freely.into_iter().map(|call| (call, vec![])).collect();
    let executable = libc::PROT_EXEC as u64;
    let not_executable = condition(2, SeccompCmpOp::MaskedEq(executable), 0)?;
    for call in [libc::SYS_mmap, libc::SYS_mprotect] {
        allowed.insert(call, vec![SeccompRule::new(vec![not_executable.clone()])?]);
    }
    // Only to itself, as `abort` does.
    let itself = condition(0, SeccompCmpOp::Eq, std::process::id().into())?;
    allowed.insert(libc::SYS_tgkill, vec![SeccompRule::new(vec![itself])?]);
    // Only its own processor time, which is moved ahead before each job.
    let own = condition(0, SeccompCmpOp::Eq, 0)?;
    let time = condition(1, SeccompCmpOp::Eq, libc::RLIMIT_CPU.into())?;
    allowed.insert(
        libc::SYS_prlimit64,
        vec![SeccompRule::new(vec![own, time])?],
    );
    Ok(allowed)
}
