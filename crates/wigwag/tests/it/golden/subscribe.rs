//! `sub` beside `mosquitto_sub`: formats, properties, JSON, and the course of things.
//!
//! Both subscribe to the same messages of the same broker, ours: retained ones, which come at once, or those that wait in a
//! session.

use std::process::Command;

use super::peer::{Conversation, conversation};
use super::{Golden, Run, run};
use crate::broker::{Broker, Kind};
use crate::wire::{Connect, DISCONNECT, Wire, field, packet};

/// Retained messages: a topic, and how `mosquitto_pub` is told of the rest.
const MESSAGES: &[(&str, &[&str])] = &[
    (
        "full",
        &[
            "-V",
            "5",
            "-q",
            "2",
            "-m",
            "hello \"w\" \\ x",
            "-D",
            "publish",
            "user-property",
            "k",
            "v",
            "-D",
            "publish",
            "content-type",
            "text/plain",
            "-D",
            "publish",
            "user-property",
            "k",
            "w",
            "-D",
            "publish",
            "correlation-data",
            "co",
            "-D",
            "publish",
            "response-topic",
            "re/sp",
            "-D",
            "publish",
            "payload-format-indicator",
            "1",
        ],
    ),
    ("plain", &["-q", "1", "-m", "hello"]),
    (
        "expiring",
        &[
            "-V",
            "5",
            "-m",
            "x",
            "-D",
            "publish",
            "message-expiry-interval",
            "3000",
        ],
    ),
    ("number", &["-m", "1.50"]),
    ("text", &["-m", "grüß ✓ \"quoted\" \\ / end"]),
    (
        "object",
        &[
            "-m",
            r#" {"b" : [1, 2.0, 1e3, -5, 0.1, 1.0e-7, 100000000000000000.0], "a":"\u00e9\/x\n", "e":{}, "f":[] ,"a":[{"t":true},{"n":null}]} "#,
        ],
    ),
    ("not/json", &["-m", "{\"a\":1}x"]),
    ("many/a", &["-q", "1", "-m", "1"]),
    ("many/b", &["-q", "2", "-m", "2"]),
    ("many/c/d", &["-q", "0", "-m", "3"]),
];

fn golden(broker: &Broker) -> Golden {
    let port = broker.mqtt_port().to_string();
    for (topic, words) in MESSAGES {
        publish(broker, &[&["-r", "-t", topic], *words].concat());
        // At QoS 0 nobody says that it has arrived.
        let mut subscriber = Command::new("/usr/bin/mosquitto_sub");
        subscriber.args(["-p", &port, "-t", topic, "-C", "1", "-W", "30"]);
        let output = subscriber.output().unwrap();
        assert!(output.status.success(), "{topic}: {output:?}");
    }
    Golden::new("mosquitto_sub", "sub", broker.mqtt_port())
}

fn publish(broker: &Broker, words: &[&str]) {
    let port = broker.mqtt_port().to_string();
    let status = Command::new("/usr/bin/mosquitto_pub")
        .args(["-p", &port])
        .args(words)
        .status()
        .unwrap();
    assert!(status.success(), "mosquitto_pub {words:?}: {status}");
}

fn check(table: &[Run]) {
    let broker = Broker::start(Kind::Wigwag);
    golden(&broker).play(table, || {});
}

macro_rules! formats {
    ($before:literal: $($format:literal)*) => {
        &[$(run(concat!("-p {port} -C 1 ", $before, " -F '", $format, "'")),)*]
    };
}

#[test]
fn formats_with_the_properties_of_mqtt_5() {
    check(formats!("-V 5 -q 2 -t full":
        "%A|%5A|%05A|%-5A|"
        "%C|%20C|%-20C|%.3C|%10.3C|%-10.3C|%020C|%.0C|"
        "%D|%5D|%.1D|%-5D|"
        "%F|%3F|%03F|%-3F|"
        "%P|%20P|%.2P|"
        "%R|%10R|%-10R|%.2R|%10.2R|"
        "%S|%4S|%04S|%-4S|"
        "%m|%5m|%05m|%-5m|"
        "%q|%5q|%r|%5r|"
        "%t|%8t|%-8t|%.2t|%8.2t|%-08.2t|"
        "%l|%6l|%06l|%-6l|%-06l|"
        "%p|%20p|%-20p|%020p|%5p|%-5p|%.3p|"
        "%E|%8E|%08E|%-8E|"
        "%x|%X"
    ));
}

