//! Files of every version, written byte by byte; files that end too early, and files with wrong bytes.

use std::num::NonZeroU32;
use std::time::Duration;

use wigwag_engine::Time;
use wigwag_engine::proto::packet::RetainHandling;
use wigwag_engine::proto::{Property, Qos};
use wigwag_engine::restored::{Clock, Outgoing, Restored, Session};

use super::format::{self, Chunk, Client, Expiry, Problem, Subscription, Unreadable};
use super::{Counts, read};

/// What the wall clock shows: seconds since the epoch.
const NOW: i64 = 2_000_000;

/// A file in the making.
struct File {
    version: u32,
    bytes: Vec<u8>,
}

/// The fields of a chunk in the making.
#[derive(Clone, Default)]
struct Fields(Vec<u8>);

impl Fields {
    fn u8(mut self, value: u8) -> Fields {
        self.0.push(value);
        self
    }

    fn u16(mut self, value: u16) -> Fields {
        self.0.extend(value.to_be_bytes());
        self
    }

    fn u32(mut self, value: u32) -> Fields {
        self.0.extend(value.to_be_bytes());
        self
    }

    /// As a PC has it in memory.
    fn native(mut self, value: i64) -> Fields {
        self.0.extend(value.to_le_bytes());
        self
    }

    fn bytes(mut self, bytes: &[u8]) -> Fields {
        self.0.extend(bytes);
        self
    }

    fn len(self, text: &str) -> Fields {
        self.u16(u16::try_from(text.len()).unwrap())
    }

    fn text(self, text: &str) -> Fields {
        self.len(text).bytes(text.as_bytes())
    }
}

impl File {
    fn new(version: u32) -> File {
        let mut bytes = b"\x00\xB5\x00mosquitto db\0\0\0\0".to_vec();
        bytes.extend(version.to_be_bytes());
        let file = File { version, bytes };
        let fields = Fields::default();
        match version {
            ..5 => file.chunk(1, fields.u8(1).u8(8).native(77)),
            5.. => file.chunk(1, fields.native(77).u8(1).u8(8).bytes(&[0; 6])),
        }
    }

    fn chunk(mut self, number: u16, fields: Fields) -> File {
        match self.version {
            ..5 => self.bytes.extend(number.to_be_bytes()),
            5.. => self.bytes.extend(u32::from(number).to_be_bytes()),
        }
        let len = u32::try_from(fields.0.len()).unwrap();
        self.bytes.extend(len.to_be_bytes());
        self.bytes.extend(fields.0);
        self
    }

    fn message(self, message: &Message) -> File {
        let Message {
            store_id,
            expiry,
            source,
            user,
            topic,
            qos,
            retain,
            payload,
            properties,
        } = *message;
        let payload_len = u32::try_from(payload.len()).unwrap();
        let fields = Fields::default().native(store_id);
        let fields = match self.version {
            ..4 => fields.text(source).u16(1).u16(2).text(topic),
            4 => (fields.text(source).text(user).u16(1883))
                .u16(1)
                .u16(2)
                .text(topic),
            5.. => (fields.native(expiry).u32(payload_len).u16(1))
                .len(source)
                .len(user)
                .len(topic)
                .u16(1883),
        };
        let fields = fields.u8(qos).u8(retain.into());
        let fields = match self.version {
            ..5 => fields.u32(payload_len).bytes(payload),
            5.. => [
                source.as_bytes(),
                user.as_bytes(),
                topic.as_bytes(),
                payload,
                properties,
            ]
            .iter()
            .fold(fields, |fields, bytes| fields.bytes(bytes)),
        };
        self.chunk(2, fields)
    }

    /// With an interval that never ends, unless `expiry` says otherwise: the interval and the time.
    fn client(self, client_id: &str, expiry: Option<(u32, i64)>) -> File {
        let (interval, time) = expiry.unwrap_or((u32::MAX, 0));
        let fields = Fields::default();
        let fields = match self.version {
            ..=2 => fields.text(client_id).u16(9),
            3 | 4 => fields.text(client_id).u16(9).native(NOW),
            5 => (fields.native(time).u32(interval).u16(9))
                .len(client_id)
                .bytes(client_id.as_bytes()),
            6.. => (fields.native(time).u32(interval).u16(9).len(client_id))
                .u16(1883)
                .len("joe")
                .bytes(&[0; 4])
                .bytes(client_id.as_bytes())
                .bytes(b"joe"),
        };
        self.chunk(6, fields)
    }

