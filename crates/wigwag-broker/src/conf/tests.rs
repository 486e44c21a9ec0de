//! What configuration files mean, and what is said of those that mean nothing.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;

use super::config::{
    Bind, BuiltIn, CertificateName, Direction, Domain, LogDest, LogType, Protocol, Proxy,
    TlsVersion,
};
use super::table::{Effect, Kind, ROWS, Section};
use super::*;
use crate::Recording;

/// Files in memory.
struct Pretended(BTreeMap<PathBuf, Vec<u8>>);

impl Files for Pretended {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let found = self.0.get(path).cloned();
        found.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        let inside = |path: &&PathBuf| path.parent() == Some(folder);
        let found: Vec<PathBuf> = self.0.keys().filter(inside).cloned().collect();
        if found.is_empty() {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(found)
    }
}

fn read_files(files: &[(&str, &str)]) -> Result<Reading, Problems> {
    let files = files
        .iter()
        .map(|(path, text)| (PathBuf::from(path), text.as_bytes().to_vec()));
    read(Path::new("m.conf"), &Pretended(files.collect()))
}

fn config(text: &str) -> Config {
    match read_files(&[("m.conf", text)]) {
        Ok(reading) => reading.config,
        Err(problems) => panic!("{problems}\nin:\n{text}"),
    }
}

/// All problems, each as `LINE: TEXT`.
fn problems(text: &str) -> Vec<String> {
    let Problems(problems) = read_files(&[("m.conf", text)]).expect_err(text);
    problems
        .iter()
        .map(|problem| {
            let line = problem.place.as_ref().map_or(0, |place| place.line);
            format!("{line}: {}", problem.text)
        })
        .collect()
}

fn remarks(text: &str) -> Vec<String> {
    let reading = read_files(&[("m.conf", text)]).expect("it is good");
    reading.remarks.iter().map(ToString::to_string).collect()
}

#[test]
fn a_file_without_a_listener_is_for_this_machine_only() {
    let config = config("");
    assert!(config.local_only && config.security.allow_anonymous);
    assert!(config.listeners.is_empty());
}

#[test]
fn a_listener_is_closed_to_anonymous_clients_unless_the_file_opens_it() {
    assert!(
        !config("listener 1883\n").listeners[0]
            .security
            .allow_anonymous
    );
    assert!(!config("port 1883\n").listeners[0].security.allow_anonymous);
    let open = config("listener 1883\nallow_anonymous true\n");
    assert!(open.listeners[0].security.allow_anonymous);
    let one = config("listener 1\nlistener_allow_anonymous true\nlistener 2\n");
    assert!(one.listeners[0].security.allow_anonymous);
    assert!(!one.listeners[1].security.allow_anonymous);
}

#[test]
fn what_follows_a_listener_is_about_it() {
    let config = config(
        "listener 1883 127.0.0.1\nmax_qos 1\nmount_point a/b/\nmax_connections -5\n\
         listener 9001 # a comment\nprotocol websockets\nsocket_domain ipv6\nmax_connections 7\n\
         listener 0 /run/wigwag.sock\nbind_interface eth0\n",
    );
    let [tcp, websocket, unix] = config.listeners.as_slice() else {
        panic!("{:?}", config.listeners)
    };
    assert_eq!(tcp.bind, Bind::tcp(Some("127.0.0.1"), 1883));
    assert_eq!((tcp.max_qos, tcp.max_connections), (1, None));
    assert_eq!(tcp.mount_point.as_deref(), Some("a/b/"));
    assert_eq!(websocket.protocol, Protocol::WebSockets);
    assert_eq!(websocket.max_connections, Some(7));
    let expected = Bind::Tcp {
        host: None,
        port: 9001,
        interface: None,
        domain: Some(Domain::Ipv6),
    };
    assert_eq!(websocket.bind, expected);
    assert_eq!(unix.bind, Bind::Unix("/run/wigwag.sock".into()));
}

