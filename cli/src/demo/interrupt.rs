//! Ctrl-C while the demo plays.

use std::io;

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

/// What a process ends with that a second Ctrl-C ended.
const INTERRUPTED: i32 = 130;

/// Tells that the demo shall end.
pub struct Interrupt {
    told: watch::Receiver<bool>,
}

impl Interrupt {
    /// Turns the first Ctrl-C, SIGTERM or hang-up into an orderly end and the second into a quick one.
    pub fn listen() -> io::Result<Self> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hangup = signal(SignalKind::hangup())?;
        let (tell, told) = watch::channel(false);
        tokio::spawn(async move {
            let mut any = async || tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {}, _ = hangup.recv() => {} };
            any().await;
            tell.send_replace(true);
            any().await;
            std::process::exit(INTERRUPTED);
        });
        Ok(Self { told })
    }

    /// Waits until somebody wants the end; for ever if nobody does.
    pub async fn wait(&mut self) {
        if self.told.wait_for(|told| *told).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
