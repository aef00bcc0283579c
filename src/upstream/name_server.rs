//! A scripted name server for tests, on a free loopback port over UDP and TCP, with the files that lead to it.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use super::resolver::Resolver;

/// What it says to a question for a name's addresses of one kind.
#[derive(Clone, Debug)]
pub(super) enum Reply {
    /// Those of the kind that was asked for, with this TTL.
    Records(Vec<IpAddr>, u32),
    NoSuchName,
    Refused,
    /// Over UDP that there is more than fits, over TCP the rest.
    Cut(Vec<IpAddr>, u32),
    Silence,
}

type Zone = Mutex<Box<dyn FnMut(&str) -> Reply + Send>>;

/// It ends with this value.
pub(super) struct NameServer {
    address: SocketAddr,
    folder: PathBuf,
    script: Arc<Script>,
    threads: Vec<JoinHandle<()>>,
}

struct Script {
    zone: Zone,
    /// Each question: `app.test A`, `app.test AAAA tcp`.
    asked: Mutex<Vec<String>>,
    over: AtomicBool,
}

impl NameServer {
    /// One that answers for a name as `zone` says; the name has no dot at its end.
    pub(super) fn new(zone: impl FnMut(&str) -> Reply + Send + 'static) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder =
            std::env::temp_dir().join(format!("pardon-names-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (udp, tcp) = bind();
        let address = udp.local_addr().unwrap();
        let script = Arc::new(Script {
            zone: Mutex::new(Box::new(zone)),
            asked: Mutex::default(),
            over: AtomicBool::new(false),
        });
        let (first, second) = (Arc::clone(&script), Arc::clone(&script));
        let threads = vec![
            thread::spawn(move || by_udp(&udp, &first)),
            thread::spawn(move || by_tcp(&tcp, &second)),
        ];
        let server = Self {
            address,
            folder,
            script,
            threads,
        };
        server.write("hosts", "127.0.0.1 localhost\n");
        server.write("resolv.conf", "nameserver 127.0.0.1\n");
        server
    }

    /// The resolver that asks it.
    pub(super) fn resolver(&self) -> Resolver {
        Resolver {
            hosts: self.folder.join("hosts"),
            servers: self.folder.join("resolv.conf"),
            port: self.address.port(),
        }
    }

    /// Writes one of the files, `hosts` or `resolv.conf`.
    pub(super) fn write(&self, file: &str, text: &str) {
        std::fs::write(self.folder.join(file), text).unwrap();
    }

    /// What it was asked so far, in order.
    pub(super) fn asked(&self) -> Vec<String> {
        self.script.asked.lock().unwrap().clone()
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.script.over.store(true, Ordering::SeqCst);
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.send_to(&[], self.address).unwrap();
        drop(TcpStream::connect(self.address));
        for thread in self.threads.drain(..) {
            drop(thread.join());
        }
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

/// Both kinds of socket on one port.
fn bind() -> (UdpSocket, TcpListener) {
    let both = || {
        let udp = UdpSocket::bind("127.0.0.1:0").ok()?;
        let tcp = TcpListener::bind(udp.local_addr().ok()?).ok()?;
        Some((udp, tcp))
    };
    (0..100).find_map(|_| both()).expect("a free port")
}

fn by_udp(socket: &UdpSocket, script: &Script) {
    let mut room = [0; 2048];
    while let Ok((length, from)) = socket.recv_from(&mut room) {
        if script.over.load(Ordering::SeqCst) {
            return;
        }
        if let Some(answer) = script.answer(&room[..length], false) {
            socket.send_to(&answer, from).unwrap();
        }
    }
}

fn by_tcp(listener: &TcpListener, script: &Arc<Script>) {
    for stream in listener.incoming() {
        if script.over.load(Ordering::SeqCst) {
            return;
        }
        let script = Arc::clone(script);
        // It ends with its connection.
        thread::spawn(move || converse(stream.unwrap(), &script));
    }
}

fn converse(mut stream: TcpStream, script: &Script) {
    let mut length = [0; 2];
    while stream.read_exact(&mut length).is_ok() {
        let mut question = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut question).unwrap();
        if let Some(answer) = script.answer(&question, true) {
            let length = u16::try_from(answer.len()).unwrap().to_be_bytes();
            stream.write_all(&[&length[..], &answer].concat()).unwrap();
        }
    }
}

impl Script {
    /// The answer's bytes (RFC 1035, 4).
    fn answer(&self, question: &[u8], tcp: bool) -> Option<Vec<u8>> {
        let (name, end) = name(question);
        let kind = u16::from_be_bytes([question[end], question[end + 1]]);
        let word = if kind == 28 { "AAAA" } else { "A" };
        let way = if tcp { " tcp" } else { "" };
        let asked = format!("{name} {word}{way}");
        self.asked.lock().unwrap().push(asked);
        let reply = (self.zone.lock().unwrap())(&name);
        let (code, cut, records, ttl) = match reply {
            Reply::Records(list, ttl) => (0, false, list, ttl),
            Reply::Cut(list, ttl) if tcp => (0, false, list, ttl),
            Reply::Cut(..) => (0, true, Vec::new(), 0),
            Reply::NoSuchName => (3, false, Vec::new(), 0),
            Reply::Refused => (5, false, Vec::new(), 0),
            Reply::Silence => return None,
        };
        let of_kind = |address: &&IpAddr| address.is_ipv6() == (kind == 28);
        let records: Vec<_> = records.iter().filter(of_kind).collect();
        let mut answer = question[..2].to_vec();
        answer.extend([0x81 | (u8::from(cut) << 1), 0x80 | code, 0, 1, 0]);
        answer.push(u8::try_from(records.len()).unwrap());
        answer.extend([0; 4]);
        answer.extend(&question[12..end + 4]);
        for address in records {
            // The question's name, of the class of the Internet.
            answer.extend([0xc0, 12]);
            answer.extend(kind.to_be_bytes());
            answer.extend([0, 1]);
            answer.extend(ttl.to_be_bytes());
            match address {
                IpAddr::V4(address) => answer.extend([&[0, 4], &address.octets()[..]].concat()),
                IpAddr::V6(address) => answer.extend([&[0, 16], &address.octets()[..]].concat()),
            }
        }
        Some(answer)
    }
}

/// The name that a question is about, and where it ends.
fn name(question: &[u8]) -> (String, usize) {
    let (mut at, mut labels) = (12, Vec::new());
    while question[at] > 0 {
        let end = at + 1 + usize::from(question[at]);
        labels.push(String::from_utf8(question[at + 1..end].to_vec()).unwrap());
        at = end;
    }
    (labels.join(".").to_lowercase(), at + 1)
}