#[test]
fn options_above_all_listeners_make_a_default_one() {
    let config = config("max_connections 3\nlistener 1884\n");
    assert_eq!(config.listeners.len(), 2);
    assert_eq!(config.listeners[0].bind, Bind::tcp(None, 1883));
    assert_eq!(config.listeners[0].max_connections, Some(3));
    assert_eq!(config.listeners[1].max_connections, None);
    let config = read_files(&[(
        "m.conf",
        "port 1999\nbind_address 127.0.0.1\nmax_connections 4\n",
    )])
    .expect("good")
    .config;
    assert_eq!(config.listeners[0].bind, Bind::tcp(Some("127.0.0.1"), 1999));
    assert_eq!(config.listeners[0].max_connections, Some(4));
}

#[test]
fn lines_end_and_begin_as_mosquitto_reads_them() {
    let config =
        config("# a\r\n\r\n  listener   1883\r\n \nallow_anonymous true # yes\nlog_type none");
    assert!(config.listeners[0].security.allow_anonymous);
    assert!(config.logging.types.is_empty());
    assert_eq!(
        problems("  # a\nallow_anonymous\ttrue\n"),
        [
            "1: Unknown configuration variable '#'.",
            "2: Unknown configuration variable 'allow_anonymous\ttrue'. A tab does not separate an option from its value: use a space.",
        ]
    );
}

#[test]
fn a_text_is_the_rest_of_the_line() {
    let config = config("pid_file   /run/a b/pid # not a comment \t\n");
    assert_eq!(
        config.process.pid_file.as_deref(),
        Some(Path::new("/run/a b/pid # not a comment"))
    );
}

#[test]
fn every_problem_is_told_at_once_with_what_is_allowed() {
    assert_eq!(
        problems(
            "listner 1883\nallow_anonymous yes\nlistener 70000\nmax_qos 3\nmax_connections 1x\n\
             pid_file\nuser a\nuser b\ncertfile c\nprotocol mqttsn\ntopic a\nplugin_opt_a b\nlog_type loud\n"
        ),
        [
            "1: Unknown configuration variable 'listner'. Did you mean 'listener'?",
            "2: Invalid 'allow_anonymous' value (yes). Allowed: true, false, 1 or 0.",
            "3: Invalid 'port' value (70000). Allowed: 0 to 65535.",
            "4: Invalid 'max_qos' value (3). Allowed: 0 to 2.",
            "5: 'max_connections' value not a number. It is '1x'; allowed: a whole number.",
            "6: Empty 'pid_file' value in configuration.",
            "8: Duplicate 'user' value in configuration. It is said at m.conf:7 already.",
            "10: Invalid 'protocol' value (mqttsn). Allowed: mqtt, websockets, http_api.",
            "11: The 'topic' option requires a bridge to be defined first. 'connection NAME' opens one.",
            "12: The 'plugin_opt_a' option requires plugin/global_plugin/plugin_load to be defined first.",
            "13: Invalid 'log_type' value (loud). Allowed: none, all, error, warning, notice, information, debug, subscribe, unsubscribe, websockets, internal.",
            "3: Both certfile and keyfile must be provided to enable a TLS listener. One of them is missing.",
        ]
    );
}

#[test]
fn slips_of_the_pen_are_recognised() {
    let unknown = |text: &str| match &problems(text)[..] {
        [problem] => problem.clone(),
        several => panic!("{several:?}"),
    };
    for (text, expect) in [
        (
            "\u{feff}listener 1883\n",
            "'listener'. A byte order mark stands before it: save the file without one.",
        ),
        ("LISTENER 1883\n", "'LISTENER'. Did you mean 'listener'?"),
        (
            "persistence=true\n",
            "'persistence=true'. '=' does not separate an option from its value: use a space.",
        ),
        (
            "user\tx\n",
            "'user\tx'. A tab does not separate an option from its value: use a space.",
        ),
    ] {
        let expect = format!("1: Unknown configuration variable {expect}");
        assert_eq!(unknown(text), expect);
    }
}