    fn client_message(self, client_id: &str, message: &OnItsWay) -> File {
        let OnItsWay {
            store_id,
            packet_id,
            qos,
            retain,
            direction,
            state,
            properties,
        } = *message;
        let fields = Fields::default();
        let fields = match self.version {
            ..5 => (fields.text(client_id).native(store_id).u16(packet_id))
                .u8(qos)
                .u8(retain.into())
                .u8(direction)
                .u8(state)
                .u8(1),
            5.. => (fields.native(store_id).u16(packet_id).len(client_id))
                .u8(qos)
                .u8(state)
                .u8(u8::from(retain) << 4 | 1)
                .u8(direction)
                .bytes(client_id.as_bytes())
                .bytes(properties),
        };
        self.chunk(3, fields)
    }

    fn subscription(self, client_id: &str, filter: &str, qos: u8, options: u8, id: u32) -> File {
        let fields = Fields::default();
        let fields = match self.version {
            ..5 => fields.text(client_id).text(filter).u8(qos),
            5.. => (fields
                .u32(id)
                .len(client_id)
                .len(filter)
                .u8(qos)
                .u8(options)
                .u16(0))
            .bytes(client_id.as_bytes())
            .bytes(filter.as_bytes()),
        };
        self.chunk(5, fields)
    }

    fn retained(self, store_id: i64) -> File {
        self.chunk(4, Fields::default().native(store_id))
    }
}

#[derive(Clone, Copy)]
struct Message {
    store_id: i64,
    expiry: i64,
    source: &'static str,
    user: &'static str,
    topic: &'static str,
    qos: u8,
    retain: bool,
    payload: &'static [u8],
    properties: &'static [u8],
}

const MESSAGE: Message = Message {
    store_id: 1,
    expiry: 0,
    source: "pub",
    user: "",
    topic: "a/b",
    qos: 2,
    retain: false,
    payload: b"hello",
    properties: &[],
};

#[derive(Clone, Copy)]
struct OnItsWay {
    store_id: i64,
    packet_id: u16,
    qos: u8,
    retain: bool,
    direction: u8,
    state: u8,
    properties: &'static [u8],
}

/// Waits for its client.
const QUEUED: OnItsWay = OnItsWay {
    store_id: 1,
    packet_id: 0,
    qos: 1,
    retain: false,
    direction: 1,
    state: 11,
    properties: &[],
};

fn clock() -> Clock {
    let since_epoch = Duration::from_secs(NOW.unsigned_abs());
    Clock::new(Time::new(Duration::from_secs(100)), since_epoch)
}

fn in_secs(secs: u64) -> Time {
    clock().now() + Duration::from_secs(secs)
}

fn taken_over(file: &File) -> (Restored, Counts) {
    let listener_at = |port| (port == 1883).then_some(3);
    let import = read(&file.bytes, &clock(), listener_at).unwrap();
    (import.restored, import.counts)
}

fn session<'a>(restored: &'a Restored, client_id: &str) -> &'a Session {
    let mut sessions = restored.sessions.iter();
    let found = sessions.find(|session| *session.client_id == *client_id);
    found.unwrap_or_else(|| panic!("{client_id} has no session"))
}

fn payload(outgoing: &Outgoing) -> &[u8] {
    outgoing.message.view().payload
}

/// Something of everything.
fn rich(version: u32) -> File {
    File::new(version)
        .message(&MESSAGE)
        .message(&Message {
            store_id: 2,
            topic: "r",
            retain: true,
            payload: b"kept",
            ..MESSAGE
        })
        .message(&Message {
            store_id: 3,
            user: "joe",
            payload: b"",
            ..MESSAGE
        })
        .client("c1", None)
        .client_message(
            "c1",
            &OnItsWay {
                packet_id: 5,
                qos: 2,
                state: 5,
                ..QUEUED
            },
        )
        .client_message(
            "c1",
            &OnItsWay {
                store_id: 2,
                retain: true,
                ..QUEUED
            },
        )
        .client("c2", None)
        .client_message(
            "c2",
            &OnItsWay {
                packet_id: 8,
                qos: 2,
                direction: 0,
                state: 7,
                ..QUEUED
            },
        )
        .subscription("c1", "a/+", 2, 0, 0)
        .subscription("c2", "/x", 0, 0, 0)
        .retained(2)
}

