//! `ctrl` beside `mosquitto_ctrl`: what is said of commands and answers, with dynamic security of Mosquitto's and of ours;
//! and what ours alone has, a file without a broker and a shell.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use super::{Golden, Run, run, text};
use crate::broker::{Kind, free_port};
use crate::configured::Configured;
use crate::process::Process;
use crate::security::plugin;
use crate::tools;

against_both_brokers!(
    it_says_what_mosquittos_says,
    a_file_made_by_ours_is_good_for
);

const STOP: &str = "2.1 ends it with a full stop";
const WIDTH: &str = "2.1 makes room for the connections, and has a label for them";
const SAYS_WHICH: &str = "ours says what is wrong";
const HINT: &str = "ours says where the usage is, in place of printing it";

/// A command of the administrator.
macro_rules! dynsec {
    ($words:literal) => {
        run(concat!("-p {port} -u admin -P secret dynsec ", $words))
    };
}

/// A command that the broker refuses; Mosquitto's tool ends with 0 then.
macro_rules! refused {
    ($words:literal, $said:literal) => {
        dynsec!($words)
            .differs(STOP, "", concat!($said, ".\n"), 0)
            .own_code(1)
    };
}

/// An option that is wrong.
macro_rules! wrong_option {
    ($words:literal, $said:literal) => {
        run($words).differs(
            HINT,
            "",
            concat!(
                "Error: ",
                $said,
                "\n\nUse 'mosquitto_ctrl --help' to see usage.\n"
            ),
            1,
        )
    };
}

/// Commands that are carried out or refused by a broker.
const ANSWERED: &[Run] = &[
    dynsec!("getDefaultACLAccess"),
    dynsec!("GETDEFAULTaclACCESS"),
    dynsec!("setDefaultACLAccess subscribe allow"),
    dynsec!("setDefaultACLAccess PUBLISHclientSEND DENY"),
    dynsec!("getAnonymousGroup"),
    dynsec!("setAnonymousGroup h"),
    refused!(
        "setAnonymousGroup none",
        "setAnonymousGroup: Error: Group not found"
    ),
    dynsec!("createClient carol -p c"),
    dynsec!("createClient carol -c id -p c"),
    dynsec!("createClient carol"),
    refused!(
        "createClient bob -p b",
        "createClient: Error: Client already exists"
    ),
    dynsec!("deleteClient bob"),
    refused!("deleteClient none", "deleteClient: Error: Client not found"),
    dynsec!("setClientPassword bob new"),
    refused!(
        "setClientPassword none new",
        "setClientPassword: Error: Client not found"
    ),
    dynsec!("setClientId bob id"),
    dynsec!("setClientId bob"),
    refused!("setClientId none", "setClientId: Error: Client not found"),
    dynsec!("addClientRole bob admin"),
    dynsec!("addClientRole bob admin 7"),
    dynsec!("addClientRole bob admin -1"),
    refused!(
        "addClientRole bob none",
        "addClientRole: Error: Role not found"
    ),
    refused!(
        "addClientRole none r",
        "addClientRole: Error: Client not found"
    ),
    dynsec!("removeClientRole bob r"),
    refused!(
        "removeClientRole none r",
        "removeClientRole: Error: Client not found"
    ),
    dynsec!("enableClient bob"),
    dynsec!("disableClient bob"),
    refused!(
        "disableClient none",
        "disableClient: Error: Client not found"
    ),
    refused!("getClient none", "getClient: Error: Client not found"),
    dynsec!("listClients"),
    dynsec!("listClients 1"),
    dynsec!("listClients 1 1"),
    dynsec!("listClients 0"),
    dynsec!("listClients 5 1"),
    dynsec!("createGroup carol"),
    refused!("createGroup g", "createGroup: Error: Group already exists"),
    dynsec!("deleteGroup g"),
    refused!("deleteGroup none", "deleteGroup: Error: Group not found"),
    dynsec!("addGroupRole g admin"),
    dynsec!("addGroupRole g admin 3"),
    refused!(
        "addGroupRole none r",
        "addGroupRole: Error: Group not found"
    ),
    dynsec!("removeGroupRole g r"),
    dynsec!("addGroupClient g dora"),
    dynsec!("addGroupClient g dora 4"),
    refused!(
        "addGroupClient g none",
        "addGroupClient: Error: Client not found"
    ),
    dynsec!("removeGroupClient g bob"),
    dynsec!("getGroup g"),
    refused!("getGroup none", "getGroup: Error: Group not found"),
    dynsec!("listGroups"),
    dynsec!("listGroups 1"),
    dynsec!("createRole carol"),
    refused!("createRole r", "createRole: Error: Role already exists"),
    dynsec!("deleteRole s"),
    refused!("deleteRole none", "deleteRole: Error: Role not found"),
    dynsec!("addRoleACL r publishClientReceive c allow"),
    dynsec!("addRoleACL r subscribeLITERAL c/# DENY 9"),
    refused!(
        "addRoleACL r publishClientSend a/b allow",
        "addRoleACL: Error: ACL with this topic already exists"
    ),
    refused!(
        "addRoleACL r publishClientSend a#b allow",
        "addRoleACL: Error: Invalid ACL topic"
    ),
    refused!(
        "addRoleACL none publishClientSend a allow",
        "addRoleACL: Error: Role not found"
    ),
    dynsec!("removeRoleACL r publishClientSend a/b"),
    dynsec!("getRole r"),
    dynsec!("getrole admin"),
    refused!("getRole none", "getRole: Error: Role not found"),
    dynsec!("listRoles"),
    dynsec!("listRoles 1 1"),
    run("-L mqtt://admin:secret@localhost:{port}/x dynsec listRoles"),
    run("-h 127.0.0.1 -p {port} -u admin -P secret -q 2 -i me -V 311 dynsec listRoles"),
    run("-p {port} -u admin -P secret --quiet -v -q 0 DYNSEC listRoles"),
    run("-p {port} -u admin -P wrong dynsec listRoles").own_code(135),
    run("-p {port} -u admin -P wrong -V 311 dynsec listRoles").own_code(5),
    run("-p {port} dynsec listRoles").own_code(135),
];

