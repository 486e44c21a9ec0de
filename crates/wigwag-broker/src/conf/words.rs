//! Options with a grammar of their own: words of which each means something else.
//!
//! Each function gets the rest of its line and says what is wrong with it, without the name of the option.

use std::collections::BTreeSet;
use std::error::Error as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use wigwag_alarm::{RULES_MAX, Rule, RuleError};
use wigwag_engine::proto::{TopicFilter, TopicName};

use super::config::{
    Bind, Bridge, BridgeTopic, Direction, Domain, LogDest, LogType, Restart, StartType, Versions,
};
use super::draft::{Draft, ListenerDraft, SecurityDraft};
use super::value::{first_word, parse_int, parse_text};

/// Lines with `recorder_topic`: each message is compared with all of them.
const RECORDER_TOPICS_MAX: usize = 64;

type Outcome = Result<(), String>;

/// A Unix socket has no interface.
pub(super) fn bind_interface(to: &mut ListenerDraft, name: String) {
    if let Bind::Tcp { interface, .. } = &mut to.listener.bind {
        *interface = Some(name);
    }
}

/// Neither has it a family of addresses.
pub(super) fn socket_domain(to: &mut ListenerDraft, word: &str) {
    if let Bind::Tcp { domain, .. } = &mut to.listener.bind {
        *domain = Some(match word {
            "ipv4" => Domain::Ipv4,
            _ => Domain::Ipv6,
        });
    }
}

/// The mount point is a part of Topic Names.
pub(super) fn mount_point(to: &mut ListenerDraft, rest: &str) -> Outcome {
    let text = parse_text("mount_point", rest)?;
    if to.listener.mount_point.is_some() {
        return Err("Duplicate 'mount_point' value in configuration.".to_owned());
    }
    if TopicName::new(&text).is_err() {
        return Err(format!(
            "Invalid 'mount_point' value ({text}). Does it contain a wildcard character? It is a part of Topic Names."
        ));
    }
    to.listener.mount_point = Some(text);
    Ok(())
}

/// Each line adds one.
pub(super) fn websockets_origin(to: &mut ListenerDraft, rest: &str) -> Outcome {
    let origin = parse_text("websockets_origin", rest)?;
    to.listener.websockets_origins.push(origin);
    Ok(())
}

/// Client Identifiers have to have room for the rest.
pub(super) fn auto_id_prefix(to: &mut SecurityDraft, rest: &str) -> Outcome {
    const LEN_MAX: usize = 50;
    let text = parse_text("auto_id_prefix", rest)?;
    if to.auto_id_prefix.is_some() {
        return Err("Duplicate 'auto_id_prefix' value in configuration.".to_owned());
    }
    if text.len() > LEN_MAX {
        return Err(format!(
            "auto_id_prefix length must be <= {LEN_MAX}. '{text}' has {} bytes.",
            text.len()
        ));
    }
    to.auto_id_prefix = Some(text);
    Ok(())
}

/// `3, 4, 5`: the protocol levels of CONNECT. Others are passed over, as Mosquitto does.
pub(super) fn accept_protocol_versions(listener: &mut ListenerDraft, rest: &str) -> Outcome {
    let named: BTreeSet<&str> = rest.split([',', ' ', '\t']).collect();
    let versions = Versions {
        v3_1: named.contains("3"),
        v3_1_1: named.contains("4"),
        v5: named.contains("5"),
    };
    listener.listener.accept_protocol_versions = versions;
    match versions {
        Versions {
            v3_1: false,
            v3_1_1: false,
            v5: false,
        } => Err(format!("'{rest}' names none of the versions 3, 4 and 5")),
        _ => Ok(()),
    }
}

