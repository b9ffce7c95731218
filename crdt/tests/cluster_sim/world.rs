//! The virtual network and clock: connections, faults, and the order in which things happen. Nothing here is real time.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, VecDeque},
};

use octopoid_crdt::{
    ids::{RecordId, Subject},
    lifecycle::Phase,
    peer::Message,
    record::{Body, Verified},
};

use super::{
    Config,
    checks::Checked,
    cluster::{self, Crypto, name},
    dice::Dice,
    hostile,
    node::{Ctx, Do, Frame, Node, Start},
};

#[derive(Debug)]
enum Event {
    Deliver {
        to: usize,
        from: usize,
        conn: u64,
        frame: Frame,
    },
    /// Records that arrive once more, late and out of order.
    Stray {
        to: usize,
        wires: Vec<Vec<u8>>,
    },
    Down {
        node: usize,
        peer: usize,
        conn: u64,
    },
    Tick {
        node: usize,
        life: u64,
    },
    Commit {
        node: usize,
        life: u64,
    },
    Work {
        node: usize,
        life: u64,
        of: RecordId,
    },
    Create {
        node: usize,
        number: u64,
    },
    Fault,
    Restart {
        node: usize,
    },
    Continue {
        node: usize,
    },
    Rejoin,
    Dial,
}

/// An event at its time; the second number keeps the order of equal times.
struct At(u64, u64, Event);

impl PartialEq for At {
    fn eq(&self, other: &Self) -> bool {
        (self.0, self.1) == (other.0, other.1)
    }
}

impl Eq for At {}

impl PartialOrd for At {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for At {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.0, self.1).cmp(&(other.0, other.1))
    }
}

struct Link {
    conn: u64,
    /// Directions in which frames are lost for good, and whether its end is on the way.
    dead: [bool; 2],
    ending: bool,
    last: [u64; 2],
}

pub struct Slot {
    pub node: Option<Node>,
    disk: Vec<Verified>,
    life: u64,
    stopped: bool,
    parked: VecDeque<Event>,
}

pub struct World {
    pub config: Config,
    pub nodes: Vec<Slot>,
    pub branch: BTreeMap<Subject, RecordId>,
    pub starts: Vec<Start>,
    pub broken: Option<String>,
    pub now: u64,
    pub frames: u64,
    /// How often what happened.
    pub counts: BTreeMap<&'static str, u64>,
    dice: Dice,
    crypto: Crypto,
    queue: BinaryHeap<Reverse<At>>,
    order: u64,
    links: HashMap<(usize, usize), Link>,
    cut: Vec<Vec<bool>>,
    connections: u64,
    faulty: bool,
    working: bool,
}

fn pair(a: usize, b: usize) -> (usize, usize) {
    (a.min(b), a.max(b))
}

impl World {
    pub fn new(config: Config, seed: u64) -> Self {
        let mut world = Self {
            crypto: Crypto::new(config.real),
            nodes: Vec::new(),
            branch: BTreeMap::new(),
            starts: Vec::new(),
            broken: None,
            now: 0,
            frames: 0,
            counts: BTreeMap::new(),
            dice: Dice(seed),
            queue: BinaryHeap::new(),
            order: 0,
            links: HashMap::new(),
            cut: vec![vec![false; config.nodes]; config.nodes],
            connections: 0,
            faulty: config.faults > 0,
            working: true,
            config,
        };
        let nodes = world.config.nodes;
        let founding = if world.config.served { cluster::served(nodes) } else { cluster::founding(nodes) };
        for index in 0..world.config.nodes {
            world.nodes.push(Slot { node: None, disk: founding.to_vec(), life: 0, stopped: false, parked: VecDeque::new() });
            world.boot(index);
        }
        for number in 0..world.config.tasks {
            let honest = world.config.nodes - usize::from(world.config.hostile);
            let node = usize::try_from(world.dice.below(honest as u64)).expect("few");
            let at = world.config.calm + world.dice.below(world.config.creating + 1);
            world.schedule(at, Event::Create { node, number: number + seed * 1_000_000 });
        }
        world.schedule(0, Event::Dial);
        if world.faulty {
            world.schedule(world.config.faults, Event::Fault);
        }
        world
    }

