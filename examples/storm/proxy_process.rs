//! Pardon as a process of its own: started, watched, killed, and asked what it has cost.

use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// What stands in the log line of an incident that was not stored before its page went out.
const RECORD: &[u8] = b"\"record\":";

/// A running proxy; it is killed with this value.
pub(crate) struct ProxyProcess {
    child: Child,
    /// Where visitors reach it.
    pub(crate) address: SocketAddr,
    unconfirmed: Arc<AtomicU64>,
    reader: Option<JoinHandle<()>>,
}

impl ProxyProcess {
    /// Starts `program run` in a folder, before an app, with these lines of configuration beside.
    pub(crate) fn start(
        program: &Path,
        folder: &Path,
        app: SocketAddr,
        toml: &str,
    ) -> io::Result<Self> {
        Self::launch(Command::new(program), folder, app, toml)
    }

    /// As [`ProxyProcess::start`]; the command becomes the program, and gets its arguments.
    pub(crate) fn launch(
        mut command: Command,
        folder: &Path,
        app: SocketAddr,
        toml: &str,
    ) -> io::Result<Self> {
        let text = format!(
            "server.listen = [\"127.0.0.1:0\"]\n{toml}\n[admin]\nlisten = []\n[log]\nformat = \"json\"\n\
             [upstreams.app]\nendpoints = [\"http://{app}\"]\n"
        );
        fs::write(folder.join("pardon.toml"), text)?;
        let mut child = command
            .args(["run", "--config", "pardon.toml"])
            .current_dir(folder)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let stderr = child.stderr.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let mut log = BufReader::with_capacity(1 << 20, stderr);
        let address = address(&mut log)?;
        let unconfirmed = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&unconfirmed);
        let reader = Some(thread::spawn(move || watch(log, &count)));
        Ok(Self {
            child,
            address,
            unconfirmed,
            reader,
        })
    }

    /// How many incidents it has logged in full, because their pages did not wait for the store any more.
    pub(crate) fn unconfirmed(&self) -> u64 {
        self.unconfirmed.load(Ordering::Relaxed)
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills it with SIGKILL, and hears its log out.
    pub(crate) fn kill(&mut self) -> io::Result<()> {
        self.child.kill()?;
        self.ended()
    }

    /// Stops it with SIGTERM, and waits until it has ended.
    pub(crate) fn stop(&mut self) -> io::Result<()> {
        let kill = format!("kill -TERM {}", self.pid());
        Command::new("sh").args(["-c", &kill]).status()?;
        self.ended()
    }

    /// The CPU time that its threads have used, by their names, largest first.
    pub(crate) fn cpu(&self) -> io::Result<Vec<(String, Duration)>> {
        let mut threads: Vec<(String, Duration)> = Vec::new();
        for task in fs::read_dir(format!("/proc/{}/task", self.pid()))? {
            let task = task?.path();
            let name = fs::read_to_string(task.join("comm"))?.trim().to_owned();
            let name =
                name.trim_end_matches(|letter: char| letter.is_ascii_digit() || letter == '-');
            let used = fs::read_to_string(task.join("schedstat"))?;
            let nanos = used.split(' ').next().and_then(|text| text.parse().ok());
            let used = Duration::from_nanos(nanos.unwrap_or(0));
            match threads.iter_mut().find(|(known, _)| known == name) {
                Some((_, sum)) => *sum += used,
                None => threads.push((name.to_owned(), used)),
            }
        }
        threads.sort_by_key(|(_, used)| std::cmp::Reverse(*used));
        Ok(threads)
    }

    /// Its largest resident memory so far, in KiB.
    pub(crate) fn peak_memory(&self) -> io::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let number = line.and_then(|line| line.trim().split(' ').next()?.parse().ok());
        number.ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    fn ended(&mut self) -> io::Result<()> {
        self.child.wait()?;
        if let Some(reader) = self.reader.take() {
            drop(reader.join());
        }
        Ok(())
    }
}

impl Drop for ProxyProcess {
    fn drop(&mut self) {
        // It may have ended before.
        drop(self.child.kill());
        drop(self.ended());
    }
}

/// Reads the log up to the line that says where it listens.
fn address(log: &mut impl BufRead) -> io::Result<SocketAddr> {
    let mut before = String::new();
    loop {
        let mut line = String::new();
        if log.read_line(&mut line)? == 0 {
            return Err(io::Error::other(format!("it did not start: {before}")));
        }
        let address = line.split("\"address\":\"").nth(1);
        if let Some(address) = address.and_then(|rest| rest.split('"').next()?.parse().ok()) {
            return Ok(address);
        }
        before.push_str(&line);
    }
}

/// Reads the rest of the log, and counts the incidents in it that were written in full.
fn watch(mut log: BufReader<ChildStderr>, count: &AtomicU64) {
    let (mut piece, mut rest) = (vec![0; 1 << 20], Vec::new());
    while let Ok(length @ 1..) = log.read(&mut piece) {
        rest.extend_from_slice(piece.get(..length).unwrap_or_default());
        let found = memchr::memmem::find_iter(&rest, RECORD).count();
        count.fetch_add(found as u64, Ordering::Relaxed);
        // The mark may stand across two pieces, but is not counted twice.
        let kept = rest.len().min(RECORD.len() - 1);
        rest.drain(..rest.len() - kept);
    }
}
