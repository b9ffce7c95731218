#!/usr/bin/env python3
"""Random schedules against the lifecycle rules of design.md section 4.

Usage: lifecycle_model.py [SCHEDULES] [--from SEED] [--break FAULT[,FAULT]] [--vectors DIR] [--mutants]

Every schedule has two to four honest nodes that partition, sync, restore backups and act, one of them hostile in most schedules: it may
write any record over any past. Some schedules have an authority (moved as planned or by force) and some remove a member. The
invariants of design.md are checked after every step and after healing. `--mutants` breaks each rule in turn and fails unless
some schedule notices. `--vectors` writes golden vectors for `crdt/tests/lifecycle_golden.rs`.
Out of scope: leases and clocks; a false Merged (no rule can see git), which is written only where the merge checks are off.
"""
import argparse
import hashlib
import os
import random
import sys
from collections import Counter

import lifecycle_rules as rules
from lifecycle_rules import CLAIMABLE, Cut, Record, World, bits

MUTANTS = ("law", "tie", "expire", "merged", "keep", "delete", "exclusive", "mask", "builders", "forced", "epochs", "anew", "authority",
           "ungranted", "grants", "numbers", "resume", "trailer")
ADMIN = 0


class Broken(AssertionError):
    pass


def check(holds, what):
    if not holds:
        raise Broken(what)


class Node:
    def __init__(self, number):
        self.number, self.view, self.known, self.policy = number, 0, 0, None
        self.session, self.seq = (number, 0), 0
        self.backup = None


