//! `manara media-ffmpeg`: takes rights from itself, then becomes ffmpeg.
//!
//! ffmpeg is much code in an unsafe language, and it reads what strangers upload. So this program is
//! started in its place, gives up what decoding does not need, and executes it; what was given up, no
//! program gets back.
//!
//! | layer | what is refused |
//! |---|---|
//! | `rlimit` | memory over 1.5 GiB, processor time over the job's, more than a few open files, writing to disk, core dumps |
//! | `no_new_privs` | gaining rights by starting a program |
//! | `landlock` | every path but ffmpeg itself and shared libraries, to be read only; starting another program; every TCP connection |
//! | `seccomp` | sockets, further processes, opening for writing, looking into other processes, and all else that is not on a list |
//!
//! The environment is empty, and only stdin, stdout and stderr are open.
//!
//! The list of system calls is wider than a worker's (see `sandbox`), for the dynamic linker and some two
//! hundred libraries start before the decoder does. It is a list of what is allowed all the same: what is not
//! on it fails with `EPERM`, which libraries take for an old kernel and do without. Two things a worker
//! may not do remain possible. Threads, because newer ffmpeg has them whatever it is told; there is no
//! limit on their number, as it would count all processes of the account. And starting programs,
//! because ffmpeg itself is started under the filter; landlock allows that for ffmpeg and the dynamic linker alone, and
//! whatever is started inherits every layer.

use super::protocol;
use super::sandbox::{LANDLOCK_ABI, Layer, Layers, MEMORY_BYTES, enforced};
use anyhow::{Context, Result, bail};
use landlock::{
    Access, AccessFs, AccessNet, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetCreatedAttr,
    RulesetError, Scope, path_beneath_rules,
};
use rlimit::Resource;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, apply_filter,
};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a file descriptor's number must stay under: the dynamic linker opens one library at a time.
const FILES: u64 = 16;
/// Where shared libraries are, and the linker's index of them.
const LIBRARIES: [&str; 8] = [
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/usr/local/lib64",
    "/etc/ld.so.cache",
    "/etc/ld.so.preload",
];
/// Distributions that keep each library in a folder of its own below one of these.
const STORES: [&str; 2] = ["/nix/store", "/gnu/store"];
/// How much of a program is read to find its dynamic linker.
const PROGRAM_HEAD_BYTES: u64 = 64 * 1024;

/// What is to be started, and how confined.
#[derive(Debug, Default)]
struct Job {
    withheld: Vec<Layer>,
    /// Say which layers are on, and start nothing.
    tells: bool,
    cpu_s: u64,
    program: PathBuf,
    arguments: Vec<OsString>,
}

/// `[--without LAYER]… [--layers] --cpu-s N PROGRAM [ARGUMENT]…`; returns only if it fails or tells.
pub(crate) fn run(arguments: impl Iterator<Item = OsString>) -> Result<()> {
    let job = job(arguments)?;
    if io::stdin().is_terminal() {
        bail!(
            "`manara {}` is started by manara itself; there is nothing to type here",
            super::FFMPEG_COMMAND
        );
    }
    let layers = enter(&job).context("limiting what ffmpeg may do")?;
    if job.tells {
        let told = io::stdout().write_all(&protocol::encode_layers(layers));
        return told.context("telling the layers");
    }
    let mut command = Command::new(&job.program);
    let error = command.args(&job.arguments).env_clear().exec();
    Err(error).with_context(|| format!("starting {}", job.program.display()))
}

fn job(mut arguments: impl Iterator<Item = OsString>) -> Result<Job> {
    let mut job = Job::default();
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().unwrap_or_default();
        match argument.to_str() {
            Some("--without") => {
                let name = value();
                let layer = name.to_str().and_then(Layer::named);
                job.withheld.push(layer.with_context(|| {
                    format!("no layer of the sandbox is called `{}`", name.display())
                })?);
            }
            Some("--cpu-s") => {
                let seconds = value();
                let seconds = seconds.to_str().and_then(|seconds| seconds.parse().ok());
                job.cpu_s = seconds.context("--cpu-s takes a number of seconds")?;
            }
            Some("--layers") => job.tells = true,
            _ => {
                job.program = argument.into();
                job.arguments = arguments.collect();
                break;
            }
        }
    }
    if !job.program.is_absolute() || job.cpu_s == 0 {
        bail!(
            "`manara {}` is started by manara itself",
            super::FFMPEG_COMMAND
        );
    }
    Ok(job)
}

