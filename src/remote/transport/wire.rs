//! How requests over HTTP travel: whom the client trusts, how long it waits for a sign of life,
//! and what it forgives a server.
//!
//! There is no limit on the time of a whole request, because a pack on a slow line takes as long
//! as it takes. What is watched is whether anything moves. A peer that is gone is noticed by the
//! kernel, whose segments nobody acknowledges; one that is there and hangs is noticed here.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody,
    HttpResponse, HttpResponseBody, HttpService,
};
use reqwest::Certificate;
use tokio::time::{Instant, Sleep, sleep};

use super::Traffic;
use super::failure::{is_region, root_cause};
use crate::fs;
use crate::remote::Address;

/// The time to get a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The same for the metadata service of the machine.
const MACHINE_TIMEOUT: Duration = Duration::from_secs(1);

/// For so long nothing may move. The kernel takes up to 4 MiB off our hands before it sends them,
/// so this is the time for 4 MiB on a very slow line.
pub(super) const STALL: Duration = Duration::from_secs(300);

/// After so long without an acknowledgement the kernel gives a connection up.
#[cfg(target_os = "linux")]
const UNACKNOWLEDGED: Duration = Duration::from_secs(120);

/// What a client needs to know of the network.
#[derive(Clone, Debug)]
pub(super) struct Wire {
    /// Authorities that are trusted besides those of the system.
    pub(super) authorities: Vec<Certificate>,
    /// Whether requests may go without TLS.
    pub(super) is_plain: bool,
    /// For how long nothing may move.
    pub(super) stall: Duration,
    /// Whether a server may send the client elsewhere.
    is_led: bool,
    /// Whether it is the metadata service of this machine that is asked: that one is near if it is
    /// there at all, and no proxy leads to it.
    is_machine: bool,
    /// What has gone over it.
    pub(super) traffic: Arc<Traffic>,
}

impl HttpConnector for Wire {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        let builder = reqwest::ClientBuilder::new()
            .user_agent(concat!("esker/", env!("CARGO_PKG_VERSION")))
            .tls_certs_merge(self.authorities.iter().cloned())
            .https_only(!self.is_plain)
            .connect_timeout(match self.is_machine {
                true => MACHINE_TIMEOUT,
                false => CONNECT_TIMEOUT,
            })
            .tcp_keepalive(Duration::from_secs(30))
            .tcp_keepalive_interval(Duration::from_secs(10))
            .tcp_keepalive_retries(3);
        #[cfg(target_os = "linux")]
        let builder = builder.tcp_user_timeout(UNACKNOWLEDGED);
        let builder = match self.is_machine {
            true => builder.no_proxy(),
            false => builder,
        };
        let builder = match self.is_led {
            true => builder,
            false => builder.redirect(reqwest::redirect::Policy::none()),
        };
        let client = builder
            .build()
            .map_err(|error| object_store::Error::Generic {
                store: "HTTP",
                source: Box::new(error),
            })?;
        Ok(HttpClient::new(Line {
            client,
            stall: self.stall,
            traffic: Arc::clone(&self.traffic),
        }))
    }
}

impl Wire {
    /// What a client of a url needs; the error is for people. An authority that the remote names,
    /// or else `AWS_CA_BUNDLE`, is trusted besides those of the system.
    pub(super) fn to(
        url: &str,
        address: &Address,
        var: &dyn Fn(&str) -> Option<String>,
        stall: Duration,
    ) -> Result<Self, String> {
        // `rustls` would read `SSL_CERT_FILE` alone, which the other tools of AWS do not.
        let variable = || var("AWS_CA_BUNDLE").filter(|path| !path.is_empty());
        let authorities = match (&address.ca_bundle, variable()) {
            (Some(path), _) => authorities("ca_bundle", path)?,
            (None, Some(path)) => authorities("AWS_CA_BUNDLE", Path::new(&path))?,
            (None, None) => Vec::new(),
        };
        Ok(Self {
            authorities,
            is_plain: url.starts_with("http://"),
            stall,
            is_led: true,
            is_machine: false,
            traffic: Arc::default(),
        })
    }

    /// The same for requests that are signed, which is for one server.
    pub(super) fn without_redirects(self) -> Self {
        Self {
            is_led: false,
            ..self
        }
    }

    /// The same to a server that is asked without TLS.
    pub(super) fn without_tls(self) -> Self {
        Self {
            is_plain: true,
            ..self
        }
    }

    /// The same to the metadata service of this machine, which is asked without TLS.
    pub(super) fn into_machine(self) -> Self {
        Self {
            is_machine: true,
            ..self.without_tls()
        }
    }
}

fn authorities(source: &str, path: &Path) -> Result<Vec<Certificate>, String> {
    let unusable = |why: String| format!("`{source}` cannot be used: {why}");
    let pem = fs::read(path).map_err(|error| unusable(format!("{error}: {}", error.source)))?;
    let found = Certificate::from_pem_bundle(&pem).map_err(|error| unusable(root_cause(&error)))?;
    if found.is_empty() {
        return Err(unusable(format!("`{}` has no certificate", path.display())));
    }
    Ok(found)
}