class Schedule:
    def __init__(self, seed, steps=None):
        self.seed, self.rnd = seed, random.Random(seed)
        rnd = self.rnd
        self.world = World(hashlib.blake2b(b"task%d" % seed, digest_size=32).digest())
        self.nodes = [Node(n) for n in range(rnd.choice([2, 3, 3, 4]))]
        self.side = [0] * len(self.nodes)
        self.hostile = self.nodes[-1] if rnd.random() < 0.7 else None
        self.served = rnd.random() < 0.35  # an authority appears
        self.removes = rnd.random() < 0.3 and len(self.nodes) > 2
        self.deletes = rnd.random() < 0.5
        self.moves = rnd.choice([0.02, 0.05, 0.15])
        self.ends = rnd.choice([0.01, 0.03, 0.1])
        self.attacks = rnd.choice([0.2, 0.5, 0.8])
        self.partitions = rnd.choice([0.04, 0.1])
        self.changes = rnd.choice([0.03, 0.1]) if self.served or self.removes else 0
        self.lies = self.hostile is not None and rnd.random() < 0.1  # about merges
        self.steps = steps or rnd.choice([30, 60, 60, 90])
        self.carries = []  # of each cut: the view of its author, which arrives with it
        self.policies = []  # ((number, authority), view and cuts of its author)
        self.branch = []  # Accepts whose merge commits are on the integration branch, in order
        self.started = {}  # (policy number, n) -> claims on which honest nodes started work
        self.sessions = len(self.nodes)

    # What nodes hold.

    def state(self, node):
        self.world.viewer = node.number
        return self.world.resolve(node.view, node.known)

    def member(self, node):
        return not any(self.world.cuts[c].author == node.number and not self.world.cuts[c].grants_only for c in bits(node.known))

    def write(self, node, kind, ref=None, past=None, known=None, policy=False, **fields):
        node.seq += 1
        past = node.view if past is None else past
        known = node.known if known is None else known
        policy = node.policy if policy is False else policy
        member = not any(self.world.cuts[c].author == node.number and not self.world.cuts[c].grants_only for c in bits(known))
        record = Record(kind, node.number, past, ref, policy=policy, member=member, known=known, session=node.session, seq=node.seq, **fields)
        self.world.viewer = node.number
        identity = hashlib.blake2b(b"%d/%d" % (self.seed, len(self.world.records)), digest_size=8).digest()
        self.world.add(record, identity)
        self.learn(node, 1 << record.index)
        return record

    def learn(self, node, mask, known=0, policy=None):
        """Applies records and what their pasts know: removals and policies arrive with what their authors held."""
        todo = mask & ~node.view
        mask |= self.world.pasts(todo)
        for i in bits(mask & ~node.view):
            record = self.world.records[i]
            known |= record.known
            policy = max(policy or (0, None), record.policy or (0, None))
        fresh_cuts, fresh_policy = known & ~node.known, policy and policy > (node.policy or (0, None))
        node.view |= mask
        node.known |= known
        if fresh_policy:
            node.policy = policy
        for c in bits(fresh_cuts):
            self.learn(node, *self.carries[c])
        if fresh_policy:
            self.learn(node, *self.policies[policy[0] - 1][1])

    # Steps.

    def run(self):
        first = self.nodes[0]
        self.write(first, "create")
        for _ in range(self.steps):
            node = self.rnd.choice(self.nodes)
            before, held, known = self.state(node), node.view, node.known
            restored = self.step(node)
            if not restored and (node.view != held or node.known != known):
                self.added(before, node, held)
        self.heal()
        return self.outcome()

    def step(self, node):
        rnd, dice = self.rnd, self.rnd.random()
        if dice < self.partitions:
            self.side = [rnd.randrange(2) for _ in self.nodes]
        elif dice < 0.34:
            self.sync(node, rnd.choice(self.nodes))
        elif dice < 0.36:
            return self.restore(node)
        elif dice < 0.36 + self.changes:
            self.govern(node)
        elif node is self.hostile and rnd.random() < self.attacks:
            self.attack(node)
        elif self.member(node):
            self.act(node)
        return False

    def sync(self, node, peer):
        if self.side[peer.number] != self.side[node.number]:
            return
        if self.rnd.random() < 0.3:
            self.learn(node, peer.view, peer.known, peer.policy)
            return
        new = list(bits(peer.view & ~node.view))
        if new:
            self.learn(node, 1 << self.rnd.choice(new))

    def restore(self, node):
        """Makes a backup, or goes back to one and continues in a new session. The authority looks for its own records first."""
        if node.policy and node.policy[1] == node.number:
            return False
        if node.backup is None:
            node.backup = (node.view, node.known, node.policy)
            return False
        node.view, node.known, node.policy = node.backup
        node.backup, node.session, node.seq = None, (node.number, self.sessions), node.seq
        self.sessions += 1
        return True

    def govern(self, node):
        """An admin sets, or moves by force, the authority, or removes a member; the authority moves itself as planned."""
        rnd, admin = self.rnd, node.number == ADMIN
        current = node.policy and node.policy[1]
        if self.served and self.policies == [] and admin:
            self.set_policy(node, rnd.randrange(len(self.nodes) - (self.hostile is not None)))
        elif self.served and node.policy == self.last_policy() and current is not None and rnd.random() < 0.5:
            heir = rnd.randrange(len(self.nodes) - (self.hostile is not None))
            if current == node.number and heir != node.number:
                self.set_policy(node, heir)
            elif admin and heir != current:
                self.cut(node, Cut(current, self.frontier(node, current), True))
                self.set_policy(node, heir)
        elif self.removes and admin and self.world.records:
            gone = rnd.randrange(1, len(self.nodes))
            if all(p[0][1] != gone for p in self.policies):
                back = rnd.choice([0, 0, 1, 3])  # an admin may take the last of a member's records back as well
                self.cut(node, Cut(gone, {s: max(q - back, 0) for s, q in self.frontier(node, gone).items()}, False))

    def last_policy(self):
        return self.policies[-1][0] if self.policies else None

    def set_policy(self, node, authority):
        number = len(self.policies) + 1
        self.policies.append(((number, authority), (node.view, node.known, node.policy)))
        node.policy = (number, authority)

    def cut(self, node, cut):
        self.world.cuts.append(cut)
        self.carries.append((node.view, node.known, node.policy))
        node.known |= 1 << (len(self.world.cuts) - 1)

    def frontier(self, node, author):
        frontier = {}
        for i in bits(node.view):
            record = self.world.records[i]
            if record.author == author:
                frontier[record.session] = max(frontier.get(record.session, 0), record.seq)
        return frontier

    def act(self, node):
        """What an honest node may do. It asks the law first, and in server-wins leaves verdicts to the authority."""
        rnd, state = self.rnd, self.state(node)
        at, authority = self.world.records, node.policy and node.policy[1]
        judges = authority is None or authority == node.number
        if state.phase == "deleted" or not state.created:
            if rnd.random() < 0.5:
                self.obeyed(node, self.write(node, "create"), "waiting")
            return
        dice = rnd.random()
        if dice < 0.05:
            self.write(node, rnd.choice(["edit", "heads"]))
        elif dice < 0.05 + self.moves:
            self.move(node, state)
        elif dice < 0.05 + self.moves + self.ends:
            self.finish(node, state, judges)
        elif state.phase == "waiting" or state.queue in CLAIMABLE:
            if authority == node.number and rnd.random() < 0.7:
                self.grant(node, state)
            elif state.queue in CLAIMABLE or state.queue == "staging":
                self.obeyed(node, self.write(node, "claim", epoch=1 + state.epoch), None if authority is not None else "claimed")
        elif state.phase == "claimed":
            if at[state.claim].author == node.number:
                self.start(state)
                if rnd.random() < 0.8:
                    self.obeyed(node, self.write(node, "submit", state.claim), "provisional")
                else:
                    self.write(node, "release", state.claim)
            elif judges and rnd.random() < 0.3:
                kind = rnd.choice(["expire", "expire", "expire", "accept", "reject"])
                self.obeyed(node, self.write(node, kind, state.claim), "done" if kind == "accept" else None)
        elif state.phase == "provisional":
            self.review(node, state, judges)
        elif state.phase == "done":
            self.merge(node, state)

    def move(self, node, state):
        rnd = self.rnd
        queue = rnd.choice(["incoming", "incoming", "failed", "staging", "needs_continuation", "provisional"])
        named = [c for c, status in state.status.items() if status != "ungranted"]
        keep = state.claim if state.phase == "provisional" and rnd.random() < 0.6 else rnd.choice(named + [None])
        keep = keep if keep in named else None
        self.obeyed(node, self.write(node, "move", queue=queue, keep=keep, cause=rnd.choice(["requeue", "attempt-failed", "edit", "flow"])))
        check(self.state(node).queue == queue, "a Move over everything did not set the queue")

    def finish(self, node, state, judges):
        kind = self.rnd.choice(["finish", "cancel", "delete"] if self.deletes else ["finish", "cancel"])
        if kind == "delete" or state.phase not in ("done", "cancelled") and (judges or kind == "cancel"):
            self.obeyed(node, self.write(node, kind), {"finish": "done", "cancel": "cancelled", "delete": "deleted"}[kind])

    def obeyed(self, node, record, phase=None):
        """What an honest node writes over all that it holds counts and has its effect at once."""
        check(record.verdict == "counts", f"an honest {record.kind} was refused: {record.verdict}")
        after = self.state(node)
        check(phase is None or after.phase == phase, f"after a {record.kind} over everything the task is {after.phase}")
        check(record.kind != "create" or (after.queue, after.resume) == ("incoming", None), "a task created anew is not fresh")

    def review(self, node, state, judges):
        rnd, at = self.rnd, self.world.records
        if state.review is None and rnd.random() < 0.4:
            self.obeyed(node, self.write(node, "review", state.rests_on), "provisional")
        elif state.review is not None and rnd.random() < 0.3:
            own = at[state.review].author == node.number
            if own or judges:
                self.obeyed(node, self.write(node, "release" if own else "expire", state.review), "provisional")
        elif judges:
            kind = "accept" if rnd.random() < 0.7 else "reject"
            self.obeyed(node, self.write(node, kind, state.rests_on), "done" if kind == "accept" else None)

    def grant(self, node, state):
        waiting = [c for c, status in state.status.items() if status == "ungranted"]
        claimable = state.queue in CLAIMABLE or state.queue == "staging"
        if state.phase == "waiting" and claimable and waiting:
            self.write(node, "grant", self.rnd.choice(waiting), epoch=1 + state.epoch)

    def start(self, state):
        """Work starts on the claim that wins: under an authority, on its grant."""
        at = self.world.records
        granted = [at[g] for g in bits(state.effective & self.world.of["grant"]) if at[g].ref == state.claim]
        check(granted or not at[state.claim].policy, "work started without a grant")
        for grant in granted:
            number = (grant.policy[0], grant.epoch)
            check(self.started.setdefault(number, state.claim) == state.claim, "an epoch was started twice")

    def reopened(self, accept, view):
        """The Accept is in the past of a Move or Delete in the view."""
        moved = self.world.pasts(view & (self.world.of["move"] | self.world.of["delete"]))
        return moved >> accept & 1

    def reopened_by_attempt(self, accept, view):
        """What a fence could see if the trailers named attempts alone."""
        claim = self.world.claim_of(self.world.records[accept].about)
        same = [a for a in bits(view & self.world.of["accept"]) if self.world.claim_of(self.world.records[a].about) == claim]
        return any(self.reopened(a, view) for a in same)

    def merge(self, node, state):
        """The fence: refused while a commit of another Accept is there that was not reopened in this Accept's past. The trailer names the
        Accept, not only its attempt: one attempt may be accepted, reopened and accepted again."""
        if state.submit is None or state.merged is not None:
            return
        accept, by_attempt = state.end, "trailer" in rules.FAULTS
        there = [self.world.claim_of(self.world.records[a].about) for a in self.branch] if by_attempt else self.branch
        reopened = self.reopened_by_attempt if by_attempt else self.reopened
        if (state.claim if by_attempt else accept) not in there:
            if not all(reopened(earlier, self.world.records[accept].past) for earlier in self.branch):
                return
            self.branch.append(accept)
            if self.rnd.random() < 0.3:
                return  # it dies before it writes Merged, and rolls forward later
        self.write(node, "merged", accept)

    def attack(self, node):
        """Any kind over any past, with a policy and removals no older than those of what it builds on; sometimes a forked sequence number."""
        rnd, at = self.rnd, self.world.records
        if not node.view:
            return
        pick = lambda: rnd.choice(list(bits(node.view)))
        ref, past = pick(), 0
        for i in [ref] + [pick() for _ in range(rnd.choice([0, 1, 1, 2]))]:
            past |= at[i].past | 1 << i
        if rnd.random() < 0.3:
            past = node.view
        kinds = [k for k in rules.KINDS if (k != "merged" or self.lies) and (k != "delete" or self.deletes)]
        known, policy = (node.known, node.policy) if rnd.random() < 0.3 else (0, None)
        if rnd.random() < 0.1:
            node.seq -= 1
        kind = rnd.choice(kinds)
        state = self.state(node)
        if state.rests_on is not None and rnd.random() < 0.3:  # near misses: what would be legal for another, or a moment earlier
            ref, past, kind = state.rests_on, node.view, rnd.choice(["review", "accept", "reject", "expire", "submit", "claim"])
        keep = rnd.choice([None, pick()])
        keep = keep if keep is not None and at[keep].kind == "claim" else None
        queue = rnd.choice(["done", "claimed", "incoming", "provisional", "staging", "blocked"])
        epoch = rnd.choice([1, 2, 3, 1 + state.epoch, 10**9])
        for i in bits(past):
            known |= at[i].known
            policy = max(policy or (0, None), at[i].policy or (0, None))
        self.write(node, kind, ref, past, known, policy if policy and policy[0] else None, epoch=epoch, queue=queue, keep=keep)

    # Invariants.

    def added(self, before, node, held):
        world, at, after = self.world, self.world.records, self.state(node)
        fresh = node.view & ~held
        check(after.epoch >= before.epoch, "I4: the highest counted epoch fell")
        check(after.epoch <= bin(node.view & (world.of["claim"] | world.of["grant"])).count("1"), "an epoch was jumped")
        check(sum(s in ("accepted", "merged") for s in after.status.values()) <= 1, "I3: two attempts count as accepted")
        if before.phase == "done" and after.phase != "done":
            self.explains(before, after, node)
        stolen = "a live {} was taken over by one who had seen it"
        if before.phase == after.phase == "claimed" and after.claim != before.claim and after.status.get(before.claim) in ("superseded", "running"):
            past = at[after.claim].past
            ends = past & (world.of["release"] | world.of["expire"] | world.of["reject"] | world.of["move"] | world.of["delete"])
            ended = any(at[i].ref == before.claim for i in bits(ends)) or world.pasts(ends & ~world.of["release"] & ~world.of["expire"]) >> before.claim & 1
            check(ended or not past >> before.claim & 1, stolen.format("claim"))
        if before.review is not None and after.review is not None and before.rests_on == after.rests_on and after.review != before.review:
            ended = any(at[i].ref == before.review for i in bits(fresh & (world.of["release"] | world.of["expire"])))
            gone = not after.effective >> before.review & 1
            check(ended or gone or not at[after.review].past >> before.review & 1, stolen.format("review"))

    def explains(self, before, after, node):
        """I6: done ends only by a Move or Delete after its Accept or Finish, a TaskCreate anew, or a removal that masks it."""
        world = self.world
        fresh = after.effective & ~before.effective
        again = fresh & world.anew
        moved = world.pasts(fresh & (world.of["move"] | world.of["delete"]))
        masked = world.left_out(node.view, node.known)
        for end in bits(before.ends):
            check(again or moved >> end & 1 or masked >> end & 1, "I6: done became " + after.phase)

    def heal(self):
        for node in self.nodes:
            for peer in self.nodes:
                before, held, known = self.state(node), node.view, node.known
                self.learn(node, peer.view, peer.known, peer.policy)
                if node.view != held or node.known != known:
                    self.added(before, node, held)
        for node in self.nodes:
            for peer in self.nodes:
                self.learn(node, peer.view, peer.known, peer.policy)
        states = [self.state(node) for node in self.nodes]
        check(all(s.key() == states[0].key() and s.status == states[0].status for s in states), "I1: replicas differ")
        self.final(states[0], self.nodes[0].view, self.nodes[0].known)

    def final(self, state, view, known):
        self.check_merges(state)
        self.check_grants(state, view)
        self.check_removals(state, view, known)
        world, at = self.world, self.world.records
        closed = world.pasts(state.effective & (world.of["move"] | world.of["delete"]))
        rejected = world.rejected(state.effective & world.of["reject"], state.effective & world.of["submit"])
        shown = ("provisional", "done", "cancelled")
        for s in bits(state.effective & world.of["submit"] & ~closed & ~rejected):
            hidden = state.phase not in shown and not any(at[i].policy for i in bits(view))
            check(not hidden, "finished work is hidden behind " + state.phase)
        self.check_kept(state)

    def check_kept(self, state):
        """An attempt that the last word on the task keeps is shown."""
        world, at = self.world, self.world.records
        setters = state.effective & (world.of["move"] | world.of["reject"] | world.of["delete"])
        for m in bits(setters & ~world.pasts(setters) & world.of["move"]):
            keep = at[m].keep
            if keep is None or at[m].queue in CLAIMABLE or not state.effective >> keep & 1 or any(at[i].policy for i in bits(state.effective)):
                continue
            rejected = world.rejected(state.effective & world.of["reject"], state.effective & world.of["submit"])
            submits = [s for s in bits(at[m].past & state.effective & world.of["submit"] & ~rejected) if at[s].ref == keep]
            check(not submits or state.phase in ("provisional", "done", "cancelled"), "a kept attempt is hidden behind " + state.phase)

    def check_merges(self, state):
        if self.lies or any(not c.grants_only for c in self.world.cuts):
            return  # a removal may take the Accept of what git has
        at, of = self.world.records, self.world.of
        everything = (1 << len(at)) - 1
        live = [a for a in self.branch if not self.reopened(a, everything)]
        check(len(live) <= 1, "merged twice without being reopened")
        for accept in live:
            if state.phase == "done" and any(at[m].ref == accept for m in bits(state.effective & of["merged"])):
                check(state.end == accept, "what was merged is not what counts")

    def check_grants(self, state, view):
        at, numbers = self.world.records, Counter()
        for g in bits(state.effective & self.world.of["grant"]):
            numbers[at[g].epoch] += 1
            check(at[g].author == at[g].policy[1], "a grant of another than the authority counts")
        check(all(n == 1 for n in numbers.values()), "two grants of one epoch number")
        for i in bits(view):
            authority = at[i].policy and at[i].policy[1]
            if at[i].verdict == "counts" and at[i].kind in rules.AUTHORITY_ONLY and authority is not None:
                check(at[i].author == authority, "a verdict of another than the authority counts")
        granted = {at[g].ref for g in bits(state.effective & self.world.of["grant"])}
        for c, status in state.status.items():
            if at[c].policy and c not in granted:
                live = ("running",) if any(at[s].ref == c for s in bits(self.world.of["submit"])) else ("running", "submitted", "superseded")
                check(status not in live, "an attempt without a grant is " + status)
        best = max(((at[g].policy[0], at[g].epoch, at[g].ref) for g in bits(state.effective & self.world.of["grant"])
                    if state.status.get(at[g].ref) in ("running", "submitted", "superseded")), default=None)
        if best and state.phase in ("claimed", "provisional"):
            check(state.claim == best[2], "the highest grant does not win")

    def check_removals(self, state, view, known):
        """I10, told apart from the rule: what is above a frontier and nobody else's record refers to might as well not be there."""
        at, world = self.world.records, self.world
        for c in bits(known):
            cut = world.cuts[c]
            if cut.grants_only:
                continue
            above = sum(1 << i for i in bits(view) if cut.above(at[i]) and not at[i].known >> c & 1)
            if above and not any(at[i].past & above for i in bits(view & ~above)):
                without = world.resolve(view & ~above, known)
                check(without.key() == state.key(), "I10: records above the frontier have an effect")

        removals = [c for c in bits(known) if not world.cuts[c].grants_only]
        gone = {world.cuts[c].author for c in removals}
        out = world.left_out(view, known)
        for i in bits(out):
            cuts = [c for c in removals if world.cuts[c].above(at[i]) and not at[i].known >> c & 1]
            for x in (at[x] for x in bits(view) if at[x].past >> i & 1 and at[x].author not in gone and at[x].member):
                saved = cuts and all(not x.known >> c & 1 for c in cuts)
                check(not saved, "what a remaining member had built on was left out")

    def trace(self):
        """One line for each record, for a schedule that broke."""
        for r in self.world.records:
            heads = r.past & ~self.world.pasts(r.past)
            named = " ".join(f"{name}={value}" for name, value in (("ref", r.ref), ("keep", r.keep), ("about", r.about)) if value is not None)
            extra = f" {r.queue}" if r.kind == "move" else f" {r.epoch}" if r.kind in ("claim", "grant") else ""
            print(f"{r.index:3} by {r.author} {r.kind}{extra} {named} over {list(bits(heads))} policy={r.policy} known={r.known:b} {r.id.hex()[:6]} {r.verdict}")
        for c, cut in enumerate(self.world.cuts):
            print("cut", c, vars(cut))
        print("branch", self.branch)

    def outcome(self):
        state = self.state(self.nodes[0])
        return state.phase + (" contested" if state.contested else "")


