//! What the machine does, in time that is made up.

use std::time::Duration;

use openflow::{
    BadAction, BadRequest, Desc, FeaturesReply, FlowMod, FlowModFailed, GroupDesc, Hello,
    MeterFeatures, MultipartFlags, MultipartReplyBody, MultipartRequestBody, PacketOut, Port,
    PortNo, PortReason,
};

use super::*;

/// A machine, its clock, and the switch at its other end.
struct Bench {
    machine: Machine,
    now: Instant,
}

impl Bench {
    fn new() -> Self {
        let now = Instant::now();
        let config = SouthboundConfig { malformed_per_second: 3, ..SouthboundConfig::default() };
        Self { machine: Machine::new(Arc::new(config), now), now }
    }

    /// One whose handshake is done.
    fn connected() -> Self {
        let mut bench = Self::new();
        bench.shake(|_| Vec::new());
        bench
    }

    fn take(&mut self, input: Input) -> Vec<Output> {
        self.machine.step(input, self.now);
        std::iter::from_fn(|| self.machine.pop()).collect()
    }

    fn say(&mut self, xid: u32, body: impl Into<Body>) -> Vec<Output> {
        let message = Message::new(xid, body);
        let raw = message.encode().unwrap();
        self.take(Input::Message(message, raw))
    }

    /// Lets time pass to the next deadline.
    fn wait(&mut self) -> Vec<Output> {
        self.now = self.machine.deadline().max(self.now);
        self.take(Input::Deadline)
    }

    /// Goes through the handshake; `also` says what the switch sends besides, after each
    /// request. The facts, and what follows them.
    fn shake(&mut self, also: impl Fn(&Body) -> Vec<Body>) -> (Box<Facts>, VecDeque<Output>) {
        let mut outputs: VecDeque<_> = std::iter::from_fn(|| self.machine.pop()).collect();
        while let Some(output) = outputs.pop_front() {
            match output {
                Output::Send(request) => {
                    let answers = answer(&request).into_iter().map(|body| (request.xid, body));
                    let besides = also(&request.body).into_iter().map(|body| (0, body));
                    let all: Vec<_> = answers.chain(besides).collect();
                    for (xid, body) in all {
                        outputs.extend(self.say(xid, body));
                    }
                }
                Output::Claim(_) => outputs.extend(self.take(Input::Claimed(Claimed::Yes))),
                Output::Connected(facts) => return (facts, outputs),
                Output::Close(end) => panic!("{end:?}"),
                _ => {}
            }
        }
        panic!("no session");
    }
}

fn answer(request: &Message) -> Option<Body> {
    let (tables, groups) = needs::sufficient();
    Some(match &request.body {
        Body::Hello(_) => Hello::ours().into(),
        Body::FeaturesRequest => Body::FeaturesReply(FeaturesReply {
            datapath_id: DatapathId(7),
            n_tables: 3,
            ..FeaturesReply::default()
        }),
        Body::MultipartRequest(asked) => match &asked.body {
            MultipartRequestBody::PortDesc => {
                MultipartReplyBody::PortDesc(vec![Port::new(1, "one", openflow::MacAddr::ZERO)])
                    .into()
            }
            MultipartRequestBody::Desc => MultipartReplyBody::Desc(Box::<Desc>::default()).into(),
            MultipartRequestBody::TableFeatures(_) => {
                MultipartReplyBody::TableFeatures(tables).into()
            }
            MultipartRequestBody::GroupFeatures => MultipartReplyBody::GroupFeatures(groups).into(),
            MultipartRequestBody::MeterFeatures => {
                MultipartReplyBody::MeterFeatures(MeterFeatures::default()).into()
            }
            MultipartRequestBody::Flow(_) => MultipartReplyBody::Flow(Vec::new()).into(),
            MultipartRequestBody::GroupDesc => MultipartReplyBody::GroupDesc(Vec::new()).into(),
            other => panic!("{other:?}"),
        },
        _ => return None,
    })
}

fn sent(outputs: &[Output]) -> Vec<&Message> {
    outputs
        .iter()
        .filter_map(|output| match output {
            Output::Send(message) => Some(message),
            _ => None,
        })
        .collect()
}

fn ended(outputs: &[Output]) -> Option<&End> {
    outputs.iter().find_map(|output| match output {
        Output::Close(end) => Some(end),
        _ => None,
    })
}

fn is_echo(message: &Message) -> bool {
    matches!(message.body, Body::EchoRequest(_))
}

