//! The smallest HTTP/1.1 client that can measure a server on the same two cores.
//!
//! A general client spends as much on a request as the node does, and both share the machine; this one writes a request
//! with one call and reads an answer into one buffer.
//!
//! **Invariants**: one request at a time is under way on a connection; an answer larger than [`LARGEST`] is refused.

use std::io;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The largest head of an answer.
const HEAD: usize = 32 * 1024;
/// The largest answer.
const LARGEST: usize = 64 * 1024 * 1024;
/// How much is read at once.
const CHUNK: usize = 64 * 1024;

/// States why a request was not answered.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The connection failed.
    #[error("the connection failed")]
    Io(#[from] io::Error),
    /// The answer is no HTTP that this client reads.
    #[error("the answer is malformed: {0}")]
    Malformed(&'static str),
    /// The address is no node's.
    #[error("'{0}' is no address of a node: write http://HOST:PORT")]
    Url(String),
}

/// Where a node answers, and to whom.
#[derive(Debug, Clone)]
pub struct Endpoint {
    host: String,
    token: String,
}

impl Endpoint {
    /// Takes a node's address and token.
    pub fn new(url: &str, token: &str) -> Result<Self, HttpError> {
        let host = url.strip_prefix("http://").map(|rest| rest.trim_end_matches('/'));
        let host = host.filter(|host| host.contains(':') && !host.contains('/')).ok_or_else(|| HttpError::Url(url.to_owned()))?;
        Ok(Self { host: host.to_owned(), token: token.trim().to_owned() })
    }

    /// Returns its host and port.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns what its API asks for.
    pub fn token(&self) -> &str {
        &self.token
    }
}

/// One request.
#[derive(Debug, Clone)]
pub struct Request {
    /// The method.
    pub method: &'static str,
    /// The path with its query.
    pub path: String,
    /// The body; none for a request without one.
    pub body: Option<Vec<u8>>,
}

impl Request {
    /// Asks for something.
    pub fn get(path: impl Into<String>) -> Self {
        Self { method: "GET", path: path.into(), body: None }
    }

    /// Does something.
    pub fn post(path: impl Into<String>, body: &serde_json::Value) -> Self {
        Self { method: "POST", path: path.into(), body: Some(body.to_string().into_bytes()) }
    }
}

/// One answer.
#[derive(Debug)]
pub struct Answer<'c> {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: &'c [u8],
}

impl Answer<'_> {
    /// Shows an answer in one short line.
    pub fn brief(&self) -> String {
        let text: String = String::from_utf8_lossy(self.body).chars().filter(|c| !c.is_control()).take(200).collect();
        format!("{}: {text}", self.status)
    }
}

/// One connection that is kept open.
pub struct Connection {
    stream: TcpStream,
    endpoint: Endpoint,
    out: Vec<u8>,
    buffer: Vec<u8>,
}

impl Connection {
    /// Connects.
    pub async fn open(endpoint: &Endpoint) -> Result<Self, HttpError> {
        let stream = TcpStream::connect(endpoint.host.as_str()).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, endpoint: endpoint.clone(), out: Vec::new(), buffer: Vec::new() })
    }

    /// Sends a request and waits for the whole answer.
    pub async fn call(&mut self, request: &Request) -> Result<Answer<'_>, HttpError> {
        self.write(request);
        self.stream.write_all(&self.out).await?;
        self.buffer.clear();
        let end = loop {
            if let Some(at) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            if self.buffer.len() > HEAD {
                return Err(HttpError::Malformed("its head is too long"));
            }
            self.fill().await?;
        };
        let head = head(&self.buffer[..end])?;
        while self.buffer.len() < end + head.length {
            self.fill().await?;
        }
        if self.buffer.len() > end + head.length {
            return Err(HttpError::Malformed("more came than it announced"));
        }
        Ok(Answer { status: head.status, body: &self.buffer[end..] })
    }

    fn write(&mut self, request: &Request) {
        let Endpoint { host, token } = &self.endpoint;
        self.out.clear();
        let head = format!("{} {} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {token}\r\n", request.method, request.path);
        self.out.extend_from_slice(head.as_bytes());
        if let Some(body) = &request.body {
            self.out.extend_from_slice(format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len()).as_bytes());
        }
        self.out.extend_from_slice(b"\r\n");
        self.out.extend_from_slice(request.body.as_deref().unwrap_or_default());
    }

    async fn fill(&mut self) -> Result<(), HttpError> {
        self.buffer.reserve(CHUNK);
        if self.stream.read_buf(&mut self.buffer).await? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        Ok(())
    }
}

struct Head {
    status: u16,
    length: usize,
}

fn head(bytes: &[u8]) -> Result<Head, HttpError> {
    let text = std::str::from_utf8(bytes).map_err(|_| HttpError::Malformed("its head is no text"))?;
    let mut lines = text.split("\r\n");
    let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok());
    let status = status.ok_or(HttpError::Malformed("it has no status"))?;
    let mut length = None;
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().ok();
        }
    }
    let length = length.ok_or(HttpError::Malformed("it does not say how long it is"))?;
    if length > LARGEST { Err(HttpError::Malformed("it is too large")) } else { Ok(Head { status, length }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_gives_status_and_length_whatever_the_case_of_its_names() {
        let found = head(b"HTTP/1.1 404 Not Found\r\nContent-Type: x\r\nCONTENT-LENGTH: 12\r\n\r\n").expect("a head");
        assert_eq!((found.status, found.length), (404, 12));
    }

    #[test]
    fn an_answer_without_a_length_or_with_a_huge_one_is_refused() {
        assert!(head(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").is_err());
        assert!(head(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n").is_err());
        assert!(head(b"SSH-2.0\r\n\r\n").is_err());
    }

    #[test]
    fn an_address_is_a_host_and_a_port_over_plain_http() {
        assert!(Endpoint::new("http://127.0.0.1:8787/", "oct_x").is_ok());
        for wrong in ["https://127.0.0.1:1", "127.0.0.1:1", "http://node", "http://node:1/api"] {
            assert!(matches!(Endpoint::new(wrong, "oct_x"), Err(HttpError::Url(_))), "{wrong}");
        }
    }
}