/// Commands that nobody is asked to carry out.
const REFUSED_HERE: &[Run] = &[
    dynsec!("createClient"),
    dynsec!("createClient carol -p"),
    dynsec!("createClient carol -c"),
    dynsec!("deleteClient"),
    dynsec!("deleteClient a b"),
    dynsec!("getClient"),
    dynsec!("setClientId"),
    dynsec!("setDefaultACLAccess subscribe"),
    dynsec!("setDefaultACLAccess subscribe maybe"),
    dynsec!("createRole a b"),
    dynsec!("listClients 1 2 3"),
    dynsec!("addRoleACL r publishClientSend"),
    dynsec!("removeRoleACL r publishClientSend"),
    dynsec!("nothing"),
    run("nothing listClients"),
    run("dynsec init"),
    run("dynsec init {folder}/new"),
    run("dynsec init {folder}/new admin a b"),
    run("dynsec init {folder}/there admin a").own_code(1),
    run("dynsec init {folder}/none/new admin a").differs(
        "2.1 says why",
        "",
        "dynsec init: Unable to open '{folder}/none/new' for writing (No such file or directory).\n",
        0,
    ).own_code(1),
    run("dynsec init {folder}/new admin").own_code(1),
    run("dynsec init {folder}/new admin").input("a\nb\n").own_code(1),
    dynsec!("setClientPassword bob").own_code(1),
    run("-p {closed} dynsec listClients"),
    run("-h no-such-host.invalid --quiet dynsec listClients"),
    dynsec!("listClients x").differs(
        SAYS_WHICH,
        "",
        "Error: 'x' is not a number.\nError: Invalid function arguments provided.\n",
        3,
    ),
    dynsec!("createClient carol -p c -x y").differs(
        SAYS_WHICH,
        "",
        "Error: Unknown argument: -x\nError: Invalid function arguments provided.\n",
        3,
    ),
    dynsec!("setDefaultACLAccess bogus allow").differs(
        SAYS_WHICH,
        "",
        "Error: 'bogus' is none of publishClientSend, publishClientReceive, subscribe, unsubscribe.\nError: Invalid function arguments provided.\n",
        3,
    ),
    dynsec!("addRoleACL r bogus a allow").differs(
        SAYS_WHICH,
        "",
        "Error: 'bogus' is none of publishClientSend, publishClientReceive, subscribeLiteral, subscribePattern, unsubscribeLiteral, unsubscribePattern.\nError: Invalid function arguments provided.\n",
        3,
    ),
    dynsec!("addRoleACL r publishClientSend a maybe").differs(
        SAYS_WHICH,
        "",
        "Error: access must be \"allow\" or \"deny\".\nError: Invalid function arguments provided.\n",
        3,
    ),
    wrong_option!("-A", "-A argument given but no address specified."),
    wrong_option!("--cafile", "--cafile argument given but no file specified."),
    wrong_option!("--capath", "--capath argument given but no directory specified."),
    wrong_option!("--ciphers", "--ciphers argument given but no ciphers specified."),
    wrong_option!("-h", "-h argument given but no host specified."),
    wrong_option!("-i", "-i argument given but no id specified."),
    wrong_option!("-L", "-L argument given but no URL specified."),
    wrong_option!("-p", "-p argument given but no port specified."),
    wrong_option!("-P", "-P argument given but no password specified."),
    wrong_option!("-q", "-q argument given but no QoS specified."),
    wrong_option!("-u", "-u argument given but no username specified."),
    wrong_option!("-V", "--protocol-version argument given but no version specified."),
    wrong_option!("--unix", "--unix argument given but no socket path specified."),
    wrong_option!("--nothing", "Unknown option '--nothing'."),
    wrong_option!("-p 99999 dynsec x", "Invalid port given: 99999"),
    wrong_option!("-q 3 dynsec x", "Invalid QoS given: 3"),
];