#[test]
fn a_silent_switch_is_asked_and_then_given_up() {
    let mut bench = Bench::connected();
    let start = bench.now;
    let outputs = bench.wait();
    assert!(matches!(sent(&outputs)[..], [echo] if is_echo(echo)));
    assert_eq!(bench.now - start, Duration::from_secs(1));
    let outputs = bench.wait();
    assert_eq!(
        ended(&outputs),
        Some(&End::Lost("the switch gave no sign of life for 3 s".to_owned()))
    );
    assert_eq!(bench.now - start, Duration::from_secs(4));
}

#[test]
fn any_message_is_a_sign_of_life() {
    let mut bench = Bench::connected();
    for _ in 0..10 {
        assert!(sent(&bench.wait()).iter().copied().any(is_echo));
        bench.now += Duration::from_millis(2900);
        let status = PortStatus { reason: PortReason::Modify, desc: Port::default() };
        assert!(matches!(bench.say(0, status)[..], [Output::PortStatus(_)]));
    }
}

#[test]
fn a_controller_that_was_held_up_does_not_blame_the_switch() {
    let mut bench = Bench::connected();
    bench.now += Duration::from_secs(60);
    let outputs = bench.take(Input::Deadline);
    assert!(ended(&outputs).is_none());
    let echo = sent(&outputs)[0].xid;
    bench.now += Duration::from_secs(2);
    bench.say(echo, Body::EchoReply(Bytes::new()));
    bench.now += Duration::from_millis(900);
    assert!(bench.take(Input::Deadline).is_empty());
}

#[test]
fn only_the_answer_to_a_probe_proves_life() {
    type Say = fn(&mut Bench, u32) -> Vec<Output>;
    let cases: [(&str, Say, bool); 3] = [
        ("the answer", |bench, xid| bench.say(xid, Body::EchoReply(Bytes::new())), true),
        ("another's answer", |bench, xid| bench.say(xid ^ 1, Body::EchoReply(Bytes::new())), false),
        ("what was on its way", |bench, _| bench.say(0, Body::BarrierReply), false),
    ];
    for (name, say, alive) in cases {
        let mut bench = Bench::connected();
        let outputs = bench.take(Input::Probed);
        let probe = sent(&outputs)[0].xid;
        assert!(bench.take(Input::Probed).is_empty(), "{name}: one probe serves all");
        bench.now += Duration::from_secs(1);
        let outputs = say(&mut bench, probe);
        assert_eq!(outputs.iter().any(|output| matches!(output, Output::Alive)), alive, "{name}");
        if !alive {
            let outputs = bench.wait();
            assert_eq!(
                ended(&outputs),
                Some(&End::Lost("the switch gave no sign of life for 3 s".to_owned())),
                "{name}"
            );
        }
    }
}

#[test]
fn every_stage_of_the_handshake_has_its_limit() {
    type Unanswered = fn(&Body) -> bool;
    let stages: [(&str, Unanswered, u64); 4] = [
        ("hello", |request| matches!(request, Body::Hello(_)), 10),
        ("features", |request| matches!(request, Body::FeaturesRequest), 10),
        (
            "table features",
            |request| matches!(request, Body::MultipartRequest(asked) if matches!(asked.body, MultipartRequestBody::TableFeatures(_))),
            10,
        ),
        (
            "groups",
            |request| matches!(request, Body::MultipartRequest(asked) if asked.body == MultipartRequestBody::GroupDesc),
            60,
        ),
    ];
    for (name, unanswered, limit) in stages {
        let mut bench = Bench::new();
        let start = bench.now;
        let mut outputs: VecDeque<_> = std::iter::from_fn(|| bench.machine.pop()).collect();
        let end = loop {
            while let Some(output) = outputs.pop_front() {
                match output {
                    Output::Send(request) if is_echo(&request) => {
                        outputs.extend(bench.say(request.xid, Body::EchoReply(Bytes::new())));
                    }
                    Output::Send(request) if !unanswered(&request.body) => {
                        if let Some(answer) = answer(&request) {
                            outputs.extend(bench.say(request.xid, answer));
                        }
                    }
                    Output::Claim(_) => outputs.extend(bench.take(Input::Claimed(Claimed::Yes))),
                    _ => {}
                }
            }
            let waited = bench.wait();
            if let Some(end) = ended(&waited) {
                break end.clone();
            }
            outputs.extend(waited);
        };
        let reason = format!("handshake: no {name} within {limit} s");
        assert_eq!(end, End::Refused(Refusal::Handshake, reason), "{name}");
        assert_eq!(bench.now - start, Duration::from_secs(limit), "{name}");
    }
}

