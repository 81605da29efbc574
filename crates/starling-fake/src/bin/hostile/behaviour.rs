//! What the enemy can do, by name.

use std::{fmt, str::FromStr};

/// A behaviour of the enemy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Behaviour {
    name: &'static str,
    says: &'static str,
    part: Part,
}

/// What it is taken for by its victim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// A node of a client.
    Node(Manner),
    /// Somebody who connects, to whatever protocol.
    Stranger(Odd),
    /// A neighbour in the gossip.
    Gossip,
    /// A client that nodes hear of.
    Client(Answers),
}

/// What a node does with its leases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Leaves with each, and comes back.
    Drops,
    /// The same, and reports results of those that it left, which do not exist.
    ReportsLate,
    Declines,
    /// Says without end that it failed, of this lease and of others.
    FloodsFailures,
    /// Says that the input is damaged, or that the task cannot be done.
    Blames,
    /// Says that it works on it.
    Stalls,
    /// Reports a result, and this is what is to be had of it.
    Reports(Serves),
    /// It asks for none.
    NeverAsks,
    /// It has said hello and leaves.
    Leaves,
    /// Reads what the lease names, over many streams, and takes no byte of it.
    ReadsSlowly,
}

/// What is to be had of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Serves {
    Nothing,
    OtherBytes,
    /// As large as may be, and none of it comes.
    Promises,
    /// A few bytes now and then.
    Drips,
}

/// What is odd about a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Odd {
    /// It fills streams that nobody asked for.
    OpensUni,
    /// It says nothing.
    Silent,
    /// What it says is too large, or is no message.
    Garbage,
}

/// What a client has for its nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answers {
    Nothing,
    /// Leases whose inputs nobody has.
    Withholds,
}

const fn of(name: &'static str, part: Part, says: &'static str) -> Behaviour {
    Behaviour { name, says, part }
}

impl Behaviour {
    /// All that there are.
    pub(crate) const ALL: [Self; 19] = [
        of("opens-uni", Part::Stranger(Odd::OpensUni), "fills streams that nobody asked for"),
        of("silent-hello", Part::Stranger(Odd::Silent), "connects and says nothing"),
        of("garbage", Part::Stranger(Odd::Garbage), "sends what is too large, or is no message"),
        of("slow-reader", Part::Node(Manner::ReadsSlowly), "asks for blobs and reads none of them"),
        of("never-asks", Part::Node(Manner::NeverAsks), "is a node and asks for no work"),
        of("reconnect-flood", Part::Node(Manner::Leaves), "comes, says hello and leaves"),
        of("drop-lease", Part::Node(Manner::Drops), "leaves with each lease"),
        of(
            "late-results",
            Part::Node(Manner::ReportsLate),
            "reports results of leases that it left",
        ),
        of("decline-all", Part::Node(Manner::Declines), "claims 1024 fast slots and declines"),
        of("stalls", Part::Node(Manner::Stalls), "says that it works, and never ends"),
        of("failed-flood", Part::Node(Manner::FloodsFailures), "says without end that it failed"),
        of("blame-flood", Part::Node(Manner::Blames), "says that inputs are damaged"),
        of("absent-blob", Part::Node(Manner::Reports(Serves::Nothing)), "reports what it has not"),
        of("wrong-blob", Part::Node(Manner::Reports(Serves::OtherBytes)), "serves other bytes"),
        of("huge-claim", Part::Node(Manner::Reports(Serves::Promises)), "promises large results"),
        of("drip-feed", Part::Node(Manner::Reports(Serves::Drips)), "serves a few bytes a second"),
        of("fake-ads", Part::Gossip, "tells of clients that there are not"),
        of("grant-nothing", Part::Client(Answers::Nothing), "is a client and has no work"),
        of("withhold-inputs", Part::Client(Answers::Withholds), "grants work on what nobody has"),
    ];

    pub(crate) fn says(self) -> &'static str {
        self.says
    }

    pub(crate) fn part(self) -> Part {
        self.part
    }
}

impl fmt::Display for Behaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl FromStr for Behaviour {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|behaviour| behaviour.name == name);
        found.ok_or_else(|| format!("{name:?} is no behaviour: `starling-hostile list` has them"))
    }
}
