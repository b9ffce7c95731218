# The commands that developers use; `just --list` shows them.

# Runs every test.
test:
    cargo test --workspace

# Tests the SDKs for TypeScript and Python against target/debug/octopoid.
sdks:
    .ci/sdks

# Formats, and refuses warnings.
lint:
    cargo fmt --all
    cargo clippy --workspace --all-targets -- -D warnings

# Plays the whole job in a scratch repository.
demo *ARGS:
    cargo run --release -p octopoid -- demo {{ARGS}}

# Measures a node over REST.
load *ARGS:
    cargo run --release -p octopoid-benches --bin load -- {{ARGS}}

# Runs the criterion benches.
bench *ARGS:
    cargo bench -p octopoid-benches {{ARGS}}

# Checks advisories, licences and sources; needs cargo-deny.
deny:
    cargo deny check

# Feeds a target (record, frame, join, ticket, gate, rest) with what the fuzzer makes up; needs cargo-fuzz and a nightly compiler.
fuzz TARGET *ARGS:
    cargo +nightly fuzz run {{TARGET}} {{ARGS}}

# What continuous integration runs.
ci:
    .ci/run