#[test]
fn a_problem_names_its_file_and_line_in_a_line_of_its_own() {
    let problems = read_files(&[("m.conf", "\nfoo\n")]).expect_err("it is wrong");
    assert_eq!(
        problems.0[0].to_string(),
        "Error: Unknown configuration variable 'foo'.\nError found at m.conf:2."
    );
}

#[test]
fn listeners_say_where_they_need_an_address_or_a_path() {
    assert_eq!(
        problems("listener 0\nlistener\nlistener -1\n"),
        [
            "1: A listener with port 0 must provide a Unix socket path.",
            "2: Empty 'listener' value in configuration. Expected: listener PORT [ADDRESS], or listener 0 PATH.",
            "3: Invalid 'port' value (-1). Allowed: 0 to 65535.",
        ]
    );
    assert_eq!(
        problems("mount_point a/\n"),
        ["1: The 'mount_point' option requires a listener to be defined first."]
    );
    assert_eq!(
        problems("port 1883\naccept_protocol_versions 5\n"),
        ["2: The 'accept_protocol_versions' option requires a listener to be defined first."]
    );
}

#[test]
fn certificates_go_together() {
    let config = config(
        "listener 8883\ncertfile c\nkeyfile k\ncafile a\nrequire_certificate true\n\
         use_subject_as_username true\ntls_version tlsv1.3\n",
    );
    let tls = config.listeners[0].tls.as_ref().expect("TLS");
    assert_eq!(tls.username, CertificateName::Subject);
    assert_eq!(tls.tls_version, TlsVersion::From1_3);
    assert!(tls.require_certificate);
    assert_eq!(
        problems("listener 8883\ncafile a\nlistener 8884\ncapath a\n"),
        [
            "1: cafile specified without certfile and keyfile.",
            "3: capath specified without certfile and keyfile.",
        ]
    );
    let idle = remarks("listener 1883\nrequire_certificate true\n");
    assert!(
        idle[0].contains("'require_certificate' has no effect on port 1883"),
        "{idle:?}"
    );
}

#[test]
fn the_proxy_protocol_ends_tls_before_us() {
    let config = config(
        "listener 1\nenable_proxy_protocol 1\nlistener 2\nenable_proxy_protocol 2\n\
         use_identity_as_username true\nproxy_protocol_v2_require_tls true\n",
    );
    assert_eq!(config.listeners[0].proxy, Some(Proxy::V1));
    assert_eq!(
        config.listeners[1].proxy,
        Some(Proxy::V2 {
            require_tls: true,
            require_certificate: false,
            use_identity_as_username: true
        })
    );
    let problems = problems("listener 2\nenable_proxy_protocol 2\ncertfile a\nkeyfile b\n");
    assert!(
        problems[0].contains("cannot be used with `enable_proxy_protocol 2`"),
        "{problems:?}"
    );
}

#[test]
fn security_of_one_listener_is_its_own() {
    let config = config(
        "per_listener_settings true\nlistener 1\nallow_anonymous true\nauto_id_prefix a-\n\
         listener 2\nallow_zero_length_clientid false\n",
    );
    let [one, two] = [0, 1].map(|index| &config.listeners[index].security);
    assert!(one.allow_anonymous && one.allow_zero_length_clientid);
    assert!(!two.allow_anonymous && !two.allow_zero_length_clientid);
    assert_eq!(
        (one.auto_id_prefix.as_str(), two.auto_id_prefix.as_str()),
        ("a-", "auto-")
    );
    assert_eq!(
        problems("allow_anonymous true\nper_listener_settings true\nallow_anonymous true\n"),
        ["2: per_listener_settings must be set before any other security settings."]
    );
    assert_eq!(
        problems("per_listener_settings true\nallow_anonymous true\n"),
        [
            "2: The 'allow_anonymous' option requires a listener to be defined first. So it is with 'per_listener_settings true'."
        ]
    );
}