/// Clients as the broker knows them, each with the connections that it tells of.
const CLIENTS: &[Run] = &[
    dynsec!("getClient bob").differs(
        WIDTH,
        "Username:    bob\nClientid:    theid\nRoles:       r (priority: 2)\nGroups:      g (priority: 4)\n",
        "",
        0,
    ),
    dynsec!("getClient admin").differs(
        WIDTH,
        "Username:    admin\nClientid:\nRoles:       admin (priority: -1)\nConnections: 127.0.0.1\n",
        "",
        0,
    ),
];

/// What comes before each call: a state that is always the same. Mosquitto 2.0 does not survive the end of a group with
/// clients in it, nor that of the one for clients without a name, nor that of
/// a group whose role has gone before.
const RESET: &str = r#"{"commands":[
    {"command":"createGroup","groupname":"h"},{"command":"setAnonymousGroup","groupname":"h"},
    {"command":"deleteClient","username":"bob"},{"command":"deleteClient","username":"carol"},
    {"command":"deleteClient","username":"dora"},{"command":"createClient","username":"dora"},
    {"command":"deleteGroup","groupname":"g"},{"command":"deleteGroup","groupname":"carol"},
    {"command":"deleteRole","rolename":"r"},{"command":"deleteRole","rolename":"carol"},
    {"command":"createRole","rolename":"s"},
    {"command":"createRole","rolename":"r","acls":[
        {"acltype":"publishClientSend","topic":"a/b","priority":0,"allow":true},
        {"acltype":"subscribePattern","topic":"b/#","priority":5,"allow":false}]},
    {"command":"createGroup","groupname":"g","roles":[{"rolename":"r","priority":3}]},
    {"command":"createClient","username":"bob","clientid":"theid","roles":[{"rolename":"r","priority":2}],
        "groups":[{"groupname":"g","priority":4}]},
    {"command":"setDefaultACLAccess","acls":[{"acltype":"publishClientSend","allow":true},{"acltype":"subscribe","allow":false}]}
]}"#;

/// A broker with dynamic security, whose administrator has the password `secret`.
fn guarded(kind: Kind, init: &mut Command) -> (Configured, u16) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("d.json");
    let output = init.args(["dynsec", "init"]).arg(&file);
    let output = output.args(["admin", "secret"]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let port = free_port();
    let text = format!(
        "listener {port} 127.0.0.1\nplugin {}\nplugin_opt_config_file {}\nuser root\n",
        plugin(),
        file.display()
    );
    (Configured::start(kind, folder, &text), port)
}

