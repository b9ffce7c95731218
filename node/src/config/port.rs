//! Tells who holds a TCP port.

use std::{
    fs,
    net::{IpAddr, SocketAddr, TcpListener},
    path::Path,
};

/// The most processes that are searched for the socket; a machine with more gets no name.
const MAX_PROCESSES: usize = 20_000;

/// The process that listens on a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its number.
    pub pid: u32,
    /// Its short name.
    pub name: String,
}

/// Tells whether an address can be listened on, by trying.
pub(super) fn is_free(host: IpAddr, port: u16) -> Result<(), std::io::Error> {
    TcpListener::bind(SocketAddr::new(host, port)).map(drop)
}

/// Finds the process that listens on a port, as far as this user may see it. Linux only: `None` elsewhere.
#[must_use]
pub fn holder(port: u16) -> Option<Holder> {
    let inodes: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| listening(&table, port))
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    if inodes.is_empty() {
        return None;
    }
    let processes = fs::read_dir("/proc").ok()?.flatten().take(MAX_PROCESSES);
    processes.filter_map(|process| process.file_name().to_str()?.parse().ok()).find(|pid| has_open(*pid, &inodes)).map(|pid: u32| {
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        Holder { pid, name: name.trim().to_owned() }
    })
}

/// Returns the inodes of the sockets that listen on a port (state 0A) in a table of the kernel.
fn listening(table: &str, port: u16) -> Vec<u64> {
    let suffix = format!(":{port:04X}");
    let rows = table.lines().skip(1).map(|line| line.split_ascii_whitespace().collect::<Vec<_>>());
    rows.filter(|row| row.get(1).is_some_and(|local| local.ends_with(&suffix)) && row.get(3) == Some(&"0A"))
        .filter_map(|row| row.get(9)?.parse().ok())
        .collect()
}

fn has_open(pid: u32, sockets: &[String]) -> bool {
    let Ok(files) = fs::read_dir(Path::new("/proc").join(pid.to_string()).join("fd")) else { return false };
    files
        .flatten()
        .any(|file| fs::read_link(file.path()).is_ok_and(|target| sockets.iter().any(|socket| target.as_os_str() == socket.as_str())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holder_of_a_listening_socket_is_found() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        assert!(is_free([127, 0, 0, 1].into(), port).is_err());
        if cfg!(target_os = "linux") {
            assert_eq!(holder(port).map(|holder| holder.pid), Some(std::process::id()));
        }
    }
}
