//! A local network of machines that are network namespaces.

use std::{
    io::{self, Write as _},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

/// Set where a test must not be left out, as in continuous integration.
const REQUIRED: &str = "OCTOPOID_TESTS_LAN";

/// Network namespaces that a bridge joins, gone when it is dropped.
///
/// The bridge is in a namespace of its own, so that nothing of this machine's network is touched and a namespace's end takes
/// its links along.
#[derive(Debug)]
pub struct Lan {
    name: String,
    machines: usize,
}

impl Lan {
    /// Joins so many machines; `None`, with the reason on stderr, where this process may not.
    ///
    /// # Panics
    /// Where it may not and `OCTOPOID_TESTS_LAN=required` says that it must.
    #[must_use]
    pub fn of(machines: usize) -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("octopoid-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        // Made first, so that dropping it removes what there is when a step fails.
        let lan = Self { name, machines };
        match lan.build() {
            Ok(()) => Some(lan),
            Err(refusal) => {
                let required = std::env::var(REQUIRED).is_ok_and(|value| value == "required");
                assert!(!required, "{REQUIRED}=required, and no network namespaces can be made: {refusal}");
                // Not by a macro: what a passing test prints by one is not shown.
                let _ = writeln!(io::stderr(), "SKIPPED: a network of its own needs root and iproute2: {refusal}");
                None
            }
        }
    }

    fn build(&self) -> Result<(), String> {
        let switch = self.switch();
        ip(&["netns", "add", &switch])?;
        ip(&["-n", &switch, "link", "add", "bridge", "type", "bridge"])?;
        ip(&["-n", &switch, "link", "set", "bridge", "up"])?;
        for number in 0..self.machines {
            let (space, port) = (self.namespace(number), port(number));
            ip(&["netns", "add", &space])?;
            ip(&["link", "add", "name", &port, "netns", &switch, "type", "veth", "peer", "name", "eth0", "netns", &space])?;
            ip(&["-n", &switch, "link", "set", &port, "master", "bridge", "up"])?;
            ip(&["-n", &space, "address", "add", &format!("{}/24", address(number)), "dev", "eth0"])?;
            ip(&["-n", &space, "link", "set", "lo", "up"])?;
            ip(&["-n", &space, "link", "set", "eth0", "up"])?;
            // Without a default route the kernel sends no multicast.
            ip(&["-n", &space, "route", "add", "default", "via", "10.77.0.254"])?;
        }
        Ok(())
    }

    fn switch(&self) -> String {
        format!("{}-switch", self.name)
    }

    /// Returns a machine's namespace.
    #[must_use]
    pub fn namespace(&self, number: usize) -> String {
        format!("{}-{number}", self.name)
    }

    /// Pulls a machine's cable.
    ///
    /// # Panics
    /// When that fails.
    pub fn pull(&self, number: usize) {
        ip(&["-n", &self.switch(), "link", "set", &port(number), "down"]).expect("the link is down");
    }

    /// Plugs a machine's cable in again.
    ///
    /// # Panics
    /// When that fails.
    pub fn plug(&self, number: usize) {
        ip(&["-n", &self.switch(), "link", "set", &port(number), "up"]).expect("the link is up");
    }

    /// Lets nothing through from one machine to another; the other way stays open.
    ///
    /// # Panics
    /// When that fails.
    pub fn swallow(&self, from: usize, to: usize) {
        ip(&["-n", &self.namespace(from), "route", "add", "blackhole", &address(to)]).expect("a blackhole route");
    }

    /// Takes [`Self::swallow`] back.
    ///
    /// # Panics
    /// When that fails.
    pub fn let_through(&self, from: usize, to: usize) {
        ip(&["-n", &self.namespace(from), "route", "delete", "blackhole", &address(to)]).expect("no blackhole route");
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        for name in (0..self.machines).map(|number| self.namespace(number)).chain([self.switch()]) {
            // A namespace that was never made is not there: nothing to do.
            let _ = ip(&["netns", "delete", &name]);
        }
    }
}

/// The machine's link on the switch.
fn port(number: usize) -> String {
    format!("port{number}")
}

fn address(number: usize) -> String {
    format!("10.77.0.{}", number + 1)
}

fn ip(args: &[&str]) -> Result<(), String> {
    let output = Command::new("ip").args(args).output().map_err(|error| format!("ip: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("ip {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim()))
}
