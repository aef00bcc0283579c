//! Addresses become sockets: bound, or a line that says why not.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use socket2::{Domain, Protocol, SockRef, Type};

use super::inherited::Inherited;
use super::unix;
use crate::config::{self, Listen, Report};
use crate::server::{Door, Listener, Socket, Tls};

/// Connections that the kernel holds for a listener until a worker accepts them.
const BACKLOG: i32 = 1024;

/// A visitors' listener: what the configuration says of it, and where it is, the port filled in that the kernel chose.
#[derive(Clone, Debug)]
pub(super) struct Bound {
    pub(super) configured: Listen,
    pub(super) actual: Listen,
}

/// Whether two listeners are at the same place, whatever is spoken there.
fn are_same(one: &Listen, other: &Listen) -> bool {
    use Listen::{Tcp, Tls, Unix};
    match (one, other) {
        (Tcp(one) | Tls(one), Tcp(other) | Tls(other)) => one == other,
        (Unix(one), Unix(other)) => one == other,
        (Tcp(_) | Tls(_), Unix(_)) | (Unix(_), Tcp(_) | Tls(_)) => false,
    }
}

/// Binds the visitors' addresses where nothing of `bound` is yet and nothing was handed over; each with what is spoken there.
pub(super) fn doors(
    listen: &[Listen],
    tls: Option<&Arc<Tls>>,
    bound: &[Bound],
    inherited: &mut Inherited,
) -> Result<Vec<Door>, Report> {
    let (mut doors, mut problems) = (Vec::new(), Report::default());
    let mut taken = vec![false; bound.len()];
    for listen in listen {
        let tls = tls.filter(|_| matches!(listen, Listen::Tls(_))).cloned();
        let same = |(place, taken): (usize, &mut bool)| {
            let is = bound.get(place);
            let found = !*taken && is.is_some_and(|it| are_same(&it.configured, listen));
            *taken |= found;
            found.then_some(place)
        };
        if let Some(place) = taken.iter_mut().enumerate().find_map(same) {
            doors.push(Door::Kept(place, tls));
            continue;
        }
        let opened = match (inherited.find(listen), listen) {
            (Some(socket), _) => Ok(socket),
            (None, Listen::Tcp(address) | Listen::Tls(address)) => self::listen(*address),
            (None, Listen::Unix(path)) => unix::listen(path).map(Socket::Unix),
        };
        match opened {
            Ok(socket) => doors.push(Door::Opened(Listener { socket, tls })),
            Err(error) => {
                let title = cannot_listen(listen, &error);
                problems.add(Report::of(title, inherited.hint()));
            }
        }
    }
    if problems.is_empty() {
        Ok(doors)
    } else {
        Err(problems)
    }
}

/// The listeners of a process that had none before.
pub(super) fn first(doors: Vec<Door>) -> Vec<Listener> {
    let opened = doors.into_iter().filter_map(|door| match door {
        Door::Opened(listener) => Some(listener),
        Door::Kept(..) => None,
    });
    opened.collect()
}

/// The visitors' listeners, as configured and as `addresses` say that they are.
pub(super) fn bound(listen: &[Listen], addresses: &[SocketAddr]) -> Vec<Bound> {
    let actual = |(configured, address): (&Listen, &SocketAddr)| Bound {
        configured: configured.clone(),
        actual: match configured {
            Listen::Tls(_) => Listen::Tls(*address),
            Listen::Tcp(_) => Listen::Tcp(*address),
            Listen::Unix(path) => Listen::Unix(path.clone()),
        },
    };
    listen.iter().zip(addresses).map(actual).collect()
}

/// Binds all addresses, or says of each that cannot be bound why.
fn bind(addresses: &[SocketAddr]) -> Result<Vec<Listener>, Report> {
    let (mut bound, mut problems) = (Vec::new(), Report::default());
    for address in addresses {
        match listen(*address) {
            Ok(socket) => bound.push(Listener { socket, tls: None }),
            Err(error) => {
                let listen = Listen::Tcp(*address);
                problems.add(Report::of(cannot_listen(&listen, &error), ""));
            }
        }
    }
    if problems.is_empty() {
        Ok(bound)
    } else {
        Err(problems)
    }
}

/// Binds the operator's addresses; of those that nobody has asked for, the ones that are free.
pub(super) fn bind_operators(admin: &config::Admin) -> Result<Vec<Listener>, Report> {
    if !admin.optional {
        return bind(&admin.listen);
    }
    let mut bound = Vec::new();
    for address in &admin.listen {
        match listen(*address) {
            Ok(socket) => bound.push(Listener { socket, tls: None }),
            Err(error) => tracing::warn!(
                "{}; this process cannot be asked whether it is ready",
                cannot_listen(&Listen::Tcp(*address), &error)
            ),
        }
    }
    Ok(bound)
}

/// How much of an answer the kernel takes ahead of what it has sent, in bytes. By itself it takes megabytes, of which a
/// reader of some kilobytes a second leaves room for more only after minutes: nobody could tell it from one that has stopped.
const UNSENT: u32 = 128 * 1024;

/// A listener without `SO_REUSEPORT`, so that a second process on a taken port is told so.
fn listen(address: SocketAddr) -> io::Result<Socket> {
    let socket = socket2::Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // `[::]` is for both families, whatever this machine's default is.
        socket.set_only_v6(false)?;
    }
    tune(&SockRef::from(&socket))?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(Socket::Tcp(socket.into()))
}

/// Sets what the kernel hands down to the connections.
pub(super) fn tune(listener: &SockRef<'_>) -> io::Result<()> {
    listener.set_tcp_nodelay(true)?;
    listener.set_tcp_notsent_lowat(UNSENT)
}

fn cannot_listen(address: &Listen, error: &io::Error) -> String {
    let reason = match error.kind() {
        io::ErrorKind::AddrInUse => "another process listens there",
        io::ErrorKind::PermissionDenied if matches!(address, Listen::Unix(_)) => {
            "the user that Pardon runs as may not write there"
        }
        io::ErrorKind::PermissionDenied => "ports below 1024 need the right to bind them",
        io::ErrorKind::AddrNotAvailable => "this machine has no such address",
        _ => return format!("cannot listen on {address}: {error}"),
    };
    format!("cannot listen on {address}: {reason} ({error})")
}