#[test]
fn a_taken_datapath_id_is_a_duplicate() {
    let mut bench = Bench::new();
    bench.say(0, Hello::ours());
    let outputs = bench
        .say(2, Body::FeaturesReply(FeaturesReply { n_tables: 3, ..FeaturesReply::default() }));
    assert!(matches!(outputs[..], [Output::Claim(DatapathId(0))]));
    let outputs = bench.take(Input::Claimed(Claimed::Taken(SessionId(5))));
    assert!(matches!(ended(&outputs), Some(End::Refused(Refusal::Duplicate, _))));
    assert!(bench.say(0, Body::BarrierRequest).is_empty(), "nothing follows the end");
}

#[test]
fn removals_during_the_reading_are_told_after_it() {
    let removed = FlowRemoved {
        cookie: 1,
        priority: 2,
        reason: openflow::FlowRemovedReason::IdleTimeout,
        table_id: openflow::TableId(1),
        duration_sec: 0,
        duration_nsec: 0,
        idle_timeout: 0,
        hard_timeout: 0,
        packet_count: 0,
        byte_count: 0,
        match_: openflow::Match::new(),
    };
    let mut bench = Bench::new();
    let reading = |request: &Body| matches!(request, Body::MultipartRequest(asked) if matches!(asked.body, MultipartRequestBody::Flow(_)));
    let (_, after) = bench
        .shake(|request| if reading(request) { vec![removed.clone().into()] } else { Vec::new() });
    assert!(matches!(after.front(), Some(Output::FlowRemoved(told)) if *told == removed));
}

#[test]
fn what_is_not_told_because_it_cannot_be_read_is_not_missing() {
    let mut bench = Bench::new();
    let mut outputs: VecDeque<_> = std::iter::from_fn(|| bench.machine.pop()).collect();
    let mut connected = false;
    while let Some(output) = outputs.pop_front() {
        match output {
            Output::Send(request) => match &request.body {
                Body::MultipartRequest(asked)
                    if matches!(asked.body, MultipartRequestBody::TableFeatures(_)) =>
                {
                    // A length of 3, in the first of many parts.
                    let mut bytes = vec![
                        4, 19, 0, 24, 0, 0, 0, 0, 0, 12, 0, 1, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0,
                    ];
                    bytes[4..8].copy_from_slice(&request.xid.to_be_bytes());
                    let raw = Bytes::from(bytes);
                    let error = Message::decode(raw.clone()).unwrap_err();
                    outputs.extend(bench.take(Input::Malformed(error, raw)));
                    for _ in 0..50 {
                        let tables = MultipartReplyBody::TableFeatures(needs::sufficient().0);
                        let part = MultipartReply { flags: MultipartFlags::MORE, body: tables };
                        outputs.extend(bench.say(request.xid, part));
                    }
                }
                _ => {
                    if let Some(answer) = answer(&request) {
                        outputs.extend(bench.say(request.xid, answer));
                    }
                }
            },
            Output::Claim(_) => outputs.extend(bench.take(Input::Claimed(Claimed::Yes))),
            Output::Connected(_) => connected = true,
            Output::Close(end) => panic!("{end:?}"),
            _ => {}
        }
    }
    assert!(connected);
}

#[test]
fn a_message_too_long_to_send_is_an_error_of_its_request() {
    let mut bench = Bench::connected();
    let steps = vec![vec![FlowMod::add(0).into(), FlowMod::add(1).into()]];
    let outputs = bench.take(Input::Command(Command::Apply { token: 4, steps }));
    let messages = sent(&outputs);
    let (second, barrier) = (messages[1].xid, messages[2].xid);
    bench.take(Input::Unsendable(
        second,
        "flow_mod: 70000 bytes, a message holds at most 65535".to_owned(),
    ));
    let outputs = bench.say(barrier, Body::BarrierReply);
    let [Output::Applied(4, Err(failure))] = &outputs[..] else { panic!("{outputs:?}") };
    assert_eq!((failure.errors[0].step, failure.errors[0].index), (0, 1));
    assert!(failure.to_string().contains("70000 bytes"), "{failure}");
}

