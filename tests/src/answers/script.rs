//! The upstream that answers by the script.

use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::case::{Case, End};
use crate::upstream::Upstream;

/// Answers `/case/N` with the bytes of case N and every other path with that path.
pub(super) async fn serve(cases: Arc<[Case]>) -> anyhow::Result<Upstream> {
    Upstream::accept(move |stream| {
        let cases = Arc::clone(&cases);
        async move {
            // An error ends this one connection; the proxy sees it.
            let _ = answer_all(stream, &cases).await;
        }
    })
    .await
}

async fn answer_all(mut stream: TcpStream, cases: &[Case]) -> std::io::Result<()> {
    let mut pending = Vec::new();
    while let Some(target) = next_target(&mut stream, &mut pending).await? {
        let number = target
            .strip_prefix("/case/")
            .and_then(|number| number.parse().ok());
        let Some(case) = number.and_then(|number: usize| cases.get(number)) else {
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{target}",
                target.len()
            );
            stream.write_all(head.as_bytes()).await?;
            continue;
        };
        stream.write_all(&case.raw).await?;
        match case.end {
            End::Keep => {}
            End::Close => return stream.shutdown().await,
            End::Reset => return stream.set_zero_linger(),
        }
    }
    Ok(())
}

/// Target of the next request; requests here have no body.
async fn next_target(stream: &mut TcpStream, pending: &mut Vec<u8>) -> std::io::Result<Option<String>> {
    loop {
        if let Some(end) = pending.windows(4).position(|end| end == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&pending[..end]).into_owned();
            pending.drain(..end + 4);
            return Ok(head.split(' ').nth(1).map(str::to_owned));
        }
        if stream.read_buf(pending).await? == 0 {
            return Ok(None);
        }
    }
}
