//! A DNS server that answers as it is told, over UDP and TCP, and notes when it is asked.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use anyhow::Context as _;
use hickory_proto::op::{Message, OpCode, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, SOA, SRV};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::{AbortHandle, JoinSet};

/// Longest message over UDP.
const MAX_UDP: usize = 4096;
/// How often a port is sought that is free for both.
const PORTS_TRIED: usize = 20;

/// What a name is answered with.
#[derive(Debug, Clone)]
pub enum Reply {
    /// These addresses, good for so many seconds.
    Addresses(Vec<IpAddr>, u32),
    /// These services (priority, weight, port, target), good for so many seconds.
    Services(Vec<(u16, u16, u16, &'static str)>, u32),
    /// There is no such name, for so many seconds.
    Nothing(u32),
    /// The server is in trouble.
    Failure,
}

/// A server on a free port of 127.0.0.1; it ends when it is dropped.
#[derive(Debug)]
pub struct Dns {
    /// Where it listens.
    pub address: SocketAddr,
    zone: Arc<Mutex<Zone>>,
    serving: [AbortHandle; 2],
}

#[derive(Debug, Default)]
struct Zone {
    replies: HashMap<String, Reply>,
    asked: HashMap<String, Vec<Instant>>,
}

impl Dns {
    /// Starts one that knows no names.
    ///
    /// # Errors
    /// When there is no free port.
    pub async fn start() -> anyhow::Result<Self> {
        let mut tried = 0;
        let (udp, tcp) = loop {
            let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            match TcpListener::bind(udp.local_addr()?).await {
                Ok(tcp) => break (udp, tcp),
                Err(error) if tried == PORTS_TRIED => return Err(error).context("no free port"),
                Err(_) => tried += 1,
            }
        };
        let (address, zone) = (udp.local_addr()?, Arc::<Mutex<Zone>>::default());
        let serving = [
            tokio::spawn(serve_udp(udp, Arc::clone(&zone))).abort_handle(),
            tokio::spawn(serve_tcp(tcp, Arc::clone(&zone))).abort_handle(),
        ];
        Ok(Self {
            address,
            zone,
            serving,
        })
    }

    /// Answers `name` like this from now on.
    pub fn set(&self, name: &str, reply: Reply) {
        lock(&self.zone).replies.insert(name.to_owned(), reply);
    }

    /// When addresses (IPv4) or services of `name` were asked for: one time per question, the first one first.
    pub fn asked(&self, name: &str) -> Vec<Instant> {
        lock(&self.zone).asked.get(name).cloned().unwrap_or_default()
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        self.serving.iter().for_each(AbortHandle::abort);
    }
}

async fn serve_udp(socket: UdpSocket, zone: Arc<Mutex<Zone>>) {
    let mut buffer = vec![0; MAX_UDP];
    while let Ok((length, client)) = socket.recv_from(&mut buffer).await {
        if let Some(answer) = answer(&buffer[..length], &zone) {
            let _ = socket.send_to(&answer, client).await;
        }
    }
}

async fn serve_tcp(listener: TcpListener, zone: Arc<Mutex<Zone>>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve_stream(stream, Arc::clone(&zone)));
    }
}

async fn serve_stream(mut stream: TcpStream, zone: Arc<Mutex<Zone>>) {
    while let Ok(length) = stream.read_u16().await {
        let mut question = vec![0; length.into()];
        if stream.read_exact(&mut question).await.is_err() {
            return;
        }
        let Some(answer) = answer(&question, &zone) else {
            return;
        };
        let length = (answer.len() as u16).to_be_bytes();
        if stream.write_all(&[&length, &*answer].concat()).await.is_err() {
            return;
        }
    }
}

fn answer(question: &[u8], zone: &Mutex<Zone>) -> Option<Vec<u8>> {
    let asked = Message::from_vec(question).ok()?;
    let query = asked.queries.first()?.clone();
    let mut answer = Message::response(asked.metadata.id, OpCode::Query);
    let name = query.name().to_ascii().trim_end_matches('.').to_owned();
    let kind = query.query_type();
    let reply = {
        let mut zone = lock(zone);
        if kind != RecordType::AAAA {
            zone.asked.entry(name.clone()).or_default().push(Instant::now());
        }
        zone.replies.get(&name).cloned().unwrap_or(Reply::Nothing(60))
    };
    let records = |all: Vec<RData>, ttl| {
        let record = |data| Record::from_rdata(query.name().clone(), ttl, data);
        all.into_iter().map(record).collect::<Vec<_>>()
    };
    match reply {
        Reply::Failure => answer.metadata.response_code = ResponseCode::ServFail,
        Reply::Nothing(ttl) => {
            answer.metadata.response_code = ResponseCode::NXDomain;
            answer.add_authority(start_of_authority(ttl));
        }
        Reply::Addresses(all, ttl) => {
            let data = all.into_iter().filter_map(|address| match (address, kind) {
                (IpAddr::V4(v4), RecordType::A) => Some(RData::A(A(v4))),
                (IpAddr::V6(v6), RecordType::AAAA) => Some(RData::AAAA(AAAA(v6))),
                _ => None,
            });
            let found = records(data.collect(), ttl);
            if found.is_empty() {
                answer.add_authority(start_of_authority(ttl));
            }
            answer.add_answers(found);
        }
        Reply::Services(all, ttl) => {
            let data = all.into_iter().filter_map(|(priority, weight, port, target)| {
                let target = Name::from_ascii(target).ok()?;
                Some(RData::SRV(SRV::new(priority, weight, port, target)))
            });
            answer.add_answers(records(data.collect(), ttl));
        }
    }
    answer.add_query(query);
    answer.to_vec().ok()
}

/// What says how long there will be nothing (RFC 2308).
fn start_of_authority(ttl: u32) -> Record {
    let data = SOA::new(Name::root(), Name::root(), 1, 60, 60, 60, ttl);
    Record::from_rdata(Name::root(), ttl, RData::SOA(data))
}

fn lock(zone: &Mutex<Zone>) -> MutexGuard<'_, Zone> {
    zone.lock().unwrap_or_else(PoisonError::into_inner)
}
