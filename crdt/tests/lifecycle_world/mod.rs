//! A cluster of a few members around one task: they act on what they hold, partition, exchange records, go back to backups, change
//! authority and membership, and one of them may write anything. Checks the invariants of the lifecycle after every step.

mod invariants;
mod wishes;

use std::collections::BTreeMap;

use octopoid_crdt::{
    ids::{AuthorKey, Name, RecordId, SessionId, Subject},
    lifecycle::{Act, Index, Past, PolicyAt, Reach, Removal, Removals, Standing, TaskLog, TaskState},
    record::{Access, Cause, Queue},
};

/// What happens next. Every number is taken modulo what there is to choose from, so any sequence is a schedule.
#[derive(Debug, Clone)]
pub enum Op {
    /// A member does something that the law allows it.
    Act { member: u8, choice: u8 },
    /// The hostile member writes any kind over any past.
    Attack { kind: u8, over: [u8; 2], names: u8, number: u8 },
    /// A member fetches from another: everything, or one record with its past.
    Pull { to: u8, from: u8, pick: Option<u8> },
    /// Splits the members in two by their bits.
    Part { sides: u8 },
    /// Makes a backup, or goes back to it and continues in a new session.
    Restore { member: u8 },
    /// Sets or moves the authority, or removes a member.
    Govern { member: u8, choice: u8 },
}

/// What a schedule may contain.
#[derive(Debug, Clone, Copy)]
pub struct Profile {
    pub members: usize,
    pub hostile: bool,
    pub authority: bool,
    /// Whether the authority is taken by force at times.
    pub forced: bool,
    pub removals: bool,
    pub deletes: bool,
}

/// A record as it travels.
#[derive(Debug, Clone)]
pub struct Written {
    pub id: RecordId,
    pub author: usize,
    pub deps: Vec<RecordId>,
    pub act: Act,
    pub standing: Standing,
}

/// One member's node.
#[derive(Debug, Clone)]
pub struct Member {
    pub log: TaskLog,
    pub removals: Removals,
    pub known: Past,
    pub policy: Option<PolicyAt>,
    session: SessionId,
    seq: u64,
    backup: Option<Box<Member>>,
}

/// A removal or policy arrives with everything that its author held.
#[derive(Debug, Clone)]
struct Carried {
    records: Vec<RecordId>,
    known: Past,
    policy: Option<PolicyAt>,
}

/// The cluster.
pub struct World {
    pub profile: Profile,
    pub members: Vec<Member>,
    pub written: BTreeMap<RecordId, Written>,
    cuts: Vec<(Removal, Carried)>,
    policies: Vec<(PolicyAt, Carried)>,
    /// How often the authority was set or moved.
    pub settings: u64,
    sides: u8,
    sessions: u8,
    /// The Accepts whose merge commits are on the integration branch.
    branch: Vec<RecordId>,
    /// The claim on which work started, by policy number and grant number.
    started: BTreeMap<(u64, u64), RecordId>,
    /// The same by grant number alone, while the authority moves by plan only.
    pub begun: BTreeMap<u64, RecordId>,
}

/// A broken invariant.
pub type Checked = Result<(), String>;

pub fn ensure(holds: bool, what: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(what()) }
}

pub fn key(member: usize) -> AuthorKey {
    AuthorKey([u8::try_from(member).expect("few members") + 1; 32])
}

pub fn staging() -> Queue {
    Queue::Custom("staging".parse::<Name>().expect("a name"))
}

fn at<T>(list: &[T], number: u8) -> Option<&T> {
    list.get(usize::from(number).checked_rem(list.len())?)
}

/// Judges a record over its deps and appends it.
pub fn apply(log: &mut TaskLog, written: &Written, removals: &Removals) {
    let past = log.past_of(&written.deps);
    let entry = log.judge(written.id, key(written.author), past, written.act.clone(), written.standing.clone(), removals);
    log.push(entry);
}