#[test]
fn security_of_all_listeners_holds_wherever_it_stands() {
    let config = config("listener 1\nauto_id_prefix x\nlistener 2\nlistener_auto_id_prefix y\n");
    let prefixes: Vec<&str> = config
        .listeners
        .iter()
        .map(|listener| listener.security.auto_id_prefix.as_str())
        .collect();
    assert_eq!(prefixes, ["x", "y"]);
}

#[test]
fn included_files_are_read_in_the_order_of_their_bytes() {
    let reading = read_files(&[
        (
            "m.conf",
            "log_dest none\ninclude_dir d\nmax_queued_messages 9\n",
        ),
        ("d/a.conf", "max_inflight_messages 3\n"),
        ("d/B.conf", "max_inflight_messages 2\nlistener 1\n"),
        ("d/00.conf", "max_inflight_messages 1\n"),
        ("d/c.txt", "nonsense\n"),
    ]);
    let config = reading.expect("it is good").config;
    assert_eq!(config.limits.max_inflight_messages, Some(3));
    assert_eq!(config.limits.max_queued_messages, Some(9));
    assert_eq!(config.listeners.len(), 1);
}

#[test]
fn each_file_begins_without_a_section() {
    let problems = read_files(&[
        ("m.conf", "listener 1\ninclude_dir d\nmount_point a/\n"),
        ("d/a.conf", "mount_point b/\ninclude_dir e\n"),
    ]);
    let texts: Vec<String> = problems
        .expect_err("wrong")
        .0
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        texts,
        [
            "Error: The 'mount_point' option requires a listener to be defined first.\nError found at d/a.conf:1.",
            "Error: The include_dir option is only valid in the main configuration file.\nError found at d/a.conf:2.",
        ]
    );
}

#[test]
fn a_file_or_folder_that_is_not_there_is_told() {
    let missing = read(Path::new("x.conf"), &Pretended(BTreeMap::new())).expect_err("none");
    assert!(
        missing.0[0]
            .text
            .starts_with("Unable to open config file 'x.conf'."),
        "{missing}"
    );
    assert!(problems("include_dir none\n")[0].starts_with("1: Unable to open include_dir 'none'."));
}

#[test]
fn limits_without_a_limit_are_none() {
    let limits = config("max_inflight_messages 0\nmax_queued_messages 0\nmax_queued_bytes -1\nglobal_max_clients -1\n").limits;
    assert_eq!(limits.max_inflight_messages, None);
    assert_eq!(limits.max_queued_messages, None);
    assert_eq!(limits.max_queued_bytes, None);
    assert_eq!(limits.global_max_clients, None);
    assert_eq!(
        config("max_inflight_messages 65535\n")
            .limits
            .max_inflight_messages,
        None
    );
    assert_eq!(config("").limits.max_inflight_messages, Some(20));
}

#[test]
fn durations_have_a_unit() {
    let expiration = |value: &str| {
        let text = format!("persistent_client_expiration {value}\n");
        config(&text).limits.persistent_client_expiration
    };
    for (value, secs) in [
        ("5s", 5),
        ("2h", 7_200),
        ("1d", 86_400),
        ("1w", 604_800),
        ("1m", 2_592_000),
        ("1y", 31_536_000),
    ] {
        assert_eq!(
            expiration(value),
            Some(Duration::from_secs(secs)),
            "{value}"
        );
    }
    for value in ["5", "0d", "d", "-1d", "1.5d", "5x"] {
        let text = format!("persistent_client_expiration {value}\n");
        assert!(problems(&text)[0].contains("14d"), "{value}");
    }
}

#[test]
fn log_destinations_and_types_add_up() {
    let logging =
        config("log_dest stdout\nlog_dest file /var/log/a b\nlog_type error\nlog_type debug\n")
            .logging;
    assert!(
        logging
            .destinations
            .contains(&LogDest::File("/var/log/a b".into()))
    );
    assert!(logging.destinations.contains(&LogDest::Stdout));
    assert!(!logging.destinations.contains(&LogDest::Stderr));
    assert_eq!(logging.types, [LogType::Error, LogType::Debug].into());
    assert_eq!(config("").logging.destinations, [LogDest::Stderr].into());
    assert!(problems("log_dest file a\nlog_dest file b\n")[0].contains("Duplicate"));
}

