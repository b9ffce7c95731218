//! What can go wrong between a client and a real node; `sdk/README.md` tells what each fault means.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What happens to the requests of a step, one each, and how many came.
#[derive(Debug, Default)]
struct Plan {
    faults: VecDeque<String>,
    requests: u64,
}

/// Passes requests on to a node, or does to them what a plan says. Each has a connection of its own, so that a fault meets no other.
#[derive(Debug)]
pub struct Proxy {
    url: String,
    plan: Arc<Mutex<Plan>>,
}

impl Proxy {
    pub async fn before(node: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let plan = Arc::<Mutex<Plan>>::default();
        let (shared, node) = (plan.clone(), node.trim_start_matches("http://").to_owned());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (plan, node) = (shared.clone(), node.clone());
                // A connection that breaks is what many of the faults are.
                tokio::spawn(async move { serve(stream, &plan, &node).await.ok() });
            }
        });
        Self { url, plan }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Begins a step.
    pub fn expect(&self, faults: impl IntoIterator<Item = String>) {
        *self.plan.lock().unwrap_or_else(PoisonError::into_inner) = Plan { faults: faults.into_iter().collect(), requests: 0 };
    }

    /// Returns how many requests came since.
    pub fn requests(&self) -> u64 {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner).requests
    }
}

async fn serve(mut stream: TcpStream, plan: &Mutex<Plan>, node: &str) -> std::io::Result<()> {
    let Some(request) = read(&mut stream).await? else { return Ok(()) };
    let fault = {
        let mut plan = plan.lock().unwrap_or_else(PoisonError::into_inner);
        plan.requests += 1;
        plan.faults.pop_front()
    };
    let close = "Connection: close\r\n";
    match fault.as_deref() {
        None => {
            let mut answer = pass_on(&request, node).await?;
            tokio::io::copy(&mut answer, &mut stream).await?;
            stream.shutdown().await
        }
        Some("lose") => {
            let mut answer = pass_on(&request, node).await?;
            answer.read(&mut [0; 1_024]).await.map(drop)
        }
        Some("cut") => cut(pass_on(&request, node).await?, stream).await,
        Some("drop") => Ok(()),
        Some("stall") => stream.read(&mut [0; 1]).await.map(drop),
        Some("drip") => {
            stream.write_all(format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{close}\r\n").as_bytes()).await?;
            loop {
                stream.write_all(b" ").await?;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        Some("busy") => {
            say(stream, "503 Service Unavailable", "Retry-After: 0\r\nContent-Type: application/json\r\n", r#"{"error":"busy"}"#).await
        }
        Some("garbage") => say(stream, "200 OK", "Content-Type: text/html\r\n", "<html>hello</html>").await,
        Some("stranger") => say(stream, "404 Not Found", "Content-Type: text/html\r\n", "<html>not here</html>").await,
        Some("redirect") => say(stream, "302 Found", &format!("Location: http://{node}/api/v1/tasks\r\n"), "").await,
        Some(other) => panic!("the table knows a fault '{other}' that means nothing"),
    }
}

async fn say(mut stream: TcpStream, status: &str, headers: &str, body: &str) -> std::io::Result<()> {
    let head = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
    stream.write_all(head.as_bytes()).await?;
    stream.shutdown().await
}

/// Reads a request whole; none when the connection ends before it.
async fn read(stream: &mut TcpStream) -> std::io::Result<Option<Vec<u8>>> {
    let mut request = Vec::new();
    let mut piece = [0; 8 * 1_024];
    loop {
        if let Some(head) = request.windows(4).position(|four| four == b"\r\n\r\n") {
            let text = String::from_utf8_lossy(&request[..head]).to_ascii_lowercase();
            let length = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
            if request.len() >= head + 4 + length.unwrap_or_default() {
                return Ok(Some(request));
            }
        }
        let count = stream.read(&mut piece).await?;
        if count == 0 {
            return Ok(None);
        }
        request.extend_from_slice(&piece[..count]);
    }
}

/// Sends a request to the node, under its own name, and returns where the answer comes from.
async fn pass_on(request: &[u8], node: &str) -> std::io::Result<TcpStream> {
    let head = request.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
    let text = String::from_utf8_lossy(&request[..head]);
    let kept = text.lines().filter(|line| {
        let name = line.split(':').next().unwrap_or_default();
        !name.eq_ignore_ascii_case("host") && !name.eq_ignore_ascii_case("connection")
    });
    let mut onward = kept.collect::<Vec<_>>().join("\r\n").into_bytes();
    onward.extend_from_slice(format!("\r\nHost: {node}\r\nConnection: close").as_bytes());
    onward.extend_from_slice(&request[head..]);
    let mut stream = TcpStream::connect(node).await?;
    stream.write_all(&onward).await?;
    Ok(stream)
}

/// Passes the first event on whole and the next one up to the middle of its data.
async fn cut(mut answer: TcpStream, mut stream: TcpStream) -> std::io::Result<()> {
    let mut text = Vec::new();
    let mut piece = [0; 4 * 1_024];
    loop {
        let count = answer.read(&mut piece).await?;
        if count == 0 {
            return Ok(());
        }
        text.extend_from_slice(&piece[..count]);
        let second = text.windows(5).enumerate().filter(|(_, five)| *five == b"data:").nth(1);
        if let Some(middle) = second.map(|(at, _)| at + 12).filter(|middle| *middle <= text.len()) {
            stream.write_all(&text[..middle]).await?;
            return stream.flush().await;
        }
    }
}
