//! Lets what this node writes wait until it knows what it wrote before.
//!
//! **Invariants**: what members wrote is taken in meanwhile, and everything is read; a hold ends with its owner, whatever becomes of that.

use tokio::sync::watch;

/// Whether own writes wait.
#[derive(Debug)]
pub(super) struct Gate(watch::Sender<bool>);

/// Keeps own writes waiting until it is dropped.
#[derive(Debug)]
#[must_use = "writes wait as long as it lives"]
pub struct HeldBack(watch::Sender<bool>);

impl Gate {
    pub fn open() -> Self {
        Self(watch::channel(false).0)
    }

    pub fn hold_back(&self) -> HeldBack {
        self.0.send_replace(true);
        HeldBack(self.0.clone())
    }

    pub async fn passed(&self) {
        if *self.0.borrow() {
            // Its sender is here, so the wait ends by the hold's end alone.
            let _ = self.0.subscribe().wait_for(|held| !held).await;
        }
    }
}

impl Drop for HeldBack {
    fn drop(&mut self) {
        self.0.send_replace(false);
    }
}
