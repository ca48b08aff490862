//! How those who hand out the keys of AWS are asked: by the same wire as the buckets themselves, so that the
//! same authorities are trusted, the same proxies are used, and silence is noticed.

use std::io;
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use http::uri::Authority;
use object_store::ClientOptions;
use object_store::client::{HttpClient, HttpConnector as _, HttpErrorKind, HttpRequestBody};

use super::failure::root_cause;
use super::wire::Wire;

/// What `aws-config` sends its requests with. It may ask without TLS: metadata services of machines and
/// containers have none.
pub(super) fn http_client(wire: &Wire) -> SharedHttpClient {
    let wire = wire.clone().without_tls();
    http_client_fn(move |settings, _| {
        SharedHttpConnector::new(Courier {
            client: wire
                .connect(&ClientOptions::new())
                .map_err(|error| error.to_string()),
            limit: limit(settings),
        })
    })
}

/// Within how much time an answer must be there, for those who want it soon.
fn limit(settings: &HttpConnectorSettings) -> Option<Duration> {
    let read = settings.read_timeout()?;
    Some(read + settings.connect_timeout().unwrap_or_default())
}

/// Carries one request after the other.
#[derive(Clone, Debug)]
struct Courier {
    client: Result<HttpClient, String>,
    limit: Option<Duration>,
}

impl HttpConnector for Courier {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let courier = self.clone();
        HttpConnectorFuture::new(async move {
            let Some(limit) = courier.limit else {
                return courier.carry(request).await;
            };
            let answer = tokio::time::timeout(limit, courier.carry(request)).await;
            answer.unwrap_or_else(|_| {
                let text = format!("no answer within {} seconds", limit.as_secs_f64());
                let error = io::Error::new(io::ErrorKind::TimedOut, text);
                Err(ConnectorError::timeout(error.into()))
            })
        })
    }
}

impl Courier {
    async fn carry(&self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let client = self.client.as_ref();
        let client = client.map_err(|error| ConnectorError::user(error.clone().into()))?;
        let request = request.try_into_http1x();
        let request = request.map_err(|error| ConnectorError::user(error.into()))?;
        // What asks for a key is short, and never comes from a stream.
        let request =
            request.map(|body| HttpRequestBody::from(body.bytes().unwrap_or_default().to_vec()));
        let scheme = request.uri().scheme_str().unwrap_or("http");
        let host = request.uri().authority().map_or("", Authority::as_str);
        let whom = format!("{scheme}://{host}");
        let answer = client.execute(request).await.map_err(|error| {
            let text = format!("cannot reach {whom}: {}", root_cause(&error));
            match error.kind() {
                HttpErrorKind::Timeout => ConnectorError::timeout(text.into()),
                _ => ConnectorError::io(text.into()),
            }
        })?;
        let (parts, body) = answer.into_parts();
        let body = body.bytes().await;
        let body = body.map_err(|error| ConnectorError::io(error.into()))?;
        let answer = http::Response::from_parts(parts, SdkBody::from(body));
        HttpResponse::try_from(answer).map_err(|error| ConnectorError::other(error.into(), None))
    }
}