/// A client and its patience.
#[derive(Debug)]
struct Line {
    client: reqwest::Client,
    stall: Duration,
    traffic: Arc<Traffic>,
}

#[async_trait::async_trait]
impl HttpService for Line {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (parts, body) = request.into_parts();
        let url = parts.uri.to_string().parse::<reqwest::Url>();
        let url = url.map_err(|error| HttpError::new(HttpErrorKind::Unknown, error))?;
        let pulse = Pulse::default();
        let mut sent = reqwest::Request::new(parts.method, url);
        *sent.headers_mut() = parts.headers;
        if body.content_length() > 0 {
            let pulse = pulse.clone();
            let traffic = Arc::clone(&self.traffic);
            let body = Sent {
                body,
                pulse,
                traffic,
            };
            *sent.body_mut() = Some(reqwest::Body::wrap(body));
        }
        let answer = tokio::select! {
            answer = self.client.execute(sent) => answer.map_err(broken)?,
            () = pulse.stops(self.stall) => return Err(stalled(self.stall)),
        };
        let (mut parts, body) = http::Response::from(answer).into_parts();
        // `rclone serve s3` sends the part that was asked for, and calls it the whole.
        if parts.status == StatusCode::OK && parts.headers.contains_key(header::CONTENT_RANGE) {
            parts.status = StatusCode::PARTIAL_CONTENT;
        }
        if let Some(region) = other_region(&parts) {
            // Of a redirect the client keeps neither headers nor body.
            let body =
                format!("<Error><Code>PermanentRedirect</Code><Region>{region}</Region></Error>");
            parts = http::Response::new(()).into_parts().0;
            parts.status = StatusCode::BAD_REQUEST;
            return Ok(HttpResponse::from_parts(parts, body.into()));
        }
        let body = HttpResponseBody::new(Received {
            body,
            stall: self.stall,
            alarm: Box::pin(sleep(self.stall)),
            traffic: Arc::clone(&self.traffic),
        });
        Ok(HttpResponse::from_parts(parts, body))
    }
}

/// The region to which S3 sends whoever asks in another one.
fn other_region(answer: &http::response::Parts) -> Option<String> {
    let region = answer.headers.get("x-amz-bucket-region")?.to_str().ok()?;
    (answer.status.is_redirection() && is_region(region)).then(|| region.to_owned())
}

/// Counts the pieces of a body that were sent.
#[derive(Clone, Debug, Default)]
struct Pulse(Arc<AtomicU64>);

impl Pulse {
    fn beat(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Ends when nothing was sent for so long, or for twice that at most.
    async fn stops(&self, stall: Duration) {
        let mut last = self.0.load(Ordering::Relaxed);
        loop {
            sleep(stall).await;
            let now = self.0.load(Ordering::Relaxed);
            if now == last {
                return;
            }
            last = now;
        }
    }
}

/// The body of a request.
struct Sent {
    body: HttpRequestBody,
    pulse: Pulse,
    traffic: Arc<Traffic>,
}

impl Body for Sent {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        self.pulse.beat();
        let polled = Pin::new(&mut self.body).poll_frame(context);
        self.traffic.count_sent(length(&polled));
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of an answer.
struct Received {
    body: reqwest::Body,
    stall: Duration,
    alarm: Pin<Box<Sleep>>,
    traffic: Arc<Traffic>,
}

impl Body for Received {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        self.traffic.count_received(length(&polled));
        if let Poll::Ready(frame) = polled {
            let next = Instant::now() + self.stall;
            self.alarm.as_mut().reset(next);
            return Poll::Ready(frame.map(|frame| frame.map_err(broken)));
        }
        ready!(self.alarm.as_mut().poll(context));
        Poll::Ready(Some(Err(stalled(self.stall))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// How many bytes came with a piece of a body.
fn length<E>(polled: &Poll<Option<Result<Frame<Bytes>, E>>>) -> usize {
    match polled {
        Poll::Ready(Some(Ok(frame))) => frame.data_ref().map_or(0, Bytes::len),
        _ => 0,
    }
}

fn stalled(stall: Duration) -> HttpError {
    let seconds = stall.as_secs_f64();
    let text = format!("nothing moved for {seconds} seconds");
    HttpError::new(
        HttpErrorKind::Timeout,
        io::Error::new(io::ErrorKind::TimedOut, text),
    )
}

/// A request that did not come through. Whatever is not known to have failed before it was sent
/// may have had its effect.
fn broken(error: reqwest::Error) -> HttpError {
    let kind = if error.is_timeout() {
        HttpErrorKind::Timeout
    } else if error.is_connect() {
        HttpErrorKind::Connect
    } else {
        HttpErrorKind::Interrupted
    };
    HttpError::new(kind, error.without_url())
}