#[test]
fn formats_without_properties() {
    check(formats!("-t full":
        "%A|%5A|%05A|%-5A|"
        "%C|%20C|%-20C|%020C|%.3C|%10.3C|"
        "%D|%5D|%F|%3F|%03F|%E|%8E|%08E|"
        "%P|%R|%10R|%S|%4S|%04S|"
        "%m|%5m|%05m|%q|%r"
        "%t %p"
        "%%|%5%|%.5%|%-0%"
        "\\a\\e\\n\\r\\t\\v\\0\\\\"
        "@@ plain text: öß ✓"
        "%00005p"
        "%5.p|%.t|%.C"
        "%300t"
        "%-300t|"
        ""
        " "
    ));
}

#[test]
fn formats_with_the_time() {
    const TABLE: &[Run] = &[
        run("-p {port} -t plain -C 1 -F '%I|%30I|%-30I|%.10I|%30.10I|%030I'").masked(),
        run("-p {port} -t plain -C 1 -F '%U|%30U'").masked(),
        run("-p {port} -t plain -C 1 -F '@Y-@m-@dT@H:@M:@S.@N@z @Z'").masked(),
        run("-p {port} -t plain -C 1 -F '@a|@A|@b|@B|@c|@C|@D|@e|@F|@g|@G|@h'").masked(),
        run("-p {port} -t plain -C 1 -F '@I|@j|@k|@l|@n|@p|@P|@r|@R|@s|@t|@T'").masked(),
        run("-p {port} -t plain -C 1 -F '@u|@U|@V|@w|@W|@x|@X|@y|@Y|@%'").masked(),
        run("-p {port} -t plain -C 1 -F '@E|@f|@i|@J|@K|@L|@o|@O|@q|@Q|@v'"),
        run("-p {port} -t plain -C 1 -F '@ |@!|@+|@-|@_|@.|@0|@1|@^|@#|@:|@é|@&x'"),
        run("-p {port} -t expiring -C 1 -V 5 -F '%E|%8E|%-8E|%08E|'").masked(),
    ];
    check(TABLE);
}

#[test]
fn messages_as_json() {
    macro_rules! json {
        ($($words:literal)*) => {
            &[$(run(concat!("-p {port} -C 1 ", $words)).ours("--json-compat 2.0").masked(),)*]
        };
    }
    check(json!(
        "-t plain -F %j"
        "-t plain -q 1 -F %j"
        "-t full -q 2 -V 5 -F %j"
        "-t full -V 5 -F %j --pretty"
        "-t full -F %j --pretty"
        "-t expiring -V 5 -F %j"
        "-t number -F %j"
        "-t number -F %J"
        "-t number -F %J --pretty"
        "-t text -F %j"
        "-t text -F %J"
        "-t object -F %j"
        "-t object -F %J"
        "-t object -F %J --pretty"
        "-t not/json -F %j"
        "-t not/json -F '%t %J %l'"
        "-t number -F '%j%J' -N"
        "-t number -F '%20j|%-20J|%.5j'"
    ));
}