def run(seeds):
    """Returns the outcomes, or raises Broken naming the seed."""
    outcomes = Counter()
    for seed in seeds:
        try:
            outcomes[Schedule(seed).run()] += 1
        except Broken as broken:
            raise Broken(f"seed {seed}: {broken}") from broken
    return outcomes


def mutants(count):
    missed = []
    for fault in MUTANTS:
        rules.FAULTS = {fault}
        try:
            run(range(count))
            missed.append(fault)
            print(f"{fault:10} NOT caught in {count} schedules")
        except Broken as broken:
            print(f"{fault:10} caught: {broken}")
    rules.FAULTS = set()
    return missed


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("schedules", nargs="?", type=int, default=2000)
    parser.add_argument("--from", dest="start", type=int, default=0)
    parser.add_argument("--break", dest="faults", default="")
    parser.add_argument("--mutants", action="store_true")
    parser.add_argument("--vectors")
    parser.add_argument("--trace", type=int)
    options = parser.parse_args()
    rules.FAULTS = set(filter(None, options.faults.split(",")))
    unknown = rules.FAULTS - set(MUTANTS)
    if unknown:
        parser.error(f"--break takes {', '.join(MUTANTS)}; not {', '.join(sorted(unknown))}")
    if options.mutants:
        sys.exit(1 if mutants(options.schedules) else 0)
    if options.trace is not None:
        schedule = Schedule(options.trace)
        try:
            print(schedule.run())
        finally:
            schedule.trace()
        return
    if options.vectors:
        import vectors

        vectors.write(options.vectors)
        return
    try:
        print(run(range(options.start, options.start + options.schedules)).most_common())
    except Broken as broken:
        sys.exit(f"broken: {broken}")


if __name__ == "__main__":
    main()
