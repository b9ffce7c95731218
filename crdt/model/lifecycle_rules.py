"""The lifecycle rules of design.md section 4 for one task, written for clarity; `crdt/src/lifecycle` states them again, fast.

A set of records is a bit mask over `World.records`, whose order is causal. `Record.past` holds the task's records that the author had
seen. `Record.policy`, `access` and `known` say what membership and policy were in the record's own past. FAULTS names rules that a
run breaks on purpose, to see that the schedules notice.
"""
from blake3_small import blake3

CLAIMABLE = ("incoming", "needs_continuation")
BUILT_IN = CLAIMABLE + ("claimed", "provisional", "done", "cancelled", "failed", "blocked", "backlog")
NEVER_MOVED_TO = ("claimed", "done", "cancelled")
AUTHORITY_ONLY = ("grant", "accept", "reject", "expire", "finish")
KINDS = ("create", "edit", "heads", "claim", "review", "grant", "release", "expire", "submit", "accept", "reject", "merged", "finish",
         "move", "cancel", "delete", "unknown")
FAULTS = set()


def bits(mask):
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


def key_of(author):
    return bytes([author + 1]) * 32


class Cut:
    """A removal (of every record of `author` above the frontier) or a forced move of the authority (of its grants above it)."""

    def __init__(self, author, frontier, grants_only):
        self.author, self.frontier, self.grants_only = author, frontier, grants_only

    def above(self, record):
        if record.author != self.author or (self.grants_only and record.kind != "grant"):
            return False
        return record.session not in self.frontier or record.seq > self.frontier[record.session]


class Record:
    """`ref` is the record that it names (on, of, claim, accept), `keep` the claim that a Move names; both are indexes or None."""

    def __init__(self, kind, author, past, ref=None, epoch=0, queue=None, keep=None, cause="edit", policy=None, member=True, known=0,
                 session=0, seq=0):
        self.kind, self.author, self.past, self.ref, self.epoch = kind, author, past, ref, epoch
        self.queue, self.keep, self.cause = queue, keep, cause
        self.policy, self.member, self.known = policy, member, known  # policy: None or (number, authority)
        self.session, self.seq = session, seq
        self.index = self.id = self.verdict = None
        self.about = None  # what an Accept, Reject or Review means: the Submit, else the Claim that the state rested on
        self.anew = False  # a TaskCreate of a task that was deleted in its past


class State:
    """What a set of records resolves to; records are given by index."""

    def __init__(self):
        self.phase, self.queue = "waiting", "incoming"
        self.rests_on = self.claim = self.submit = self.review = self.end = self.merged = self.resume = None
        self.contested = self.created = False
        self.epoch = self.attempt_count = self.rejection_count = 0
        self.status = {}  # of every counted claim
        self.ends = self.effective = 0

    def key(self):
        return (self.phase, self.queue, self.rests_on, self.claim, self.submit, self.review, self.end, self.merged, self.resume,
                self.contested, self.created, self.attempt_count, self.rejection_count)