#[test]
fn what_2_1_prints_otherwise() {
    const TABLE: &[Run] = &[
        run("-p {port} -t plain -C 1 -F '%10x|%3x'").differs(
            "2.1 takes the width of %x for bytes; 2.0 halved it twice",
            "68656c6c6f|68656c\n",
            "",
            0,
        ),
        run("-p {port} -t plain -C 1 -F '%14X|%-14X|%014x|'").differs(
            "2.1 prints the whole payload; 2.0 lost half of it",
            "    68656C6C6F|68656C6C6F    |000068656c6c6f|\n",
            "",
            0,
        ),
        run("-p {port} -t plain -C 1 -F '%.2x|%.4X|%.0x'").differs(
            "2.1 has groups",
            "68 65 6c 6c 6f|6865 6C6C 6F|68656c6c6f\n",
            "",
            0,
        ),
        run("-p {port} -t plain -C 1 -F '%.2:x'").differs(
            "2.1 has separators of one's own",
            "68:65:6c:6c:6f\n",
            "",
            0,
        ),
        run("-p {port} -t plain -C 1 -F '[%f]'").differs(
            "2.1 reads floats",
            "[]\n",
            "Error: Message payload on topic plain is no float of 4 bytes: it has 5 bytes.\n",
            0,
        ),
        run("-p {port} -t number -C 1 -F '%f'").differs("2.1 reads floats", "0.000000\n", "", 0),
        run("-p {port} -t number -C 1 -F %j").masked().differs(
            "2.1 has no Z before the offset, and RETAIN is a truth value",
            "{\"tst\":\"####-##-##T##:##:##.######+####\",\"topic\":\"number\",\"qos\":#,\"retain\":true,\"payloadlen\":#,\"payload\":\"#.##\"}\n",
            "",
            0,
        ),
        run("-p {port} -t full -C 1 -V 5 -F %j").masked().differs(
            "2.1 has User Properties as a list",
            "{\"tst\":\"####-##-##T##:##:##.######+####\",\"topic\":\"full\",\"qos\":#,\"retain\":true,\"payloadlen\":##,\"properties\":{\"user-properties\":[{\"k\":\"v\"},{\"k\":\"w\"}],\"content-type\":\"text/plain\",\"correlation-data\":\"co\",\"response-topic\":\"re/sp\",\"payload-format-indicator\":#},\"payload\":\"hello \\\"w\\\" \\\\ x\"}\n",
            "",
            0,
        ),
    ];
    check(TABLE);
}

#[test]
fn formats_that_are_wrong() {
    macro_rules! wrong {
        ($($format:literal)*) => {
            &[$(run(concat!("-p {port} -t plain -C 1 -F '", $format, "'")),)*]
        };
    }
    check(wrong!(
        "%" "a%" "%-" "%0" "%5" "%5." "%5.5" "%-05.5" "@" "a@" "\\" "a\\" "%Z" "%a" "% p" "%+5p" "%0-5p" "%--5p"
        "%.-1t" "%*t" "%i" "\\z" "\\x" "\\ " "%t%" "%t\\q"
    ));
}

#[test]
fn topics_counts_and_filters() {
    const TABLE: &[Run] = &[
        run("-p {port} -t plain -C 1"),
        run("-p {port} -t plain -C 1 -v"),
        run("-p {port} -t plain -C 1 -N"),
        run("-p {port} -t plain -C 1 -v -N"),
        run("-p {port} -t plain -C 1 -q 1 -v"),
        run("-p {port} -t plain -C 1 -V mqttv31"),
        run("-p {port} -t plain -C 1 -V mqttv311"),
        run("-p {port} -t plain -C 1 -V mqttv5"),
        run("-h 127.0.0.1 -p {port} -t plain -C 1"),
        run("--host localhost --port {port} --topic plain -C 1 --verbose"),
        run("-L mqtt://127.0.0.1:{port}/plain -C 1 -v"),
        run("-L mqtt://user:secret@localhost:{port}/many/a -C 1 -v"),
        run("-p {port} -t many/+ -C 2 -v"),
        run("-p {port} -t many/# -C 3 -v"),
        run("-p {port} -t many/a -t many/b -C 2 -v"),
        run("-p {port} -t many/# -C 1 -v -T many/+"),
        run("-p {port} -t many/# -C 2 -v -T many/a"),
        run("-p {port} -t many/# -C 1 -v -T many/a -T many/b"),
        run("-p {port} -t many/# -C 1 -v --filter-out many/a --filter-out many/c/#"),
        run("-p {port} -t many/# -C 3 -v -q 2"),
        run("-p {port} -t many/# -C 3 -q 2 -F '%t %q %r %m'"),
        run("-p {port} -t plain -t plain -C 1"),
        run("-p {port} -t many/# -R -W 1 -v"),
        run("-p {port} -t nothing/# -W 1"),
        run("-p {port} -t nothing/# -W 1 --quiet"),
        run("-p {port} -t nothing/# -W 1 -V 5"),
        run("-p {port} -t plain -C 2 -W 3"),
        run("-p {port} -t plain --retained-only -C 1"),
        run("-p {port} -t many/# --retained-only -C 3 -v"),
        run("-p {port} -t many/# -C 3 -v --retain-as-published -V 5"),
        run("-p {port} -t plain -C 1 -k 5 -M 1 --nodelay"),
        run("-p {port} -t plain -C 1 -i golden -c"),
        run("-p {port} -t plain -C 1 -I golden-"),
        run("-p {port} -t plain -C 1 -u name -P secret"),
        run(
            "-p {port} -t plain -C 1 --will-topic will --will-payload gone --will-qos 1 --will-retain",
        ),
        run(
            "-p {port} -t plain -C 1 -V 5 -x 10 -D connect user-property a b -D connect receive-maximum 5",
        ),
        run(
            "-p {port} -t plain -C 1 -V 5 -D subscribe user-property a b -D disconnect user-property a b",
        ),
    ];
    check(TABLE);
}

