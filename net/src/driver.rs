use crate::event::Events;
use crate::network::Network;
use crate::shared::Shared;
use crate::start::{Settings, StartError};
use std::sync::Arc;
use tokio::sync::mpsc;

pub(crate) async fn start(settings: Settings) -> Result<(Network, Events), StartError> {
    let (commands, mut taken) = mpsc::channel(64);
    let (_events, inbox) = mpsc::channel(crate::limits::EVENTS_WAITING);
    tokio::spawn(async move { while taken.recv().await.is_some() {} });
    Ok((Network { shared: Arc::new(Shared::default()), commands, own: settings.secret.peer_key() }, Events(inbox)))
}
