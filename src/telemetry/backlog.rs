//! The lines that wait for the log's reader. Any thread adds a line and never waits; one thread of its own writes them out. Bounded
//! in bytes by `log.buffer`: what does not fit is dropped and counted, and once there is room again a line says how many those were.

use std::io::{self, ErrorKind, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;
use std::time::Duration;

use super::counters::COUNTERS;
use super::line::{self, Form};

/// Lines are written together up to this size.
const BATCH: usize = 64 * 1024;
/// How long lines are gathered before they are written. While the thread rests, a worker that adds a line wakes nobody:
/// in a storm of failures that is one system call and two thread switches less for each.
const GATHER: Duration = Duration::from_millis(2);
/// Beside its text, a waiting line costs about this much.
const LINE_COST: usize = 64;
/// How soon to try again when stderr is set to non-blocking and full.
const PATIENCE: Duration = Duration::from_millis(10);

/// The queue's end that takes lines.
#[derive(Debug)]
pub(super) struct Backlog {
    sender: Sender<Message>,
    room: Arc<Room>,
}

#[derive(Debug)]
enum Message {
    Line(Vec<u8>),
    Flush(SyncSender<()>),
}

#[derive(Debug)]
struct Room {
    limit: usize,
    taken: AtomicUsize,
    /// Lines dropped since that was last told.
    dropped: AtomicU64,
}

impl Backlog {
    /// Starts the thread that writes to `out`.
    pub(super) fn start(
        limit: usize,
        form: Form,
        out: impl Write + Send + 'static,
    ) -> io::Result<Self> {
        let (sender, receiver) = channel();
        let room = Arc::new(Room {
            limit,
            taken: AtomicUsize::new(0),
            dropped: AtomicU64::new(0),
        });
        let mut scribe = Scribe::new(out, form, Arc::clone(&room));
        thread::Builder::new()
            .name("pardon-log".to_owned())
            .spawn(move || scribe.run(&receiver))?;
        Ok(Self { sender, room })
    }

    /// Adds a line, its line feed included; never waits.
    pub(super) fn push(&self, line: Vec<u8>) {
        let cost = line.len() + LINE_COST;
        if !self.room.take(cost) {
            self.room.drop_lines(1);
        } else if self.sender.send(Message::Line(line)).is_err() {
            self.room.free(cost);
            self.room.drop_lines(1);
        }
    }

    /// Waits until what was added before has been written, at most this long.
    pub(super) fn flush(&self, patience: Duration) {
        let (done, written) = sync_channel(1);
        if self.sender.send(Message::Flush(done)).is_ok() {
            // A reader that does not read must not keep the process from ending.
            let _ = written.recv_timeout(patience);
        }
    }
}

impl Room {
    fn take(&self, cost: usize) -> bool {
        let before = self.taken.fetch_add(cost, Ordering::Relaxed);
        let fits = before.saturating_add(cost) <= self.limit;
        if !fits {
            self.free(cost);
        }
        fits
    }

    fn free(&self, cost: usize) {
        self.taken.fetch_sub(cost, Ordering::Relaxed);
    }

    fn drop_lines(&self, lines: u64) {
        self.dropped.fetch_add(lines, Ordering::Relaxed);
        COUNTERS.log_dropped.add(lines);
    }
}

/// One event, written into the backlog as one line.
pub(super) struct LineWriter<'a>(pub(super) &'a Backlog);

impl Write for LineWriter<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.push(line.to_vec());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The thread that writes.
struct Scribe<W> {
    out: W,
    form: Form,
    room: Arc<Room>,
    batch: Vec<u8>,
    lines: u64,
    cost: usize,
    flushes: Vec<SyncSender<()>>,
}

impl<W: Write> Scribe<W> {
    fn new(out: W, form: Form, room: Arc<Room>) -> Self {
        Self {
            out,
            form,
            room,
            batch: Vec::new(),
            lines: 0,
            cost: 0,
            flushes: Vec::new(),
        }
    }

