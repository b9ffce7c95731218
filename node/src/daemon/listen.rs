//! Finds the port for the REST API.

use std::io;
use std::net::{IpAddr, SocketAddr};

use tokio::net::TcpListener;

use crate::config::holder as port_holder;

/// The port that a node takes when none is set.
pub const DEFAULT_PORT: u16 = 8787;
/// How many ports after it are tried.
const TRIES: u16 = 100;

/// States why the API has no port.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The port that was asked for is taken.
    #[error("port {port} on {host} is in use{}: choose another with --api-port, or 0 for any", .holder.as_ref().map(|name| format!(" by {name}")).unwrap_or_default())]
    InUse {
        /// The address.
        host: IpAddr,
        /// The port.
        port: u16,
        /// The process that has it, where the system tells.
        holder: Option<String>,
    },
    /// The address cannot be listened on.
    #[error("failed to listen on {0}")]
    Io(SocketAddr, #[source] io::Error),
}

/// Listens on the port that was asked for, else on 8787 or the next free one.
///
/// # Errors
/// When the port that was asked for is in use, or none is free.
pub async fn listen(host: IpAddr, wanted: Option<u16>) -> Result<TcpListener, ListenError> {
    let ports = match wanted {
        Some(port) => port..=port,
        None => DEFAULT_PORT..=DEFAULT_PORT + TRIES,
    };
    for port in ports {
        let address = SocketAddr::new(host, port);
        match TcpListener::bind(address).await {
            Ok(listener) => {
                if wanted.is_none() && port != DEFAULT_PORT {
                    tracing::info!("port {DEFAULT_PORT} is in use, the API listens on {port}");
                }
                return Ok(listener);
            }
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            Err(error) => return Err(ListenError::Io(address, error)),
        }
    }
    let port = wanted.unwrap_or(DEFAULT_PORT);
    let holder = port_holder(port).map(|holder| format!("{} (process {})", holder.name, holder.pid));
    Err(ListenError::InUse { host, port, holder })
}
