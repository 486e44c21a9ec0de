//! SCRAM-SHA-256 against Mosquitto with GNU SASL: neither the server nor its SCRAM is ours. The plugin that
//! brings them together is `tests/foreign/scram_plugin.c`, built here.

use std::path::PathBuf;
use std::sync::LazyLock;

use wigwag_client::{
    Authenticator, Bytes, Event, Fatal, OfflineReason, ReasonCode, ReauthenticateError, Scram,
};

use super::*;

/// The plugin, built once.
static PLUGIN: LazyLock<(TempDir, PathBuf)> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let plugin = folder.path().join("scram_plugin.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/foreign/scram_plugin.c");
    let built = std::process::Command::new("cc")
        .args(["-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o"])
        .arg(&plugin)
        .args([source, "-lgsasl"])
        .output()
        .expect("a C compiler");
    assert!(
        built.status.success(),
        "the plugin cannot be built; `cargo xtask setup` installs what it needs: {}",
        String::from_utf8_lossy(&built.stderr)
    );
    (folder, plugin)
});

async fn mosquitto(iterations: u32) -> Mosquitto {
    let plugin = PLUGIN.1.display();
    let options = format!("plugin {plugin}\nplugin_opt_iterations {iterations}\n");
    Mosquitto::start_with(&options).await
}

fn scram(password: &str) -> Scram {
    Scram::sha256("user", password).expect("allowed")
}

/// Why the server does not let the client in.
async fn refused(broker: &Mosquitto, authenticator: impl Authenticator + Clone + Sync) -> Fatal {
    let builder = builder(&broker.tcp()).authenticator(authenticator);
    let client = builder.build().expect("valid");
    client.start();
    within(client.await_connection())
        .await
        .expect_err("refused")
}

fn is_refused(fatal: &Fatal, wanted: ReasonCode) -> bool {
    matches!(fatal.reason, OfflineReason::Refused { reason, .. } if reason == wanted)
}

async fn publish(client: &Client) {
    let publishing = client.publish(Publish::new("a", "").qos(Qos::AtLeastOnce));
    assert_eq!(within(publishing).await, Ok(Outcome::Delivered));
}

#[tokio::test]
async fn both_ends_prove_themselves_again_and_again() {
    let broker = mosquitto(4_096).await;
    let client = online(builder(&broker.tcp()).authenticator(scram("pencil"))).await;
    publish(&client).await;
    for _ in 0..3 {
        within(client.reauthenticate()).await.expect("accepted");
        publish(&client).await;
    }
    let mut events = client.events();
    client.terminate_connection();
    let is_online = |event: &Event| matches!(event, Event::State(State::Online { .. }));
    while !is_online(&within(events.recv()).await.expect("few events")) {}
    publish(&client).await;
    assert!(within(client.disconnect()).await.is_clean());
}

#[tokio::test]
async fn the_example_tells_how_it_went() {
    let broker = mosquitto(4_096).await;
    let address = broker.tcp();
    let run = |password| crate::examples::scram::run(&address, "user", password);
    let watcher = online(builder(&broker.tcp())).await;
    let (handler, mut messages) = collect();
    let subscribing = watcher.subscribe("wigwag/example/scram", Qos::AtLeastOnce, handler);
    within(subscribing).await.expect("granted");
    within(run("pencil")).await.expect("it works");
    assert_eq!(next(&mut messages).await.payload(), "authenticated twice");
    let refused = within(run("pencils")).await.expect_err("a wrong password");
    assert!(refused.to_string().contains("not authorized"), "{refused}");
}

#[tokio::test]
async fn who_does_not_know_the_password_stays_outside() {
    let broker = mosquitto(4_096).await;
    let wrong = refused(&broker, scram("pencils")).await;
    assert!(is_refused(&wrong, ReasonCode::NotAuthorized), "{wrong}");
    let unknown = Scram::sha256("nobody", "pencil").expect("allowed");
    let unknown = refused(&broker, unknown).await;
    assert!(is_refused(&unknown, ReasonCode::NotAuthorized), "{unknown}");
}

#[tokio::test]
async fn a_method_that_the_server_does_not_know_is_refused_for_good() {
    #[derive(Clone)]
    struct Other;

    impl Authenticator for Other {
        fn method(&self) -> &str {
            "OTHER"
        }

        fn start(&mut self) -> Result<Option<Bytes>, Box<dyn std::error::Error + Send + Sync>> {
            Ok(None)
        }

        fn proceed(
            &mut self,
            _: Option<Bytes>,
        ) -> Result<Option<Bytes>, Box<dyn std::error::Error + Send + Sync>> {
            Ok(None)
        }

        fn finish(
            &mut self,
            _: Option<Bytes>,
        ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
            Ok(())
        }
    }

    let broker = mosquitto(4_096).await;
    let fatal = refused(&broker, Other).await;
    assert!(
        is_refused(&fatal, ReasonCode::BadAuthenticationMethod),
        "{fatal}"
    );
}

#[tokio::test]
async fn a_server_that_asks_for_too_little_work_gets_no_proof() {
    let broker = mosquitto(1_000).await;
    let client = builder(&broker.tcp()).authenticator(scram("pencil"));
    let client = client.build().expect("valid");
    client.start();
    let state = wait_for_state(&client, |state| {
        matches!(state, State::Offline { next: Some(_), .. })
    })
    .await;
    let State::Offline { reason, .. } = state else {
        unreachable!("it was waited for");
    };
    let text = "the authentication failed: the server asks for 1000 iterations; 4096 to 1000000 are allowed";
    assert_eq!(reason.to_string(), text);
    let few = builder(&broker.tcp()).authenticator(scram("pencil").iterations(1_000..=1_000));
    publish(&online(few).await).await;
}

#[tokio::test]
async fn a_reauthentication_that_the_server_refuses_ends_the_connection() {
    let broker = mosquitto(4_096).await;
    let made = Arc::new(AtomicUsize::new(0));
    let second_wrong = builder(&broker.tcp()).authenticator_with(move |_| {
        let is_second = made.fetch_add(1, Ordering::Relaxed) == 1;
        let password = if is_second { "pencils" } else { "pencil" };
        async move { Scram::sha256("user", password) }
    });
    let client = online(second_wrong).await;
    let error = within(client.reauthenticate()).await.expect_err("refused");
    assert!(matches!(error, ReauthenticateError::Ended(_)), "{error}");
    wait_for_state(&client, State::is_online).await;
    publish(&client).await;
}
