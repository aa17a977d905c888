//! A TCP link to a server that can be cut or frozen, for Postgres also exactly around COMMIT.

use std::net::Ipv4Addr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

/// What the link does to its connections, from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Carries everything.
    None,
    /// Ends every connection, and each new one at once.
    Cut,
    /// Carries nothing and ends nothing: a host that has vanished.
    Frozen,
    /// The next COMMIT does not reach the server: its connection ends instead.
    CommitLost,
    /// The next COMMIT reaches the server, its answer does not come back, and the link is cut.
    AnswerLostThenCut,
    /// As before, but new connections are carried.
    AnswerLost,
}

/// Listens on a port of its own and carries connections to the server.
#[derive(Debug)]
pub struct Link {
    port: u16,
    fault: Arc<watch::Sender<Fault>>,
    accepting: AbortHandle,
}

impl Link {
    /// A link to the port `server` of 127.0.0.1.
    ///
    /// # Errors
    /// When there is no free port.
    pub async fn to(server: u16) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let fault = Arc::new(watch::Sender::new(Fault::None));
        let accepting = tokio::spawn(accept(listener, server, Arc::clone(&fault))).abort_handle();
        Ok(Self {
            port,
            fault,
            accepting,
        })
    }

    /// Where it listens, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What it does from now on.
    pub fn set(&self, fault: Fault) {
        self.fault.send_replace(fault);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, server: u16, fault: Arc<watch::Sender<Fault>>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((client, _)) = listener.accept().await else {
            return;
        };
        let fault = Arc::clone(&fault);
        connections.spawn(async move {
            let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, server)).await else {
                return;
            };
            let mut cut = fault.subscribe();
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = server.into_split();
            tokio::select! {
                _ = cut.wait_for(|fault| *fault == Fault::Cut) => {}
                () = requests(from_client, to_server, &fault) => {}
                () = answers(from_server, to_client, &fault) => {}
            }
        });
    }
}

async fn requests(mut client: OwnedReadHalf, mut server: OwnedWriteHalf, fault: &watch::Sender<Fault>) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = client.read(&mut buffer).await {
        thawed(fault).await;
        let bytes = &buffer[..length];
        let commits = bytes.windows(7).any(|window| window == b"COMMIT\0");
        let now = *fault.borrow();
        match (commits, now) {
            (true, Fault::CommitLost) => {
                fault.send_replace(Fault::None);
                return;
            }
            (true, Fault::AnswerLost | Fault::AnswerLostThenCut) => {
                if server.write_all(bytes).await.is_err() {
                    return;
                }
                // `answers` of this connection sees the commit done and drops it.
                std::future::pending::<()>().await;
            }
            _ if server.write_all(bytes).await.is_err() => return,
            _ => {}
        }
    }
}

async fn answers(mut server: OwnedReadHalf, mut client: OwnedWriteHalf, fault: &watch::Sender<Fault>) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = server.read(&mut buffer).await {
        thawed(fault).await;
        let bytes = &buffer[..length];
        let committed = bytes.windows(7).any(|window| window == b"COMMIT\0");
        let after = match *fault.borrow() {
            Fault::AnswerLost if committed => Some(Fault::None),
            Fault::AnswerLostThenCut if committed => Some(Fault::Cut),
            _ => None,
        };
        if let Some(after) = after {
            fault.send_replace(after);
            return;
        }
        if client.write_all(bytes).await.is_err() {
            return;
        }
    }
}

async fn thawed(fault: &watch::Sender<Fault>) {
    let _ = fault.subscribe().wait_for(|fault| *fault != Fault::Frozen).await;
}