#[test]
fn bridges_say_where_they_go_and_what_they_carry() {
    let bridge = config(
        "connection b\naddresses a.example c.example:1884 [::1]:1885\n\
         topic # both 2 l/ r/\ntopic \"a b/+\" in\ntopic \"\" out 1 x y\nrestart_timeout 5 30\n",
    )
    .bridges
    .remove(0);
    let addresses = [("a.example", 1883), ("c.example", 1884), ("::1", 1885)];
    assert_eq!(
        bridge.addresses,
        addresses.map(|(host, port)| (host.to_owned(), port))
    );
    assert_eq!(bridge.topics[0].direction, Direction::Both);
    assert_eq!(
        (bridge.topics[0].local_prefix.as_str(), bridge.topics[0].qos),
        ("l/", 2)
    );
    assert_eq!(bridge.topics[1].pattern, "a b/+");
    assert_eq!(bridge.topics[2].remote_prefix, "y");
    assert_eq!(
        problems("connection b\nconnection b\naddress x:0\ntopic a sideways\n"),
        [
            "2: Duplicate bridge name 'b'.",
            "3: Invalid bridge port value (0). Allowed: 1 to 65535.",
            "4: Invalid bridge topic direction 'sideways'. Allowed: out, in or both.",
            "1: Invalid bridge configuration: no remote addresses defined.",
            "1: Invalid bridge configuration: no topics defined.",
            "2: Invalid bridge configuration: no remote addresses defined.",
            "2: Invalid bridge configuration: no topics defined.",
        ]
    );
}

#[test]
fn bridges_say_how_they_connect() {
    let text = |lines: &str| format!("connection b\naddress a\ntopic #\n{lines}");
    let bridge = |lines: &str| config(&text(lines)).bridges.remove(0);
    let said = bridge(
        "bridge_bind_address 127.0.0.2\nbridge_tcp_keepalive 7 3 2\nbridge_tcp_user_timeout 900\n\
         bridge_tls_version tlsv1.3\nbridge_loop_detection true\n",
    );
    assert_eq!(said.bind_address, "127.0.0.2".parse().ok());
    let secs = Duration::from_secs;
    assert_eq!(said.tcp_keepalive, Some((secs(7), secs(3), 2)));
    assert_eq!(said.tcp_user_timeout, Some(Duration::from_millis(900)));
    assert_eq!(said.tls.version, TlsVersion::From1_3);
    assert!(said.loop_detection && !said.tls.is_wanted());
    assert!(bridge("bridge_cafile ca.pem\n").tls.is_wanted());
    let wrong = "bridge_bind_address localhost\nbridge_tcp_keepalive 7 3\nbridge_certfile c.pem\n";
    assert_eq!(
        problems(&text(wrong)),
        [
            "4: Invalid 'bridge_bind_address' value (localhost). Allowed: an IP address in numbers.",
            "5: Invalid 'bridge_tcp_keepalive' value (7 3). Allowed: three numbers from 1 on: idle seconds, interval seconds, probes.",
            "1: Invalid bridge configuration: bridge_certfile and bridge_keyfile must be used together.",
        ]
    );
}

#[test]
fn bridges_need_local_client_ids_of_their_own() {
    let text = "connection a\naddress x\ntopic #\nremote_clientid c\n\
                connection b\naddress x\ntopic #\nlocal_clientid local.c\n";
    assert!(
        problems(text)[0].contains("'local.c' is not unique"),
        "{:?}",
        problems(text)
    );
}

#[test]
fn a_plugin_without_an_equivalent_is_refused() {
    let builtin = |path: &str| BuiltIn::by_path(Path::new(path));
    assert_eq!(
        builtin("/usr/lib/x86_64-linux-gnu/mosquitto_dynamic_security.so"),
        Some(BuiltIn::DynamicSecurity)
    );
    assert_eq!(builtin("mosquitto_acl_file.so"), Some(BuiltIn::AclFile));
    assert_eq!(builtin("/usr/lib/mosquitto-go-auth.so"), None);
}

