//! Random topologies, and random things that happen to networks on them.

use testbed::lab::Dice;

/// Host ports of each switch.
pub const PORTS: u32 = 3;
/// MACs that hosts use; several networks have hosts of the same.
pub const MACS: u32 = 4;

/// A link between two switches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cable {
    pub a: u64,
    pub b: u64,
    /// A tunnel that carries keys, and is declared.
    pub tunnel: bool,
}

/// Switches 1 to `switches`, and cables between them, some of them parallel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub switches: u64,
    pub cables: Vec<Cable>,
}

impl Plan {
    /// Switches and plain links.
    pub fn of(switches: u64, cables: &[(u64, u64)]) -> Self {
        let cables = cables.iter().map(|(a, b)| Cable { a: *a, b: *b, tunnel: false });
        Self { switches, cables: cables.collect() }
    }

    fn random(dice: &mut Dice) -> Self {
        let switches = 2 + dice.throw(4) as u64;
        let mut cables = Vec::new();
        let tunnels = dice.once_in(3);
        let mut cable = |dice: &mut Dice, a, b| {
            let tunnel = tunnels && dice.once_in(2);
            cables.push(Cable { a, b, tunnel });
        };
        for b in 2..=switches {
            if !dice.once_in(20) {
                let a = 1 + dice.throw(b as usize - 1) as u64;
                cable(dice, a, b);
            }
        }
        for _ in 0..dice.throw(5) {
            let a = 1 + dice.throw(switches as usize) as u64;
            let b = 1 + dice.throw(switches as usize) as u64;
            if a != b {
                cable(dice, a, b);
            }
        }
        Self { switches, cables }
    }
}

/// Something that happens. What numbers mean is settled when it does: of those that are there, the nth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Port (switch, slot) joins the nth network, leaving the one it was in.
    Attach(u64, u32, u32),
    /// The nth attached port leaves.
    Detach(u32),
    /// A network is made, if there are few.
    Create,
    /// The nth network goes, with its ports.
    Delete(u32),
    /// A host with the mth MAC speaks at the nth attached port.
    Speak(u32, u32),
    /// The mth MAC is declared at the nth attached port.
    Declare(u32, u32),
    /// The mth MAC speaks at another port of the switch where it is known, if its network has one there.
    Hop(u32),
    /// Who owns the nth known MAC talks on while another port claims it.
    Forge(u32, u32),
    /// Only the mth MAC may speak at the nth attached port; true: and only with its own address.
    Enforce(u32, u32, bool),
    /// The nth network may learn so many MACs from now on.
    Cap(u32, u32),
    /// Nobody speaks at a switch for so long that it forgets whom it learnt.
    Silence(u64),
    /// The nth cable is cut; 0 shows at both ends, 1 nowhere, 2 at its first end only.
    Cut(u32, u32),
    /// The nth cable is mended.
    Mend(u32),
    /// A switch's connection breaks and is made anew.
    HangUp(u64),
    /// A switch's connection breaks and isn't made anew; true: nobody notices at first.
    Away(u64, bool),
    /// A switch that is away comes back.
    Back(u64),
    /// A switch dies; true: its neighbours' ports show it.
    Die(u64, bool),
    /// A dead switch comes back with empty tables; true: its ports have other numbers.
    Revive(u64, bool),
    /// A dead switch is forgotten by an operator.
    Forget(u64),
    /// Somebody removes the nth of Isolane's flows on a switch.
    RemoveFlow(u64, u32),
    /// Somebody alters the nth of Isolane's flows on a switch.
    AlterFlow(u64, u32),
    /// Somebody removes the nth group on a switch.
    RemoveGroup(u64, u32),
    /// A switch has room for so many flows in each table, or groups, from now on.
    Limit(u64, u32),
    /// A switch refuses some changes at random, each kind for another reason.
    Refuse(u64, u32),
    /// A switch does nothing but answer echoes.
    Idle(u64),
    /// A switch acts and confirms nothing.
    Unconfirming(u64),
    /// Of 1,000 messages that a switch sends so many are lost, in a connection that stays.
    Mumble(u64, u32),
    /// Of 1,000 changes so many are lost on their way to a switch, which confirms them all the same.
    Mishear(u64, u32),
    /// A switch works as it should again.
    Mended(u64),
    /// The controller is started anew.
    Restart,
    /// So many messages are carried on.
    Steps(u32),
    /// So many milliseconds pass.
    Wait(u32),
    /// All that is under way comes to its end, and the laws of a settled world are checked.
    Settle,
}

/// A topology and what happens on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    pub seed: u64,
    pub plan: Plan,
    pub events: Vec<Event>,
}

impl History {
    pub fn random(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let plan = Plan::random(&mut dice);
        let mut events = vec![Event::Create, Event::Create];
        for _ in 0..2 + dice.throw(8) {
            events.push(attach(&plan, &mut dice));
        }
        events.push(Event::Settle);
        // Some histories are about one kind of trouble, some about all.
        let theme = dice.throw(6);
        for _ in 0..1 + dice.throw(5) {
            for _ in 0..1 + dice.throw(6) {
                events.push(event(&plan, theme, &mut dice));
                if !dice.once_in(3) {
                    events.push(Event::Steps(dice.throw(60) as u32));
                }
            }
            events.push(Event::Settle);
        }
        Self { seed, plan, events }
    }
}

