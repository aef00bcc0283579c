//! Addresses become sockets: bound, or a line that says why not.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use socket2::{Domain, Protocol, Socket, Type};

use crate::config::{self, Listen, Report};
use crate::server::{Listener, Server, Tls};

/// Connections that the kernel holds for a listener until a worker accepts them.
const BACKLOG: i32 = 1024;

/// Binds the visitors' addresses, each with what is spoken there.
pub(super) fn bind_listeners(
    listen: &[Listen],
    tls: Option<&Arc<Tls>>,
) -> Result<Vec<Listener>, Report> {
    let spoken = |listen: &Listen| match listen {
        Listen::Tcp(address) => Some((*address, None)),
        Listen::Tls(address) => Some((*address, tls.cloned())),
        Listen::Unix(_) => None,
    };
    let (addresses, tls): (Vec<_>, Vec<_>) = listen.iter().filter_map(spoken).unzip();
    let bound = bind(&addresses)?.into_iter().zip(tls);
    Ok(bound
        .map(|(listener, tls)| Listener { tls, ..listener })
        .collect())
}

/// What a server listens on, the ports that the kernel chose filled in.
pub(super) fn listening(server: &Server, listeners: &[Listener]) -> Vec<Listen> {
    let spoken = |(address, listener): (&SocketAddr, &Listener)| match listener.tls {
        Some(_) => Listen::Tls(*address),
        None => Listen::Tcp(*address),
    };
    server
        .addresses()
        .iter()
        .zip(listeners)
        .map(spoken)
        .collect()
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
