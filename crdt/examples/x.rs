#![allow(clippy::all)]
use octopoid_crdt::{document::*, ids::*};
use std::time::Instant;
fn t<R>(name: &str, n: u32, mut f: impl FnMut() -> R) {
    let s = Instant::now();
    for _ in 0..n {
        std::hint::black_box(f());
    }
    println!("{name}: {:?}", s.elapsed() / n);
}
fn main() {
    let a = |n| Actor { author: AuthorKey([n; 32]), session: SessionId([n; 16]) };
    let small = Fields::default()
        .with("title", "Add login")
        .with("priority", "P2")
        .with("role", "implement")
        .with("file_path", "tasks/x.md")
        .with_content("one\ntwo\nthree")
        .with_entry("blocked_by", "T-1");
    let lines = vec!["z".repeat(31); 4096].join("\n");
    let lines2 = (0..4096).map(|i| format!("{i:031}")).collect::<Vec<_>>().join("\n");
    let big = small.clone().with_content(lines.clone());
    let big2 = small.clone().with_content(lines2.clone());
    let one = small.clone().with_content("y".repeat(131072));
    for (name, f) in [("small", &small), ("4096 equal lines", &big), ("4096 lines", &big2), ("one line", &one)] {
        println!("== {name}");
        t("create", 20, || Document::create(a(1), f).unwrap());
        let (d, c) = Document::create(a(1), f).unwrap();
        println!("change {} saved {}", c.len(), d.save().len());
        t("gate create", 20, || {
            let mut e = Document::empty();
            e.admit(&c, a(1)).unwrap()
        });
        let s = d.save();
        t("save", 20, || d.save());
        t("load", 20, || Document::load_stored(&s).unwrap());
        t("clone", 20, || d.clone());
        t("fields", 20, || d.fields());
        t("holds", 20, || d.holds(&d.heads()[0]));
        let mut e = d.clone();
        let ch = e.edit(a(2), &[Edit::set("title", "x")]).unwrap().remove(0);
        t("edit title", 20, || {
            let mut e = d.clone();
            e.edit(a(2), &[Edit::set("title", "x")]).unwrap()
        });
        t("gate title", 20, || {
            let mut e = d.clone();
            e.admit(&ch, a(2)).unwrap()
        });
        let mut g = d.clone();
        g.edit(a(3), &[Edit::set("role", "x")]).unwrap();
        t("gate title concurrent", 20, || {
            let mut e = g.clone();
            e.admit(&ch, a(2)).unwrap()
        });
        let mut h = d.clone();
        for i in 0..200 {
            h.edit(a(2), &[Edit::set("title", i as i64)]).unwrap();
        }
        let hs = h.save();
        println!("200 changes: saved {}", hs.len());
        t("load200", 20, || Document::load_stored(&hs).unwrap());
        t("edit200", 20, || {
            let mut e = h.clone();
            e.edit(a(2), &[Edit::set("title", "x")]).unwrap()
        });
        let mut hh = h.clone();
        let ch = hh.edit(a(2), &[Edit::set("title", "x")]).unwrap().remove(0);
        t("gate200", 20, || {
            let mut e = h.clone();
            e.admit(&ch, a(2)).unwrap()
        });
    }
}
