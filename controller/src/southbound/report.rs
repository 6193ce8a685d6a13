//! What a session tells the core, made of what its machine wants told.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use openflow::DatapathId;
use tokio::sync::mpsc;

use super::event::{Connected, Event, SessionId};
use super::handle::{Queue, Queued, SwitchHandle};
use super::machine::{Facts, Output};
use crate::lift::lift;

/// Ends of the channels that lead to a session, for the handle to it.
pub(super) struct ToSession {
    pub commands: mpsc::UnboundedSender<Queued>,
    pub close: mpsc::Sender<String>,
    pub queue: Arc<Queue>,
}

/// The handshake is done.
pub(super) fn connected(
    dpid: DatapathId,
    session: SessionId,
    peer: SocketAddr,
    facts: Facts,
    to: ToSession,
    now: Instant,
) -> Event {
    let ToSession { commands, close, queue } = to;
    Event::Connected(Box::new(Connected {
        dpid,
        session,
        peer,
        features: facts.features,
        desc: facts.desc,
        ports: facts.ports,
        flows: facts.tables.flows.len(),
        groups: facts.tables.groups.len(),
        lifted: lift(&facts.tables.flows, &facts.tables.groups),
        meters_supported: facts.meters_supported,
        handle: SwitchHandle::new(dpid, session, queue, commands, close),
        connected_at: now,
    }))
}

/// Whatever else a session that is connected has to tell; `None` for what
/// isn't the core's business.
pub(super) fn event(dpid: DatapathId, session: SessionId, output: Output) -> Option<Event> {
    match output {
        Output::PortStatus(status) => {
            Some(Event::PortStatus { dpid, session, reason: status.reason, port: status.desc })
        }
        Output::FlowRemoved(removed) => Some(Event::FlowRemoved { dpid, session, removed }),
        Output::Applied(token, result) => Some(Event::Applied { dpid, session, token, result }),
        Output::Read(token, result) => Some(Event::Read { dpid, session, token, result }),
        _ => None,
    }
}