fn reset(port: u16) {
    const TOPIC: &str = "$CONTROL/dynamic-security/v1";
    let mut command = tools::system("mosquitto_rr");
    command.args(["-h", "127.0.0.1", "-p", &port.to_string()]);
    command.args(["-i", "reset", "-u", "admin", "-P", "secret"]);
    command.args(["-W", "20", "-m", RESET]);
    let answers = format!("{TOPIC}/response");
    let output = command
        .args(["-t", TOPIC, "-e", &answers])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

fn golden(port: u16) -> Golden {
    let golden = Golden::new("mosquitto_ctrl", "ctrl", port);
    fs::write(golden.folder().join("there"), "").unwrap();
    // Ours warns where it is true: not on the way to this machine.
    golden.setting_aside(&[
        "Warning: You are running mosquitto_ctrl without encryption.",
        "This means all of the configuration changes you are making are visible on the network, including passwords.",
        "",
    ])
}

fn it_says_what_mosquittos_says(kind: Kind) {
    let (broker, port) = guarded(kind, &mut tools::system("mosquitto_ctrl"));
    let golden = golden(port);
    golden.play(ANSWERED, || reset(port));
    // Mosquitto 2.0 does not tell of connections.
    if kind == Kind::Wigwag {
        golden.play(CLIENTS, || {
            broker.process.skip();
            reset(port);
            // It has the name of the administrator too, whose connections are told.
            broker.process.await_line("that it has left", |line| {
                line.contains(": Client reset ") && line.contains(" disconnected")
            });
        });
        golden.play(REFUSED_HERE, || {
            _ = fs::remove_file(golden.folder().join("new"));
        });
    }
}

fn ours() -> Command {
    let mut command = tools::wigwag();
    command.arg("ctrl");
    command
}

fn a_file_made_by_ours_is_good_for(kind: Kind) {
    let (_broker, port) = guarded(kind, &mut ours());
    for program in [ours(), tools::system("mosquitto_ctrl")] {
        let mut program = program;
        let port = port.to_string();
        program.args([
            "-h",
            "127.0.0.1",
            "-p",
            &port,
            "-u",
            "admin",
            "-P",
            "secret",
        ]);
        let output = program.args(["dynsec", "listClients"]).output().unwrap();
        assert_eq!(text(&output.stdout), "admin\n", "{output:?}");
    }
}

fn in_file(file: &Path, words: &str) -> Output {
    let mut command = ours();
    command.arg("-f").arg(file).arg("dynsec");
    command.args(words.split(' ')).output().unwrap()
}

#[test]
fn a_file_is_administered_without_a_broker() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("d.json");
    let init = ours()
        .args(["dynsec", "init"])
        .arg(&file)
        .args(["root", "secret"])
        .output();
    assert!(init.unwrap().status.success());
    for words in [
        "createRole talker",
        "addRoleACL talker publishClientSend talk/# allow",
        "createClient ann -p anns",
        "addClientRole ann talker 7",
        "modifyClient ann textName Ann",
        "setClientPassword root other",
    ] {
        let output = in_file(&file, words);
        assert!(output.status.success(), "{words}: {output:?}");
    }
    let said = in_file(&file, "getClient ann").stdout;
    let expect = "Username:    ann\nClientid:\nName:        Ann\nRoles:       talker (priority: 7)\nConnections:\n";
    assert_eq!(text(&said), expect);
    let refused = in_file(&file, "createRole talker");
    assert_eq!(
        (text(&refused.stderr), refused.status.code()),
        (
            "createRole: Error: Role already exists.\n".to_owned(),
            Some(1)
        )
    );
    let port = free_port();
    let text = format!(
        "listener {port} 127.0.0.1\nplugin {}\nplugin_opt_config_file {}\nuser root\n",
        plugin(),
        file.display()
    );
    let _broker = Configured::start(Kind::Wigwag, folder, &text);
    for (user, password, code) in [
        ("ann", "anns", 0),
        ("root", "other", 0),
        ("root", "secret", 5),
    ] {
        let mut command = tools::system("mosquitto_pub");
        command.args([
            "-h",
            "127.0.0.1",
            "-t",
            "talk/a",
            "-m",
            "x",
            "-p",
            &port.to_string(),
        ]);
        let found = command.args(["-u", user, "-P", password]).output().unwrap();
        assert_eq!(found.status.code(), Some(code), "{user}");
    }
}

/// Says lines to the shell, and gives what comes of them.
fn shell(arguments: &[&str], lines: &str) -> (String, String, Option<i32>) {
    let mut command = ours();
    command.args(arguments).stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), lines.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    (
        text(&output.stdout),
        text(&output.stderr),
        output.status.code(),
    )
}

