//! A server under test, and the other end of its connections.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use controller::southbound::{
    Connected, Event, EventSink, PuntReceiver, SouthboundConfig, listen, serve,
};
use openflow::{
    Action, ActionType, Body, Capabilities, DatapathId, Desc, ErrorCode, ErrorMsg, FeaturesReply,
    Field, FlowStats, Framer, GroupDesc, GroupFeatures, Hello, InstructionType, MacAddr, Message,
    MeterFeatures, MultipartFlags, MultipartReply, MultipartReplyBody, MultipartRequestBody, OxmId,
    Port, TableFeatures, TableId, TableProperty, Text,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Bound of every wait; far more than anything should take.
pub const LIMIT: Duration = Duration::from_secs(20);

/// A running server, and what its sessions tell.
pub struct Server {
    pub addr: SocketAddr,
    pub events: mpsc::Receiver<Event>,
    pub punts: PuntReceiver,
    pub stop: CancellationToken,
    pub task: tokio::task::JoinHandle<()>,
}

impl Server {
    pub fn start(config: SouthboundConfig) -> Self {
        Self::with_room(config, 4096, 1024)
    }

    pub fn with_room(config: SouthboundConfig, events: usize, punts: usize) -> Self {
        let listener = listen("127.0.0.1:0".parse().unwrap(), 4096).unwrap();
        let addr = listener.local_addr().unwrap();
        let (sink, events, punts) = EventSink::channel(events, punts);
        let stop = CancellationToken::new();
        let task = tokio::spawn(serve(listener, config, sink, stop.clone()));
        Self { addr, events, punts, stop, task }
    }

    #[must_use]
    pub async fn event(&mut self) -> Event {
        timeout(LIMIT, self.events.recv())
            .await
            .expect("an event in time")
            .expect("a running server")
    }

    #[must_use]
    pub async fn connected(&mut self) -> Connected {
        match self.event().await {
            Event::Connected(connected) => *connected,
            other => panic!("not connected: {other:?}"),
        }
    }

    #[must_use]
    pub async fn refused(&mut self) -> (Option<DatapathId>, String) {
        match self.event().await {
            Event::Refused { dpid, reason, .. } => (dpid, reason),
            other => panic!("not refused: {other:?}"),
        }
    }

    #[must_use]
    pub async fn disconnected(&mut self) -> (DatapathId, String) {
        match self.event().await {
            Event::Disconnected { dpid, reason, .. } => (dpid, reason),
            other => panic!("not disconnected: {other:?}"),
        }
    }

    /// A switch that has done its handshake, and what the server told of it.
    pub async fn switch(&mut self, switch: Switch) -> (Peer, Connected) {
        let mut peer = Peer::connect(self.addr).await;
        peer.greet(&switch).await;
        (peer, self.connected().await)
    }
}

/// What a switch says about itself. By default it can all that is needed.
#[derive(Clone)]
pub struct Switch {
    pub features: FeaturesReply,
    pub name: &'static str,
    pub ports: Vec<Port>,
    pub flows: Vec<FlowStats>,
    pub groups: Vec<GroupDesc>,
    pub tables: Result<Vec<TableFeatures>, ErrorCode>,
    pub group_features: Result<GroupFeatures, ErrorCode>,
    pub meters: Result<MeterFeatures, ErrorCode>,
    /// Entries in each part of a reply.
    pub part: usize,
}

pub fn port(number: u32, name: &str) -> Port {
    Port::new(number, name, MacAddr([2, 0, 0, 0, 0, number as u8]))
}

impl Switch {
    pub fn new(dpid: u64) -> Self {
        let features = FeaturesReply {
            datapath_id: DatapathId(dpid),
            n_tables: 3,
            capabilities: Capabilities::FLOW_STATS,
            ..FeaturesReply::default()
        };
        let fields = [Field::InPort, Field::EthDst, Field::EthType, Field::VlanVid]
            .map(|f| OxmId::basic(f, false));
        let masked = [Field::Metadata, Field::EthSrc].map(|f| OxmId::basic(f, true));
        let instructions = [
            InstructionType::GotoTable,
            InstructionType::WriteMetadata,
            InstructionType::ApplyActions,
        ];
        let actions = [
            ActionType::Output,
            ActionType::Group,
            ActionType::PushVlan,
            ActionType::PopVlan,
            ActionType::SetField,
        ];
        let table = |number: u8| TableFeatures {
            table_id: TableId(number),
            properties: vec![
                TableProperty::Match(fields.into_iter().chain(masked).collect()),
                TableProperty::Instructions(
                    instructions.iter().map(|kind| (*kind).into()).collect(),
                ),
                TableProperty::ApplyActions(actions.iter().map(|kind| (*kind).into()).collect()),
                TableProperty::ApplySetField(vec![OxmId::basic(Field::VlanVid, false)]),
                TableProperty::NextTables((number + 1..3).map(TableId).collect()),
            ],
            ..TableFeatures::default()
        };
        Self {
            features,
            name: "leaf",
            ports: vec![port(1, "one"), port(2, "two")],
            flows: Vec::new(),
            groups: Vec::new(),
            tables: Ok((0..3).map(table).collect()),
            group_features: Ok(GroupFeatures {
                types: 1,
                max_groups: [100, 0, 0, 0],
                ..GroupFeatures::default()
            }),
            meters: Ok(MeterFeatures { max_meter: 10, ..MeterFeatures::default() }),
            part: 2,
        }
    }

    /// The answer to a request; nothing for those that have none.
    pub fn answer(&self, request: &Message) -> Vec<Message> {
        let reply = |body: Body| vec![Message::new(request.xid, body)];
        match &request.body {
            Body::Hello(_) => vec![Message::new(0, Hello::ours())],
            Body::EchoRequest(data) => reply(Body::EchoReply(data.clone())),
            Body::FeaturesRequest => reply(Body::FeaturesReply(self.features)),
            Body::BarrierRequest => reply(Body::BarrierReply),
            Body::MultipartRequest(asked) => match &asked.body {
                MultipartRequestBody::Desc => {
                    let desc = Desc { dp_desc: Text::from(self.name), ..Desc::default() };
                    reply(MultipartReplyBody::Desc(Box::new(desc)).into())
                }
                MultipartRequestBody::PortDesc => {
                    self.parts(request, &self.ports, MultipartReplyBody::PortDesc)
                }
                MultipartRequestBody::Flow(_) => {
                    self.parts(request, &self.flows, MultipartReplyBody::Flow)
                }
                MultipartRequestBody::GroupDesc => {
                    self.parts(request, &self.groups, MultipartReplyBody::GroupDesc)
                }
                MultipartRequestBody::TableFeatures(_) => match &self.tables {
                    Ok(tables) => self.parts(request, tables, MultipartReplyBody::TableFeatures),
                    Err(code) => reply(error(*code, request)),
                },
                MultipartRequestBody::GroupFeatures => reply(match self.group_features {
                    Ok(features) => MultipartReplyBody::GroupFeatures(features).into(),
                    Err(code) => error(code, request),
                }),
                MultipartRequestBody::MeterFeatures => reply(match self.meters {
                    Ok(features) => MultipartReplyBody::MeterFeatures(features).into(),
                    Err(code) => error(code, request),
                }),
                other => panic!("nobody should ask this: {other:?}"),
            },
            _ => Vec::new(),
        }
    }

    fn parts<T: Clone>(
        &self,
        request: &Message,
        all: &[T],
        body: impl Fn(Vec<T>) -> MultipartReplyBody,
    ) -> Vec<Message> {
        let mut parts: Vec<Vec<T>> = all.chunks(self.part).map(<[T]>::to_vec).collect();
        let last = parts.pop().unwrap_or_default();
        let more = parts.into_iter().map(|part| (MultipartFlags::MORE, part));
        let all = more.chain([(MultipartFlags::EMPTY, last)]);
        all.map(|(flags, part)| {
            Message::new(request.xid, MultipartReply { flags, body: body(part) })
        })
        .collect()
    }
}

pub fn error(code: ErrorCode, about: &Message) -> Body {
    Body::Error(ErrorMsg::about(code, &about.encode().unwrap()))
}

/// A flow of no particular meaning.
pub fn flow(cookie: u64, priority: u16) -> FlowStats {
    FlowStats {
        table_id: TableId(0),
        duration_sec: 0,
        duration_nsec: 0,
        priority,
        idle_timeout: 0,
        hard_timeout: 0,
        flags: openflow::FlowModFlags::EMPTY,
        cookie,
        packet_count: 0,
        byte_count: 0,
        match_: openflow::Match::new().in_port(1),
        instructions: vec![openflow::Instruction::apply([Action::output(2)])],
    }
}

/// The switch's end of one connection.
pub struct Peer {
    stream: TcpStream,
    framer: Framer,
}

impl Peer {
    pub async fn connect(addr: SocketAddr) -> Self {
        let stream =
            timeout(LIMIT, TcpStream::connect(addr)).await.expect("to connect in time").unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, framer: Framer::new() }
    }

    pub fn local_addr(&self) -> SocketAddr {
        self.stream.local_addr().unwrap()
    }

    pub async fn send(&mut self, xid: u32, body: impl Into<Body>) {
        self.send_bytes(&Message::new(xid, body).encode().unwrap()).await;
    }

    pub async fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// The same, where the server may have closed already.
    pub async fn try_send_bytes(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        timeout(LIMIT, self.stream.write_all(bytes)).await.expect("to send in time")
    }

    /// The next message, `None` at the end.
    pub async fn next(&mut self) -> Option<Message> {
        let raw = timeout(LIMIT, self.next_raw()).await.expect("a message in time")?;
        Some(Message::decode(raw).expect("what the server sends can be read"))
    }

    #[must_use]
    pub async fn recv(&mut self) -> Message {
        self.next().await.expect("an open connection")
    }

    async fn next_raw(&mut self) -> Option<Bytes> {
        loop {
            if let Some(raw) = self.framer.next_frame().unwrap() {
                return Some(raw);
            }
            match self.stream.read_buf(self.framer.buffer()).await {
                Ok(0) => return None,
                Ok(_) => {}
                Err(error) => panic!("the connection was reset: {error}"),
            }
        }
    }

    /// The next message that isn't an echo request; those are answered.
    #[must_use]
    pub async fn recv_besides_echo(&mut self) -> Message {
        loop {
            let message = self.recv().await;
            match message.body {
                Body::EchoRequest(data) => self.send(message.xid, Body::EchoReply(data)).await,
                body => return Message { xid: message.xid, body },
            }
        }
    }

    /// Waits for the end, letting pass what comes before.
    pub async fn closed(&mut self) {
        while self.next().await.is_some() {}
    }

    /// Answers as `switch` would, until the server has read the tables.
    pub async fn greet(&mut self, switch: &Switch) {
        loop {
            let request = self.recv().await;
            self.answer(switch, &request).await;
            if matches!(&request.body, Body::MultipartRequest(asked) if asked.body == MultipartRequestBody::GroupDesc)
            {
                return;
            }
        }
    }

    pub async fn answer(&mut self, switch: &Switch, request: &Message) {
        for answer in switch.answer(request) {
            self.send(answer.xid, answer.body).await;
        }
    }

    /// Answers everything until the connection ends.
    pub async fn serve(mut self, switch: Switch) {
        while let Some(request) = self.next().await {
            self.answer(&switch, &request).await;
        }
    }
}
