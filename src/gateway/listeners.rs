//! Addresses become sockets: bound, or a line that says why not.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use socket2::{Domain, Protocol, Socket, Type};

use crate::config::{self, Listen, Report};
use crate::server::{Door, Listener, Tls};

/// Connections that the kernel holds for a listener until a worker accepts them.
const BACKLOG: i32 = 1024;

/// A visitors' listener: what the configuration says of it, and where it is, the port filled in that the kernel chose.
#[derive(Clone, Debug)]
pub(super) struct Bound {
    pub(super) configured: Listen,
    pub(super) actual: Listen,
}

/// Where the address of a listener on TCP is, and whether it speaks TLS.
fn spoken(listen: &Listen) -> Option<(SocketAddr, bool)> {
    match listen {
        Listen::Tcp(address) => Some((*address, false)),
        Listen::Tls(address) => Some((*address, true)),
        Listen::Unix(_) => None,
    }
}

/// Binds the visitors' addresses where nothing of `bound` is yet; each with what is spoken there.
pub(super) fn doors(
    listen: &[Listen],
    tls: Option<&Arc<Tls>>,
    bound: &[Bound],
) -> Result<Vec<Door>, Report> {
    let (mut doors, mut problems) = (Vec::new(), Report::default());
    let mut taken = vec![false; bound.len()];
    for (address, secure) in listen.iter().filter_map(spoken) {
        let tls = tls.filter(|_| secure).cloned();
        let same = |(place, taken): (usize, &mut bool)| {
            let is = bound.get(place).and_then(|it| spoken(&it.configured));
            let found = !*taken && is.is_some_and(|(known, _)| known == address);
            *taken |= found;
            found.then_some(place)
        };
        if let Some(place) = taken.iter_mut().enumerate().find_map(same) {
            doors.push(Door::Kept(place, tls));
            continue;
        }
        match self::listen(address) {
            Ok(listener) => doors.push(Door::Opened(Listener { tls, ..listener })),
            Err(error) => problems.add(Report::of(cannot_listen(address, &error), "")),
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
    let listened = listen.iter().filter(|listen| spoken(listen).is_some());
    let actual = |(configured, address): (&Listen, &SocketAddr)| Bound {
        configured: configured.clone(),
        actual: match configured {
            Listen::Tls(_) => Listen::Tls(*address),
            Listen::Tcp(_) | Listen::Unix(_) => Listen::Tcp(*address),
        },
    };
    listened.zip(addresses).map(actual).collect()
}

/// Binds all addresses, or says of each that cannot be bound why.
fn bind(addresses: &[SocketAddr]) -> Result<Vec<Listener>, Report> {
    let (mut bound, mut problems) = (Vec::new(), Report::default());
    for address in addresses {
        match listen(*address) {
            Ok(listener) => bound.push(listener),
            Err(error) => problems.add(Report::of(cannot_listen(*address, &error), "")),
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
            Ok(listener) => bound.push(listener),
            Err(error) => tracing::warn!(
                "{}; this process cannot be asked whether it is ready",
                cannot_listen(*address, &error)
            ),
        }
    }
    Ok(bound)
}

/// How much of an answer the kernel takes ahead of what it has sent, in bytes. By itself it takes megabytes, of which a
/// reader of some kilobytes a second leaves room for more only after minutes: nobody could tell it from one that has stopped.
const UNSENT: u32 = 128 * 1024;

/// A listener without `SO_REUSEPORT`, so that a second process on a taken port is told so.
fn listen(address: SocketAddr) -> io::Result<Listener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    // The kernel hands both down to the connections.
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_notsent_lowat(UNSENT)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(Listener {
        socket: socket.into(),
        tls: None,
    })
}

fn cannot_listen(address: SocketAddr, error: &io::Error) -> String {
    let reason = match error.kind() {
        io::ErrorKind::AddrInUse => "another process listens there",
        io::ErrorKind::PermissionDenied => "ports below 1024 need the right to bind them",
        io::ErrorKind::AddrNotAvailable => "this machine has no such address",
        _ => return format!("cannot listen on {address}: {error}"),
    };
    format!("cannot listen on {address}: {reason} ({error})")
}