#[test]
fn what_is_told_of_packets() {
    const TABLE: &[Run] = &[
        run("-p {port} -t plain -C 1 -d"),
        run("-p {port} -t plain -C 1 -d -q 1"),
        run("-p {port} -t many/b -C 1 -d -q 2 -i golden"),
        run("-p {port} -t many/a -t many/b -C 2 -d -q 1 -v"),
        run("-p {port} -t many/a -t many/b -E -d -R").differs(
            "2.1 asks the server not to send what -R does not print",
            "Client (null) sending CONNECT\nClient (null) received CONNACK (0)\nClient (null) sending SUBSCRIBE (Mid: 1, Topic: many/a, QoS: 0, Options: 0x20)\nClient (null) sending SUBSCRIBE (Mid: 1, Topic: many/b, QoS: 0, Options: 0x20)\nClient (null) received SUBACK\nSubscribed (mid: 1): 0, 0\nClient (null) sending DISCONNECT\n",
            "",
            0,
        ),
        run("-p {port} -t nothing -E -d -q 2"),
        run("-p {port} -t nothing -E"),
        run("-p {port} -t nothing -E --quiet -d"),
        run("-p {port} -t plain -C 1 -d -V 5 -i golden --retain-as-published"),
        run("-p {port} -t nothing -U other -E -d"),
        run("-p {port} -t nothing -t other -E -d -V 5 -i golden"),
        run("-p {port} -t nothing -W 3 -d -V 5 -i golden"),
        run("-p {port} -t nothing -U other -U another -W 3 -d"),
        run("-p {port} -t plain -C 1 -d --quiet"),
        run("-p {port} -t plain -C 1 -d -V mqttv31 -i golden"),
    ];
    check(TABLE);
}

