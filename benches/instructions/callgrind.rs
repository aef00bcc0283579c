//! Pardon under callgrind: started, set to zero, and asked what it has counted, by thread and by function.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use super::proxy_process::ProxyProcess;

/// What callgrind's files begin with; the first that is asked for adds `.1-` and a thread's number.
const FILE: &str = "callgrind.out";
const FIRST: &str = "callgrind.out.1-";
/// How old the process is before anything counts: by then the store has written its beginnings out, two seconds after they were made.
const GROWN_UP: Duration = Duration::from_secs(4);
/// How long the process must not have done anything until it counts as idle.
const IDLE: Duration = Duration::from_millis(100);
/// How often that is looked for.
const LOOKS: u32 = 300;

/// A proxy that counts its instructions; it is killed with this value.
pub(crate) struct Counted {
    proxy: ProxyProcess,
    pid: u32,
    folder: PathBuf,
    begun: Instant,
}

/// What was counted, divided by the number of requests.
pub(crate) struct Counts {
    /// The one that takes the most first.
    pub(crate) threads: Vec<Thread>,
}

pub(crate) struct Thread {
    pub(crate) name: String,
    /// Instructions of a request.
    pub(crate) each: f64,
    /// Those of each function itself, without those that it calls; the largest first.
    pub(crate) functions: Vec<(String, f64)>,
}

impl Counts {
    /// Instructions of a request, all threads together.
    pub(crate) fn all(&self) -> f64 {
        self.threads.iter().map(|thread| thread.each).sum()
    }
}

/// Says what to install where valgrind is not there.
pub(crate) fn is_there() -> io::Result<()> {
    for program in ["valgrind", "vgdb"] {
        let found = Command::new(program).arg("--help").output();
        found.map_err(|error| {
            io::Error::other(format!("{program}: {error}: apt-get install valgrind"))
        })?;
    }
    Ok(())
}

impl Counted {
    pub(crate) fn start(
        program: &Path,
        folder: &Path,
        app: SocketAddr,
        toml: &str,
    ) -> io::Result<Self> {
        let mut valgrind = Command::new("valgrind");
        valgrind
            .args(["--tool=callgrind", "--log-file=valgrind.log"])
            .args(["--separate-threads=yes", "--compress-strings=no"])
            .arg(format!("--callgrind-out-file={FILE}"))
            .arg(program.canonicalize()?);
        let proxy = ProxyProcess::launch(valgrind, folder, app, toml)?;
        Ok(Self {
            pid: proxy.pid(),
            proxy,
            folder: folder.to_owned(),
            begun: Instant::now(),
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.proxy.address
    }

    /// What was counted so far does not count.
    pub(crate) fn zero(&self) -> io::Result<()> {
        thread::sleep(GROWN_UP.saturating_sub(self.begun.elapsed()));
        self.tell("zero")
    }

    /// What was counted since, for so many requests.
    pub(crate) fn counts(&self, requests: u32) -> io::Result<Counts> {
        self.tell("dump")?;
        let names = self.names()?;
        let mut threads = Vec::new();
        for (number, file) in self.files()? {
            let text = fs::read_to_string(file)?;
            let name = number.checked_sub(1).and_then(|index| names.get(index));
            threads.push(Thread::read(
                name.cloned().unwrap_or_else(|| number.to_string()),
                &text,
                requests,
            ));
        }
        threads.sort_by(|one, other| other.each.total_cmp(&one.each));
        if threads.iter().all(|thread| thread.each == 0.0) {
            return Err(io::Error::other("callgrind has counted nothing"));
        }
        Ok(Counts { threads })
    }

    /// Copies callgrind's files into a folder.
    pub(crate) fn keep(&self, folder: &Path) -> io::Result<()> {
        fs::create_dir_all(folder)?;
        for (_, file) in self.files()? {
            fs::copy(&file, folder.join(file.file_name().unwrap_or_default()))?;
        }
        Ok(())
    }

    /// Gives callgrind an order, when the process is idle: the end of an answer is not the end of the work for it.
    fn tell(&self, order: &str) -> io::Result<()> {
        let mut before = self.used()?;
        for _ in 0..LOOKS {
            thread::sleep(IDLE);
            let now = self.used()?;
            if now == before {
                return self.vgdb(order);
            }
            before = now;
        }
        Err(io::Error::other("the proxy does not come to rest"))
    }

    fn used(&self) -> io::Result<Duration> {
        Ok(self.proxy.cpu()?.iter().map(|(_, used)| *used).sum())
    }

    fn vgdb(&self, order: &str) -> io::Result<()> {
        let pid = format!("--pid={}", self.pid);
        let told = Command::new("vgdb").arg(pid).arg(order).output()?;
        if told.status.success() {
            return Ok(());
        }
        let says = String::from_utf8_lossy(&told.stderr);
        Err(io::Error::other(format!("vgdb {order}: {says}")))
    }

    /// The threads' names. Valgrind numbers them as they begin, the kernel too, and none ends before the process.
    fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for task in fs::read_dir(format!("/proc/{}/task", self.pid))? {
            let task = task?;
            let number = task.file_name().to_string_lossy().parse().unwrap_or(0);
            let name = if number == self.pid {
                "main".to_owned()
            } else {
                fs::read_to_string(task.path().join("comm"))?
                    .trim()
                    .to_owned()
            };
            names.push((number, name));
        }
        names.sort();
        Ok(names.into_iter().map(|(_, name)| name).collect())
    }

    /// Callgrind's files, each with the number of its thread.
    fn files(&self) -> io::Result<Vec<(usize, PathBuf)>> {
        let mut files = Vec::new();
        for file in fs::read_dir(&self.folder)? {
            let file = file?;
            let name = file.file_name().to_string_lossy().into_owned();
            let number = name.strip_prefix(FIRST).and_then(|rest| rest.parse().ok());
            files.extend(number.map(|number| (number, file.path())));
        }
        Ok(files)
    }
}

impl Thread {
    /// Reads one of callgrind's files. Its lines: `fn=NAME` begins a function, `calls=` announces a line whose cost is the called
    /// function's, any other line that begins with a position (`12`, `+3`, `-3`, `*`) ends with a cost.
    fn read(name: String, text: &str, requests: u32) -> Self {
        let mut functions: HashMap<&str, f64> = HashMap::new();
        let (mut function, mut called) = ("", false);
        for line in text.lines() {
            if let Some(name) = line.strip_prefix("fn=") {
                function = name;
            } else if line.starts_with("calls=") {
                called = true;
            } else if line
                .starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first))
                && !std::mem::take(&mut called)
            {
                let cost = line
                    .split_whitespace()
                    .next_back()
                    .and_then(|cost| cost.parse().ok());
                *functions.entry(function).or_default() += cost.unwrap_or(0.0);
            }
        }
        let each = |(name, cost): (&str, f64)| (name.to_owned(), cost / f64::from(requests.max(1)));
        let mut functions: Vec<_> = functions.into_iter().map(each).collect();
        functions.sort_by(|one, other| other.1.total_cmp(&one.1));
        Self {
            name,
            each: functions.iter().map(|(_, each)| each).sum(),
            functions,
        }
    }
}