/// Switches on every layer that the kernel has, but for those withheld.
fn enter(job: &Job) -> io::Result<Layers> {
    let wanted = |layer| !job.withheld.contains(&layer);
    let no_new_privs = wanted(Layer::NoNewPrivs) && rustix::thread::set_no_new_privs(true).is_ok();
    let landlock_abi = if wanted(Layer::Landlock) {
        libraries_only(&job.program).unwrap_or(0)
    } else {
        0
    };
    if wanted(Layer::Rlimit) {
        lower_limits(job.cpu_s)?;
    }
    let seccomp = wanted(Layer::Seccomp) && load_and_compute_only().is_ok();
    Ok(Layers {
        rlimit: wanted(Layer::Rlimit),
        no_new_privs,
        landlock_abi,
        seccomp,
    })
}

fn lower_limits(cpu_s: u64) -> io::Result<()> {
    let limits = [
        (Resource::CORE, 0),
        (Resource::FSIZE, 0),
        (Resource::NOFILE, FILES),
        (Resource::AS, MEMORY_BYTES),
        (Resource::CPU, cpu_s),
    ];
    for (resource, most) in limits {
        let most = most.min(resource.get_hard()?);
        resource.set(most, most)?;
    }
    Ok(())
}

/// Handles every kind of access; allows reading libraries, and starting the program. Returns the ABI
/// version that is enforced.
fn libraries_only(program: &Path) -> Result<u8, RulesetError> {
    let executable = [Some(program.to_owned()), interpreter(program)];
    let status = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(LANDLOCK_ABI))?
        .handle_access(AccessNet::from_all(LANDLOCK_ABI))?
        .scope(Scope::from_all(LANDLOCK_ABI))?
        .create()?
        .add_rules(path_beneath_rules(libraries(program), AccessFs::ReadFile))?
        .add_rules(path_beneath_rules(
            executable.into_iter().flatten(),
            AccessFs::ReadFile | AccessFs::Execute,
        ))?
        .restrict_self()?;
    Ok(enforced(&status))
}

/// Where this program's libraries can be: the system's places, and `lib` beside its own `bin`.
fn libraries(program: &Path) -> Vec<PathBuf> {
    let program = program
        .canonicalize()
        .unwrap_or_else(|_| program.to_owned());
    let stores = STORES.iter().filter(|store| program.starts_with(store));
    let bin = program.parent().filter(|bin| bin.ends_with("bin"));
    let beside = bin.and_then(Path::parent).map(|prefix| prefix.join("lib"));
    let fixed = LIBRARIES.iter().chain(stores).map(PathBuf::from);
    fixed.chain(beside).collect()
}

/// The dynamic linker that a program names, which the kernel starts with it.
fn interpreter(program: &Path) -> Option<PathBuf> {
    let mut head = Vec::new();
    let file = File::open(program).ok()?;
    file.take(PROGRAM_HEAD_BYTES).read_to_end(&mut head).ok()?;
    interpreter_named_in(&head)
}

/// ELF of 64 bits, little-endian (System V ABI, chapters 4 and 5): the program header of type 3.
fn interpreter_named_in(head: &[u8]) -> Option<PathBuf> {
    head.strip_prefix(b"\x7fELF\x02\x01")?;
    let word = |at: usize| {
        Some(usize::from(u16::from_le_bytes(
            head.get(at..at.checked_add(2)?)?.try_into().ok()?,
        )))
    };
    let long = |at: usize| {
        let bytes = head.get(at..at.checked_add(8)?)?.try_into().ok()?;
        usize::try_from(u64::from_le_bytes(bytes)).ok()
    };
    let (table, size, count) = (long(32)?, word(54)?, word(56)?);
    let headers = (0..count).map_while(|number| table.checked_add(number * size));
    let interpreter = headers
        .into_iter()
        .find(|at| head.get(*at..at.saturating_add(4)) == Some(&[3, 0, 0, 0]))?;
    let (from, length) = (long(interpreter + 8)?, long(interpreter + 32)?);
    let named = head.get(from..from.checked_add(length)?)?;
    let named = named.strip_suffix(b"\0")?;
    Some(PathBuf::from(OsStr::from_bytes(named)))
}