impl World {
    pub fn new(profile: Profile, task: u64) -> Self {
        let mut subject = [7; 32];
        subject[..8].copy_from_slice(&task.to_le_bytes());
        let member = |number: usize| Member {
            log: TaskLog::new(Subject(subject)),
            removals: Removals::none(),
            known: Past::default(),
            policy: None,
            session: SessionId([u8::try_from(number).expect("few members"); 16]),
            seq: 0,
            backup: None,
        };
        let mut world = Self {
            profile,
            members: (0..profile.members).map(member).collect(),
            written: BTreeMap::new(),
            cuts: Vec::new(),
            policies: Vec::new(),
            settings: 0,
            sides: 0,
            sessions: 100,
            branch: Vec::new(),
            started: BTreeMap::new(),
            begun: BTreeMap::new(),
        };
        world.write(0, Act::Create);
        world
    }

    pub fn state(&self, member: usize) -> TaskState {
        self.members[member].log.resolve(&self.members[member].removals)
    }

    pub fn step(&mut self, op: &Op) -> Checked {
        let count = self.profile.members;
        let who = |number: u8| usize::from(number) % count;
        match *op {
            Op::Act { member, choice } => self.watch(who(member), |world| world.act(who(member), choice)),
            Op::Attack { kind, over, names, number } => {
                if self.profile.hostile {
                    self.watch(count - 1, |world| {
                        world.attack(count - 1, kind, over, names, number);
                        Ok(())
                    })?;
                }
                Ok(())
            }
            Op::Pull { to, from, pick } => {
                let side = |member: usize| self.sides >> member & 1;
                if side(who(to)) != side(who(from)) {
                    return Ok(());
                }
                self.watch(who(to), |world| {
                    world.pull(who(to), who(from), pick);
                    Ok(())
                })
            }
            Op::Part { sides } => {
                self.sides = sides;
                Ok(())
            }
            Op::Restore { member } => {
                self.restore(who(member));
                Ok(())
            }
            Op::Govern { member, choice } => self.watch(who(member), |world| {
                world.govern(who(member), choice);
                Ok(())
            }),
        }
    }

    /// Does something at a member and checks what must hold between before and after.
    fn watch(&mut self, member: usize, act: impl FnOnce(&mut Self) -> Checked) -> Checked {
        let (before, held) = (self.state(member), self.members[member].log.len());
        let known = self.members[member].removals.clone();
        act(self)?;
        if self.members[member].log.len() == held && self.members[member].removals == known {
            return Ok(());
        }
        self.check_step(member, &before, held)
    }

    /// Everybody gets everything; then all must agree.
    pub fn heal(&mut self) -> Checked {
        for _round in 0..2 {
            for to in 0..self.members.len() {
                for from in 0..self.members.len() {
                    self.watch(to, |world| {
                        world.pull(to, from, None);
                        Ok(())
                    })?;
                }
            }
        }
        self.check_end()
    }

    fn standing(&self, member: usize, policy: Option<PolicyAt>, known: Past) -> Standing {
        let node = &self.members[member];
        let gone = |(number, cut): (Index, &(Removal, Carried))| {
            known.contains(number) && cut.0.author == key(member) && cut.0.reach == Reach::Everything
        };
        let removed = (0..).zip(&self.cuts).any(gone);
        let access = (!removed).then_some(if member == 0 { Access::Admin } else { Access::Worker });
        Standing { access, policy, session: node.session, seq: node.seq, removals: known }
    }

    /// Writes a record over everything that the member holds.
    fn write(&mut self, member: usize, act: Act) -> RecordId {
        let node = &self.members[member];
        let deps = node.log.heads().iter().filter_map(|head| node.log.at(*head)).map(|entry| entry.id).collect();
        let (policy, known) = (node.policy, node.known.clone());
        self.sign(member, act, deps, policy, known)
    }

