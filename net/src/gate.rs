//! Says which strangers are let in, before they cost anything worth mentioning.
//!
//! **Invariants**: everything counted here is bounded by [`Limits`]; members that have shown who they are, are not counted.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Instant;

use crate::limits::{Limits, Rate};

/// How many addresses have a rate of their own; all others share one.
const ADDRESSES_WATCHED: usize = 1024;

/// States that a limit was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Crowded {
    #[error("too many connections that have not shown who they are")]
    Pending,
    #[error("too many connections of non-members")]
    Guests,
    #[error("too many new connections from this address")]
    Connects,
}

/// See the module. `C` names a connection.
#[derive(Debug)]
pub(crate) struct Gate<C> {
    limits: Limits,
    pending: Counted<C>,
    guests: Counted<C>,
    connects: Buckets,
    joins: Buckets,
    joins_in_all: Bucket,
}

impl<C: Eq + Hash> Gate<C> {
    pub(crate) fn new(limits: Limits, now: Instant) -> Self {
        Self {
            pending: Counted::default(),
            guests: Counted::default(),
            connects: Buckets::new(limits.connects, now),
            joins: Buckets::new(limits.joins, now),
            joins_in_all: Bucket::full(limits.joins_in_all, now),
            limits,
        }
    }

    /// Lets a connection begin to show who it is.
    pub(crate) fn admit_pending(&mut self, connection: C, ip: IpAddr, now: Instant) -> Result<(), Crowded> {
        let network = network(ip);
        if !self.pending.has_room(network, self.limits.pending, self.limits.pending_per_address) {
            return Err(Crowded::Pending);
        }
        if !self.connects.take(network, now) {
            return Err(Crowded::Connects);
        }
        self.pending.add(connection, network);
        Ok(())
    }

    /// Lets a connection stay whose peer is no member.
    pub(crate) fn admit_guest(&mut self, connection: C, ip: IpAddr) -> Result<(), Crowded> {
        let network = network(ip);
        if !self.guests.has_room(network, self.limits.guests, self.limits.guests_per_address) {
            return Err(Crowded::Guests);
        }
        self.guests.add(connection, network);
        Ok(())
    }

    /// Forgets a connection as pending: it has shown who it is, or failed to.
    pub(crate) fn shown(&mut self, connection: &C) {
        self.pending.remove(connection);
    }

    /// Forgets a connection that has ended.
    pub(crate) fn ended(&mut self, connection: &C) {
        self.pending.remove(connection);
        self.guests.remove(connection);
    }

    /// Returns whether a join stream from an address may begin.
    pub(crate) fn admit_join(&mut self, ip: IpAddr, now: Instant) -> bool {
        // One address that asks too often must not use up what all share.
        self.joins.take(network(ip), now) && self.joins_in_all.take(now)
    }
}

/// Returns what one party controls: an IPv4 address, or an IPv6 network of 64 bits.
fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        v4 @ IpAddr::V4(_) => v4,
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
    }
}

/// Connections, counted in all and by network.
#[derive(Debug)]
struct Counted<C> {
    connections: HashMap<C, IpAddr>,
    by_network: HashMap<IpAddr, usize>,
}

impl<C> Default for Counted<C> {
    fn default() -> Self {
        Self { connections: HashMap::new(), by_network: HashMap::new() }
    }
}

impl<C: Eq + Hash> Counted<C> {
    fn has_room(&self, network: IpAddr, in_all: usize, per_address: usize) -> bool {
        self.connections.len() < in_all && self.by_network.get(&network).is_none_or(|count| *count < per_address)
    }

    fn add(&mut self, connection: C, network: IpAddr) {
        if self.connections.insert(connection, network).is_none() {
            *self.by_network.entry(network).or_default() += 1;
        }
    }

    fn remove(&mut self, connection: &C) {
        let Some(network) = self.connections.remove(connection) else { return };
        if let Some(count) = self.by_network.get_mut(&network) {
            *count -= 1;
            if *count == 0 {
                self.by_network.remove(&network);
            }
        }
    }
}

/// A token bucket.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    rate: Rate,
    tokens: f64,
    at: Instant,
}

impl Bucket {
    fn full(rate: Rate, now: Instant) -> Self {
        Self { rate, tokens: f64::from(rate.burst), at: now }
    }

    fn take(&mut self, now: Instant) -> bool {
        self.tokens = self.level(now);
        self.at = now;
        let taken = self.tokens >= 1.0;
        if taken {
            self.tokens -= 1.0;
        }
        taken
    }

    fn level(&self, now: Instant) -> f64 {
        let refill = now.saturating_duration_since(self.at).as_secs_f64() * self.rate.per_second;
        (self.tokens + refill).min(f64::from(self.rate.burst))
    }
}