#[test]
fn every_version_says_the_same() {
    for version in 2..=6 {
        let (restored, counts) = taken_over(&rich(version));
        assert_eq!(
            counts,
            Counts {
                sessions: 2,
                subscriptions: 2,
                messages: 3,
                retained: 1,
                expired: 0,
                left_out: 0
            },
            "{version}"
        );
        let c1 = session(&restored, "c1");
        assert_eq!((c1.expiry_secs, c1.ends_at), (u32::MAX, None));
        let (filter, grant) = &c1.subscriptions[0];
        assert_eq!(filter.as_filter().as_str(), "a/+");
        assert_eq!(
            (grant.options.qos, grant.identifier),
            (Qos::ExactlyOnce, None)
        );
        assert_eq!(c1.in_flight[0].packet_id.get(), 5);
        assert_eq!(payload(c1.in_flight[0].message.as_ref().unwrap()), b"hello");
        assert_eq!(
            (payload(&c1.queue[0]), c1.queue[0].retain),
            (&b"kept"[..], true)
        );
        assert_eq!(c1.queue[0].qos, Qos::AtLeastOnce);
        let retained = restored.retained[0].message.view();
        assert_eq!(
            (retained.topic.as_str(), retained.payload),
            ("r", &b"kept"[..])
        );
        let source = restored.retained[0].source.as_ref().unwrap();
        assert_eq!(*source.client_id, *"pub");
    }
}

#[test]
fn what_was_received_and_not_released_waits_for_its_release() {
    for version in 2..=6 {
        let (restored, _) = taken_over(&rich(version));
        let [received] = &session(&restored, "c2").received[..] else {
            panic!("there is one");
        };
        let message = received.message.as_ref().unwrap().view();
        assert_eq!(
            (received.packet_id.get(), message.topic.as_str()),
            (8, "a/b")
        );
        assert_eq!(
            (message.payload, message.qos),
            (&b"hello"[..], Qos::ExactlyOnce)
        );
        assert_eq!(session(&restored, "c1").queue.len(), 1, "it is not routed");
    }
}

#[test]
fn properties_and_times_come_along() {
    let properties = b"\x0C\x26\0\x01k\0\x01v\x03\0\x02tx\x01\x01"; // its length is mended below
    let mut properties = properties.to_vec();
    properties[0] = u8::try_from(properties.len() - 1).unwrap();
    let file = File::new(6)
        .message(&Message {
            expiry: NOW + 60,
            user: "ann",
            properties: properties.leak(),
            ..MESSAGE
        })
        .message(&Message {
            store_id: 2,
            expiry: NOW,
            ..MESSAGE
        })
        .client("c1", Some((90, NOW + 30)))
        .client_message(
            "c1",
            &OnItsWay {
                properties: b"\x03\x0B\x81\x01",
                ..QUEUED
            },
        )
        .client_message(
            "c1",
            &OnItsWay {
                store_id: 2,
                ..QUEUED
            },
        )
        .client("here", Some((90, 0)))
        .client("gone", Some((90, NOW - 1)))
        .client_message("gone", &QUEUED)
        .subscription("gone", "a", 1, 0, 0)
        .subscription("c1", "a/#", 1, 0x2C, 129)
        .retained(1)
        .retained(2);
    let (restored, counts) = taken_over(&file);
    let expected = Counts {
        sessions: 2,
        subscriptions: 1,
        messages: 1,
        retained: 1,
        expired: 2,
        left_out: 0,
    };
    assert_eq!(counts, expected);
    let c1 = session(&restored, "c1");
    assert_eq!((c1.expiry_secs, c1.ends_at), (90, Some(in_secs(30))));
    assert_eq!((c1.user_name.as_deref(), c1.listener), (Some("joe"), 3));
    assert_eq!(c1.queue.len(), 1);
    assert_eq!(c1.queue[0].identifiers[0].get(), 129);
    let message = c1.queue[0].message.view();
    assert_eq!(message.expires_at, Some(in_secs(60)));
    let said: Vec<Property<'_>> = message.properties.iter().collect();
    let expected = [
        Property::UserProperty(("k", "v")),
        Property::ContentType("tx"),
        Property::PayloadFormatIndicator(true),
    ];
    assert_eq!(said, expected);
    let (_, grant) = &c1.subscriptions[0];
    assert!(grant.options.no_local && grant.options.retain_as_published);
    assert_eq!(grant.options.retain_handling, RetainHandling::DoNotSend);
    assert_eq!(grant.identifier, NonZeroU32::new(129));
    let here = session(&restored, "here");
    assert_eq!((here.expiry_secs, here.ends_at), (90, None));
    let source = restored.retained[0].source.as_ref().unwrap();
    assert_eq!(source.user_name.as_deref(), Some("ann"));
}