    fn sign(&mut self, member: usize, act: Act, deps: Vec<RecordId>, policy: Option<PolicyAt>, known: Past) -> RecordId {
        self.members[member].seq += 1;
        let task = self.members[member].log.task();
        let mut hasher = blake3::Hasher::new();
        hasher.update(task.as_bytes()).update(&self.written.len().to_le_bytes());
        let id = RecordId(*hasher.finalize().as_bytes());
        let standing = self.standing(member, policy, known);
        let written = Written { id, author: member, deps, act, standing };
        let node = &mut self.members[member];
        apply(&mut node.log, &written, &node.removals);
        self.written.insert(id, written);
        id
    }

    fn pull(&mut self, to: usize, from: usize, pick: Option<u8>) {
        if to == from {
            return;
        }
        let source = &self.members[from];
        let fresh: Vec<RecordId> =
            source.log.entries().iter().map(|e| e.id).filter(|id| self.members[to].log.position(id).is_none()).collect();
        match pick {
            None => {
                let (known, policy) = (source.known.clone(), source.policy);
                self.learn(to, &fresh, &known, policy);
            }
            Some(pick) => {
                if let Some(id) = at(&fresh, pick).copied() {
                    self.learn(to, &[id], &Past::default(), None);
                }
            }
        }
    }

    /// Applies records with their pasts, and what these pasts know of membership and policy.
    fn learn(&mut self, member: usize, records: &[RecordId], known: &Past, policy: Option<PolicyAt>) {
        let cuts: Vec<Index> = known.iter().filter(|number| !self.members[member].known.contains(*number)).collect();
        for number in cuts {
            let (removal, carried) = self.cuts[number as usize].clone();
            let node = &mut self.members[member];
            node.known.insert(number);
            node.removals.add(number, removal);
            self.learn(member, &carried.records, &carried.known, carried.policy);
        }
        let number = |policy: Option<PolicyAt>| policy.map_or(0, |policy| policy.number);
        if number(policy) > number(self.members[member].policy) {
            self.members[member].policy = policy;
            let carried = self.policies[usize::try_from(number(policy)).expect("few policies") - 1].1.clone();
            self.learn(member, &carried.records, &carried.known, carried.policy);
        }
        for id in records {
            if self.members[member].log.position(id).is_none() {
                let written = self.written[id].clone();
                self.learn(member, &written.deps, &written.standing.removals, written.standing.policy);
                let node = &mut self.members[member];
                apply(&mut node.log, &written, &node.removals);
            }
        }
    }

    fn restore(&mut self, member: usize) {
        let session = self.sessions;
        let node = &mut self.members[member];
        if node.policy.is_some_and(|policy| policy.authority == Some(key(member))) {
            return; // an authority looks for its own records before it writes
        }
        match node.backup.take() {
            None => node.backup = Some(Box::new(node.clone())),
            Some(backup) => {
                *node = Member { session: SessionId([session; 16]), ..*backup };
                self.sessions = self.sessions.wrapping_add(1);
            }
        }
    }

    fn carried(&self, member: usize) -> Carried {
        let node = &self.members[member];
        Carried { records: node.log.entries().iter().map(|entry| entry.id).collect(), known: node.known.clone(), policy: node.policy }
    }

    /// An admin (member 0) sets the authority, moves it by force, or removes a member; an authority moves itself.
    fn govern(&mut self, member: usize, choice: u8) {
        let honest = self.members.len() - usize::from(self.profile.hostile);
        let heir = usize::from(choice >> 2) % honest;
        let latest = self.policies.last().map(|(policy, _)| *policy);
        let authority = latest.and_then(|policy| policy.authority);
        if choice.is_multiple_of(4) && self.profile.removals && member == 0 {
            let gone = 1 + usize::from(choice >> 2) % (self.members.len() - 1);
            if !self.policies.iter().any(|(policy, _)| policy.authority == Some(key(gone))) {
                self.cut(member, gone, Reach::Everything, u64::from(choice >> 6));
            }
        } else if self.profile.authority && self.members[member].policy == latest {
            match authority {
                None if member == 0 => self.set_policy(member, heir),
                Some(old) if old == key(member) && heir != member => self.set_policy(member, heir),
                Some(old) if self.profile.forced && member == 0 && old != key(heir) => {
                    self.cut(member, usize::from(old.0[0]) - 1, Reach::Grants, 0);
                    self.set_policy(member, heir);
                }
                Some(_) | None => {}
            }
        }
    }