#[test]
fn what_has_no_effect_is_said() {
    let said = remarks("retry_interval 20\nset_tcp_nodelay true\nport 1883\n");
    assert_eq!(
        said,
        [
            "Warning: The 'retry_interval' option has no effect: the option is no longer available. (m.conf:1)",
            "Warning: The 'set_tcp_nodelay' option has no effect: packets are sent at once in any case. (m.conf:2)",
            "The 'port' option is deprecated, Mosquitto 3.0 will not have it. Please use 'listener' instead. (m.conf:3)",
        ]
    );
    assert_eq!(remarks("set_tcp_nodelay false\n"), [""; 0]);
}

#[test]
fn what_is_read_and_does_nothing_is_said() {
    for text in [
        "plugin /usr/lib/mosquitto_persist_sqlite.so\nplugin_opt_sync full\n",
        "listener 1\nprotocol websockets\nhttp_dir /srv\n",
        "log_dest dlt\n",
    ] {
        let said = remarks(text);
        assert!(
            said.iter().any(|line| line.starts_with("Warning: ")),
            "{text}: {said:?}"
        );
    }
    let both = problems("persistence true\nplugin mosquitto_persist_sqlite.so\n");
    assert!(both[0].contains("cannot be used together"), "{both:?}");
    let period = problems("plugin mosquitto_persist_sqlite.so\nplugin_opt_flush_period 5s\n");
    assert!(period[0].contains("number of seconds"), "{period:?}");
}

#[test]
fn what_would_leave_the_broker_open_is_refused() {
    for text in [
        "listener 1\npsk_hint x\n",
        "psk_file x\n",
        "connection x\naddress a\ntopic #\nbridge_require_ocsp true\n",
    ] {
        let problems = problems(text);
        assert!(problems[0].contains("cannot be used"), "{problems:?}");
    }
}

#[test]
fn http_is_served_wherever_and_however_mqtt_can_be() {
    let text = "listener 3000 localhost\nprotocol http_api\ncertfile a\nkeyfile b\nhttp_dir /srv\n\
                listener 0 /run/api\nprotocol http_api\nenable_proxy_protocol 2\n";
    let listeners = config(text).listeners;
    assert_eq!(listeners[0].protocol, Protocol::HttpApi);
    assert!(listeners[0].tls.is_some() && listeners[1].proxy.is_some());
}

#[test]
fn the_recorder_is_on_where_it_can_be_read_and_has_a_place() {
    let recording = |text: &str| Recording::from_config(&config(text));
    let api = "listener 3000 localhost\nprotocol http_api\n";
    for nothing in ["", "persistence true\n", api, "recorder_location /x\n"] {
        assert_eq!(recording(nothing), None, "{nothing}");
    }
    let off = format!("{api}persistence true\nrecorder false\n");
    assert_eq!(recording(&off), None);
    let kept = format!("persistence true\npersistence_location /var/lib/m/\n{api}");
    let beside = Recording::folder("/var/lib/m/history.wigwag");
    assert_eq!(recording(&kept), Some(beside));
    let alone = Recording::folder("history.wigwag").everything();
    assert_eq!(recording("recorder true\nrecorder_topic #\n"), Some(alone));
    let said = format!(
        "{api}recorder_location /x\nrecorder_size_limit 16\nrecorder_age_limit 2\nrecorder_topic #\n"
    );
    let expect = Recording::folder("/x").everything();
    let expect = expect.size_max(16 * 1024 * 1024);
    let expect = expect.age_max(Duration::from_secs(7_200));
    assert_eq!(recording(&said), Some(expect));
    assert_eq!(
        problems("recorder_topic a/#/b\nrecorder_topic $share/g/a\nrecorder_size_limit 1\n"),
        [
            "1: Invalid 'recorder_topic' value (a/#/b): '#' must be the last level of a Topic Filter and stand alone in it.",
            "2: Invalid 'recorder_topic' value ($share/g/a): it must not be shared.",
            "3: Invalid 'recorder_size_limit' value (1). Allowed: 16 to 1048576.",
        ]
    );
}

