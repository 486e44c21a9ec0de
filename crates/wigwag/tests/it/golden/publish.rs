//! `pub` beside `mosquitto_pub`: command lines right and wrong, the lines of `-d`, and bytes to a scripted peer.

use std::fs;

use super::peer::{Conversation, conversation};
use super::{Golden, Run, run};
use crate::broker::{Broker, Kind};

fn golden(port: u16) -> Golden {
    let golden = Golden::new("mosquitto_pub", "pub", port);
    let write = |name: &str, text: &str| fs::write(golden.folder().join(name), text).unwrap();
    write("payload", "from a file\n");
    write("empty", "");
    write("options", "# of a file\n-t from/file\n-q 1\n\n-d\n");
    write("wrong", "--bogus\n");
    golden
}

#[test]
fn what_is_published_is_told_in_the_same_lines() {
    const TABLE: &[Run] = &[
        run("-p {port} -t a/b -m hello"),
        run("-p {port} -t a/b -m hello -d"),
        run("-p {port} -t a/b -m hello -d -q 1"),
        run("-p {port} -t a/b -m hello -d -q 2"),
        run("-p {port} -t a/b -m hello -d -q 1 -i me"),
        run("-p {port} -t a/b -m hello -d -q 0 -V mqttv5"),
        run("-p {port} -t a/b -m hello -d -q 1 -V 5"),
        run("-p {port} -t a/b -m hello -d -q 2 -V 5 -i me"),
        run("-p {port} -t a/b -m hello -d -q 1 -V mqttv31"),
        run("-p {port} -t a/b -m hello -d -V 31 -i short"),
        run("-h 127.0.0.1 --port {port} --topic a/b --message hello --debug --qos 1 --retain"),
        run("-p {port} -t a/b -n -r -d"),
        run("-p {port} -t a/b --null-message -d -q 2"),
        run("-p {port} -t a/b -m ''"),
        run("-p {port} -t a/b -m 'two words' -d"),
        run("-p {port} -t a/b -f {folder}/payload -d"),
        run("-p {port} -t a/b -f {folder}/payload -d -q 1 --repeat 2"),
        run("-p {port} -t a/b -s -d").input("one\ntwo\n"),
        run("-p {port} -t a/b --stdin-file -d -q 1").input("one"),
        run("-p {port} -t a/b -l -d").input("one\n\nthree\n"),
        // One line: with more, Mosquitto's threads tell of lines and answers in an order of their own.
        run("-p {port} -t a/b -l -d -q 1").input("one"),
        run("-p {port} -t a/b -l -d -q 2").input("one\n"),
        run("-p {port} -t a/b -l -d -q 1 -M 1").input("one\ntwo\nthree\n"),
        run("-p {port} -t a/b -l -d").input(""),
        run("-p {port} -t a/b -m x -d --repeat 3"),
        run("-p {port} -t a/b -m x -d --repeat 2 --repeat-delay 0.05 -q 1"),
        run("-p {port} -t a/b -m x -d -u user -P password"),
        run("-p {port} -t a/b -m x -d -u user"),
        run("-p {port} -t a/b -m x -d -k 5 -A 127.0.0.1 --nodelay"),
        run(
            "-p {port} -t a/b -m x -d --will-topic w --will-payload gone --will-qos 1 --will-retain",
        ),
        run("-p {port} -t a/b -m x -d -c -i keeps"),
        run("-p {port} -t a/b -m x -d -c -i keeps -V 5"),
        run("-p {port} -t a/b -m x -d -V 5 -x 10"),
        run("-p {port} -t a/b -m x -d -V 5 -x ∞ -i keeps"),
        run("-p {port} -t a/b -m x -d -V 5 -x -1 -i keeps"),
        run("-p {port} -t a/b -m x -d -D publish content-type text -D publish user-property a b"),
        run("-p {port} -t a/b -m x -d -D PUBLISH message-expiry-interval 10 -q 1"),
        run("-p {port} -t a/b -m x -d -D publish topic-alias 1 --repeat 3"),
        run(
            "-p {port} -t a/b -m x -d -D connect user-property a b -D disconnect user-property c d",
        ),
        run("-p {port} -t a/b -m x -d -D will will-delay-interval 4 --will-topic w"),
        run("-p {port} -t a/b -m x -d -D connect authentication-method none"),
        run("-L mqtt://127.0.0.1:{port}/a/b -m x -d"),
        run("-L MQTT://user:password@127.0.0.1:{port}/a/b -m x -d -q 1"),
        run("-p {port} -t a/b -m x -d -t c"),
        run("-p {port} -t grüße -m ✓ -d"),
        run("-p {port} -t a/b -m x --ciphers none --insecure -d"),
        run("-p {port} -t a/b -m x -d -x 10").differs(
            "-x asks for MQTT 5, as in Mosquitto 2.1",
            "Client (null) sending CONNECT\nClient auto-… received CONNACK (0)\n\
             Client auto-… sending PUBLISH (d0, q0, r0, m1, 'a/b', ... (1 bytes))\n\
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
        run("word"),
        run("-t a -m b -W 3"),
        run("-t a -m b -C 3"),
        run("-h"),
        run("-p"),
        run("-t"),
        run("-m"),
        run("-f"),
        run("-q"),
        run("-u"),
        run("-P"),
        run("-i"),
        run("-I"),
        run("-k"),
        run("-L"),
        run("-M"),
        run("-V"),
        run("-x"),
        run("-A"),
        run("-D"),
        run("--cafile"),
        run("--capath"),
        run("--cert"),
        run("--key"),
        run("--keyform"),
        run("--ciphers"),
        run("--tls-version"),
        run("--tls-alpn"),
        run("--tls-engine"),
        run("--tls-engine-kpass-sha1"),
        run("--psk"),
        run("--psk-identity"),
        run("--proxy"),
        run("--unix"),
        run("--repeat"),
        run("--repeat-delay"),
        run("--will-topic"),
        run("--will-payload"),
        run("--will-qos"),
        run("-t a/# -m b"),
        run("-t a/+ -m b"),
        run("-t a -m b -n"),
        run("-t a -n -m b"),
        run("-t a -s -l"),
        run("-t a -m b -q 3"),
        run("-t a -m b -q -1"),
        run("-t a -m b -k 3"),
        run("-t a -m b -k 70000"),
        run("-t a -m b -p 70000"),
        run("-t a -m b -p -1"),
        run("-t a -m b -V 4"),
        run("-t a -m b -c"),
        run("-t a -m b -V 5 -c"),
        run("-t a -m b -x abc"),
        run("-t a -m b -x -2"),
        run("-t a -m b -x 4294967296"),
        run("-t a -m b -i a -I b"),
        run("-t a -m b -I a -i b"),
        run("-t a -m b --repeat 0"),
        run("-t a -m b --repeat-delay -1"),
        run("-t a -m b -M 0"),
        run("-t a -m b --will-qos 3"),
        run("-t a -m b --will-payload x"),
        run("-t a -m b --will-retain"),
        run("-t a -m b --will-topic w/#"),
        run("-t a -m b --cert x"),
        run("-t a -m b --key x"),
        run("-t a -m b --keyform pem"),
        run("-t a -m b --tls-engine-kpass-sha1 x"),
        run("-t a -m b --psk 00"),
        run("-t a -m b --psk 00 --psk-identity me --cafile x"),
        run("-t a -m b --cafile /there/is/none"),
        run("-t a -m b --tls-version tlsv9"),
        run("-t a -m b --tls-engine none"),
        run("-t a -m b --key a --cert b --keyform other"),
        run("-t a -m b -i ''"),
        run("-t a -m b -P password"),
        run("-t a -m b --proxy socks4://x"),
        run("-t a -m b -L mqtt://host"),
        run("-t a -m b -D publish user-property a"),
        run("-t a -m b -D publish will-delay-interval 3"),
        run("-t a -m b -D publish topic-alias 70000"),
        run("-t a -m b -D publish topic-alias -1"),
        run("-t a -m b -D publish subscription-identifier 3"),
        run("-t a -m b -D auth reason-string a"),
        run("-t a -m b -D puback reason-string a"),
        run("-t a -m b -D publish topic-alias 1 -D publish topic-alias 2"),
        run("-t a -m b -D connect receive-maximum 0"),
        run("-t a -m b -D connect user-property a b -V 311"),
        run("-t a -m b -V 5 -x 10 -D connect session-expiry-interval 5"),
        run("-t a -f /there/is/none"),
        run("-t a -f {folder}"),
        run("-t a -s"),
        run("-t a -m b -p {closed}"),
        run("-t a -m b -p {closed} -d --quiet"),
        run("-t a -m b -h no-such-host.invalid"),
        run("-t a -m b -A 300.300.300.300"),
        run("-t a -m b --unix /there/is/none"),
        run("-L http://x/y -m b").differs(
            "a capital letter, as in Mosquitto 2.1",
            "",
            "Error: Unsupported URL scheme.\n\n\nUse 'mosquitto_pub --help' to see usage.\n",
            1,
        ),
        run("-t a -m b -D foo bar baz").differs(
            "the word that is wrong is named, as in Mosquitto 2.1",
            "",
            "Error: Invalid command foo given in --property argument.\n\n\nUse 'mosquitto_pub --help' to see usage.\n",
            1,
        ),
        run("-t a -m b -D publish bar baz").differs(
            "the word that is wrong is named, as in Mosquitto 2.1",
            "",
            "Error: Invalid property name bar given in --property argument.\n\n\nUse 'mosquitto_pub --help' to see usage.\n",
            1,
        ),
        run("-D publish -t a -m b").differs(
            "the word that is wrong is named, as in Mosquitto 2.1",
            "",
            "Error: Invalid property name -t given in --property argument.\n\n\nUse 'mosquitto_pub --help' to see usage.\n",
            1,
        ),
        run("-p {closed} -t a -m b -D publish message-expiry-interval x").differs(
            "what is no number is refused, as in Mosquitto 2.1",
            "",
            "Error: Property value 'x' not a number.\n\n\nUse 'mosquitto_pub --help' to see usage.\n",
            1,
        ),
        run("-p {closed} -t a -m b -q x").differs(
            "what is no number is no QoS; theirs takes it for 0",
            "",
            "Error: Invalid QoS given: x\n\nUse 'mosquitto_pub --help' to see usage.\n",
            1,
        ),
        run("-t a -m b -p 0").differs(
            "theirs takes port 0 for a Unix socket, and misses it",
            "",
            "Error: Invalid port given: 0\n\nUse 'mosquitto_pub --help' to see usage.\n",
            1,
        ),
        run("-t a").differs(
            "the help is printed when it is asked for",
            "",
            "Error: Both topic and message must be supplied.\n\nUse 'mosquitto_pub --help' to see usage.\n",
            1,
        ),
        run("-t a -m b --psk 00 --psk-identity me").differs(
            "keys shared in advance are not supported",
            "",
            "Error: Problem setting TLS-PSK options.\n",
            1,
        ),
    ];
    golden(0).play(TABLE, || {});
}

#[test]
fn what_cannot_be_done_says_what_can() {
    let golden = golden(0);
    let check = |words, expect: &str| {
        let said = golden.said_by_ours(words);
        let (line, advice) = said.split_once('\n').unwrap();
        assert!(line.starts_with("Error: "), "{said}");
        assert!(advice.starts_with("       "), "{said}");
        assert!(advice.contains(expect), "{said}");
    };
    check(
        "-t a -m x --psk 00 --psk-identity me",
        "use certificates (--cafile",
    );
    check("-t a -m x --tls-engine pkcs11", "a file of PEM (--key)");
    check("-t a -m x --tls-version tlsv1.1", "are tlsv1.3 and tlsv1.2");
    check("-t a -m x -i ''", "without one, the server assigns it");
    check("-t a -m x --cafile {folder}/none.pem", "/none.pem'");
}

#[test]
fn options_may_stand_in_files() {
    // Mosquitto 2.0 knows the default file only; it stands where both look for it.
    const TABLE: &[Run] = &[
        run("-p {port} -m x"),
        run("-p {port} -m x -t typed -q 0"),
        run("-p {port} -t a -m x --bogus"),
    ];
    let broker = Broker::start(Kind::Mosquitto);
    let golden = golden(broker.mqtt_port());
    let home = golden.folder().join("home");
    fs::create_dir(&home).unwrap();
    fs::copy(golden.folder().join("options"), home.join("mosquitto_pub")).unwrap();
    golden.play(TABLE, || {});
    // Ours, with -o in its place.
    fs::remove_dir_all(&home).unwrap();
    let theirs = golden.said_by_ours("-p {port} -m x -o {folder}/options");
    assert!(theirs.contains("'from/file', ... (1 bytes))"), "{theirs}");
    let wrong = golden.said_by_ours("-o {folder}/wrong");
    assert!(
        wrong.contains("Unknown option '--bogus'. (line 1 of "),
        "{wrong}"
    );
    let saved = "-p {port} -t saved -q 1 -d --save-options {folder}/saved";
    assert_eq!(golden.said_by_ours(saved), "");
    let loaded = golden.said_by_ours("--load-options {folder}/saved -m x");
    assert!(loaded.contains("q1, r0, m1, 'saved'"), "{loaded}");
}

#[test]
fn the_same_bytes_leave() {
    const TABLE: &[Conversation] = &[
        conversation("-t a -m x", &["20020000"]),
        conversation("-t a -m x -r -q 1", &["20020000", "40020001"]),
        conversation("-t a -m x -q 2", &["20020000", "50020001", "70020001"]),
        conversation("-t a -m x -V 5", &["2003000000"]),
        conversation("-t a -m x -V 31 -i me", &["20020000"]),
        conversation(
            "-t a -m x -V 5 -D connect user-property a b",
            &["2003000000"],
        ),
        conversation(
            "-t a -m x -V 5 -x 9 -D connect user-property a b -D connect receive-maximum 7",
            &["2003000000"],
        ),
        conversation("-t a -m x -V 5 -c -i me", &["2003000000"]),
        conversation(
            "-t a -m x -c -i me -k 10 -u user -P password",
            &["20020000"],
        ),
        conversation("-t a -m x -u user", &["20020000"]),
        conversation(
            "-t a -m x --will-topic w --will-payload gone --will-qos 2 --will-retain",
            &["20020000"],
        ),
        conversation(
            "-t a -m x -D will will-delay-interval 4 --will-topic w -D will content-type x",
            &["2003000000"],
        ),
        conversation(
            "-t a -m x -D publish content-type t -D publish message-expiry-interval 5 -D publish response-topic r -D publish correlation-data c -D publish payload-format-indicator 1 -D publish user-property k v",
            &["2003000000"],
        ),
        conversation(
            "-t a -m x -D disconnect user-property c d -D disconnect session-expiry-interval 3",
            &["2003000000"],
        ),
        conversation(
            "-t a -m x -D publish topic-alias 3 --repeat 3",
            &["2003000000"],
        ),
        conversation(
            "-t a -m x -q 1 --repeat 3",
            &["20020000", "40020001", "40020002", "40020003"],
        ),
        conversation("-t a -m x -q 1 -V 5 -d", &["2003000000", "4003000110"]),
        conversation("-t a -m x -q 1 -V 5 -d", &["2003000000", "4003000187"]),
        conversation(
            "-t a -m x -q 1 -V 5",
            &["2003000000", "400a000187061f00036f6e65"],
        ),
        conversation("-t a -m x -q 2 -V 5 -d", &["2003000000", "5003000197"]),
        conversation("-t a -m x -r -V 5", &["20050000022500"]),
        conversation("-t a -m x -V 5 -d", &["200b00000812000561 6c696365"]),
        conversation("-t a -m x", &["20020001"]),
        conversation("-t a -m x", &["20020002"]),
        conversation("-t a -m x", &["20020003"]),
        conversation("-t a -m x -d", &["20020004"]),
        conversation("-t a -m x --quiet", &["20020005"]),
        conversation("-t a -m x -V 5", &["2003008600"]),
        conversation("-t a -m x -V 5", &["2003008700"]),
        conversation("-t a -m x -V 5", &["2003008400"]),
        conversation("-t a -m x -V 5", &["20020001"]),
        conversation("-t a -m x -V 5 -d", &["2003008800"]),
        conversation("-t a -m x -q 1 -V 5 -d", &["2003000000", "e0018b"]),
        conversation("-t a -m x", &["300000"]),
        conversation("-t a -m x -q 1 -V 5", &["20050000022400"]).ours_ends_with(24),
        conversation(
            "-t a -m xxxxxxxxxxxxxxxx -V 5 -D connect user-property a b",
            &["2008000005270000000a"],
        )
        .ours_says("Error: Message payload is too large.\n")
        .ours_ends_with(25),
    ];
    golden(0).converse(TABLE);
}
