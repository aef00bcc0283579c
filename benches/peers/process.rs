//! A running program: started on a core of its own, asked what it has cost, ended with its value.
//!
//! The program itself runs on the load's core, and so do its threads and all that it starts, but for the proxies.

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// How long a program may take until it listens, and to end when it is asked to.
const PATIENCE: Duration = Duration::from_secs(8);

/// Nanoseconds of a clock tick of `/proc`.
const TICK: u64 = 10_000_000;

/// A program and the processes that it has started; they end with this value.
pub(crate) struct Process {
    name: String,
    child: Child,
}

/// The CPU time of each thread, by process and thread ID.
type Threads = BTreeMap<(u32, u32), (String, u64)>;

/// The CPU time of some processes at one moment.
pub(crate) struct Accounts {
    threads: Threads,
    /// By the processes' own sums, in clock ticks: they include threads that have ended.
    ticks: u64,
}

/// What was spent between two moments, in nanoseconds, by thread name.
pub(crate) type Spent = BTreeMap<String, u64>;

impl Process {
    /// Starts a command on some cores.
    pub(crate) fn start(name: &str, cores: &[usize], command: &mut Command) -> Result<Self> {
        command.stdin(Stdio::null());
        // A child runs where the thread that starts it does.
        let ours = sched_getaffinity(None)?;
        run_on(cores)?;
        let child = command.spawn();
        sched_setaffinity(None, &ours)?;
        Ok(Self {
            name: name.to_owned(),
            child: child.with_context(|| format!("start {name}"))?,
        })
    }

    /// The program's own process, for its pipes.
    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Waits until something accepts connections at the port.
    pub(crate) fn listens(&mut self, port: u16) -> Result<()> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let begun = Instant::now();
        while TcpStream::connect(address).is_err() {
            if let Some(status) = self.child.try_wait()? {
                // Its last words are still being read.
                thread::sleep(Duration::from_millis(50));
                bail!("{} ended at once: {status}", self.name);
            }
            if begun.elapsed() > PATIENCE {
                bail!("{} does not listen on port {port}", self.name);
            }
            thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    /// It and all that it has started.
    pub(crate) fn pids(&self) -> Vec<u32> {
        let mut pids = vec![self.child.id()];
        let mut place = 0;
        while let Some(pid) = pids.get(place) {
            let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
            let children = children.unwrap_or_default();
            pids.extend(
                children
                    .split(' ')
                    .filter_map(|pid| pid.parse::<u32>().ok()),
            );
            place += 1;
        }
        pids
    }

    /// What its threads have spent so far.
    pub(crate) fn accounts(&self) -> Result<Accounts> {
        let mut threads = Threads::new();
        let mut ticks = 0;
        for pid in self.pids() {
            for task in fs::read_dir(format!("/proc/{pid}/task"))? {
                let task = task?;
                let id = task.file_name().to_string_lossy().parse()?;
                let read = |file: &str| fs::read_to_string(task.path().join(file));
                let (Ok(name), Ok(spent)) = (read("comm"), read("schedstat")) else {
                    // It has just ended; the sums tell whether that matters.
                    continue;
                };
                let nanos = spent.split(' ').next().and_then(|text| text.parse().ok());
                let name = name.trim().to_owned();
                threads.insert((pid, id), (name, nanos.context("no schedstat")?));
            }
            ticks += self::ticks(pid)?;
        }
        Ok(Accounts { threads, ticks })
    }

    /// The resident memory, in KiB, summed over its processes.
    pub(crate) fn resident_memory(&self) -> Result<u64> {
        self.memory("VmRSS:")
    }

    /// The largest resident memory so far, in KiB, summed over its processes.
    pub(crate) fn peak_memory(&self) -> Result<u64> {
        self.memory("VmHWM:")
    }

    fn memory(&self, name: &str) -> Result<u64> {
        let mut sum = 0;
        for pid in self.pids() {
            let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok());
            sum += number.context("no memory in its status")?;
        }
        Ok(sum)
    }

    /// Asks it to end, and waits for that; what does not end is killed.
    pub(crate) fn end(&mut self) {
        let pids = self.pids();
        signal(self.child.id(), Signal::TERM);
        let begun = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) {
            if begun.elapsed() > PATIENCE {
                for pid in &pids {
                    signal(*pid, Signal::KILL);
                }
            }
            thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.end();
        }
    }
}

impl Accounts {
    /// What each thread that is there now has spent since then, with its name.
    pub(crate) fn by_thread<'a>(
        &'a self,
        before: &'a Self,
    ) -> impl Iterator<Item = (&'a str, u64)> {
        self.threads.iter().map(|(key, (name, now))| {
            let earlier = before.threads.get(key).map_or(0, |(_, nanos)| *nanos);
            (name.as_str(), now.saturating_sub(earlier))
        })
    }

    /// What was spent since then; an error where that cannot be known, because a thread has ended and taken its account with it.
    pub(crate) fn since(&self, before: &Self) -> Result<Spent> {
        let mut spent = Spent::new();
        for (name, nanos) in self.by_thread(before) {
            *spent.entry(name.to_owned()).or_default() += nanos;
        }
        let known: u64 = spent.values().sum();
        // The kernel's sum for the process counts the dead, but only in hundredths of a second.
        let all = (self.ticks - before.ticks) * TICK;
        if known + known / 50 + 40_000_000 < all {
            bail!(
                "threads that have ended spent {} ms",
                (all - known) / 1_000_000
            );
        }
        Ok(spent)
    }
}

/// Has this thread, and what it starts from now on, run on some cores.
pub(crate) fn run_on(cores: &[usize]) -> Result<()> {
    let mut set = CpuSet::new();
    for core in cores {
        set.set(*core);
    }
    sched_setaffinity(None, &set).with_context(|| format!("no cores {cores:?} to run on"))
}

/// How long a core has been at work since it began, in nanoseconds; the kernel tells it in hundredths of a second.
pub(crate) fn busy(core: usize) -> Result<u64> {
    let stat = fs::read_to_string("/proc/stat")?;
    let name = format!("cpu{core} ");
    let fields = stat.lines().find_map(|line| line.strip_prefix(&name));
    let fields = fields.with_context(|| format!("no core {core}"))?;
    // user, nice, system, idle, iowait, irq, softirq
    let ticks = fields.split(' ').take(7).enumerate();
    let at_work = ticks.filter(|(place, _)| *place != 3 && *place != 4);
    let ticks = at_work.filter_map(|(_, text)| text.parse::<u64>().ok());
    Ok(ticks.sum::<u64>() * TICK)
}

fn signal(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    // It may have ended by itself.
    let _ = pid.map(|pid| kill_process(pid, signal));
}

/// User and system time of a process, its ended threads and waited-for children counted in, in clock ticks.
fn ticks(pid: u32) -> Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, fields) = stat.rsplit_once(") ").context("no fields")?;
    let fields: Vec<u64> = fields
        .split(' ')
        .skip(11)
        .take(4)
        .filter_map(|field| field.parse().ok())
        .collect();
    Ok(fields.iter().sum())
}
