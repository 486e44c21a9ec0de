//! What one decision about access costs: rules of several kinds and numbers, asked about a topic that none of
//! the first ones fits. `cargo run --release -p wigwag-broker --example access_cost`

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::{Duration, Instant};

use wigwag_access::acl_file::{Access, AclFile};
use wigwag_access::dynsec::{Operation, Rights, State};
use wigwag_access::rules::Who;

const DECISIONS: u32 = 1_000_000;

const WHO: Who<'_> = Who {
    client_id: "device-00042",
    user_name: Some("user-00042"),
};

const TOPIC: &str = "plant/7/line/3/device-00042/temperature";

fn main() {
    println!(
        "{:<44} {:>8} {:>8} {:>10}",
        "rules", "of whom", "users", "decision"
    );
    for rules in [1, 10, 100, 1_000] {
        for users in [100, 10_000] {
            let acl = acl_file(rules, users);
            let took = decide(|| acl.allows(WHO, Access::Read, TOPIC));
            report("ACL file, topics of the user", rules, users, took);
        }
    }
    for rules in [1, 10, 100] {
        let acl = acl_patterns(rules);
        let took = decide(|| acl.allows(WHO, Access::Read, TOPIC));
        report("ACL file, patterns", rules, 1, took);
    }
    for (roles, rules) in [(1, 1), (1, 100), (5, 10), (5, 1_000)] {
        let rights = dynsec(roles, rules);
        let took = decide(|| rights.decide(WHO, Operation::Receive(TOPIC)) == Some(true));
        let what = format!("dynamic security, {roles} roles");
        report(&what, roles * rules, 1_000, took);
    }
}

/// CPU time for one decision, the best of five rounds.
fn decide(mut allows: impl FnMut() -> bool) -> Duration {
    assert!(allows(), "the rules allow it");
    let origin = Instant::now();
    let round = |allows: &mut dyn FnMut() -> bool| {
        let start = cpu_time(origin);
        for _ in 0..DECISIONS {
            black_box(allows());
        }
        cpu_time(origin) - start
    };
    let rounds = (0..5).map(|_| round(&mut allows));
    rounds.min().unwrap_or_default() / DECISIONS
}

/// The time that this thread has had on a processor, where the system tells it; else the time that has passed.
fn cpu_time(origin: Instant) -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = told.and_then(|text| text.split(' ').next()?.parse().ok());
    nanos.map_or_else(|| origin.elapsed(), Duration::from_nanos)
}

fn report(what: &str, rules: usize, users: usize, took: Duration) {
    println!("{what:<44} {rules:>8} {users:>8} {:>7} ns", took.as_nanos());
}

fn acl_file(rules: usize, users: usize) -> AclFile {
    let mut text = String::new();
    for user in 0..users {
        _ = writeln!(text, "user user-{user:05}");
        if user == 42 {
            for rule in 1..rules {
                _ = writeln!(text, "topic read plant/{rule}/line/+/other");
            }
        }
        text.push_str("topic read plant/+/line/#\n");
    }
    AclFile::parse(text.as_bytes()).expect("valid")
}

fn acl_patterns(rules: usize) -> AclFile {
    let mut text = String::new();
    for rule in 1..rules {
        _ = writeln!(text, "pattern read plant/{rule}/line/%u/other");
    }
    text.push_str("pattern read plant/+/line/+/%c/#\n");
    AclFile::parse(text.as_bytes()).expect("valid")
}

fn dynsec(roles: usize, rules: usize) -> Rights {
    let mut file = String::from(r#"{"roles":["#);
    for role in 0..roles {
        _ = write!(file, r#"{{"rolename":"role-{role}","acls":["#);
        for rule in 0..rules {
            _ = write!(
                file,
                r#"{{"acltype":"publishClientReceive","topic":"plant/{rule}/line/+/x{role}","allow":true}},"#
            );
        }
        let topic = if role + 1 == roles {
            "plant/+/line/#"
        } else {
            "none"
        };
        _ = write!(
            file,
            r#"{{"acltype":"publishClientReceive","topic":"{topic}","allow":true}}]}},"#
        );
    }
    file.pop();
    file.push_str(r#"],"clients":["#);
    let all: Vec<String> = (0..roles)
        .map(|role| format!(r#"{{"rolename":"role-{role}"}}"#))
        .collect();
    for user in 0..1_000 {
        _ = write!(
            file,
            r#"{{"username":"user-{user:05}","roles":[{}]}},"#,
            all.join(",")
        );
    }
    file.pop();
    file.push_str("]}");
    let (mut state, _) = State::load(file.as_bytes()).expect("valid");
    state.rights()
}
