# The commands that developers use; `just --list` shows them.

# Runs every test.
test:
    cargo test --workspace

# Tests the SDKs for TypeScript and Python against target/debug/octopoid.
sdks:
    .ci/sdks

# Tests the dashboard in the system's Chromium against target/debug/octopoid.
dashboard:
    .ci/dashboard

# Makes the archive and the npm package of a release in target/dist.
release *ARGS:
    scripts/release {{ARGS}}

# Checks archive, manual pages, completions, npm package and systemd unit, with target/debug/octopoid.
packages:
    .ci/packages

# Writes sdk/openapi.json, docs/api.md and the SDKs' shapes anew after a change of the API.
api:
    OCTOPOID_WRITE_OPENAPI=1 cargo test -p octopoid-node --test rest description
    OCTOPOID_WRITE_OPENAPI=1 cargo test -p octopoid-tests --test api_page
    python3 sdk/python/scripts/generate.py
    npm ci --no-audit --no-fund --prefix sdk/typescript
    npm run generate --prefix sdk/typescript

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

# Feeds a target (record, frame, join, ticket, gate, rest, task_file, import) with what the fuzzer makes up; needs cargo-fuzz and a nightly compiler.
fuzz TARGET *ARGS:
    cargo +nightly fuzz run {{TARGET}} {{ARGS}}

# What continuous integration runs.
ci:
    .ci/run