/// A token bucket for each network, of a bounded number.
#[derive(Debug)]
struct Buckets {
    rate: Rate,
    own: HashMap<IpAddr, Bucket>,
    shared: Bucket,
}

impl Buckets {
    fn new(rate: Rate, now: Instant) -> Self {
        Self { rate, own: HashMap::new(), shared: Bucket::full(rate, now) }
    }

    fn take(&mut self, network: IpAddr, now: Instant) -> bool {
        if self.own.len() >= ADDRESSES_WATCHED && !self.own.contains_key(&network) {
            // A bucket that is full again says no more than none.
            self.own.retain(|_, bucket| bucket.level(now) < f64::from(bucket.rate.burst));
            if self.own.len() >= ADDRESSES_WATCHED {
                return self.shared.take(now);
            }
        }
        self.own.entry(network).or_insert_with(|| Bucket::full(self.rate, now)).take(now)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn ip(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    fn limits() -> Limits {
        let many = Rate { burst: 1000, per_second: 0.0 };
        Limits {
            pending: 5,
            pending_per_address: 3,
            guests: 4,
            guests_per_address: 2,
            connects: many,
            joins: Rate { burst: 2, per_second: 1.0 },
            joins_in_all: Rate { burst: 5, per_second: 1.0 },
            ..Limits::default()
        }
    }

    #[test]
    fn pending_connections_are_counted_per_address_and_in_all_until_they_have_shown_who_they_are() {
        let now = Instant::now();
        let mut gate = Gate::new(limits(), now);
        for connection in 0..3 {
            gate.admit_pending(connection, ip(1), now).expect("room");
        }
        assert_eq!(gate.admit_pending(3, ip(1), now), Err(Crowded::Pending));
        gate.admit_pending(4, ip(2), now).expect("room for another address");
        gate.admit_pending(5, ip(2), now).expect("room for another address");
        assert_eq!(gate.admit_pending(6, ip(3), now), Err(Crowded::Pending), "five in all");
        gate.shown(&0);
        gate.shown(&0);
        gate.admit_pending(7, ip(1), now).expect("room again");
        assert_eq!(gate.admit_pending(8, ip(1), now), Err(Crowded::Pending), "forgotten once, not twice");
    }

    #[test]
    fn guests_leave_room_when_they_end() {
        let now = Instant::now();
        let mut gate = Gate::new(limits(), now);
        gate.admit_guest(0, ip(1)).expect("room");
        gate.admit_guest(1, ip(1)).expect("room");
        assert_eq!(gate.admit_guest(2, ip(1)), Err(Crowded::Guests));
        gate.ended(&1);
        gate.admit_guest(3, ip(1)).expect("room again");
        gate.admit_guest(4, ip(2)).expect("room");
        gate.admit_guest(5, ip(2)).expect("room");
        assert_eq!(gate.admit_guest(6, ip(3)), Err(Crowded::Guests), "four in all");
    }

    #[test]
    fn joins_are_limited_per_address_and_in_all_and_come_back_with_time() {
        let now = Instant::now();
        let mut gate = Gate::<u8>::new(limits(), now);
        assert_eq!([(); 4].map(|()| gate.admit_join(ip(1), now)), [true, true, false, false]);
        assert_eq!([(); 3].map(|()| gate.admit_join(ip(2), now)), [true, true, false]);
        assert_eq!([(); 2].map(|()| gate.admit_join(ip(3), now)), [true, false], "five in all; refused ones use up nothing");
        let later = now + Duration::from_millis(1100);
        assert_eq!([(); 2].map(|()| gate.admit_join(ip(1), later)), [true, false]);
    }

    #[test]
    fn ipv6_is_counted_by_network_and_mapped_ipv4_by_address() {
        let host = |text: &str| network(text.parse().expect("an address"));
        assert_eq!(host("2001:db8:1:2::7"), host("2001:db8:1:2:9::1"));
        assert_ne!(host("2001:db8:1:2::7"), host("2001:db8:1:3::7"));
        assert_eq!(host("::ffff:192.0.2.1"), ip(1));
    }

    #[test]
    fn ten_thousand_addresses_are_watched_in_bounded_memory() {
        let now = Instant::now();
        let mut buckets = Buckets::new(Rate { burst: 2, per_second: 1.0 }, now);
        let taken = (0..10_000u32).filter(|n| buckets.take(IpAddr::from(n.to_be_bytes()), now)).count();
        assert_eq!(buckets.own.len(), ADDRESSES_WATCHED);
        assert_eq!(taken, ADDRESSES_WATCHED + 2, "the rest shares one rate");
        assert!(buckets.take(IpAddr::from([9, 9, 9, 9]), now + Duration::from_secs(3)));
        assert_eq!(buckets.own.len(), 1, "those that are full again were forgotten");
    }
}