#[test]
fn messages_that_wait_in_a_session() {
    const TABLE: &[Run] = &[
        run("-p {port} -i golden -c -q 2 -t queue/# -C 3 -v"),
        run("-p {port} -i golden -c -q 2 -t queue/# -C 3 -F '%t %q %m %r %l %p'"),
        run("-p {port} -i golden -c -q 2 -t queue/# -C 1 -v"),
        run("-p {port} -i golden -c -q 2 -t queue/# -C 3 -v -R"),
        run("-p {port} -i golden -c -q 2 -t queue/# -C 2 -N -v"),
        run("-p {port} -i golden -c -q 2 -t queue/# -C 3"),
        run("-p {port} -i golden -c -q 2 -t queue/# --retained-only"),
        run("-p {port} -i golden -c -q 2 -t queue/# --retained-only -d"),
        run("-p {port} -i golden -c -q 2 -t queue/# -C 3 -F '%j' --pretty")
            .ours("--json-compat 2.0")
            .masked(),
        run("-p {port} -i golden -c -q 2 -t queue/# -C 3 -F '%J'")
            .ours("--json-compat 2.0")
            .masked(),
    ];
    let broker = Broker::start(Kind::Wigwag);
    golden(&broker).play(TABLE, || {
        // The session of the run before is forgotten, and one is made in which three messages wait. Its client is gone
        // for the broker too: what is sent to one who leaves comes as a repetition.
        for flags in [0x02, 0] {
            let connect = Connect {
                flags,
                payload: field(b"golden"),
                ..Connect::clean(4)
            };
            let mut wire = Wire::connected(broker.mqtt_port(), &connect);
            let filter = [&[0, 1][..], &field(b"queue/#"), &[2]].concat();
            wire.send(&packet(0x82, &filter));
            assert_eq!(wire.receive().unwrap().0, 0x90);
            wire.send(&packet(DISCONNECT, &[]));
            assert_eq!(wire.receive(), None);
        }
        publish(&broker, &["-t", "queue/a", "-q", "1", "-m", "7"]);
        publish(&broker, &["-t", "queue/b", "-q", "2", "-n"]);
        publish(&broker, &["-t", "queue/c", "-q", "1", "-m", "[1,2]"]);
    });
}

#[test]
fn retained_messages_are_removed() {
    // Ours ends by itself, so only theirs has its time.
    const TABLE: &[Run] = &[
        run("-p {port} -t gone/# --remove-retained -C 2 -v -W 1")
            .ours("-W 30")
            .differs(
                "2.0 does not end by itself when it has removed something",
                "gone/a x\ngone/b x\n",
                "",
                0,
            ),
        run("-p {port} -t gone/# --remove-retained -C 2 -v -W 1 -T gone/a -T gone/c")
            .ours("-W 30")
            .differs(
                "2.0 does not end by itself when it has removed something",
                "gone/b x\ngone/d x\n",
                "",
                0,
            ),
        run("-p {port} -t gone/# --remove-retained --retained-only -v -W 1 -T gone/a")
            .ours("-W 30")
            .differs(
                "2.0 does not end by itself when it has removed something",
                "gone/b x\ngone/c x\ngone/d x\n",
                "",
                0,
            ),
    ];
    let broker = Broker::start(Kind::Wigwag);
    let fill = || {
        for topic in ["gone/a", "gone/b", "gone/c", "gone/d"] {
            publish(&broker, &["-r", "-q", "1", "-t", topic, "-m", "x"]);
        }
    };
    golden(&broker).play(TABLE, fill);
}

#[test]
fn command_lines_that_are_wrong() {
    const TABLE: &[Run] = &[
        run("").differs(
            "2.1 may also just unsubscribe",
            "",
            "Error: You must specify a topic to subscribe to (-t) or unsubscribe from (-U).\n\nUse 'mosquitto_sub --help' to see usage.\n",
            1,
        ),
        run("-t"),
        run("-t a/#/b"),
        run("-t a+"),
        run("-t a -T b#"),
        run("-t a -U c/#/d"),
        run("-t a -C"),
        run("-t a -C 0"),
        run("-t a -C -1"),
        run("-t a -W"),
        run("-t a -W 0"),
        run("-t a -W -1"),
        run("-t a -F"),
        run("-t a -T"),
        run("-t a -U"),
        run("-t a -q"),
        run("-t a -q 3"),
        run("-t a -q -1"),
        run("-t a -p"),
        run("-t a -p 70000"),
        run("-t a -k"),
        run("-t a -k 65536"),
        run("-t a -V"),
        run("-t a -V 6"),
        run("-t a -x"),
        run("-t a --random-filter"),
        run("-t a --random-filter 0"),
        run("-t a -R --retained-only"),
        run("-t a -c"),
        run("-t a --unknown"),
        run("-t a -Z"),
        run("-t a -m x"),
        run("-t a -l"),
        run("-t a -r"),
        run("-t a --will-payload x"),
        run("-t a --will-retain"),
        run("-t a -D"),
        run("-t a -D connect"),
        run("-t a -D nowhere user-property a b").differs(
            "2.1 says which",
            "",
            "Error: Invalid command nowhere given in --property argument.\n\n\nUse 'mosquitto_sub --help' to see usage.\n",
            1,
        ),
        run("-t a -D subscribe content-type a"),
        run("-t a -D connect no-property 1").differs(
            "2.1 says which",
            "",
            "Error: Invalid property name no-property given in --property argument.\n\n\nUse 'mosquitto_sub --help' to see usage.\n",
            1,
        ),
        run("-t a -i x -I y"),
        run("-t a --proxy"),
        run("-t a -L"),
        run("-t a -L http://localhost/a").differs(
            "as in 2.1",
            "",
            "Error: Unsupported URL scheme.\n\n\nUse 'mosquitto_sub --help' to see usage.\n",
            1,
        ),
    ];
    check(TABLE);
}