class World:
    def __init__(self, task):
        self.task, self.records, self.cuts = task, [], []
        self.of = {kind: 0 for kind in KINDS}  # masks of the records of a kind that count
        self.anew = 0
        self.lots, self.cache, self.viewer = {}, {}, None

    def add(self, record, identity):
        record.index, record.id = len(self.records), identity
        record.verdict = self.judge(record)
        self.records.append(record)
        if "law" in FAULTS and self.well_formed(record):
            record.verdict = "counts"
        if record.verdict == "counts":
            self.of[record.kind] |= 1 << record.index
            self.anew |= record.anew << record.index
        return record

    def well_formed(self, record):
        """With the law switched off: whether the record can be interpreted at all."""
        kinds = {"review": ("submit",), "release": ("claim", "review"), "expire": ("claim", "review"), "submit": ("claim",),
                 "accept": ("submit", "claim"), "reject": ("submit", "claim"), "merged": ("accept",)}.get(record.kind)
        if record.kind in ("grant", "unknown") or record.keep is not None:
            return False
        if kinds is None:
            return True
        if record.ref is None or self.records[record.ref].verdict != "counts" or self.records[record.ref].kind not in kinds:
            return False
        record.about = record.ref if record.kind in ("accept", "reject", "review") else None
        return True

    def lot(self, text):
        if text not in self.lots:
            self.lots[text] = blake3(b"octopoid/prio" + self.task + text)
        return self.lots[text]

    def pasts(self, mask):
        union = 0
        for i in bits(mask):
            union |= self.records[i].past
        return union

    def lowest(self, mask):
        return min(bits(mask), key=lambda i: self.records[i].id)

    # The masks: what is left out of a set, whatever its verdict.

    def left_out(self, view, known):
        out = 0
        if not known:
            return 0
        for i in sorted(bits(view), reverse=True):  # later records first: whether they have an effect decides whether they save
            record = self.records[i]
            for c in bits(known & ~record.known):
                if not self.cuts[c].above(record):
                    continue
                if "mask" in FAULTS and not self.cuts[c].grants_only:
                    continue
                if "forced" in FAULTS and self.cuts[c].grants_only:
                    continue
                builders = () if self.cuts[c].grants_only or "builders" in FAULTS else (self.records[x] for x in bits(view & ~out))
                if not any(x.past >> i & 1 and x.member and not x.known >> c & 1 for x in builders):
                    out |= 1 << i
                    break
        return out

    def effective(self, view, known):
        counted = view & ~self.left_out(view, known)
        counted &= self.counted()
        again = counted & self.anew
        if again:
            latest = again if "anew" in FAULTS else again & ~self.pasts(again)
            for i in list(bits(counted & ~latest)):
                if not self.records[i].past & latest:
                    counted &= ~(1 << i)
        return counted

    def counted(self):
        union = 0
        for mask in self.of.values():
            union |= mask
        return union

    # The state.

    def resolve(self, view, known=0):
        cached = (view, known, self.viewer if "tie" in FAULTS else None)
        if cached not in self.cache:
            self.cache[cached] = self._resolve(view, known)
        return self.cache[cached]

    def _resolve(self, view, known):
        at, state = self.records, State()
        eff = state.effective = self.effective(view, known)
        of = lambda *kinds: eff & sum(self.of[k] for k in kinds)
        state.created = bool(of("create"))
        state.epoch = self.highest(eff if "epochs" in FAULTS else view)
        state.attempt_count = sum(at[i].cause in ("requeue", "attempt-failed") for i in bits(of("move")))
        state.rejection_count = bin(of("reject")).count("1")

        closed = self.pasts(of("move") if "delete" in FAULTS else of("move", "delete"))
        rejected = self.rejected(of("reject"), of("submit"))
        setters = of("move", "reject", "delete")
        last = setters & ~self.pasts(setters)
        kept = self.kept(last & of("move"), eff, rejected)
        attempts = self.attempts(eff, closed, rejected, kept, state)

        state.ends = of("accept", "finish") & ~closed
        cancels = of("cancel") & ~closed
        if state.ends:
            self.done(state, attempts, of("merged"))
        elif last & of("delete") and not attempts:
            state.phase, state.queue, state.end = "deleted", "cancelled", self.lowest(last & of("delete"))
        elif cancels:
            state.phase, state.queue, state.end = "cancelled", "cancelled", self.lowest(cancels)
        elif attempts:
            self.open(state, attempts, eff)
        elif last:
            setter = at[self.lowest(last)]
            if setter.kind == "move":
                state.queue, state.rests_on, state.resume = setter.queue, setter.index, setter.keep
            else:
                state.resume = self.claim_of(setter.about)
        return state

    def highest(self, view):
        """Of all that counts, masked or deleted or not: a number that was given once is never given again."""
        opened = (r.epoch for r in (self.records[i] for i in bits(view & (self.of["claim"] | self.of["grant"]))) if r.kind == "grant" or not r.policy)
        return max(opened, default=0)

    def claim_of(self, about):
        return about if about is None or self.records[about].kind == "claim" else self.records[about].ref

    def rejected(self, rejects, submits):
        """The submits and claims that were rejected. A Reject of a Move rejects every submit of the kept attempt that it had seen."""
        mask = 0
        for i in bits(rejects):
            reject = self.records[i]
            on = self.records[reject.ref]
            if on.kind != "move":
                mask |= 1 << reject.ref
            elif reject.about is not None:
                for s in bits(reject.past & submits):
                    mask |= (self.records[s].ref == self.claim_of(reject.about)) << s
        return mask

    def kept(self, last_moves, eff, rejected):
        """Claim -> the last Move that keeps its submitted attempt open. In a claimable queue a Move only names where to go on from."""
        kept = {}
        for i in sorted(bits(last_moves), key=lambda i: self.records[i].id):
            move = self.records[i]
            if move.keep is None or (move.queue in CLAIMABLE and "resume" not in FAULTS) or not eff >> move.keep & 1 or "keep" in FAULTS:
                continue
            if any(self.records[s].ref == move.keep for s in bits(move.past & eff & self.of["submit"] & ~rejected)):
                kept.setdefault(move.keep, i)
        return kept

    def attempts(self, eff, closed, rejected, kept, state):
        """The open attempts, best first, as (claim, submit, what the state rests on); and the status of every claim that counts."""
        at, open_attempts = self.records, []
        released = sum(1 << i for i in {at[i].ref for i in bits(eff & self.of["release"])})
        expired = sum(1 << i for i in {at[i].ref for i in bits(eff & self.of["expire"])})
        for c in bits(eff & self.of["claim"]):
            claim = at[c]
            granted = max(((g.policy[0], g.epoch) for g in (at[i] for i in bits(eff & self.of["grant"])) if g.ref == c), default=None)
            opens = granted is not None or not claim.policy or "ungranted" in FAULTS
            submits = sum(1 << s for s in bits(eff & self.of["submit"]) if at[s].ref == c)
            standing = submits & ~rejected
            rests_on = submit = None
            if c in kept:
                rests_on, submit = kept[c], self.lowest(standing & at[kept[c]].past)
            elif opens and standing & ~closed and not ("expire" in FAULTS and expired >> c & 1):
                rests_on = submit = self.lowest(standing & ~closed)
            elif opens and not submits and not (released | expired | rejected | closed) >> c & 1:
                rests_on = c
            if rests_on is not None:
                epoch = granted[1] if granted else claim.epoch
                lot = self.lot(epoch.to_bytes(8, "big") + key_of(claim.author))
                tie = (claim.author != self.viewer,) if "tie" in FAULTS else (lot, claim.id)
                grant = (-granted[0], -granted[1]) if granted and "grants" not in FAULTS else (1, 0)
                open_attempts.append(((grant, submit is None, -epoch, tie), c, submit, rests_on))
                state.status[c] = "superseded"
            elif submits:
                state.status[c] = "moved-away" if standing else "rejected"
            else:
                ends = ((rejected, "rejected"), (expired, "expired"), (released, "released"), (closed, "moved-away"))
                state.status[c] = next((name for mask, name in ends if mask >> c & 1), "ungranted")
        return [a[1:] for a in sorted(open_attempts, key=lambda a: a[0])]

    def done(self, state, attempts, mergeds):
        at = self.records
        merged = {}
        for m in sorted(bits(mergeds), key=lambda m: at[m].id):
            merged.setdefault(at[m].ref, m)
        law = lambda e: (False if "merged" in FAULTS else e not in merged, at[e].kind != "accept", at[e].id)
        state.phase, state.queue, state.end = "done", "done", min(bits(state.ends), key=law)
        state.merged = merged.get(state.end)
        won = at[state.end]
        state.submit = won.about if won.about is not None and at[won.about].kind == "submit" else None
        state.claim = self.claim_of(won.about) if won.kind == "accept" else None
        accepted = {self.claim_of(at[e].about) for e in bits(state.ends)} - {None}
        state.contested = len(accepted) > 1
        for c in accepted & set(state.status):
            state.status[c] = "contested"
        if state.claim in state.status:
            state.status[state.claim] = "merged" if state.merged is not None else "accepted"

    def open(self, state, attempts, eff):
        at = self.records
        state.claim, state.submit, state.rests_on = attempts[0]
        state.contested = len(attempts) > 1
        state.status[state.claim] = "running" if state.submit is None else "submitted"
        if state.submit is None:
            state.phase = state.queue = "claimed"
            return
        state.phase = "provisional"
        on = at[state.rests_on]
        state.queue = on.queue if on.kind == "move" else "provisional"
        ended = {at[i].ref for i in bits(eff & (self.of["release"] | self.of["expire"]))}
        waiting = [i for i in bits(eff & self.of["review"]) if at[i].ref == state.rests_on and i not in ended]
        if waiting:
            lot = lambda i: (self.lot(on.id + key_of(at[i].author)), at[i].id)
            state.review = min(waiting, key=lot)

    # The law.

    def judge(self, record):
        """A record counts if it was legal in the state that its own past resolves to: "counts", or why it does not."""
        kind, at = record.kind, self.records
        if not record.member:
            return "not-a-member"
        state = self.resolve(record.past, record.known)
        if kind in ("create", "edit", "heads"):
            record.anew = kind == "create" and state.phase == "deleted"
            return "counts"
        if kind == "unknown":
            return "unknown-kind"
        authority = record.policy and record.policy[1]
        if kind in AUTHORITY_ONLY and "authority" not in FAULTS:
            if authority is None and kind == "grant" or authority is not None and record.author != authority:
                return "not-the-authority"
        seen = record.ref is not None and record.past >> record.ref & 1 and at[record.ref].verdict == "counts"
        ref = at[record.ref] if seen else None
        if kind == "release":
            if ref is None or ref.kind not in ("claim", "review"):
                return "unknown-target"
            return "counts" if ref.author == record.author else "not-the-holder"
        if kind == "merged":
            return "counts" if ref is not None and ref.kind == "accept" else "unknown-target"
        if not state.created:
            return "no-task"
        if state.phase == "deleted":
            return "deleted"
        if kind == "move":
            if record.queue in NEVER_MOVED_TO:
                return "not-a-target-queue"
            named = record.keep is None or (record.past >> record.keep & 1 and state.status.get(record.keep, "ungranted") != "ungranted")
            return "counts" if named else "unknown-target"
        if kind == "delete":
            return "counts"
        if state.phase == "done":
            return "finished"
        if state.phase == "cancelled":
            return "cancelled"
        return self.judge_open(record, ref, state)

    def judge_open(self, record, ref, state):
        kind = record.kind
        if kind in ("finish", "cancel"):
            return "counts"
        if kind in ("claim", "grant"):
            if kind == "grant" and (ref is None or ref.kind != "claim" or not ref.policy):
                return "unknown-target"
            if state.phase != "waiting" and not ("resume" in FAULTS and state.queue in CLAIMABLE):
                return "held"
            if kind == "grant" and state.status.get(record.ref) != "ungranted":
                return "ended"
            if state.queue not in CLAIMABLE and state.queue in BUILT_IN:
                return "not-claimable"
            return "counts" if record.epoch == 1 + state.epoch or "numbers" in FAULTS else "stale-epoch"
        if kind == "submit":
            if ref is None or ref.kind != "claim":
                return "unknown-target"
            if ref.author != record.author:
                return "not-the-holder"
            return "counts" if state.phase == "claimed" and state.claim == record.ref else "not-current"
        if kind == "expire":
            holds = state.claim if state.phase == "claimed" else state.review
            return "counts" if holds is not None and holds == record.ref else "not-current"
        if state.rests_on is None or state.rests_on != record.ref:
            return "not-current"
        record.about = state.claim if state.submit is None else state.submit
        if kind == "review":
            if state.phase != "provisional":
                return "nothing-to-review"
            return "counts" if state.review is None or "exclusive" in FAULTS else "held"
        return "counts"