impl History {
    /// Several hosts move at once, over parallel links, while switches act and don't confirm, confirm late, or are gone.
    pub fn of_moves(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let switches = 2 + dice.throw(3) as u64;
        let mut cables: Vec<_> = (2..=switches).flat_map(|b| [(b - 1, b), (b - 1, b)]).collect();
        if dice.once_in(2) {
            cables.push((1, switches));
        }
        let plan = Plan::of(switches, &cables);
        let mut events = vec![Event::Create];
        for switch in 1..=switches {
            events.push(Event::Attach(switch, 1, 0));
            if dice.once_in(2) {
                events.push(Event::Attach(switch, 2, 0));
            }
        }
        events.push(Event::Settle);
        let any = |dice: &mut Dice| dice.throw(1 << 16) as u32;
        for _ in 0..1 + dice.throw(4) {
            for _ in 0..2 + dice.throw(3) {
                for mac in 0..MACS {
                    events.push(Event::Speak(any(&mut dice), mac));
                }
                let switch = 1 + dice.throw(switches as usize) as u64;
                events.push(match dice.throw(10) {
                    0..=2 => Event::Unconfirming(switch),
                    3 => Event::Idle(switch),
                    4 => Event::Mended(switch),
                    5 => Event::HangUp(switch),
                    6 => Event::Away(switch, true),
                    7 => Event::Cut(any(&mut dice), dice.throw(3) as u32),
                    8 => Event::Mend(any(&mut dice)),
                    _ => Event::Back(switch),
                });
                // A host may have moved once its old port was silent for half a second.
                events.push(match dice.throw(3) {
                    0 => Event::Steps(dice.throw(60) as u32),
                    1 => Event::Wait(100 + dice.throw(700) as u32),
                    _ => Event::Wait(600 + dice.throw(1500) as u32),
                });
            }
            events.push(Event::Settle);
        }
        Self { seed, plan, events }
    }
}

impl History {
    /// Links of rings and meshes come and go, while switches act and don't confirm, or are gone in the middle of it.
    pub fn of_trees(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let switches = 3 + dice.throw(2) as u64;
        let mut cables: Vec<_> = (1..=switches).map(|a| (a, a % switches + 1)).collect();
        for _ in 0..dice.throw(3) {
            let a = 1 + dice.throw(switches as usize - 1) as u64;
            cables.push((a, a + 1));
        }
        let plan = Plan::of(switches, &cables);
        let mut events = vec![Event::Create];
        events.extend((1..=switches).map(|switch| Event::Attach(switch, 1, 0)));
        events.push(Event::Settle);
        let any = |dice: &mut Dice| dice.throw(1 << 16) as u32;
        for _ in 0..1 + dice.throw(5) {
            for _ in 0..2 + dice.throw(6) {
                let switch = 1 + dice.throw(switches as usize) as u64;
                events.push(match dice.throw(16) {
                    0..=3 => Event::Cut(any(&mut dice), [0, 0, 2, 1][dice.throw(4)]),
                    4..=6 => Event::Mend(any(&mut dice)),
                    7 | 8 => Event::Unconfirming(switch),
                    9 => Event::Idle(switch),
                    10 => Event::Mended(switch),
                    11 => Event::HangUp(switch),
                    12 | 13 => Event::Away(switch, dice.once_in(2)),
                    14 => Event::Back(switch),
                    _ => Event::Restart,
                });
                events.push(match dice.throw(8) {
                    0 => Event::Wait(dice.throw(1500) as u32),
                    1 => Event::Wait(dice.throw(7000) as u32),
                    _ => Event::Steps(dice.throw(25) as u32),
                });
            }
            events.push(Event::Settle);
        }
        Self { seed, plan, events }
    }
}

