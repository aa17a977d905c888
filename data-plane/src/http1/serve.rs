//! The life of a client's connection: one request after the other.

use std::{future::poll_fn, pin::pin, rc::Rc, task::Poll};

use http::{Method, Request, Response, Version};
use sluice_http1::RequestHead;

use super::{
    Pipe,
    channel::{Channel, End},
    respond::{Answered, Asked, respond},
    upload::Upload,
};
use crate::{
    request::{self, Arriving, Exchange, ResponseBody},
    worker::Connection,
};

/// Serves requests until the client leaves, something is wrong, or the connection has had enough.
/// Returns the connection if it has become another protocol.
pub(crate) async fn serve(
    connection: &Rc<Connection>,
    channel: Rc<Channel>,
) -> Option<(Pipe, Box<Exchange>)> {
    loop {
        let head = match channel.head(connection).await {
            Ok(head) => head,
            Err(End::Quiet) => {
                channel.shut_down().await;
                return None;
            }
            Err(End::Refused(reason)) => {
                let asked = Asked {
                    head: false,
                    http10: false,
                    persistent: false,
                };
                channel.give_up();
                let response = request::reject(Rc::clone(connection), reason);
                respond(&channel, response, asked, &connection.worker.date()).await;
                channel.close().await;
                return None;
            }
        };
        let upload = channel.begin(&head);
        let mut asked = Asked {
            head: head.method == Method::HEAD,
            http10: head.version == Version::HTTP_10,
            // What follows CONNECT may be meant for a tunnel, whatever was answered.
            persistent: head.persistent && head.method != Method::CONNECT,
        };
        let handling = request::handle(Rc::clone(connection), to_request(head, upload));
        let response = while_connected(connection, &channel, handling).await?;
        asked.persistent &= connection.may_go_on();
        let answered = respond(&channel, response, asked, &connection.worker.date()).await;
        channel.take_back();
        match answered {
            Answered::Persistent if channel.skip_body().await => {}
            Answered::Persistent | Answered::Last => {
                channel.close().await;
                return None;
            }
            Answered::Broken => {
                let slow = u64::from(channel.with(|inner| inner.too_slow));
                connection
                    .worker
                    .stats
                    .count(|counters| counters.slow_readers += slow);
                return None;
            }
            Answered::Switched(exchange) => return channel.into_pipe().map(|pipe| (pipe, exchange)),
        }
    }
}

fn to_request(head: RequestHead, upload: Upload) -> Request<Arriving> {
    let mut request = Request::new(Arriving::Http1(upload, head.facts));
    *request.method_mut() = head.method;
    *request.uri_mut() = head.target;
    *request.version_mut() = head.version;
    *request.headers_mut() = head.headers;
    request
}

/// `handling`, unless the client leaves before.
async fn while_connected(
    connection: &Connection,
    channel: &Channel,
    handling: impl Future<Output = Response<ResponseBody>>,
) -> Option<Response<ResponseBody>> {
    let mut handling = pin!(handling);
    poll_fn(|cx| {
        let handled = handling.as_mut().poll(cx);
        channel.with(|inner| {
            // Heads of 1xx; what follows will show whether they can be written.
            connection.take_interim(&mut inner.pipe.output);
            if handled.is_pending() {
                let _ = inner.poll_drain(cx);
            }
        });
        match handled {
            Poll::Ready(response) => Poll::Ready(Some(response)),
            Poll::Pending => channel.poll_gone(cx).map(|()| None),
        }
    })
    .await
}
