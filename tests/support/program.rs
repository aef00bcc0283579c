//! The built binary: started in a folder of its own, told by signals, heard on stderr.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::Value;

use super::{Answer, Client, Origin, eventually};

const BINARY: &str = env!("CARGO_BIN_EXE_pardon");

/// An empty folder of a test's own; it is removed with this value.
pub struct Folder(PathBuf);

/// What a command said, and how it ended.
#[derive(Debug)]
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

/// A running process; it is killed with this value.
pub struct Program {
    child: Child,
    log: Arc<Log>,
    reader: Option<JoinHandle<()>>,
    folder: Folder,
}

/// What came on stderr so far, line by line.
#[derive(Default)]
struct Log {
    lines: Mutex<Vec<String>>,
    reading: Mutex<Reading>,
    changed: Condvar,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Reading {
    #[default]
    On,
    Paused,
    Over,
}

impl Folder {
    pub fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-{number}", std::process::id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file, in a folder below where its name says so.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let file = self.0.join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, content).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.join(name)).unwrap()
    }

    /// The command with these arguments, in this folder and in an environment that says nothing of Pardon.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        self.settle(&mut command);
        command.args(arguments);
        command
    }

    /// The command started by a shell that does something before.
    pub fn command_after(&self, before: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new("sh");
        self.settle(&mut command);
        command
            .arg("-c")
            .arg(format!("{before}; exec \"$0\" \"$@\""));
        command.arg(BINARY).args(arguments);
        command
    }

    /// The command with a file system of its own mounted at the folder's `disk`, as `mount` is told to; what is there is seen through
    /// [`Program::disk`].
    pub fn command_on_disk(&self, mount: &str, arguments: &[&str]) -> Command {
        fs::create_dir_all(self.0.join("disk")).unwrap();
        let mut command = Command::new("unshare");
        self.settle(&mut command);
        // Root may mount; others may where they are root in a namespace of their own.
        let namespaces = if is_root() { "-m" } else { "-rm" };
        command.args([namespaces, "sh", "-c"]).arg(format!(
            "mount -t tmpfs {mount} none disk && exec \"$0\" \"$@\""
        ));
        command.arg(BINARY).args(arguments);
        command
    }

    /// Runs a command to its end.
    pub fn pardon(&self, arguments: &[&str]) -> Said {
        said(&mut self.command(arguments))
    }

    fn settle(&self, command: &mut Command) {
        // What a killed process leaves behind is removed with the folder.
        command
            .current_dir(&self.0)
            .env("TMPDIR", &self.0)
            .stdin(Stdio::null());
        for name in ["CONFIG", "UPSTREAM", "LISTEN", "STORE", "WATCH"] {
            command.env_remove(format!("PARDON_{name}"));
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn is_root() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    status.lines().any(|line| line.starts_with("Uid:\t0\t"))
}

/// Runs a command to its end.
pub fn said(command: &mut Command) -> Said {
    let output = command.output().unwrap();
    Said {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).expect("UTF-8 on stdout"),
        err: String::from_utf8(output.stderr).expect("UTF-8 on stderr"),
    }
}

impl Program {
    /// The proxy before an app, with these lines of configuration. Its listeners are on free loopback ports.
    pub fn set(origin: &Origin, toml: &str) -> Self {
        let (folder, arguments) = Self::file(origin, toml);
        let mut command = folder.command(&arguments);
        Self::run(folder, &mut command)
    }