impl History {
    /// Hosts come, move, fall silent, are forged and are held to their own addresses, in networks that may learn few;
    /// seldom something fails.
    pub fn of_hosts(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let switches = 1 + dice.throw(3) as u64;
        let mut cables: Vec<_> = (2..=switches).map(|b| (b - 1, b)).collect();
        if switches == 3 && dice.once_in(2) {
            cables.push((1, 3));
        }
        let plan = Plan::of(switches, &cables);
        let mut events = vec![Event::Create, Event::Create];
        let any = |dice: &mut Dice| dice.throw(1 << 16) as u32;
        for switch in 1..=switches {
            for slot in 1..=PORTS {
                if !dice.once_in(4) {
                    let network = u32::from(dice.once_in(4));
                    events.push(Event::Attach(switch, slot, network));
                }
            }
        }
        events.push(Event::Settle);
        let failing = dice.once_in(2);
        for _ in 0..2 + dice.throw(4) {
            for _ in 0..1 + dice.throw(5) {
                let switch = 1 + dice.throw(switches as usize) as u64;
                events.push(match dice.throw(24) {
                    0..=6 => Event::Speak(any(&mut dice), dice.throw(MACS as usize) as u32),
                    7..=9 => Event::Hop(any(&mut dice)),
                    10 | 11 => Event::Forge(any(&mut dice), any(&mut dice)),
                    12..=14 => enforce(&mut dice),
                    15 => Event::Declare(any(&mut dice), dice.throw(MACS as usize) as u32),
                    16 | 17 => Event::Cap(any(&mut dice), dice.throw(4) as u32),
                    18..=20 => Event::Silence(switch),
                    21 => attach(&plan, &mut dice),
                    22 => Event::Detach(any(&mut dice)),
                    _ if !failing => Event::Wait(dice.throw(900) as u32),
                    _ => match dice.throw(8) {
                        0 => Event::HangUp(switch),
                        1 => Event::Unconfirming(switch),
                        2 => Event::Mumble(switch, 20 + dice.throw(300) as u32),
                        3 => Event::Restart,
                        4 => Event::RemoveFlow(switch, any(&mut dice)),
                        5 => Event::Die(switch, true),
                        6 => Event::Revive(switch, false),
                        _ => Event::Mishear(switch, 20 + dice.throw(600) as u32),
                    },
                });
                events.push(match dice.throw(4) {
                    0 => Event::Wait(dice.throw(900) as u32),
                    _ => Event::Steps(dice.throw(30) as u32),
                });
            }
            events.push(Event::Settle);
            // All at once: nothing is known of one when the next is heard.
            if dice.once_in(3) {
                events.push(Event::Cap(any(&mut dice), dice.throw(3) as u32));
                events.push(Event::Silence(1));
                events.push(Event::Settle);
                for mac in 0..MACS {
                    events.push(Event::Speak(any(&mut dice), mac));
                }
            }
        }
        events.push(Event::Settle);
        Self { seed, plan, events }
    }
}

fn enforce(dice: &mut Dice) -> Event {
    let port = dice.throw(1 << 16) as u32;
    Event::Enforce(port, dice.throw(MACS as usize) as u32, dice.once_in(2))
}

fn attach(plan: &Plan, dice: &mut Dice) -> Event {
    let switch = 1 + dice.throw(plan.switches as usize) as u64;
    Event::Attach(switch, 1 + dice.throw(PORTS as usize) as u32, dice.throw(3) as u32)
}

fn event(plan: &Plan, theme: usize, dice: &mut Dice) -> Event {
    let any = |dice: &mut Dice| dice.throw(1 << 16) as u32;
    let switch = |dice: &mut Dice| 1 + dice.throw(plan.switches as usize) as u64;
    // What callers and hosts do happens in all of them.
    if theme == 0 || dice.once_in(2) {
        return match dice.throw(26) {
            0..=5 => attach(plan, dice),
            6..=8 => Event::Detach(any(dice)),
            9..=15 => Event::Speak(any(dice), dice.throw(MACS as usize) as u32),
            16 => Event::Declare(any(dice), dice.throw(MACS as usize) as u32),
            17 => Event::Create,
            18 => Event::Delete(any(dice)),
            19 => Event::Hop(any(dice)),
            20 => Event::Forge(any(dice), any(dice)),
            21 | 22 => enforce(dice),
            23 => Event::Cap(any(dice), dice.throw(4) as u32),
            24 => Event::Silence(switch(dice)),
            _ => Event::Wait(dice.throw(2000) as u32),
        };
    }
    let kind = if theme == 5 { 1 + dice.throw(4) } else { theme };
    match kind {
        1 => match dice.throw(3) {
            0 | 1 => Event::Cut(any(dice), dice.throw(3) as u32),
            _ => Event::Mend(any(dice)),
        },
        2 => match dice.throw(10) {
            0 | 1 => Event::HangUp(switch(dice)),
            2 | 3 => Event::Away(switch(dice), dice.once_in(2)),
            4 | 5 => Event::Back(switch(dice)),
            6 => Event::Die(switch(dice), dice.once_in(2)),
            7 => Event::Revive(switch(dice), dice.once_in(2)),
            8 => Event::Forget(switch(dice)),
            _ => Event::Wait(dice.throw(8000) as u32),
        },
        3 => match dice.throw(10) {
            0..=2 => Event::RemoveFlow(switch(dice), any(dice)),
            3 => Event::AlterFlow(switch(dice), any(dice)),
            4 => Event::RemoveGroup(switch(dice), any(dice)),
            5 | 6 => Event::Limit(switch(dice), dice.throw(12) as u32),
            _ => Event::Refuse(switch(dice), any(dice)),
        },
        _ => match dice.throw(11) {
            0 | 1 => Event::Idle(switch(dice)),
            2..=4 => Event::Unconfirming(switch(dice)),
            5 => Event::Mended(switch(dice)),
            6 => Event::Restart,
            7 | 8 => Event::Mumble(switch(dice), 20 + dice.throw(300) as u32),
            9 => Event::Mishear(switch(dice), 20 + dice.throw(600) as u32),
            _ => Event::HangUp(switch(dice)),
        },
    }
}