    fn set_policy(&mut self, member: usize, heir: usize) {
        self.settings += 1;
        let policy = PolicyAt { number: self.settings, authority: Some(key(heir)) };
        self.policies.push((policy, self.carried(member)));
        self.members[member].policy = Some(policy);
    }

    fn cut(&mut self, member: usize, author: usize, reach: Reach, back: u64) {
        let mut frontier: BTreeMap<SessionId, u64> = BTreeMap::new();
        for entry in self.members[member].log.entries().iter().filter(|entry| entry.author == key(author)) {
            let last = frontier.entry(entry.standing.session).or_default();
            *last = entry.standing.seq.max(*last);
        }
        let frontier = frontier.into_iter().map(|(session, last)| (session, last.saturating_sub(back))).collect();
        let removal = Removal { author: key(author), frontier, reach };
        let number = Index::try_from(self.cuts.len()).expect("few removals");
        self.cuts.push((removal.clone(), self.carried(member)));
        self.members[member].known.insert(number);
        self.members[member].removals.add(number, removal);
    }

    /// Any act over any past, under a policy and removals no older than those of what it builds on; or a near miss over everything.
    fn attack(&mut self, member: usize, kind: u8, over: [u8; 2], names: u8, number: u8) {
        let node = &self.members[member];
        let entries = node.log.entries();
        let ids: Vec<RecordId> = entries.iter().map(|entry| entry.id).collect();
        let Some(mut named) = at(&ids, names).copied() else { return };
        let mut deps: Vec<RecordId> = over.iter().filter_map(|pick| at(&ids, *pick).copied()).chain([named]).collect();
        if number.is_multiple_of(3) {
            deps = node.log.heads().iter().filter_map(|head| node.log.at(*head)).map(|entry| entry.id).collect();
            named = node.log.resolve(&node.removals).rests_on.unwrap_or(named);
        }
        let epoch = [1, 2, 3, node.log.resolve(&node.removals).epoch + 1, u64::MAX][usize::from(number) % 5];
        let queue =
            [Queue::Done, Queue::Claimed, Queue::Incoming, Queue::Provisional, staging(), Queue::Blocked][usize::from(number) % 6].clone();
        let act = match kind % 17 {
            0 => Act::Create,
            1 => Act::Edit,
            2 => Act::Heads,
            3 => Act::Claim { epoch, agent: "x".into() },
            4 => Act::Review { on: named, agent: "x".into() },
            5 => Act::Grant { claim: named, epoch },
            6 => Act::Release { of: named, cause: Cause::Stopped },
            7 => Act::Expire { of: named },
            8 => Act::Submit { claim: named, base: None, head: None },
            9 => Act::Accept { on: named },
            10 => Act::Reject { on: named },
            11 => Act::Finish,
            12 => Act::Move { queue, cause: Cause::Requeue, keep: (number.is_multiple_of(2)).then_some(named) },
            13 => Act::Cancel,
            14 if self.profile.deletes => Act::Delete,
            14 | 15 => Act::Submit { claim: named, base: None, head: None },
            _unknown => Act::Unknown,
        };
        let past = node.log.past_of(&deps);
        let (mut known, mut policy) = (Past::default(), None);
        for entry in past.iter().filter_map(|index| node.log.at(index)) {
            known.union(&entry.standing.removals);
            policy = [policy, entry.standing.policy].into_iter().flatten().max_by_key(|policy| policy.number);
        }
        if number.is_multiple_of(4) {
            (known, policy) = (node.known.clone(), node.policy);
        }
        if number.is_multiple_of(7) {
            self.members[member].seq = self.members[member].seq.saturating_sub(1); // two records at one place of a session
        }
        self.sign(member, act, deps, policy, known);
    }
}