    /// The folder and the arguments that [`Program::set`] starts it with.
    pub fn file(origin: &Origin, toml: &str) -> (Folder, [&'static str; 5]) {
        let folder = Folder::new();
        let url = origin.url();
        folder.write(
            "pardon.toml",
            format!("{toml}\n[upstreams.app]\nendpoints = [\"{url}\"]\n[admin]\nlisten = [\"127.0.0.1:0\"]\n"),
        );
        (
            folder,
            ["run", "--config", "pardon.toml", "--listen", "127.0.0.1:0"],
        )
    }

    /// Starts a command and hears what it says on stderr.
    pub fn run(folder: Folder, command: &mut Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::new(Log::default());
        let (stderr, hears) = (child.stderr.take().unwrap(), Arc::clone(&log));
        let reader = Some(thread::spawn(move || hears.read(stderr)));
        Self {
            child,
            log,
            reader,
            folder,
        }
    }

    /// The folder that it was started in.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// The process's number.
    pub fn number(&self) -> u32 {
        self.child.id()
    }

    /// What the process sees at its folder's `disk`; see [`Folder::command_on_disk`].
    pub fn disk(&self) -> PathBuf {
        let root = format!("/proc/{}/root", self.child.id());
        let folder = self.folder.path().strip_prefix("/").unwrap();
        Path::new(&root).join(folder).join("disk")
    }

    /// How many lines on stderr contain this.
    pub fn count(&self, part: &str) -> usize {
        let lines = self.log.lines.lock().unwrap();
        lines.iter().filter(|line| line.contains(part)).count()
    }

    /// What the process writes on stdout, to be piped by its command, up to a line that contains this.
    pub fn out_until(&mut self, end: &str) -> String {
        let mut out = BufReader::new(self.child.stdout.take().unwrap());
        let mut text = String::new();
        while !text.lines().last().is_some_and(|line| line.contains(end)) {
            assert_ne!(out.read_line(&mut text).unwrap(), 0, "{end} after {text}");
        }
        text
    }

    /// Where visitors reach it, once it listens.
    pub fn address(&self) -> SocketAddr {
        self.address_after(&["\"listening\"", ": listening address="])
    }

    /// Where the operator reaches it.
    pub fn admin_address(&self) -> SocketAddr {
        self.address_after(&["listening for the operator"])
    }

    pub fn connect(&self) -> Client {
        Client::connect(self.address())
    }

    /// GET with these header lines, each with its line end.
    pub fn get(&self, path: &str, headers: &str) -> Answer {
        self.connect().ask(get(path, headers))
    }

    /// Asks the operator's listener.
    pub fn ask_admin(&self, path: &str) -> Answer {
        Client::connect(self.admin_address()).ask(get(path, ""))
    }

    /// Sends a signal: `TERM`, `INT`, `HUP`.
    pub fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(
            Command::new("sh")
                .args(["-c", &kill])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Waits until its answer to signals is in place.
    pub fn wait_for_signals(&self) {
        let path = format!("/proc/{}/status", self.child.id());
        eventually("signals to be handled", || {
            let status = fs::read_to_string(&path).unwrap();
            let caught = status
                .lines()
                .find_map(|line| line.strip_prefix("SigCgt:"))?;
            let caught = u64::from_str_radix(caught.trim(), 16).unwrap();
            // SIGTERM is 15.
            (caught >> 14 & 1 == 1).then_some(())
        });
    }

    /// The first line on stderr that contains this; waits for it.
    pub fn line(&self, part: &str) -> String {
        eventually(&format!("a line with {part}"), || {
            let lines = self.log.lines.lock().unwrap();
            lines.iter().find(|line| line.contains(part)).cloned()
        })
    }

    /// The first line on stderr that contains this, as JSON; waits for it.
    pub fn json(&self, part: &str) -> Value {
        let line = self.line(part);
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    /// The incident's line with this ID; waits for it.
    pub fn incident(&self, id: &str) -> Value {
        self.json(&format!(
            "\"target\":\"pardon::incident\",\"request_id\":\"{id}\""
        ))
    }

    /// All lines on stderr so far.
    pub fn lines(&self) -> Vec<String> {
        self.log.lines.lock().unwrap().clone()
    }

    /// Leaves unread what comes on stderr from now on, but for what the pipe's reader holds already.
    pub fn stop_reading(&self) {
        self.log.read_on(Reading::Paused);
    }

    /// Reads on, and what has come meanwhile.
    pub fn read_on(&self) {
        self.log.read_on(Reading::On);
    }

    /// Closes the reading end of stderr; the process has to say something for that.
    pub fn close_stderr(&mut self) {
        self.log.read_on(Reading::Over);
        self.signal("HUP");
        self.reader.take().unwrap().join().unwrap();
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for its end, and for its last line.
    pub fn ended(&mut self) -> ExitStatus {
        let child = &mut self.child;
        let status = eventually("the process to end", || child.try_wait().unwrap());
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        status
    }

    /// The CPU time that it has used.
    pub fn cpu_time(&self) -> Duration {
        let path = format!("/proc/{}/stat", self.child.id());
        let stat = fs::read_to_string(path).unwrap();
        // After the name in its brackets; the times are fields 14 and 15 (proc(5)), in ticks of 10 ms.
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
        let ticks: u64 = fields[11..13]
            .iter()
            .map(|it| it.parse::<u64>().unwrap())
            .sum();
        Duration::from_millis(ticks * 10)
    }

    fn address_after(&self, parts: &[&str]) -> SocketAddr {
        let said = eventually("the process to listen", || {
            let lines = self.log.lines.lock().unwrap();
            let says = |line: &&String| parts.iter().any(|part| line.contains(part));
            lines.iter().find(says).cloned()
        });
        let (_, address) = said.split_once("127.0.0.1:").unwrap();
        let end = address.find(|c: char| !c.is_ascii_digit());
        let port = address[..end.unwrap_or(address.len())].parse().unwrap();
        SocketAddr::from(([127, 0, 0, 1], port))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.log.read_on(Reading::Over);
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Log {
    fn read(&self, stderr: ChildStderr) {
        let mut stderr = BufReader::new(stderr);
        loop {
            let mut reading = self.reading.lock().unwrap();
            while *reading == Reading::Paused {
                reading = self.changed.wait(reading).unwrap();
            }
            if *reading == Reading::Over {
                return;
            }
            drop(reading);
            let mut line = Vec::new();
            if stderr.read_until(b'\n', &mut line).unwrap() == 0 {
                return;
            }
            let line = String::from_utf8_lossy(&line)
                .trim_end_matches('\n')
                .to_owned();
            self.lines.lock().unwrap().push(line);
        }
    }

    fn read_on(&self, reading: Reading) {
        *self.reading.lock().unwrap() = reading;
        self.changed.notify_all();
    }
}

/// A GET request with these header lines, each with its line end.
pub fn get(path: &str, headers: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: shop.example\r\n{headers}\r\n")
}