#[test]
fn barriers_may_take_their_time_as_long_as_there_is_progress() {
    let mut bench = Bench::connected();
    let steps = vec![vec![FlowMod::add(0).into()]; 5];
    let outputs = bench.take(Input::Command(Command::Apply { token: 4, steps }));
    let barriers: Vec<_> = sent(&outputs)
        .into_iter()
        .filter(|message| message.body == Body::BarrierRequest)
        .map(|message| message.xid)
        .collect();
    for barrier in &barriers[..4] {
        bench.now += Duration::from_secs(19);
        assert!(ended(&bench.say(*barrier, Body::BarrierReply)).is_none());
    }
    // What was answered before is no progress.
    bench.now += Duration::from_secs(19);
    assert!(ended(&bench.say(barriers[2], Body::BarrierReply)).is_none());
    bench.now += Duration::from_secs(1);
    let outputs = bench.take(Input::Deadline);
    assert_eq!(
        ended(&outputs),
        Some(&End::Lost("the switch did not answer a barrier within 20 s".to_owned()))
    );
}

#[test]
fn a_read_that_is_not_answered_fails_alone() {
    let mut bench = Bench::connected();
    let outputs = bench.take(Input::Command(Command::Read { token: 1, cookie: 0, mask: 0 }));
    let groups = sent(&outputs)[1].xid;
    bench.say(groups, Body::from(MultipartReplyBody::GroupDesc(Vec::<GroupDesc>::new())));
    let result = loop {
        match bench.wait().pop() {
            Some(Output::Send(echo)) => {
                bench.say(echo.xid, Body::EchoReply(Bytes::new()));
            }
            Some(Output::Read(1, result)) => break result,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(result, Err(ReadFailure::TimedOut { what: "flows", seconds: 60 }));
}

#[test]
fn what_a_switch_may_not_send_is_answered_and_ends_it_in_numbers() {
    let mut bench = Bench::connected();
    for _ in 0..3 {
        let outputs = bench.say(9, Body::FeaturesRequest);
        let [answer] = sent(&outputs)[..] else { panic!("{outputs:?}") };
        assert!(
            matches!(&answer.body, Body::Error(error) if error.code == ErrorCode::BadRequest(BadRequest::BadType))
        );
        assert!(ended(&outputs).is_none());
    }
    assert!(matches!(ended(&bench.say(9, Body::FeaturesRequest)), Some(End::Lost(_))));
}

#[test]
fn a_late_error_is_reported_and_ends_nothing() {
    let mut bench = Bench::connected();
    let full = ErrorMsg::new(ErrorCode::FlowModFailed(FlowModFailed::TableFull), Bytes::new());
    let outputs = bench.say(4711, full);
    assert!(
        matches!(&outputs[..], [Output::Complain(text)] if text.contains("OFPFMFC_TABLE_FULL") && text.contains("4711"))
    );
}

#[test]
fn packet_ins_are_limited_by_table() {
    let mut bench = Bench::connected();
    let packet = |table| PacketIn {
        buffer_id: openflow::BufferId::NONE,
        total_len: 0,
        reason: openflow::PacketInReason::Action,
        table_id: openflow::TableId(table),
        cookie: 0,
        match_: openflow::Match::new().in_port(PortNo(1)),
        data: Bytes::new(),
    };
    let passed = |bench: &mut Bench, table| {
        (0..5000).filter(|_| !bench.say(0, packet(table)).is_empty()).count()
    };
    assert_eq!(passed(&mut bench, 1), 2000);
    assert_eq!(passed(&mut bench, 0), 2000, "another table has its own");
    bench.now += Duration::from_secs(1);
    assert_eq!(passed(&mut bench, 1), 1000);
}

mod whatever_comes {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Happening {
        Bytes { kind: u8, xid: u32, body: Vec<u8> },
        Valid(u32, u8),
        Claimed(bool),
        Probed,
        Apply(Vec<u8>),
        Read,
        Wait,
        Pass(u64),
    }

    fn happenings() -> impl Strategy<Value = Vec<Happening>> {
        let body =
            prop::collection::vec(prop_oneof![Just(0), Just(1), Just(0xff), any::<u8>()], 0..80);
        let happening = prop_oneof![
            4 => (0..32_u8, 0..40_u32, body).prop_map(|(kind, xid, body)| Happening::Bytes { kind, xid, body }),
            4 => (0..40_u32, 0..8_u8).prop_map(|(xid, which)| Happening::Valid(xid, which)),
            1 => any::<bool>().prop_map(Happening::Claimed),
            1 => Just(Happening::Probed),
            2 => prop::collection::vec(0..3_u8, 0..4).prop_map(Happening::Apply),
            1 => Just(Happening::Read),
            2 => Just(Happening::Wait),
            1 => (0..5000_u64).prop_map(Happening::Pass),
        ];
        prop::collection::vec(happening, 0..80)
    }

    fn valid(which: u8) -> Body {
        match which {
            0 => Body::BarrierReply,
            1 => Body::EchoReply(Bytes::new()),
            2 => MultipartReplyBody::Flow(Vec::new()).into(),
            3 => MultipartReplyBody::GroupDesc(Vec::new()).into(),
            4 => ErrorMsg::new(ErrorCode::FlowModFailed(FlowModFailed::TableFull), Bytes::new())
                .into(),
            5 => PortStatus { reason: PortReason::Delete, desc: Port::default() }.into(),
            6 => Body::EchoRequest(Bytes::new()),
            _ => MultipartReply {
                flags: MultipartFlags::MORE,
                body: MultipartReplyBody::Flow(Vec::new()),
            }
            .into(),
        }
    }

    fn happen(bench: &mut Bench, happening: Happening, applies: &mut u64) -> Vec<Output> {
        match happening {
            Happening::Bytes { kind, xid, body } => {
                let length = (8 + body.len() as u16).to_be_bytes();
                let header = [4, kind, length[0], length[1]];
                let raw = Bytes::from([&header[..], &xid.to_be_bytes(), &body].concat());
                match Message::decode(raw.clone()) {
                    Ok(message) => bench.take(Input::Message(message, raw)),
                    Err(error) => bench.take(Input::Malformed(error, raw)),
                }
            }
            Happening::Valid(xid, which) => bench.say(xid, valid(which)),
            Happening::Claimed(true) => bench.take(Input::Claimed(Claimed::Yes)),
            Happening::Claimed(false) => bench.take(Input::Claimed(Claimed::Taken(SessionId(1)))),
            Happening::Probed => bench.take(Input::Probed),
            Happening::Apply(_) | Happening::Read if !bench.machine.takes_commands() => Vec::new(),
            Happening::Apply(steps) => {
                *applies += 1;
                let step = |length: u8| (0..length).map(|_| Body::from(FlowMod::add(0))).collect();
                let steps = steps.into_iter().map(step).collect();
                bench.take(Input::Command(Command::Apply { token: *applies, steps }))
            }
            Happening::Read => {
                bench.take(Input::Command(Command::Read { token: 0, cookie: 0, mask: 0 }))
            }
            Happening::Wait => bench.wait(),
            Happening::Pass(milliseconds) => {
                bench.now += Duration::from_millis(milliseconds);
                Vec::new()
            }
        }
    }

    proptest! {
        /// Nothing panics, nothing follows the end, each apply is answered at most once,
        /// there is always a next deadline, and one message makes few.
        #[test]
        fn the_machine_stands_it(done in any::<bool>(), happenings in happenings()) {
            let mut bench = if done { Bench::connected() } else { Bench::new() };
            std::iter::from_fn(|| bench.machine.pop()).for_each(drop);
            let (mut applies, mut ended, mut answered) = (0, false, Vec::new());
            for happening in happenings {
                let outputs = happen(&mut bench, happening, &mut applies);
                prop_assert!(!ended || outputs.is_empty());
                prop_assert!(outputs.len() < 70, "{} outputs", outputs.len());
                for output in &outputs {
                    prop_assert!(!ended, "{output:?} after the end");
                    match output {
                        Output::Close(_) => ended = true,
                        Output::Applied(token, _) => {
                            prop_assert!(!answered.contains(token));
                            answered.push(*token);
                        }
                        _ => {}
                    }
                }
                prop_assert!(ended || bench.machine.deadline() < bench.now + Duration::from_secs(61));
            }
        }
    }
}

/// A switch may refuse every packet-out, such as at a port that is down: that is told, and no reason to close.
#[test]
fn packet_outs_that_are_refused_are_no_mischief() {
    let mut bench = Bench::connected();
    let message = Message::new(7, PacketOut::frame(3, &b"a frame"[..]));
    let quote = message.encode().unwrap();
    for _ in 0..50 {
        let error = ErrorMsg::new(ErrorCode::BadAction(BadAction::BadOutPort), quote.clone());
        let outputs = bench.say(7, error);
        assert!(ended(&outputs).is_none());
        assert!(matches!(&outputs[..], [Output::Complain(_)]), "{outputs:?}");
    }
    let other = Message::new(8, Body::BarrierRequest).encode().unwrap();
    let error = || ErrorMsg::new(ErrorCode::BadAction(BadAction::BadOutPort), other.clone());
    assert!((0..50).any(|_| ended(&bench.say(8, error())).is_some()));
}
