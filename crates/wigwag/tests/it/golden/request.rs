//! `rr` beside `mosquitto_rr`: command lines, lines of `-d`, bytes to a scripted peer, and what is ours alone.

use std::fs;

use super::peer::{Conversation, conversation};
use super::{Golden, Run, run};
use crate::broker::{Broker, Kind};

fn golden(port: u16) -> Golden {
    let golden = Golden::new("mosquitto_rr", "rr", port);
    fs::write(golden.folder().join("payload"), "from a file").unwrap();
    golden
}

#[test]
fn an_answer_is_printed_in_the_same_way() {
    // What is asked comes back as the answer.
    const TABLE: &[Run] = &[
        run("-p {port} -t echo -e echo -m hello"),
        run("-p {port} -t echo -e echo -m hello -v"),
        run("-p {port} -t echo -e echo -m hello -N"),
        run("-p {port} -t echo -e echo -m hello -q 1"),
        run("-p {port} -t echo -e echo -m hello -q 2 -V 311"),
        run("-p {port} -t echo -e echo -m hello -V 31 -i me"),
        run("-p {port} -t echo -e echo -n -v"),
        run("-p {port} -t echo -e echo -f {folder}/payload").differs(
            "2.0 asks nothing when the message comes from a file or the input",
            "from a file\n",
            "",
            0,
        ),
        run("-p {port} -t echo -e echo -s")
            .input("of the input")
            .differs("2.0 sends nothing of the input", "of the input\n", "", 0),
        run("-p {port} -t echo -e echo -m hello -F '%t %q %r %p %l %x'"),
        run("-p {port} -t echo -e echo -m hello -F '%R %C' -D publish content-type text"),
        run("-p {port} -t echo -e echo -m hello -M 3 -k 10 -c -i me"),
        run("-p {port} -t quiet -e echo -m hello -W 1"),
        run("-p {port} -t quiet -e echo -m hello -W 3 -d"),
        run("-p {port} -t quiet -e echo -m hello -W 1 --quiet"),
        run("-p {port} -t echo -e echo -m hello -d").differs(
            "ours says goodbye, so that its Will is not published",
            "Client (null) sending CONNECT\nClient auto-… received CONNACK (0)\n\
             Client auto-… sending SUBSCRIBE (Mid: 1, Topic: echo, QoS: 0, Options: 0x00)\n\
             Client auto-… received SUBACK\n\
             Client auto-… sending PUBLISH (d0, q0, r0, m2, 'echo', ... (5 bytes))\n\
             Client auto-… received PUBLISH (d0, q0, r0, m0, 'echo', ... (5 bytes))\nhello\n\
             Client auto-… sending DISCONNECT\n",
            "",
            0,
        ),
    ];
    let broker = Broker::start(Kind::Mosquitto);
    golden(broker.mqtt_port()).play(TABLE, || {});
}

#[test]
fn what_is_wrong_is_said_in_the_same_words() {
    const TABLE: &[Run] = &[
        run("--bogus"),
        run("-e"),
        run("-F"),
        run("-W"),
        run("-t a -e b"),
        run("-t a -m x"),
        run("-e b -m x"),
        run("-t a/# -e b -m x"),
        run("-t a -e b/# -m x"),
        run("-t a -e b -m x -W 0"),
        run("-t a -e b -m x -C 2"),
        run("-t a -e b -m x --repeat 2"),
        run("-t a -e b -l"),
        run("-t a -e b -m x -F %"),
        run("-t a -e b -m x -F %!"),
        run("-t a -e b -m x -D publish response-topic c"),
        run("-t a -e b -m x -p {closed}"),
        run("-t a -e b -m x -h no-such-host.invalid"),
        run("-t a -e b -f /there/is/none").differs(
            "a file that is not there is an error, as in Mosquitto 2.1",
            "",
            "Error: Unable to open file \"/there/is/none\".\nError loading input file \"/there/is/none\".\n",
            1,
        ),
    ];
    golden(0).play(TABLE, || {});
}

#[test]
fn the_same_bytes_leave() {
    const TABLE: &[Conversation] = &[
        conversation("-t a -m x -e b -W 3 -q 1", &["2003000000", "900400010001"]),
        conversation(
            "-t a -m x -e b -W 3 -V 311 -u user",
            &["20020000", "9003000100"],
        ),
        conversation("-t a -m x -e b -W 3 -R", &["2003000000", "900400010000"]).as_2_1_sends(
            "101000044d5154540502003c0321000100008207000100000162203009000161040800016278e00104",
        ),
        conversation(
            "-t a -m x -e b -W 3 -D subscribe user-property a b -D publish user-property c d",
            &["2003000000", "900400010000"],
        ),
        conversation("-t a -m x -e b", &["2003008600"]),
        conversation(
            "-t a -m x -e b -D connect user-property a b",
            &["2003008700"],
        ),
    ];
    golden(0).converse(TABLE);
}

/// Mosquitto's ends with 0, and says goodbye or not, as it happens.
#[test]
fn a_refused_subscription_is_a_failure() {
    let refused = conversation("-t a -m x -e b", &["2003000000", "900400010087"]);
    let (sent, stdout, stderr, code) = golden(0).held_by_ours(&refused);
    assert!(sent.ends_with("e000"), "{sent}");
    assert_eq!((stdout.as_str(), stderr.as_str()), ("", "Not authorized\n"));
    assert_eq!(code, Some(135));
}

#[test]
fn the_latency_is_printed() {
    let broker = Broker::start(Kind::Wigwag);
    let said = golden(broker.mqtt_port()).said_by_ours("-p {port} -t echo -e echo -m x --latency");
    let latency = said
        .strip_prefix("x\nLatency: ")
        .unwrap_or_else(|| panic!("{said}"));
    let number: String = latency
        .chars()
        .take_while(|c| c.is_ascii_digit() || *c == '.')
        .collect();
    assert!(
        number.parse::<f64>().is_ok_and(|number| number > 0.0),
        "{said}"
    );
}
