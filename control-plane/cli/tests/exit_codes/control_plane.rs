//! A control plane that says what a test has it say, and the command that asks it.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};
use std::thread;

/// A control plane that knows two answers: to writes, and to receipts.
pub(crate) fn control_plane(write: (u16, &'static str), receipt: &'static str) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for connection in listener.incoming().map_while(Result::ok) {
            // A client that leaves early is seen by its own test.
            let _ = answer(connection, write, receipt);
        }
    });
    Ok(address)
}

fn answer(mut connection: TcpStream, write: (u16, &str), receipt: &str) -> io::Result<()> {
    let mut read = BufReader::new(connection.try_clone()?);
    let (mut first, mut length) = (String::new(), 0);
    read.read_line(&mut first)?;
    for line in read.by_ref().lines() {
        let line = line?.to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.parse().map_err(|_| io::ErrorKind::InvalidData)?;
        }
        if line.is_empty() {
            break;
        }
    }
    io::copy(&mut read.take(length), &mut io::sink())?;
    let (status, body) = if first.contains("/receipt") {
        (200, receipt)
    } else {
        write
    };
    let length = body.len();
    write!(
        connection,
        "HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
}

pub(crate) fn sluice(server: SocketAddr, arguments: &[&str]) -> io::Result<Output> {
    Command::new(env!("CARGO_BIN_EXE_sluice"))
        .args(arguments)
        .env("SLUICE_ADMIN", server.to_string())
        .env_remove("SLUICE_TOKEN")
        .env_remove("SLUICE_NAMESPACE")
        .stdin(Stdio::null())
        .output()
}
