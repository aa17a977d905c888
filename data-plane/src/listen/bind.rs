//! Listening sockets, one for each worker.

use std::{
    io,
    net::{SocketAddr, TcpListener},
};

use socket2::{Domain, Protocol, Socket, Type};

/// Connections that may wait to be accepted, per socket; the kernel caps it at `somaxconn`.
const BACKLOG: i32 = 4096;

/// Binds `address` for `workers`, each with a socket of its own among which the kernel spreads
/// connections. Port 0 is any free one, the same for all. Connections wait from now on.
///
/// # Errors
/// When somebody else has the port, or nobody may.
pub(super) fn bind(address: SocketAddr, workers: usize) -> io::Result<(SocketAddr, Vec<TcpListener>)> {
    // Without SO_REUSEPORT first: another proxy's socket must be in the way, not shared.
    let probe = socket(address, false)?;
    probe.listen(1)?;
    let address = local_address(&probe)?;
    drop(probe);
    let sockets = (0..workers).map(|_| {
        let socket = socket(address, true)?;
        socket.listen(BACKLOG)?;
        Ok(socket.into())
    });
    Ok((address, sockets.collect::<io::Result<_>>()?))
}

fn socket(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Connections that a former process left in TIME_WAIT are in nobody's way.
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

fn local_address(socket: &Socket) -> io::Result<SocketAddr> {
    let address = socket.local_addr()?.as_socket();
    address.ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_shared_by_workers_and_by_nobody_else() {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let (address, sockets) = bind(any, 2).unwrap();
        assert_eq!(sockets.len(), 2);
        assert!(
            sockets
                .iter()
                .all(|socket| socket.local_addr().unwrap() == address)
        );
        assert_eq!(bind(address, 1).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(sockets);
        assert_eq!(bind(address, 1).unwrap().0, address);
    }
}