    fn schedule(&mut self, at: u64, event: Event) {
        self.order += 1;
        self.queue.push(Reverse(At(at.max(self.now), self.order, event)));
    }

    pub fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    /// Lets a node do something, then does what it asks for.
    fn with<T>(&mut self, index: usize, act: impl FnOnce(&mut Node, &mut Ctx<'_>) -> T) -> Option<T> {
        let slot = self.nodes.get_mut(index)?;
        let node = slot.node.as_mut()?;
        let mut ctx = Ctx {
            now: self.now,
            dice: &mut self.dice,
            crypto: &self.crypto,
            config: &self.config,
            branch: &mut self.branch,
            starts: &mut self.starts,
            broken: &mut self.broken,
            counts: &mut self.counts,
            out: Vec::new(),
        };
        let result = act(node, &mut ctx);
        let out = ctx.out;
        let life = slot.life;
        self.perform(index, life, out);
        Some(result)
    }

    fn perform(&mut self, index: usize, life: u64, out: Vec<Do>) {
        for what in out {
            match what {
                Do::Send { to, conn, frame } => self.send(index, to, conn, frame),
                Do::Close { to, conn } => self.end_link(index, to, conn, 1),
                Do::Commit => {
                    let at = self.now + self.dice.within(self.config.commit.0, self.config.commit.1);
                    self.schedule(at, Event::Commit { node: index, life });
                }
                Do::Work { of, ms } => self.schedule(self.now + ms, Event::Work { node: index, life, of }),
            }
        }
    }

    fn boot(&mut self, index: usize) {
        let slot = &mut self.nodes[index];
        slot.life += 1;
        let (life, disk) = (slot.life, std::mem::take(&mut slot.disk));
        let mut ctx = Ctx {
            now: self.now,
            dice: &mut self.dice,
            crypto: &self.crypto,
            config: &self.config,
            branch: &mut self.branch,
            starts: &mut self.starts,
            broken: &mut self.broken,
            counts: &mut self.counts,
            out: Vec::new(),
        };
        let node = Node::start(index, &disk, &mut ctx);
        let out = ctx.out;
        let slot = &mut self.nodes[index];
        slot.node = Some(node);
        slot.disk = disk;
        self.perform(index, life, out);
        let first = self.now + self.dice.below(self.config.tick);
        self.schedule(first, Event::Tick { node: index, life });
    }

    fn send(&mut self, from: usize, to: usize, conn: u64, frame: Frame) {
        let direction = usize::from(from > to);
        let lost = self.faulty && self.dice.percent(self.config.loss);
        let cut = self.cut[from][to];
        let Some(link) = self.links.get_mut(&pair(from, to)).filter(|link| link.conn == conn) else { return };
        if link.dead[direction] {
            return;
        }
        self.frames += 1;
        if self.faulty
            && let Frame::Plain(Message::Records { records, .. }) = &frame
            && self.dice.percent(self.config.duplication)
        {
            let (wires, at) = (records.clone(), self.now + self.dice.below(2_000));
            self.schedule(at, Event::Stray { to, wires });
            self.count("frames repeated");
        }
        let Some(link) = self.links.get_mut(&pair(from, to)) else { return };
        if lost || cut {
            // What follows on this connection is lost as well: frames are in order or not at all.
            link.dead[direction] = true;
            self.count(if cut { "frames cut off" } else { "frames lost" });
            let after = if cut { self.dice.within(200, self.config.ping) } else { self.dice.within(5, 60) };
            self.end_link(from, to, conn, after);
            return;
        }
        let at = link.last[direction].max(self.now + self.dice.within(1, self.config.latency));
        link.last[direction] = at;
        self.schedule(at, Event::Deliver { to, from, conn, frame });
    }

    fn end_link(&mut self, a: usize, b: usize, conn: u64, after: u64) {
        let Some(link) = self.links.get_mut(&pair(a, b)).filter(|link| link.conn == conn && !link.ending) else { return };
        link.ending = true;
        let later = self.dice.below(20);
        self.schedule(self.now + after, Event::Down { node: a, peer: b, conn });
        self.schedule(self.now + after + later, Event::Down { node: b, peer: a, conn });
    }

    fn end_links_of(&mut self, index: usize, after: u64) {
        let of: Vec<(usize, usize, u64)> =
            self.links.iter().filter(|((a, b), _)| *a == index || *b == index).map(|((a, b), link)| (*a, *b, link.conn)).collect();
        let mut of = of;
        of.sort_unstable();
        for (a, b, conn) in of {
            self.end_link(a, b, conn, after);
        }
    }

    fn dial(&mut self) {
        for a in 0..self.config.nodes {
            for b in a + 1..self.config.nodes {
                let up = |slot: &Slot| slot.node.is_some() && !slot.stopped;
                let linked = self.links.contains_key(&(a, b));
                let reachable = !self.cut[a][b] && !self.cut[b][a];
                if linked || !reachable || !up(&self.nodes[a]) || !up(&self.nodes[b]) || !self.dice.percent(40) {
                    continue;
                }
                self.connections += 1;
                let conn = self.connections;
                self.links.insert((a, b), Link { conn, dead: [false; 2], ending: false, last: [self.now; 2] });
                self.with(a, |node, ctx| node.connected(ctx, b, conn));
                self.with(b, |node, ctx| node.connected(ctx, a, conn));
            }
        }
    }

    /// Something goes wrong.
    fn fault(&mut self) {
        let node = usize::try_from(self.dice.below(self.config.nodes as u64)).expect("few");
        match self.dice.below(10) {
            0..=2 => self.crash(node),
            3..=5 => self.stop(node),
            6 | 7 => {
                let sides: Vec<bool> = (0..self.config.nodes).map(|_| self.dice.percent(50)).collect();
                self.part(|a, b| sides[a] != sides[b]);
            }
            8 => self.part(|a, _| a == node),
            _reset => {
                let links: Vec<(usize, usize, u64)> = {
                    let mut links: Vec<_> = self.links.iter().map(|((a, b), link)| (*a, *b, link.conn)).collect();
                    links.sort_unstable();
                    links
                };
                if let Some((a, b, conn)) = self.dice.pick(&links).copied() {
                    if let Some(link) = self.links.get_mut(&(a, b)) {
                        link.dead = [true; 2];
                    }
                    self.end_link(a, b, conn, 50);
                }
            }
        }
        let next = self.now + self.dice.within(self.config.faults / 2, self.config.faults * 2);
        self.schedule(next, Event::Fault);
    }

    /// Whatever was not committed is gone.
    fn crash(&mut self, index: usize) {
        let slot = &mut self.nodes[index];
        let Some(node) = slot.node.take() else { return };
        let lost = node.store.records.len() > node.store.committed;
        self.count(if lost { "crashes that lost records" } else { "crashes" });
        let slot = &mut self.nodes[index];
        slot.disk = node.store.records[..node.store.committed].to_vec();
        slot.life += 1;
        slot.parked.clear();
        slot.stopped = false;
        let after = if self.dice.percent(70) { self.dice.within(1, 20) } else { self.dice.within(self.config.ping / 10, self.config.ping) };
        for link in self.links.iter_mut().filter(|((a, b), _)| *a == index || *b == index).map(|(_, link)| link) {
            link.dead = [true; 2];
        }
        self.end_links_of(index, after);
        let at = self.now + self.dice.within(self.config.faults / 4, self.config.faults * 4);
        self.schedule(at, Event::Restart { node: index });
    }

    /// SIGSTOP: its clock goes on, its inputs wait.
    fn stop(&mut self, index: usize) {
        if self.nodes[index].node.is_none() || std::mem::replace(&mut self.nodes[index].stopped, true) {
            return;
        }
        self.count("stops");
        let ms = self.dice.within(self.config.stop.0, self.config.stop.1);
        if ms > self.config.ping {
            self.end_links_of(index, self.config.ping);
        }
        self.schedule(self.now + ms, Event::Continue { node: index });
    }

    /// Stops one node for a moment, if none is stopped.
    pub fn stop_one(&mut self) {
        if self.nodes.iter().any(|slot| slot.stopped) {
            return;
        }
        let node = usize::try_from(self.dice.below(self.config.nodes as u64)).expect("few");
        self.stop(node);
    }

    fn part(&mut self, apart: impl Fn(usize, usize) -> bool) {
        self.count("partitions");
        for a in 0..self.config.nodes {
            for b in 0..self.config.nodes {
                self.cut[a][b] |= a != b && apart(a, b);
            }
        }
        let at = self.now + self.dice.within(self.config.faults, self.config.faults * 4);
        self.schedule(at, Event::Rejoin);
        let mut links: Vec<_> = self
            .links
            .iter()
            .filter(|((a, b), _)| self.cut[*a][*b] || self.cut[*b][*a])
            .map(|((a, b), link)| (*a, *b, link.conn))
            .collect();
        links.sort_unstable();
        for (a, b, conn) in links {
            let after = self.dice.within(self.config.ping / 5, self.config.ping);
            if let Some(link) = self.links.get_mut(&(a, b)) {
                link.dead[0] |= self.cut[a][b];
                link.dead[1] |= self.cut[b][a];
            }
            self.end_link(a, b, conn, after);
        }
    }

    fn rejoin(&mut self) {
        self.cut.iter_mut().for_each(|row| row.fill(false));
    }

    /// Ends all faults: everybody runs and reaches everybody.
    pub fn heal(&mut self) {
        self.faulty = false;
        self.rejoin();
        for index in 0..self.config.nodes {
            self.go_on(index);
            if self.nodes[index].node.is_none() {
                self.boot(index);
            }
        }
    }

    fn go_on(&mut self, index: usize) {
        if std::mem::replace(&mut self.nodes[index].stopped, false) {
            for event in std::mem::take(&mut self.nodes[index].parked) {
                self.happen(event);
            }
        }
    }

    fn owner(event: &Event) -> Option<usize> {
        match event {
            Event::Deliver { to, .. } | Event::Stray { to, .. } => Some(*to),
            Event::Down { node, .. }
            | Event::Tick { node, .. }
            | Event::Commit { node, .. }
            | Event::Work { node, .. }
            | Event::Create { node, .. } => Some(*node),
            Event::Fault | Event::Restart { .. } | Event::Continue { .. } | Event::Rejoin | Event::Dial => None,
        }
    }

    fn happen(&mut self, event: Event) {
        if let Some(owner) = Self::owner(&event)
            && self.nodes[owner].stopped
        {
            self.nodes[owner].parked.push_back(event);
            return;
        }
        let alive = |world: &Self, node: usize, life: u64| world.nodes[node].node.is_some() && world.nodes[node].life == life;
        match event {
            Event::Deliver { to, from, conn, frame } => {
                self.with(to, |node, ctx| node.frame(ctx, from, conn, frame));
            }
            Event::Stray { to, wires } => {
                self.with(to, |node, ctx| node.stray(ctx, &wires));
            }
            Event::Down { node, peer, conn } => {
                if self.links.get(&pair(node, peer)).is_some_and(|link| link.conn == conn) {
                    self.links.remove(&pair(node, peer));
                }
                self.with(node, |node, ctx| node.disconnected(ctx, peer, conn));
            }
            Event::Tick { node, life } if alive(self, node, life) => {
                let working = self.working;
                self.with(node, |node, ctx| node.tick(ctx, working));
                if self.faulty && self.config.hostile && node + 1 == self.config.nodes {
                    self.with(node, hostile::act);
                }
                self.schedule(self.now + self.config.tick, Event::Tick { node, life });
            }
            Event::Commit { node, life } if alive(self, node, life) => {
                self.with(node, |node, ctx| node.committed(ctx));
            }
            Event::Work { node, life, of } if alive(self, node, life) => {
                self.with(node, |node, ctx| node.worked(ctx, of));
            }
            Event::Tick { .. } | Event::Commit { .. } | Event::Work { .. } => {}
            Event::Create { node, number } => self.create(node, number),
            Event::Fault if self.faulty => self.fault(),
            Event::Fault => {}
            Event::Restart { node } => {
                if self.nodes[node].node.is_none() {
                    self.boot(node);
                }
            }
            Event::Continue { node } => self.go_on(node),
            Event::Rejoin => self.rejoin(),
            Event::Dial => {
                self.dial();
                let at = self.now + self.config.tick;
                self.schedule(at, Event::Dial);
            }
        }
    }

    fn create(&mut self, node: usize, number: u64) {
        let (scope, id) = (name("default"), name(&format!("task-{number}")));
        let task = Subject::task(&scope, &id);
        let body = Body::TaskCreate { scope, id, change: vec![1], imported: None };
        let made = self.with(node, |node, ctx| node.write(ctx, task, body.clone()));
        if made.is_none() {
            self.schedule(self.now + 500, Event::Create { node, number });
        }
    }

    /// Lets time go by until a condition holds or a time is reached.
    pub fn run_until(&mut self, until: u64, every: u64, mut holds: impl FnMut(&Self) -> bool) -> Result<bool, String> {
        let mut look = self.now;
        while let Some(Reverse(At(at, _, event))) = self.queue.pop() {
            if at > until {
                self.order += 1;
                self.queue.push(Reverse(At(at, 0, event)));
                self.now = until;
                break;
            }
            self.now = at;
            self.happen(event);
            if let Some(broken) = self.broken.take() {
                return Err(broken);
            }
            if self.now >= look {
                look = self.now + every;
                self.check_equals()?;
                if holds(self) {
                    return Ok(true);
                }
            }
        }
        Ok(holds(self))
    }

    /// Everything that honest nodes have on disk.
    pub fn on_disk(&self) -> BTreeSet<RecordId> {
        let nodes = self.nodes.iter().filter_map(|slot| slot.node.as_ref()).filter(|node| !node.hostile);
        nodes.flat_map(|node| node.store.records[..node.store.committed].iter().map(Verified::id)).collect()
    }

    pub fn are_done(&self) -> bool {
        let done = |node: &Node| {
            node.store.logs.len() as u64 == self.config.tasks
                && node
                    .store
                    .logs
                    .keys()
                    .all(|task| node.store.state(task).is_some_and(|state| matches!(state.phase, Phase::Done { merged: Some(_), .. })))
        };
        self.nodes.iter().all(|slot| slot.node.as_ref().is_some_and(done))
    }

    /// Whether everything is on disk and the same everywhere.
    pub fn agree(&self) -> bool {
        let settled = |slot: &Slot| {
            slot.node.as_ref().filter(|node| node.store.committed == node.store.records.len()).map(|node| node.store.durable.digest())
        };
        let mut digests = self.nodes.iter().map(settled);
        let first = digests.next().flatten();
        first.is_some() && digests.all(|digest| digest == first)
    }

    pub fn hold(&self, records: &BTreeSet<RecordId>) -> bool {
        self.nodes.iter().all(|slot| slot.node.as_ref().is_some_and(|node| records.iter().all(|id| node.store.knows(id))))
    }

    pub fn rest(&mut self) {
        self.working = false;
    }

    pub fn check_end(&self) -> Checked {
        self.check_agreement()?;
        self.check_merges()?;
        self.check_nothing_stuck()
    }
}