/// `stdout`, `file PATH` and the like; each line adds one.
pub(super) fn log_dest(draft: &mut Draft, rest: &str) -> Outcome {
    let (word, path) = first_word(rest);
    let chosen = draft.log_dest.get_or_insert_default();
    match word {
        "none" => chosen.clear(),
        "stdout" => _ = chosen.insert(LogDest::Stdout),
        "stderr" => _ = chosen.insert(LogDest::Stderr),
        "syslog" => _ = chosen.insert(LogDest::Syslog),
        "topic" => _ = chosen.insert(LogDest::Topic),
        // The trace daemon of cars; Mosquitto takes it on every system and does nothing on most.
        "dlt" => {}
        "file" if path.is_empty() => {
            return Err(
                "Empty \"log_dest file\" value in configuration. Expected: file PATH".to_owned(),
            );
        }
        "file" if chosen.iter().any(|dest| matches!(dest, LogDest::File(_))) => {
            return Err("Duplicate \"log_dest file\" value. There is one log file".to_owned());
        }
        "file" => _ = chosen.insert(LogDest::File(PathBuf::from(path))),
        _ => {
            return Err(format!(
                "Invalid 'log_dest' value ({word}). Allowed: none, stdout, stderr, syslog, topic or file PATH"
            ));
        }
    }
    Ok(())
}