#[test]
fn the_shell_asks_one_thing_after_the_other() {
    let (_broker, port) = guarded(Kind::Wigwag, &mut ours());
    let url = format!("mqtt://admin:secret@127.0.0.1:{port}");
    let lines = format!(
        "connect {url}\nbroker\nlistPlugins\nreturn\ndynsec\ncreateClient 'ann b' pass theid\ngetclient \"ann b\"\n\
         createGroup people\naddGroupClient people 'ann b'\nlistGroups\ncreateGroup people\ndisconnect\nlistGroups\nexit\nnever\n"
    );
    let (said, errors, code) = shell(&[], &lines);
    let expect = "OK\nUsername:    ann b\nClientid:    theid\nOK\nOK\npeople\n";
    assert_eq!((said.as_str(), code), (expect, Some(1)), "{errors}");
    let errors: Vec<&str> = errors.lines().collect();
    let [plugins, _advice, exists, unknown] = errors.as_slice() else {
        panic!("{errors:?}");
    };
    assert_eq!(*plugins, "Subscribe error: Not authorized");
    assert_eq!(
        (*exists, *unknown),
        ("Group already exists", "Unknown command 'listGroups'")
    );
}

#[test]
fn the_shell_works_on_a_file_too_and_connects_where_it_was_told_to() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("d.json");
    let path = file.to_str().unwrap();
    ours()
        .args(["dynsec", "init", path, "root", "secret"])
        .output()
        .unwrap();
    let (said, errors, code) = shell(&["-f", path], "listRoles\ncreateRole r\nlistRoles\n");
    assert_eq!(
        (said.as_str(), code),
        ("admin\nOK\nadmin\nr\n", Some(0)),
        "{errors}"
    );
    let (_broker, port) = guarded(Kind::Wigwag, &mut ours());
    let port = port.to_string();
    let arguments = [
        "-h",
        "127.0.0.1",
        "-p",
        &port,
        "-u",
        "admin",
        "-P",
        "secret",
    ];
    let (said, errors, _) = shell(
        &arguments,
        "dynsec\nlistRoles\ncreateClient ann\nanns\nanns\nlistClients\n",
    );
    let asked = "Enter new password for ann. Press return for no password (user will be unable to login).\nNew password for ann: \nReenter password for ann: \n";
    assert_eq!(said, format!("admin\n{asked}OK\nadmin\nann\n"), "{errors}");
}

#[test]
fn the_shell_completes_what_is_typed_in_a_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("d.json");
    let path = file.to_str().unwrap();
    let init = ["dynsec", "init", path, "root", "secret"];
    assert!(ours().args(init).output().unwrap().status.success());
    let called = format!("{} ctrl -f {path}", env!("CARGO_BIN_EXE_wigwag"));
    // A terminal between the test and the tool.
    let mut terminal = tools::system("script");
    terminal
        .args(["-q", "-c", &called, "/dev/null"])
        .env("TERM", "xterm");
    let mut process = Process::start(&mut terminal);
    process.await_line("what it is", |line| line.contains("ctrl shell"));
    process.type_in("createRol\ttalker\r");
    process.await_line("that it is done", |line| line.contains("OK"));
    process.type_in("getRo\tta\t\r");
    process.await_line("the role", |line| line.contains("Rolename: talker"));
    process.feed("exit\r");
    assert!(process.await_exit().success(), "{}", process.said());
}

#[test]
fn answers_are_printed_as_json_if_that_is_wanted() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("d.json");
    let path = file.to_str().unwrap();
    ours()
        .args(["dynsec", "init", path, "root", "secret"])
        .output()
        .unwrap();
    let ask = |words: &[&str]| {
        let mut command = ours();
        let output = command
            .args(["--json", "-f", path, "dynsec"])
            .args(words)
            .output()
            .unwrap();
        (
            text(&output.stdout),
            text(&output.stderr),
            output.status.code(),
        )
    };
    let (said, errors, code) = ask(&["listRoles"]);
    let expect = r#"{"command":"listRoles","data":{"roles":["admin"],"totalCount":1}}"#;
    assert_eq!(
        (said.trim_end(), errors.as_str(), code),
        (expect, "", Some(0))
    );
    let (said, errors, code) = ask(&["getRole", "none"]);
    let expect = r#"{"command":"getRole","error":"Role not found"}"#;
    assert_eq!(
        (said.trim_end(), errors.as_str(), code),
        (expect, "", Some(1))
    );
}