#[test]
fn every_state_of_a_message_goes_on_where_it_was() {
    let on_its_way = |state| OnItsWay {
        packet_id: 4,
        qos: 2,
        state,
        ..QUEUED
    };
    for (state, in_flight, has_message, queued) in [
        (1, 0, false, 1),
        (3, 1, true, 0),
        (4, 1, true, 0),
        (5, 1, true, 0),
        (6, 1, false, 0),
        (9, 1, false, 0),
        (11, 0, false, 1),
        (7, 0, false, 0),
        (0, 0, false, 0),
        (99, 0, false, 0),
    ] {
        let file = File::new(6).message(&MESSAGE).client("c", None);
        let (restored, counts) = taken_over(&file.client_message("c", &on_its_way(state)));
        let session = session(&restored, "c");
        assert_eq!(session.in_flight.len(), in_flight, "{state}");
        assert_eq!(
            session.in_flight.iter().any(|it| it.message.is_some()),
            has_message,
            "{state}"
        );
        assert_eq!(session.queue.len(), queued, "{state}");
        assert_eq!(
            counts.left_out,
            usize::from(in_flight + queued == 0),
            "{state}"
        );
    }
    // Without a Packet Identifier it has not been sent.
    let file = File::new(6).message(&MESSAGE).client("c", None);
    let nameless = OnItsWay {
        packet_id: 0,
        ..on_its_way(3)
    };
    let (restored, _) = taken_over(&file.client_message("c", &nameless));
    assert_eq!(session(&restored, "c").queue.len(), 1);
}

#[test]
fn what_makes_no_sense_is_left_out_and_does_not_harm_the_rest() {
    let file = rich(6)
        .message(&Message {
            store_id: 9,
            topic: "a/#",
            ..MESSAGE
        })
        .message(&Message {
            store_id: 10,
            qos: 3,
            ..MESSAGE
        })
        .message(&Message {
            store_id: 11,
            properties: b"\x02\x01\x07",
            ..MESSAGE
        })
        .message(&Message {
            store_id: 12,
            properties: b"\x80",
            ..MESSAGE
        })
        .client("", None)
        .client_message(
            "c1",
            &OnItsWay {
                store_id: 9,
                ..QUEUED
            },
        )
        .client_message("c1", &OnItsWay { qos: 7, ..QUEUED })
        .client_message(
            "c1",
            &OnItsWay {
                properties: b"\x09",
                ..QUEUED
            },
        )
        .subscription("c1", "a/#/b", 1, 0, 0)
        .subscription("c1", "a", 3, 0, 0)
        .retained(999);
    let (restored, counts) = taken_over(&file);
    assert_eq!(counts.left_out, 11);
    assert_eq!(
        (counts.sessions, counts.messages, counts.retained),
        (2, 3, 1)
    );
    assert_eq!(restored.sessions.len(), 2);
}

