"""Golden vectors for the Rust lifecycle: schedules of the model as JSON, one schedule a line.

A vector names everything that a verdict or a winner depends on, so that the replay needs neither this model's hash of ids nor its random
numbers. Keys are one or two letters to keep the files small; `crdt/tests/lifecycle_golden.rs` documents them where it reads them.
"""
import json
import os
import random

from lifecycle_model import Schedule
from lifecycle_rules import bits

STEPS, VIEWS = 30, 3
FORCED_STEPS = 60  # a grant beyond a frontier is rare
FORCED = 10
FAMILIES = {
    "authority": lambda s: s.world.of["grant"] and not any(not c.grants_only for c in s.world.cuts),
    "removal": lambda s: any(not c.grants_only for c in s.world.cuts),
    "anew": lambda s: s.world.anew and not s.world.cuts,
    "hostile": lambda s: not s.world.cuts and sum(r.verdict != "counts" for r in s.world.records) >= 4,
    "mesh": lambda s: not s.served and not s.removes,
}
EACH = 50
NAMES_A_RECORD = ("review", "grant", "release", "expire", "submit", "accept", "reject", "merged")


def write(folder):
    os.makedirs(folder, exist_ok=True)
    found, seed = {family: [] for family in FAMILIES}, 0
    while any(len(lines) < EACH for lines in found.values()):
        schedule = Schedule(seed, STEPS)
        schedule.run()
        for family, fits in FAMILIES.items():
            if len(found[family]) < EACH and fits(schedule) and len(schedule.world.records) >= 8:
                found[family].append(json.dumps(vector(schedule), separators=(",", ":")))
                break
        seed += 1
    found["forced"], seed = [], 0
    while len(found["forced"]) < FORCED:
        schedule = Schedule(seed, FORCED_STEPS)
        schedule.served, schedule.changes, schedule.hostile, schedule.attacks = True, 0.15, None, 0
        schedule.run()
        if loses_a_grant(schedule):
            found["forced"].append(json.dumps(vector(schedule), separators=(",", ":")))
        seed += 1
    for family, lines in found.items():
        with open(os.path.join(folder, family + ".jsonl"), "w", encoding="ascii") as out:
            out.write("\n".join(lines) + "\n")


def loses_a_grant(schedule):
    """A forced move masks a grant, and the state tells."""
    world, node = schedule.world, schedule.nodes[0]
    forced = sum(1 << c for c in bits(node.known) if world.cuts[c].grants_only)
    if not world.left_out(node.view, node.known) & world.of["grant"]:
        return False
    return world.resolve(node.view, node.known).status != world.resolve(node.view, node.known & ~forced).status


def vector(schedule):
    world, rnd = schedule.world, random.Random(schedule.seed)
    sessions = {s: n for n, s in enumerate(sorted({r.session for r in world.records}))}
    views = [(schedule.nodes[0].view, schedule.nodes[0].known)]
    while len(views) < 1 + VIEWS:
        view = 0
        for i in rnd.sample(range(len(world.records)), min(len(world.records), rnd.choice([1, 2, 4]))):
            view |= world.records[i].past | 1 << i
        known = 0
        for i in bits(view):
            known |= world.records[i].known
        views.append((view, known | rnd.getrandbits(len(world.cuts)) if world.cuts else known))
    return {
        "seed": schedule.seed,
        "task": world.task.hex(),
        "cuts": [{"a": c.author, "f": [[sessions[s], q] for s, q in c.frontier.items() if s in sessions], "g": c.grants_only} for c in world.cuts],
        "records": [record(r, world, sessions) for r in world.records],
        "views": [{"r": list(bits(v)), "k": list(bits(k)), "is": state(world.resolve(v, k))} for v, k in views],
    }


def record(r, world, sessions):
    out = {"i": r.id.hex(), "a": r.author, "s": [sessions[r.session], r.seq], "k": r.kind, "d": list(bits(r.past & ~world.pasts(r.past)))}
    optional = {"p": r.policy, "x": list(bits(r.known))}
    if r.kind in NAMES_A_RECORD:
        optional["t"] = r.ref
    if r.kind in ("claim", "grant"):
        optional["e"] = r.epoch
    if r.kind == "move":
        optional["q"], optional["c"], optional["w"] = r.queue, r.cause, r.keep
    if r.verdict == "counts":
        optional["b"] = r.about
    out.update({key: value for key, value in optional.items() if value not in (None, [])})
    if not r.member:
        out["m"] = False
    if r.verdict != "counts":
        out["v"] = r.verdict
    if r.anew:
        out["n"] = True
    return out


def state(s):
    out = {"p": s.phase, "q": s.queue, "e": s.epoch, "cr": s.created, "x": s.contested, "ac": s.attempt_count, "rc": s.rejection_count,
           "st": sorted(s.status.items())}
    optional = {"o": s.rests_on, "c": s.claim, "s": s.submit, "v": s.review, "by": s.end, "m": s.merged, "z": s.resume}
    out.update({key: value for key, value in optional.items() if value is not None})
    return out
