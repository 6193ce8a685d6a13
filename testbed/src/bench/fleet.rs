//! Many switches of one controller, which count what they are told.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use openflow::{Body, Framer, Hello, Message};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::shape::Link;
use crate::switch::{Datapath, Output, PortSpec};

/// Before a switch that lost its controller tries again.
const AGAIN: Duration = Duration::from_millis(200);

/// How many changes all switches of a fleet were told to make.
#[derive(Debug, Default)]
pub struct Told {
    flows: AtomicU64,
    groups: AtomicU64,
    barriers: AtomicU64,
}

/// The same at one time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mods {
    /// Flow-mods.
    pub flows: u64,
    /// Group-mods.
    pub groups: u64,
    /// Barriers.
    pub barriers: u64,
}

impl Told {
    /// The counts now. What a controller has acknowledged as installed is in them.
    pub fn now(&self) -> Mods {
        Mods {
            flows: self.flows.load(Ordering::Acquire),
            groups: self.groups.load(Ordering::Acquire),
            barriers: self.barriers.load(Ordering::Acquire),
        }
    }
}

impl Mods {
    /// What came since.
    pub fn since(self, before: Self) -> Self {
        Self {
            flows: self.flows - before.flows,
            groups: self.groups - before.groups,
            barriers: self.barriers - before.barriers,
        }
    }
}

/// Connected switches; gone when dropped.
pub struct Fleet {
    told: Arc<Told>,
    tasks: JoinSet<Result<()>>,
}

/// What a fleet consists of.
#[derive(Clone, Debug)]
pub struct FleetPlan {
    /// Switches `s1` to `s<switches>`.
    pub switches: u64,
    /// Host ports of each: 1 to this.
    pub ports: u32,
    /// Joined ports.
    pub links: Vec<Link>,
    /// Whether trunks are tunnels with keys.
    pub tunnels: bool,
    /// Whether flows and groups are kept in tables, or only counted.
    pub tables: bool,
}

impl Fleet {
    /// Connects the switches, one after the other.
    pub async fn connect(controller: SocketAddr, plan: &FleetPlan) -> Result<Self> {
        Self::start(controller, plan, false).await
    }

    /// The same; a switch that lost its controller connects again, with all it holds.
    pub async fn staying(controller: SocketAddr, plan: &FleetPlan) -> Result<Self> {
        Self::start(controller, plan, true).await
    }

    async fn start(controller: SocketAddr, plan: &FleetPlan, stays: bool) -> Result<Self> {
        let told = Arc::new(Told::default());
        let mut tasks = JoinSet::new();
        for id in 1..=plan.switches {
            let trunks = plan.links.iter().flatten().filter(|(switch, _)| *switch == id);
            let trunks = trunks.map(|(_, port)| PortSpec {
                tunnel: plan.tunnels,
                ..PortSpec::new(*port, format!("t{port}"))
            });
            let ports = (1..=plan.ports).map(PortSpec::from).chain(trunks);
            let mut datapath = Datapath::new(id, format!("s{id}"), ports);
            let stream = TcpStream::connect(controller).await;
            let stream = stream.with_context(|| format!("connecting s{id} to {controller}"))?;
            let (told, tables) = (Arc::clone(&told), plan.tables);
            tasks.spawn(async move {
                let begin = Instant::now();
                let mut next = Some(stream);
                loop {
                    let served = match next.take() {
                        Some(stream) => serve(stream, &mut datapath, &told, tables, begin).await,
                        None => Ok(()),
                    };
                    if !stays {
                        return served;
                    }
                    tokio::time::sleep(AGAIN).await;
                    next = TcpStream::connect(controller).await.ok();
                }
            });
        }
        Ok(Self { told, tasks })
    }

    /// What the switches were told.
    pub fn told(&self) -> &Told {
        &self.told
    }

    /// Fails if any switch has lost its controller.
    pub fn check(&mut self) -> Result<()> {
        match self.tasks.try_join_next() {
            None => Ok(()),
            Some(Ok(Ok(()))) => bail!("the controller closed a switch's connection"),
            Some(Ok(Err(error))) => Err(error.context("a switch lost its controller")),
            Some(Err(error)) => Err(error.into()),
        }
    }
}

async fn serve(
    mut stream: TcpStream,
    datapath: &mut Datapath,
    told: &Told,
    tables: bool,
    begin: Instant,
) -> Result<()> {
    stream.set_nodelay(true)?;
    stream.write_all(&Message::new(0, Hello::ours()).encode()?).await?;
    let mut framer = Framer::new();
    let mut answers = Vec::new();
    loop {
        while let Some(frame) = framer.next_frame()? {
            let message = Message::decode(frame)?;
            let count = match &message.body {
                Body::FlowMod(_) => Some(&told.flows),
                Body::GroupMod(_) => Some(&told.groups),
                Body::BarrierRequest => Some(&told.barriers),
                _ => None,
            };
            if let Some(count) = count {
                count.fetch_add(1, Ordering::Release);
            }
            if !tables && matches!(message.body, Body::FlowMod(_) | Body::GroupMod(_)) {
                continue;
            }
            // Frames, announcements that is, end here: all links are declared.
            for output in datapath.handle(begin.elapsed(), message) {
                if let Output::Message(_, message) = output {
                    if let Body::Error(error) = &message.body {
                        bail!("{} refuses: {error:?}", datapath.name());
                    }
                    answers.extend_from_slice(&message.encode()?);
                }
            }
        }
        if !answers.is_empty() {
            stream.write_all(&answers).await?;
            answers.clear();
        }
        if stream.read_buf(framer.buffer()).await? == 0 {
            return Ok(());
        }
    }
}