/// `9234 [ADDRESS]`: only this machine gets there unless an address says otherwise.
pub(super) fn metrics_listener(draft: &mut Draft, rest: &str) -> Outcome {
    let (port, address) = first_word(rest);
    let port = port.parse::<u16>();
    let address = match address {
        "" => Ok(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        address => address.parse::<IpAddr>(),
    };
    match (port, address) {
        (Ok(port), Ok(address)) => {
            let listeners = &mut draft.config.metrics_listeners;
            listeners.push(SocketAddr::new(address, port));
            Ok(())
        }
        _ => Err(format!(
            "Invalid 'metrics_listener' value ({rest}). Expected: metrics_listener PORT [ADDRESS], the address in numbers"
        )),
    }
}

/// Each line adds a rule; two of one name would not be told apart.
pub(super) fn alarm(draft: &mut Draft, rest: &str) -> Outcome {
    let alarms = &mut draft.config.alarms;
    let rule: Rule = rest.parse().map_err(|error| {
        let why = with_source(&error);
        format!("Invalid 'alarm' value ({rest}): {why}.")
    })?;
    if alarms.iter().any(|it| it.name() == rule.name()) {
        return Err(format!(
            "Duplicate 'alarm' value: the name {} is taken.",
            rule.name()
        ));
    }
    if alarms.len() == RULES_MAX {
        return Err(format!("There are at most {RULES_MAX} lines with 'alarm'."));
    }
    alarms.push(rule);
    Ok(())
}

/// Each line adds a Topic Filter.
pub(super) fn recorder_topic(draft: &mut Draft, rest: &str) -> Outcome {
    let invalid = |why: &str| Err(format!("Invalid 'recorder_topic' value ({rest}): {why}."));
    let topics = &mut draft.config.recorder.recorder_topics;
    match TopicFilter::new(rest) {
        Err(error) => invalid(&error.to_string()),
        Ok(filter) if filter.share().is_some() => invalid("it must not be shared"),
        Ok(_) if topics.len() == RECORDER_TOPICS_MAX => Err(format!(
            "There are at most {RECORDER_TOPICS_MAX} lines with 'recorder_topic'."
        )),
        Ok(filter) => {
            topics.push(filter.into());
            Ok(())
        }
    }
}

fn with_source(error: &RuleError) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// One type per line; each line adds one.
pub(super) fn log_type(draft: &mut Draft, rest: &str) -> Outcome {
    let (word, _) = first_word(rest);
    let chosen = draft.log_type.get_or_insert_default();
    match word {
        "none" => chosen.clear(),
        "all" => chosen.extend(LogType::ALL.map(|(_, log_type)| log_type)),
        _ => match LogType::ALL.iter().find(|(name, _)| *name == word) {
            Some((_, log_type)) => _ = chosen.insert(*log_type),
            None => {
                let names = LogType::ALL.map(|(name, _)| name).join(", ");
                return Err(format!(
                    "Invalid 'log_type' value ({word}). Allowed: none, all, {names}"
                ));
            }
        },
    }
    Ok(())
}

/// `14d`: a number and one of the letters s, h, d, w, m (30 days) and y (365 days).
pub(super) fn persistent_client_expiration(draft: &mut Draft, rest: &str) -> Outcome {
    let (word, _) = first_word(rest);
    let wrong = || {
        format!(
            "Invalid 'persistent_client_expiration' duration in configuration ({word}). Allowed: a number from 1 on and s, h, d, w, m or y, such as 14d"
        )
    };
    let unit = word.chars().last().ok_or_else(wrong)?;
    let secs = match unit {
        's' => 1,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 7 * 86_400,
        'm' => 30 * 86_400,
        'y' => 365 * 86_400,
        _ => return Err(wrong()),
    };
    let count = word.strip_suffix(unit).unwrap_or_default();
    let count: u32 = count.parse().map_err(|_| wrong())?;
    if count == 0 {
        return Err(wrong());
    }
    draft.config.limits.persistent_client_expiration =
        Some(Duration::from_secs(u64::from(count) * secs));
    Ok(())
}

/// `HOST[:PORT]`, once or more.
pub(super) fn addresses(bridge: &mut Bridge, rest: &str) -> Outcome {
    if !bridge.addresses.is_empty() {
        return Err(
            "Invalid bridge configuration, 'address' only allowed once. It takes several hosts"
                .to_owned(),
        );
    }
    for word in rest.split(' ').filter(|word| !word.is_empty()) {
        if word.starts_with('#') {
            break;
        }
        // A literal IPv6 address has colons of its own, so it needs a port.
        let (host, port) = match word.rsplit_once(':') {
            None => (word, 1883),
            Some((host, port)) => {
                let wrong = format!("Invalid bridge port value ({port}). Allowed: 1 to 65535");
                match port.parse::<u16>() {
                    Ok(port) if port > 0 => (host, port),
                    _ => return Err(wrong),
                }
            }
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        bridge.addresses.push((host.to_owned(), port));
    }
    Ok(())
}

/// `PATTERN [out|in|both [QOS [LOCAL-PREFIX [REMOTE-PREFIX]]]]`.
pub(super) fn topic(bridge: &mut Bridge, rest: &str) -> Outcome {
    let (pattern, rest) = pattern(rest)?;
    let mut words = rest
        .split(' ')
        .filter(|word| !word.is_empty())
        .take_while(|word| !word.starts_with('#'));
    let direction = match words.next().map(str::to_ascii_lowercase).as_deref() {
        None | Some("out") => Direction::Out,
        Some("in") => Direction::In,
        Some("both") => Direction::Both,
        Some(other) => {
            return Err(format!(
                "Invalid bridge topic direction '{other}'. Allowed: out, in or both"
            ));
        }
    };
    let qos = match words.next() {
        None | Some("0") => 0,
        Some("1") => 1,
        Some("2") => 2,
        Some(other) => {
            return Err(format!(
                "Invalid bridge QoS level '{other}'. Allowed: 0, 1 or 2"
            ));
        }
    };
    let mut prefix = || match words.next() {
        None | Some("\"\"") => String::new(),
        Some(prefix) => prefix.to_owned(),
    };
    let topic = BridgeTopic {
        pattern,
        direction,
        qos,
        local_prefix: prefix(),
        remote_prefix: prefix(),
    };
    check_topic(&topic)?;
    bridge.topics.push(topic);
    Ok(())
}

/// The pattern and what follows it. Quotes let it be empty, or hold spaces.
fn pattern(rest: &str) -> Result<(String, &str), String> {
    let Some(quoted) = rest.strip_prefix('"') else {
        let (word, rest) = first_word(rest);
        return Ok((word.to_owned(), rest));
    };
    let (pattern, rest) = quoted
        .split_once('"')
        .ok_or_else(|| format!("Missing closing quote in topic value ({quoted})"))?;
    Ok((pattern.to_owned(), rest))
}

fn check_topic(topic: &BridgeTopic) -> Outcome {
    for prefix in [&topic.local_prefix, &topic.remote_prefix] {
        if !prefix.is_empty() && TopicName::new(prefix).is_err() {
            return Err(format!(
                "Invalid bridge topic prefix '{prefix}'. A prefix has no wildcards"
            ));
        }
    }
    if topic.pattern.is_empty() && (topic.local_prefix.is_empty() || topic.remote_prefix.is_empty())
    {
        return Err(
            "Invalid bridge remapping. An empty pattern needs both prefixes, which are the topics then"
                .to_owned(),
        );
    }
    for prefix in [&topic.local_prefix, &topic.remote_prefix] {
        let whole = format!("{prefix}{}", topic.pattern);
        if TopicFilter::new(&whole).is_err() {
            return Err(format!(
                "Invalid bridge topic '{whole}'. It is no Topic Filter"
            ));
        }
    }
    Ok(())
}

/// `BASE [CAP [STABLE]]`, in seconds.
pub(super) fn restart_timeout(bridge: &mut Bridge, rest: &str) -> Outcome {
    let mut numbers = rest
        .split(' ')
        .filter(|word| !word.is_empty())
        .take_while(|word| !word.starts_with('#'))
        .take(3)
        .map(|word| {
            u64::try_from(parse_int(word).unwrap_or(-1))
                .map_err(|_| format!("Invalid 'restart_timeout' value ({word}). Allowed: seconds"))
        });
    let base = numbers.next().unwrap_or(Ok(1))?.clamp(1, 3_600);
    let cap = numbers.next().transpose()?.map(|cap| cap.min(7_200));
    let stable = numbers.next().transpose()?.unwrap_or(0);
    if cap.is_some_and(|cap| cap < base) {
        return Err("backoff cap is lower than the base in restart_timeout".to_owned());
    }
    bridge.restart = Restart {
        base: Duration::from_secs(base),
        cap: cap.map(Duration::from_secs),
        stable: Duration::from_secs(stable),
    };
    Ok(())
}

/// `automatic`, `lazy` or `once`; `manual` was RSMB's.
pub(super) fn start_type(bridge: &mut Bridge, rest: &str) -> Outcome {
    bridge.start_type = match first_word(rest).0 {
        "automatic" => StartType::Automatic,
        "lazy" => StartType::Lazy,
        "once" => StartType::Once,
        "manual" => {
            return Err(
                "Manual start_type not supported. Allowed: automatic, lazy or once".to_owned(),
            );
        }
        other => {
            return Err(format!(
                "Invalid 'start_type' value in configuration ({other}). Allowed: automatic, lazy or once"
            ));
        }
    };
    Ok(())
}

/// Three numbers: seconds, seconds and probes.
pub(super) fn tcp_keepalive(bridge: &mut Bridge, rest: &str) -> Outcome {
    let words = rest.split(' ').filter(|word| !word.is_empty()).take(3);
    let numbers: Vec<u32> = words
        .filter_map(|word| u32::try_from(parse_int(word).ok()?).ok())
        .filter(|number| *number > 0)
        .collect();
    let [idle, interval, probes] = numbers[..] else {
        return Err(format!(
            "Invalid 'bridge_tcp_keepalive' value ({rest}). Allowed: three numbers from 1 on: idle seconds, interval seconds, probes"
        ));
    };
    let secs = |secs: u32| Duration::from_secs(secs.into());
    bridge.tcp_keepalive = Some((secs(idle), secs(interval), probes));
    Ok(())
}

/// An address of this machine. A name could stand for several.
pub(super) fn bind_address(bridge: &mut Bridge, rest: &str) -> Outcome {
    let (word, _) = first_word(rest);
    let address = word.parse::<IpAddr>().map_err(|_| {
        format!("Invalid 'bridge_bind_address' value ({word}). Allowed: an IP address in numbers")
    })?;
    bridge.bind_address = Some(address);
    Ok(())
}