#[test]
fn the_same_bytes_leave() {
    const TABLE: &[Conversation] = &[
        conversation("-t a -E", &["20020000", "9003000100"]),
        conversation("-t a -t b/# -q 1 -E", &["20020000", "900400010101"]),
        conversation("-t a -E -V 31 -i me", &["20020000", "9003000100"]),
        conversation("-t a -E -V 5", &["2003000000", "900400010000"]),
        conversation(
            "-t a -E -V 5 --retain-as-published",
            &["2003000000", "900400010000"],
        ),
        conversation(
            "-t a -E -D subscribe subscription-identifier 7 -D subscribe user-property a b",
            &["2003000000", "900400010000"],
        ),
        conversation(
            "-t a -E -D disconnect user-property c d -D connect user-property e f",
            &["2003000000", "900400010000"],
        ),
        conversation("-t a -U x -U y/# -E", &["20020000", "", "", "9003000100"]),
        conversation(
            "-t a -U x -E -D unsubscribe user-property a b",
            &["2003000000", "", "900400010000"],
        ),
        conversation(
            "-t a -E -c -i me -k 7 -u user -P password",
            &["20020000", "9003000100"],
        ),
        conversation("-t a -E -c -i me -V 5", &["2003000000", "900400010000"]),
        conversation("-t a -E -i me -V 5 -x 10", &["2003000000", "900400010000"]),
        conversation(
            "-t a -E --will-topic w --will-payload gone --will-qos 1 --will-retain",
            &["20020000", "9003000100"],
        ),
        conversation("-t a -C 1 -v", &["20020000", "90030001003004000161 78"]),
        conversation(
            "-t a -q 1 -C 1 -v",
            &["20020000", "90030001013206000161000178"],
        ),
        conversation(
            "-t a -q 2 -C 1 -F '%t %q %m'",
            &["20020000", "90030001023406000161000978", "62020009"],
        ),
        conversation(
            "-t a -q 1 -C 2 -d",
            &["20020000", "900300010132060001610001783a06000161000179"],
        ),
        conversation(
            "-t a -V 5 -C 1 -F '%t %S %A %P'",
            &[
                "2003000000",
                "900400010000300e0001610926000161000162 0b0578",
            ],
        ),
        conversation("-t a -V 5 -W 3", &["2003000000", "900400010000"]),
        conversation("-t a -W 3", &["20020000", "9003000100"]),
        conversation("-t a -d", &["20020000", "9003000180"]).ours_ends_with(128),
        conversation("-t a -V 5 -d", &["2003000000", "900400010087"]).ours_ends_with(135),
        conversation("-t a -t b -E", &["20020000", "900400018001"]),
        conversation("-t a", &["20020001"]),
        conversation("-t a", &["20020005"]),
        conversation("-t a -V 5", &["2003008700"]),
        conversation("-t a -V 5", &["2003008800"]),
        conversation("-t a -V 5 --quiet", &["2003008600"]),
    ];
    Golden::new("mosquitto_sub", "sub", 0).converse(TABLE);
}
