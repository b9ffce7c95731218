//! What a start reads: counters, tips, membership, buckets, and the leases of tasks that are held.
//!
//! **Invariants**: a start replays no history, unless the views are of an older layout, half made or cannot be read.

use std::sync::Arc;

use octopoid_crdt::chain::{Chains, Writer as Place};
use octopoid_crdt::ids::{ClusterId, RecordId};
use octopoid_crdt::lease::Input;
use octopoid_crdt::membership::Membership;
use redb::{Database, ReadableDatabase, ReadableTable};
use tokio::sync::{broadcast, watch};

use super::index::Buckets;
use super::open::{Identity, Settings, number};
use super::read::Reader;
use super::rebuild::{derive_again, look_at_merges_again};
use super::state::WriterState;
use super::{Event, Fault, Leases, tables};

/// Reads what the writer keeps in memory.
pub(super) fn load_state(
    database: &Arc<Database>,
    cluster: ClusterId,
    identity: Identity,
    settings: Settings,
    leases: &Arc<Leases>,
    events: &broadcast::Sender<Arc<[Event]>>,
) -> Result<WriterState, Fault> {
    let txn = database.begin_read()?;
    let meta = txn.open_table(tables::META)?;
    let stored = |name: &str| meta.get(name).map(|found| found.map(|bytes| bytes.value().to_vec()));
    let next_task = stored(tables::META_NEXT_TASK)?.and_then(|bytes| number(&bytes)).unwrap_or(1);
    let half_made = stored(tables::META_REBUILDING)?.is_some();
    let old_views = stored(tables::META_VIEWS)?.and_then(|bytes| number(&bytes)) != Some(tables::VIEWS);
    let merges_differ = stored(tables::META_MERGE_BLOCKS)? != Some(vec![u8::from(settings.merge_blocks)]);
    let next_arrival = txn.open_table(tables::RECORDS)?.last()?.map_or(0, |(arrival, _)| arrival.value() + 1);
    let me = identity.signer.author();
    let mut state = WriterState {
        database: database.clone(),
        cluster,
        place: Place::new(me, &Chains::default()),
        session: identity.session,
        chains: Chains::default(),
        sets_stored: Membership::default().sets(),
        membership: Membership::default(),
        masks: Arc::default(),
        last_own: None,
        view: watch::channel(Arc::default()).0,
        masks_shown: watch::channel(Arc::default()).0,
        signer: identity.signer,
        next_arrival,
        next_task,
        buckets: Buckets::default(),
        settings,
        leases: leases.clone(),
        events: events.clone(),
        replaying: false,
    };
    if half_made || old_views || !load_views(&mut state, &Reader::new(txn, cluster))? {
        tracing::info!(records = state.next_arrival, "the views are derived anew from the records");
        derive_again(&mut state)?;
    } else if merges_differ {
        look_at_merges_again(&mut state)?;
    }
    state.place = Place::new(me, &state.chains);
    state.view.send_replace(state.membership.current()?);
    state.masks_shown.send_replace(state.masks.clone());
    for holder in Reader::new(database.begin_read()?, cluster).holders()? {
        leases.handle(Input::Opened { of: RecordId(holder.record), seconds: holder.ttl_seconds });
    }
    Ok(state)
}

/// Reads tips, membership and buckets; tells whether they could be read.
fn load_views(state: &mut WriterState, reader: &Reader) -> Result<bool, Fault> {
    state.membership = match reader.membership() {
        Ok(membership) => membership,
        Err(Fault::Membership(error)) => {
            // Nothing can be judged without it, and all of it follows from the records.
            tracing::error!(reason = %error, "the stored membership is damaged");
            return Ok(false);
        }
        Err(fault) => return Err(fault),
    };
    state.sets_stored = state.membership.sets();
    state.masks = state.membership.masks(state.membership.all())?;
    state.chains = reader.chains()?;
    for (_, key, size) in reader.buckets()? {
        state.buckets.restore(key, size);
    }
    Ok(true)
}