#[test]
fn machines_that_pad_less_are_understood() {
    // No bytes between the fields and the texts, as compilers for 32-bit x86 leave none.
    let client = (Fields::default().native(0).u32(u32::MAX).u16(9))
        .len("c1")
        .u16(0)
        .len("")
        .bytes(b"c1");
    let configuration = Fields::default().native(1).u8(0).u8(8).u16(0);
    let file = File::new(6).chunk(1, configuration).chunk(6, client);
    let dump = format::read(&file.bytes).unwrap();
    let expiry = Expiry::Said {
        interval_secs: u32::MAX,
        time: 0,
    };
    let expected = Client {
        client_id: b"c1",
        user_name: b"",
        listener_port: 0,
        expiry,
    };
    assert_eq!(dump.clients, [expected]);
    // Nor had those a time of eight bytes.
    let client = Fields::default().text("c1").u16(9).u32(0);
    let file = File::new(4).chunk(6, client);
    assert_eq!(
        format::read(&file.bytes).unwrap().clients[0].client_id,
        b"c1"
    );
}

#[test]
fn what_a_later_mosquitto_adds_is_passed_over() {
    let file = File::new(6)
        .chunk(42, Fields::default().bytes(b"news"))
        .subscription("c", "a", 1, 0, 0);
    let dump = format::read(&file.bytes).unwrap();
    let expected = Subscription {
        client_id: b"c",
        filter: b"a",
        qos: 1,
        options: 0,
        identifier: 0,
    };
    assert_eq!(dump.subscriptions, [expected]);
}

#[test]
fn files_that_cannot_be_read_say_why() {
    let why = |bytes: &[u8]| read(bytes, &clock(), |_| None).unwrap_err().to_string();
    assert_eq!(
        why(b"SQLite format 3\0"),
        "it does not begin as a file of Mosquitto does"
    );
    let text = why(&File::new(7).bytes);
    assert!(
        text.starts_with("its version is 7; versions 2 to 6 can be read"),
        "{text}"
    );
    let head = &File::new(6).bytes[..23];
    assert_eq!(why(head), "it is damaged: it ends before its first chunk");
    let cut = &rich(6).bytes;
    let text = why(&cut[..cut.len() - 1]);
    assert!(text.ends_with(": the file ends before it does"), "{text}");
    let id = File::new(6).chunk(1, Fields::default().native(1).u8(0).u8(4).bytes(&[0; 6]));
    assert!(
        why(&id.bytes).contains("numbers of 4 bytes"),
        "{}",
        why(&id.bytes)
    );
    let time = File::new(6).client("c", Some((1, i64::from_be_bytes(NOW.to_le_bytes()))));
    assert!(
        why(&time.bytes).contains("another order of bytes"),
        "{}",
        why(&time.bytes)
    );
}

#[test]
fn damage_is_named_with_its_place() {
    let file = File::new(6);
    let at = file.bytes.len();
    let longer = file.chunk(4, Fields::default().native(1).u8(0));
    let expected = Unreadable::Damaged {
        what: Chunk::Retained,
        at,
        problem: Problem::TooLong,
    };
    assert_eq!(format::read(&longer.bytes), Err(expected));
    let shorter = File::new(6).chunk(4, Fields::default().u32(1));
    let expected = Unreadable::Damaged {
        what: Chunk::Retained,
        at,
        problem: Problem::TooShort,
    };
    assert_eq!(format::read(&shorter.bytes), Err(expected));
}

#[test]
fn a_file_that_ends_early_is_an_error_unless_it_ends_between_two_chunks() {
    for version in 2..=6 {
        let bytes = rich(version).bytes;
        let whole = (0..bytes.len())
            .filter(|len| read(&bytes[..*len], &clock(), |_| None).is_ok())
            .count();
        // Its chunks but for the last, behind which the file is complete.
        assert_eq!(whole, 11, "{version}");
    }
}

#[test]
fn wrong_bytes_never_panic_and_take_no_more_memory_than_the_file() {
    let mut random = fastrand::Rng::with_seed(7);
    for round in 0..30_000 {
        let mut bytes = rich(2 + round % 5).bytes;
        for _ in 0..random.usize(1..4) {
            let at = random.usize(19..bytes.len());
            bytes[at] = random.u8(..);
        }
        if let Ok(import) = read(&bytes, &clock(), |_| None) {
            let messages = import
                .restored
                .sessions
                .iter()
                .map(|session| session.queue.len());
            assert!(messages.sum::<usize>() <= bytes.len());
        }
    }
}
