//! What a client costs that has nothing to do: measured in a process of its own, this test binary told by
//! the environment to be idle.

use wigwag_client::Message;

use super::*;

const ADDRESS: &str = "WIGWAG_IDLE_TEST_ADDRESS";
const WARM_UP: usize = 50;
const CLIENTS: usize = 300;

/// Resident memory of this process in bytes.
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1));
    kib.and_then(|kib| kib.parse::<usize>().ok()).expect("KiB") * 1024
}

async fn connected(address: &str, count: usize) -> Vec<Client> {
    let mut clients = Vec::new();
    for _ in 0..count {
        let client = online(builder(address)).await;
        within(client.subscribe("idle", Qos::AtLeastOnce, |_: Message| ()))
            .await
            .expect("granted");
        let publish = Publish::new("busy", "once").qos(Qos::AtLeastOnce);
        assert_eq!(
            within(client.publish(publish)).await,
            Ok(Outcome::Delivered)
        );
        clients.push(client);
    }
    clients
}

/// Not a test of its own: the child of the test below, which does nothing in an ordinary run.
#[tokio::test]
async fn the_process_that_is_idle() {
    let Ok(address) = std::env::var(ADDRESS) else {
        return;
    };
    let few = connected(&address, WARM_UP).await;
    let before = resident();
    let many = connected(&address, CLIENTS).await;
    println!("resident {}", resident().saturating_sub(before) / CLIENTS);
    drop((few, many));
}

#[tokio::test]
async fn an_idle_client_takes_at_most_32_kib() {
    let broker = Mosquitto::start().await;
    let output = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "mosquitto::idle::the_process_that_is_idle"])
        .arg("--nocapture")
        .env(ADDRESS, broker.tcp())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = within(output).await.expect("started").stdout;
    let output = String::from_utf8_lossy(&output);
    let (_, rest) = output.split_once("resident ").expect("a figure");
    let bytes: usize = rest
        .lines()
        .next()
        .and_then(|line| line.parse().ok())
        .expect("bytes");
    println!("{bytes} bytes for each idle client");
    assert!(bytes <= 32 * 1024, "{bytes} bytes");
}