    /// Writes until the last sender is gone.
    fn run(&mut self, receiver: &Receiver<Message>) {
        while let Ok(first) = receiver.recv() {
            self.take(first);
            if self.flushes.is_empty() {
                thread::sleep(GATHER);
            }
            while self.batch.len() < BATCH
                && let Ok(next) = receiver.try_recv()
            {
                self.take(next);
            }
            self.write_batch();
        }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Line(line) => {
                self.batch.extend_from_slice(&line);
                self.lines += 1;
                self.cost += line.len() + LINE_COST;
            }
            Message::Flush(done) => self.flushes.push(done),
        }
    }

    fn write_batch(&mut self) {
        let written = write_patiently(&mut self.out, &self.batch);
        self.room.free(std::mem::take(&mut self.cost));
        let lines = std::mem::take(&mut self.lines);
        match written {
            Ok(()) => self.tell_dropped(),
            // Nobody reads any more, or the disk is full: that ends no process and stops no worker.
            Err(_) => self.room.drop_lines(lines),
        }
        self.batch.clear();
        self.batch.shrink_to(BATCH);
        for done in self.flushes.drain(..) {
            let _ = done.send(());
        }
    }

    fn tell_dropped(&mut self) {
        let dropped = self.room.dropped.swap(0, Ordering::Relaxed);
        if dropped == 0 {
            return;
        }
        let mut notice = String::new();
        let written = line::dropped(&mut notice, self.form, dropped)
            .map_err(io::Error::other)
            .and_then(|()| write_patiently(&mut self.out, notice.as_bytes()));
        if written.is_err() {
            self.room.dropped.fetch_add(dropped, Ordering::Relaxed);
        }
    }
}

/// `write_all`, but a stderr that someone has set to non-blocking is waited for.
fn write_patiently(out: &mut impl Write, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match out.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(PATIENCE),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    /// A reader that takes as many writes as it is allowed.
    struct Slow {
        allowed: Receiver<()>,
        read: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // Once the permits' sender is gone, everything is read.
            let _ = self.allowed.recv();
            self.read.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lines(read: &Mutex<Vec<u8>>) -> Vec<String> {
        let text = String::from_utf8(read.lock().unwrap().clone()).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_slow_reader_loses_lines_and_is_told_how_many() {
        let (permits, allowed) = channel();
        let read = Arc::new(Mutex::new(Vec::new()));
        let slow = Slow {
            allowed,
            read: Arc::clone(&read),
        };
        let cost = 10 + LINE_COST;
        let backlog = Backlog::start(5 * cost, Form::Json, slow).unwrap();
        for n in 0..12 {
            backlog.push(format!("line {n:04}\n").into_bytes());
        }
        drop(permits);
        backlog.flush(LONG);
        backlog.push(b"after\n".to_vec());
        backlog.flush(LONG);

        let read = lines(&read);
        // The notice follows the lines that were written together, however many the thread had found by then.
        let (notices, others): (Vec<_>, Vec<_>) = read
            .iter()
            .partition(|line| line.contains("pardon::telemetry"));
        assert_eq!(
            others[..5],
            [0, 1, 2, 3, 4].map(|n| format!("line {n:04}")).each_ref()
        );
        let notice: serde_json::Value = serde_json::from_str(notices[0]).unwrap();
        assert_eq!(notice["dropped"], 7);
        assert_eq!(notice["level"], "WARN");
        assert_eq!(read.last().unwrap(), "after");
        assert_eq!(backlog.room.taken.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn flush_gives_up_on_a_reader_that_reads_nothing() {
        let (permits, allowed) = channel();
        let slow = Slow {
            allowed,
            read: Arc::default(),
        };
        let backlog = Backlog::start(1000, Form::Json, slow).unwrap();
        backlog.push(b"line\n".to_vec());
        backlog.flush(Duration::from_millis(1));
        drop(permits);
    }

    #[test]
    fn a_closed_reader_is_survived_and_counted() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(ErrorKind::BrokenPipe.into())
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let backlog = Backlog::start(1000, Form::Json, Closed).unwrap();
        for _ in 0..3 {
            backlog.push(b"line\n".to_vec());
            backlog.flush(LONG);
        }
        assert_eq!(backlog.room.dropped.load(Ordering::Relaxed), 3);
        assert_eq!(backlog.room.taken.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn short_and_refused_writes_are_finished() {
        struct Choppy(Arc<Mutex<Vec<u8>>>, u32);
        impl Write for Choppy {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.1 += 1;
                match self.1 % 3 {
                    0 => Err(ErrorKind::Interrupted.into()),
                    1 => Err(ErrorKind::WouldBlock.into()),
                    _ => {
                        self.0.lock().unwrap().push(bytes[0]);
                        Ok(1)
                    }
                }
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let read = Arc::new(Mutex::new(Vec::new()));
        let choppy = Choppy(Arc::clone(&read), 0);
        let backlog = Backlog::start(1000, Form::Json, choppy).unwrap();
        backlog.push(b"one\n".to_vec());
        backlog.push(b"two\n".to_vec());
        backlog.flush(LONG);
        assert_eq!(lines(&read), ["one", "two"]);
    }
}
