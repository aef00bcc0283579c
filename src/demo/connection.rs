//! One connection to the app: requests in, misbehaviour out, until one of them ends it.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::act::{self, Next};
use super::request::Request;

/// How long a connection may wait for its next request.
const IDLE: Duration = Duration::from_mins(1);

/// How long one answer may take, the silent one included.
const ANSWER: Duration = Duration::from_secs(310);

/// How long the app reads on after its last answer, so that closing does not destroy what is still on its way.
const LINGER: Duration = Duration::from_secs(1);

/// Serves a connection to its end. Its errors end it and concern nobody else.
pub(super) async fn serve(mut stream: TcpStream, address: SocketAddr) {
    // Without it, dripping would gather into bursts; should it fail, the drips still arrive.
    let _ = stream.set_nodelay(true);
    let mut buffer = BytesMut::new();
    while let Ok(Ok(Some(request))) = timeout(IDLE, Request::read(&mut stream, &mut buffer)).await {
        let answer = act::perform(&mut stream, &request, address);
        if !matches!(timeout(ANSWER, answer).await, Ok(Ok(Next::KeepAlive))) {
            break;
        }
    }
    close(stream).await;
}

/// Ends our side, then reads what the other still sends for a moment: unread bytes would turn the end into a reset.
async fn close(mut stream: TcpStream) {
    if stream.shutdown().await.is_err() {
        return;
    }
    let mut scratch = [0; 4096];
    let rest = async { while matches!(stream.read(&mut scratch).await, Ok(1..)) {} };
    // The clock running out is the expected end with a client that keeps sending.
    let _ = timeout(LINGER, rest).await;
}
