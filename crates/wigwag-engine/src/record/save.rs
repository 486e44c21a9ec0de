//! The order of a save: which shard is asked for what, and when all is there.
//!
//! A save is a conversation with one shard at a time, so that the shards stop for a moment each and never all
//! together. What has changed by the time it begins is written, each session as it is when its turn comes:
//!
//! 1. Every shard marks what has changed as due (`Begin`).
//! 2. Every shard writes what is due in bounded steps (`Next`). A session that moves to another shard
//!    meanwhile is due there. One that has not arrived in full is waited for, and so is one that is on its
//!    way: the shards count who leaves and who comes, and the save goes on until both are the same, twice.
//! 3. Every shard writes once more what it has received at QoS 2 (`Received`).
//!
//! The changes of one save belong together; who can, commits them as one batch.

use std::sync::Arc;

use super::ledger::Gone;
use super::{Changes, Kind, Op};
use crate::node::{Node, ShardId};

/// What a shard is asked by [`Shard::handle_save`](crate::Shard::handle_save).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// A save begins.
    Begin,
    /// For the next changes.
    Next,
    /// For what has been received at QoS 2 meanwhile.
    Received,
}

/// What a shard answers.
#[derive(Debug)]
pub struct Answer {
    /// To be written.
    pub changes: Changes,
    pub(crate) due: usize,
    /// Whether what is due cannot be written now.
    pub(crate) is_waiting: bool,
    /// Changed since the save began.
    pub(crate) noted: usize,
    /// Sessions that have left, and come.
    pub(crate) moved: (u64, u64),
    /// Letters that were sent, and have come.
    pub(crate) letters: (u64, u64),
}

/// What is to be done next.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Ask this shard.
    Ask(ShardId, Question),
    /// Something is on its way from one shard to another: let them work for a moment.
    Wait,
    /// Nothing is left.
    Done,
}

/// Whether the node goes on after the save.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Shards go on: what changes meanwhile is for the next save.
    Running,
    /// Nobody is connected any more: the save goes on until nothing changes.
    Last,
}

/// Rounds after which what is still on its way is left to the next save.
const ROUNDS_MAX: u32 = 1_000;

/// A save that is going on.
#[derive(Debug)]
pub struct Save {
    extent: Extent,
    shards: u16,
    /// Messages that nobody referred to when it began. Their records go last.
    messages: Vec<u64>,
    gone: Arc<Gone>,
    phase: Phase,
    /// Whose turn it is.
    shard: u16,
    rounds: u32,
    /// What the shards have said in this round, and in the last one.
    round: Round,
    last_round: Option<Round>,
    is_postponed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Beginning,
    Writing,
    Waiting,
    Ending,
    Done,
}

/// The sum of the answers of all shards, when each had no more to say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Round {
    due: usize,
    noted: usize,
    moved: (u64, u64),
    letters: (u64, u64),
}

impl Save {
    /// Begins a save of a node that keeps records.
    pub fn new(node: &Node, extent: Extent) -> Option<Save> {
        let gone = Arc::clone(&node.ledger.as_ref()?.messages);
        Some(Save {
            extent,
            shards: node.shards,
            messages: gone.take(),
            gone,
            phase: Phase::Beginning,
            shard: 0,
            rounds: 0,
            round: Round::default(),
            last_round: None,
            is_postponed: false,
        })
    }

    /// What is to be done next. After [`Step::Ask`], give the answer to [`Save::handle_answer`].
    pub fn poll(&mut self) -> Step {
        let shard = ShardId(self.shard);
        match self.phase {
            Phase::Beginning => Step::Ask(shard, Question::Begin),
            Phase::Writing => Step::Ask(shard, Question::Next),
            Phase::Ending => Step::Ask(shard, Question::Received),
            Phase::Waiting => {
                self.phase = Phase::Writing;
                Step::Wait
            }
            Phase::Done => Step::Done,
        }
    }

    /// A shard has answered; `None` if there is no such shard any more.
    pub fn handle_answer(&mut self, answer: Option<&Answer>) {
        if let Some(answer) = answer
            && self.phase == Phase::Writing
        {
            if answer.due > 0 && !answer.is_waiting {
                return;
            }
            self.round.add(answer);
        }
        self.shard += 1;
        if self.shard < self.shards {
            return;
        }
        self.shard = 0;
        self.phase = match self.phase {
            Phase::Beginning => Phase::Writing,
            Phase::Writing => self.end_round(),
            Phase::Waiting | Phase::Ending | Phase::Done => Phase::Done,
        };
    }

    fn end_round(&mut self) -> Phase {
        let round = std::mem::take(&mut self.round);
        let is_settled = round.due == 0 && round.moved.0 == round.moved.1;
        let is_last = self.extent == Extent::Last;
        let is_quiet = !is_last || (round.noted == 0 && round.letters.0 == round.letters.1);
        // Shards that go on are never quiet.
        let is_same = self.last_round.is_some_and(|last| {
            last.moved == round.moved && (!is_last || last.letters == round.letters)
        });
        self.last_round = Some(round);
        self.rounds += 1;
        if self.rounds >= ROUNDS_MAX {
            self.is_postponed = true;
            return Phase::Ending;
        }
        match (is_settled, is_quiet) {
            (true, true) if is_same => Phase::Ending,
            (true, true) => Phase::Writing,
            // What has changed since is due too.
            (true, false) if is_last && round.noted > 0 => Phase::Beginning,
            _ => Phase::Waiting,
        }
    }

    /// The last changes: records of messages that nobody refers to. Not before [`Step::Done`].
    pub fn finish(self) -> Changes {
        let mut changes = Changes::default();
        if self.is_postponed {
            // A session that has not been written may still have them in the store.
            self.messages
                .into_iter()
                .for_each(|number| self.gone.push(number));
            return changes;
        }
        for number in self.messages {
            changes.push(Op::Delete(Kind::Message, number));
        }
        changes
    }
}

impl Round {
    fn add(&mut self, answer: &Answer) {
        self.due += answer.due;
        self.noted += answer.noted;
        self.moved.0 += answer.moved.0;
        self.moved.1 += answer.moved.1;
        self.letters.0 += answer.letters.0;
        self.letters.1 += answer.letters.1;
    }
}