#[test]
fn alarms_are_rules_and_what_is_wrong_with_one_is_told() {
    let read =
        config("alarm hot: t/# @ a.b > 80 until < 70\nalarm all: # > 5\nbuiltin_alarms false\n");
    let rules: Vec<String> = read.alarms.iter().map(ToString::to_string).collect();
    assert_eq!(rules, ["hot: t/# @ a.b > 80 until < 70", "all: # > 5"]);
    assert!(!read.builtin_alarms && config("").builtin_alarms);
    assert_eq!(
        problems("alarm hot: t > 5\nalarm hot: t > 6\nalarm cold: t/#/x < 5\nalarm\n"),
        [
            "2: Duplicate 'alarm' value: the name hot is taken.",
            "3: Invalid 'alarm' value (cold: t/#/x < 5): 't/#/x' cannot stand there: '#' must be the last level of a Topic Filter and stand alone in it.",
            "4: Empty 'alarm' value in configuration. Expected: NAME: TOPIC > NUMBER.",
        ]
    );
}

#[test]
fn metrics_are_served_on_this_machine_unless_an_address_is_named() {
    let listeners = config("metrics_listener 9234\nmetrics_listener 1 ::\n").metrics_listeners;
    let texts: Vec<String> = listeners.iter().map(ToString::to_string).collect();
    assert_eq!(texts, ["127.0.0.1:9234", "[::]:1"]);
    for text in ["metrics_listener x\n", "metrics_listener 1 localhost\n"] {
        let said = problems(text);
        assert!(
            said[0].contains("Expected: metrics_listener PORT [ADDRESS]"),
            "{said:?}"
        );
    }
}

#[test]
fn names_of_options_are_unique() {
    let mut names: Vec<&str> = table::names().collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
}

/// What a row says of its default is what a file without the option gives.
#[test]
fn every_row_takes_its_own_default() {
    for row in ROWS {
        let written = match &row.kind {
            Kind::Bool(_) => row.default.split(';').next(),
            Kind::Int(..) => Some(row.default).filter(|value| value.parse::<i32>().is_ok()),
            Kind::Choice(..) => Some(row.default).filter(|value| *value != "both"),
            _ => None,
        };
        let Some(value) = written.filter(|value| !value.contains(' ')) else {
            continue;
        };
        let before = match row.section {
            Section::Bridge => "connection b\naddress a\ntopic #\n",
            Section::Plugin => continue,
            _ => "listener 1883\n",
        };
        let without = format!("{:?}", config(before));
        let with = format!("{:?}", config(&format!("{before}{} {value}\n", row.name)));
        let same = with == without || row.name.ends_with("allow_anonymous");
        assert!(
            same || row.name.starts_with("allow_zero"),
            "{}: {value}\n{without}\n{with}",
            row.name
        );
    }
}

#[test]
fn a_refusal_says_why_and_a_row_says_what() {
    for row in ROWS {
        assert!(row.what.ends_with(['.', '*']), "{}", row.name);
        if let Effect::Refused(why) | Effect::None(why) = row.effect {
            assert!(!why.ends_with('.'), "{}", row.name);
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let files = Pretended([(PathBuf::from("m.conf"), bytes)].into());
        let _ = read(Path::new("m.conf"), &files);
    }

    #[test]
    fn no_value_of_an_option_makes_the_reader_panic(
        rows in proptest::collection::vec((0..ROWS.len(), "[ -~\t\u{80}-\u{fff}]{0,12}|[a-z0-9 #\"/.:+-]{0,20}"), 0..30)
    ) {
        let text: String = rows
            .iter()
            .map(|(row, value)| format!("{} {value}\n", ROWS[*row].name.replace('*', "x")))
            .collect();
        let _ = read_files(&[("m.conf", &text)]);
    }
}