fn load_and_compute_only() -> Result<(), seccompiler::Error> {
    let arch = std::env::consts::ARCH.try_into()?;
    // Its arguments lie in memory, where no filter can look; without it, libc asks by the older call.
    let no_clone3 = SeccompFilter::new(
        BTreeMap::from([(libc::SYS_clone3, vec![])]),
        SeccompAction::Allow,
        SeccompAction::Errno(libc::ENOSYS as u32),
        arch,
    )?;
    let listed = SeccompFilter::new(
        allowed_calls()?,
        SeccompAction::Errno(libc::EPERM as u32),
        SeccompAction::Allow,
        arch,
    )?;
    for filter in [no_clone3, listed] {
        let program: BpfProgram = filter.try_into()?;
        apply_filter(&program)?;
    }
    Ok(())
}

fn allowed_calls() -> Result<BTreeMap<i64, Vec<SeccompRule>>, seccompiler::BackendError> {
    use SeccompCmpArgLen::{Dword, Qword};
    let condition = |index, operator, value| SeccompCondition::new(index, Dword, operator, value);
    let freely = [
        // Becoming ffmpeg.
        libc::SYS_execve,
        // Files that are open already, and libraries.
        libc::SYS_read,
        libc::SYS_readv,
        libc::SYS_pread64,
        libc::SYS_write,
        libc::SYS_writev,
        libc::SYS_lseek,
        libc::SYS_close,
        libc::SYS_dup,
        libc::SYS_dup3,
        libc::SYS_fcntl,
        libc::SYS_fstat,
        libc::SYS_newfstatat,
        libc::SYS_statx,
        libc::SYS_fadvise64,
        libc::SYS_faccessat,
        libc::SYS_faccessat2,
        libc::SYS_readlinkat,
        libc::SYS_getcwd,
        libc::SYS_ppoll,
        libc::SYS_pselect6,
        // Memory.
        libc::SYS_brk,
        libc::SYS_mmap,
        libc::SYS_mprotect,
        libc::SYS_munmap,
        libc::SYS_mremap,
        libc::SYS_madvise,
        // Threads, waiting, time, randomness.
        libc::SYS_clone3,
        libc::SYS_set_tid_address,
        libc::SYS_set_robust_list,
        libc::SYS_rseq,
        libc::SYS_membarrier,
        libc::SYS_futex,
        libc::SYS_sched_yield,
        libc::SYS_sched_getaffinity,
        libc::SYS_getcpu,
        libc::SYS_nanosleep,
        libc::SYS_clock_nanosleep,
        libc::SYS_clock_gettime,
        libc::SYS_clock_getres,
        libc::SYS_gettimeofday,
        libc::SYS_restart_syscall,
        libc::SYS_getrandom,
        // What it is and has used.
        libc::SYS_getpid,
        libc::SYS_getppid,
        libc::SYS_getpgid,
        libc::SYS_gettid,
        libc::SYS_getuid,
        libc::SYS_geteuid,
        libc::SYS_getgid,
        libc::SYS_getegid,
        libc::SYS_getrusage,
        libc::SYS_sysinfo,
        libc::SYS_uname,
        // Ending, also by a crash.
        libc::SYS_rt_sigaction,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigreturn,
        libc::SYS_sigaltstack,
        libc::SYS_exit,
        libc::SYS_exit_group,
    ];
    // Older forms of the same, which newer architectures do not have.
    #[cfg(target_arch = "x86_64")]
    let older = [
        libc::SYS_arch_prctl,
        libc::SYS_dup2,
        libc::SYS_getpgrp,
        libc::SYS_stat,
        libc::SYS_lstat,
        libc::SYS_access,
        libc::SYS_readlink,
        libc::SYS_poll,
        libc::SYS_select,
        libc::SYS_time,
    ];
    #[cfg(not(target_arch = "x86_64"))]
    let older = [];
    let mut allowed: BTreeMap<i64, Vec<SeccompRule>> = freely
        .into_iter()
        .chain(older)
        .map(|call| (call, vec![]))
        .collect();
    // Opening for reading only.
    let writing = (libc::O_ACCMODE | libc::O_CREAT | libc::O_TRUNC) as u64;
    let reading =
        |flags| SeccompRule::new(vec![condition(flags, SeccompCmpOp::MaskedEq(writing), 0)?]);
    allowed.insert(libc::SYS_openat, vec![reading(2)?]);
    #[cfg(target_arch = "x86_64")]
    allowed.insert(libc::SYS_open, vec![reading(1)?]);
    // Threads, no processes.
    let thread = libc::CLONE_THREAD as u64;
    let threads = condition(0, SeccompCmpOp::MaskedEq(thread), thread)?;
    allowed.insert(libc::SYS_clone, vec![SeccompRule::new(vec![threads])?]);
    // A thread's name.
    let name = condition(0, SeccompCmpOp::Eq, libc::PR_SET_NAME as u64)?;
    allowed.insert(libc::SYS_prctl, vec![SeccompRule::new(vec![name])?]);
    // Only to itself, as `abort` does; it keeps its number when it becomes ffmpeg.
    let itself = condition(0, SeccompCmpOp::Eq, std::process::id().into())?;
    for call in [libc::SYS_kill, libc::SYS_tgkill] {
        allowed.insert(call, vec![SeccompRule::new(vec![itself.clone()])?]);
    }
    // Only looking at its own limits.
    let own = condition(0, SeccompCmpOp::Eq, 0)?;
    let looking = SeccompCondition::new(2, Qword, SeccompCmpOp::Eq, 0)?;
    allowed.insert(
        libc::SYS_prlimit64,
        vec![SeccompRule::new(vec![own, looking])?],
    );
    Ok(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dynamic_linker_is_found_and_broken_programs_name_none() {
        let mut head = vec![0; 200];
        head[..6].copy_from_slice(b"\x7fELF\x02\x01");
        head[32] = 64;
        head[54] = 56;
        head[56] = 2;
        // The second header names the twelve bytes at 180.
        head[64 + 56] = 3;
        head[64 + 56 + 8] = 180;
        head[64 + 56 + 32] = 12;
        head[180..192].copy_from_slice(b"/lib/ld.so.2");
        assert_eq!(interpreter_named_in(&head), None);
        head[191] = 0;
        assert_eq!(interpreter_named_in(&head), Some("/lib/ld.so.".into()));
        head[64 + 56 + 32..64 + 56 + 40].fill(0xff);
        assert_eq!(interpreter_named_in(&head), None);
        head[32..40].fill(0xff);
        assert_eq!(interpreter_named_in(&head), None);
        assert_eq!(interpreter_named_in(b"#!/bin/sh\n"), None);
        assert_eq!(interpreter_named_in(b"\x7fELF\x02\x01"), None);
    }

    #[track_caller]
    fn refused(arguments: &[&str], says: &str) {
        let error = job(arguments.iter().map(Into::into))
            .unwrap_err()
            .to_string();
        assert!(error.contains(says), "{error}");
    }

    #[test]
    fn only_manara_starts_it() {
        refused(&[], "started by manara itself");
        refused(&["--cpu-s", "5", "ffmpeg"], "started by manara itself");
        refused(&["/usr/bin/ffmpeg"], "started by manara itself");
        refused(&["--cpu-s", "soon", "/usr/bin/ffmpeg"], "number of seconds");
        refused(
            &["--without", "moat"],
            "no layer of the sandbox is called `moat`",
        );
        let fine = [
            "--without",
            "landlock",
            "--cpu-s",
            "5",
            "/bin/a",
            "--layers",
        ];
        let fine = job(fine.iter().map(Into::into)).unwrap();
        assert_eq!(
            (fine.withheld, fine.cpu_s, fine.tells),
            (vec![Layer::Landlock], 5, false)
        );
        assert_eq!(
            (fine.program, fine.arguments),
            ("/bin/a".into(), vec!["--layers".into()])
        );
    }
}
