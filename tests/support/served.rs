//! A listener whose connections are tasks of a runtime and a thread of its own.

use std::net::{Ipv4Addr, SocketAddr};
use std::thread;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// A free loopback port that is served; all of it ends with this value.
pub struct Served {
    pub address: SocketAddr,
    /// Dropped, it ends the runtime.
    _end: oneshot::Sender<()>,
}

impl Served {
    /// Has each connection served by `converse`.
    pub fn start<F>(converse: impl Fn(TcpStream) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let listening = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        let listener = runtime.block_on(listening).unwrap();
        let address = listener.local_addr().unwrap();
        let (end, ended) = oneshot::channel::<()>();
        let serve = async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(converse(stream));
            }
        };
        thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = serve => {}
                    _ = ended => {}
                }
            });
        });
        Self { address, _end: end }
    }
}
