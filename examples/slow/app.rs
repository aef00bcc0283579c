//! The app: an answer of four bytes to everything, of many megabytes to `/large`, and to a body when it has come.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;

/// Bytes of a large answer: more than the kernel's buffers hold.
const LARGE: usize = 32 << 20;

/// Starts it; it ends with the process.
pub(crate) fn start() -> io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // What goes wrong here goes wrong for a visitor too, who counts it.
            let serving = thread::Builder::new().stack_size(128 << 10);
            drop(serving.spawn(move || drop(serve(&stream))));
        }
    });
    Ok(address)
}

fn serve(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut reader, mut writer) = (BufReader::new(stream), stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head)? == 0 {
                return Ok(());
            }
        }
        let head = head.to_ascii_lowercase();
        let length = head.split("content-length: ").nth(1);
        let length = length.and_then(|rest| rest.split("\r\n").next()?.parse().ok());
        io::copy(
            &mut (&mut reader).take(length.unwrap_or(0)),
            &mut io::sink(),
        )?;
        if head.starts_with("get /large ") {
            write!(writer, "HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n")?;
            let piece = vec![b'x'; 64 << 10];
            for _ in 0..LARGE / piece.len() {
                writer.write_all(&piece)?;
            }
        } else {
            writer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine")?;
        }
    }
}
