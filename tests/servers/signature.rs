//! Version 4 of the signatures of AWS, computed from what its public reference says and from nothing
//! that the program under test uses.

use std::collections::BTreeMap;
use std::fmt::Write;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::serving::Request;

/// A key id and its secret.
pub(crate) type Pair = (String, String);

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// What a good signature says.
pub(crate) struct Signed {
    /// The key that it was made with.
    pub(crate) id: String,
    /// The region that it was made for.
    pub(crate) region: String,
}

/// Who signed a request. `key` knows the secret of a key id, and the session token that belongs to it. The
/// error is what S3 calls it.
pub(crate) fn verify(
    request: &Request,
    service: &str,
    key: impl Fn(&str) -> Option<(String, Option<String>)>,
) -> Result<Signed, &'static str> {
    let header = |name: &str| request.headers.get(name).map_or("", String::as_str);
    let fields = header("authorization").strip_prefix(ALGORITHM);
    let fields: BTreeMap<&str, &str> = fields
        .ok_or("AccessDenied")?
        .split(',')
        .filter_map(|field| field.trim().split_once('='))
        .collect();
    let field = |name: &str| {
        fields
            .get(name)
            .copied()
            .ok_or("AuthorizationHeaderMalformed")
    };
    let (id, scope) = field("Credential")?.split_once('/').unwrap_or_default();
    let parts: Vec<&str> = scope.split('/').collect();
    let [day, region, of, "aws4_request"] = parts[..] else {
        return Err("AuthorizationHeaderMalformed");
    };
    let (secret, token) = key(id).ok_or("InvalidAccessKeyId")?;
    let names: Vec<&str> = field("SignedHeaders")?.split(';').collect();
    let is_signed = |name: &str| names.contains(&name);
    if of != service || !is_signed("host") || !header("x-amz-date").starts_with(day) {
        return Err("SignatureDoesNotMatch");
    }
    // A header of AWS that nobody has signed could have been put there by anybody.
    let strangers = request.headers.keys();
    let mut strangers = strangers.filter(|name| name.starts_with("x-amz-") && !is_signed(name));
    if strangers.next().is_some() {
        return Err("AccessDenied");
    }
    if request.headers.get("x-amz-security-token") != token.as_ref() {
        return Err("InvalidToken");
    }
    let payload = hex(&Sha256::digest(&request.body));
    if service == "s3" && header("x-amz-content-sha256") != payload {
        return Err("XAmzContentSHA256Mismatch");
    }
    let right = signature(request, &names, scope, &payload, &secret);
    match field("Signature")? == right {
        true => Ok(Signed {
            id: id.to_owned(),
            region: region.to_owned(),
        }),
        false => Err("SignatureDoesNotMatch"),
    }
}

/// The headers of a request that was signed for one server, signed for another.
pub(crate) fn sign(
    request: &Request,
    host: &str,
    (id, secret): &Pair,
    region: &str,
) -> BTreeMap<String, String> {
    let mut signed = Request {
        line: request.line.clone(),
        headers: request.headers.clone(),
        body: Vec::new(),
    };
    for name in ["authorization", "x-amz-security-token", "connection"] {
        signed.headers.remove(name);
    }
    signed.headers.insert("host".to_owned(), host.to_owned());
    let names = ["host", "x-amz-content-sha256", "x-amz-date"];
    let day = &signed.headers["x-amz-date"][..8];
    let scope = format!("{day}/{region}/s3/aws4_request");
    let payload = signed.headers["x-amz-content-sha256"].clone();
    let signature = signature(&signed, &names, &scope, &payload, secret);
    let authorization = format!(
        "{ALGORITHM} Credential={id}/{scope}, SignedHeaders={}, Signature={signature}",
        names.join(";")
    );
    signed
        .headers
        .insert("authorization".to_owned(), authorization);
    signed.headers
}

fn signature(
    request: &Request,
    names: &[&str],
    scope: &str,
    payload: &str,
    secret: &str,
) -> String {
    let (method, place) = request.line.split_once(' ').unwrap();
    let (path, query) = place.split_once('?').unwrap_or((place, ""));
    let mut query: Vec<String> = query
        .split('&')
        .filter(|part| !part.is_empty())
        .map(|part| match part.contains('=') {
            true => part.to_owned(),
            false => format!("{part}="),
        })
        .collect();
    query.sort();
    let mut canonical = format!("{method}\n{path}\n{}\n", query.join("&"));
    for name in names {
        let value = request.headers.get(*name).map_or("", String::as_str);
        let _ = writeln!(canonical, "{name}:{}", value.trim());
    }
    let _ = write!(canonical, "\n{}\n{payload}", names.join(";"));
    let text = format!(
        "{ALGORITHM}\n{}\n{scope}\n{}",
        request.headers["x-amz-date"],
        hex(&Sha256::digest(canonical.as_bytes()))
    );
    let mut key = format!("AWS4{secret}").into_bytes();
    for part in scope.split('/').chain([text.as_str()]) {
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
        mac.update(part.as_bytes());
        key = mac.finalize().into_bytes().to_vec();
    }
    hex(&key)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
