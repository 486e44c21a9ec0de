//! How long brokers take to start: from the start of the process to the CONNACK of the first client. One
//! argument for each, a command that takes `-c FILE`; they take turns, and every wait has an end.
//! `cargo run --release -p wigwag --example start_up -- mosquitto "target/release/wigwag broker"`

use std::error::Error;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const STARTS: usize = 20;

/// A broker that has not answered by then is an error.
const PATIENCE: Duration = Duration::from_secs(10);

/// Between two attempts: short beside what is measured, and long enough to leave the broker the core.
const PAUSE: Duration = Duration::from_micros(100);

/// MQTT 3.1.1, Clean Session, Client Identifier `a`.
const CONNECT: &[u8] = b"\x10\x0d\0\x04MQTT\x04\x02\0\x3c\0\x01a";

const ACCEPTED: [u8; 4] = [0x20, 2, 0, 0];

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let commands: Vec<String> = std::env::args().skip(1).collect();
    if commands.is_empty() {
        return Err("name the commands that start a broker, each in quotes".into());
    }
    let file = std::env::temp_dir().join(format!("start-up-{}.conf", std::process::id()));
    let measured = measure(&commands, &file);
    fs::remove_file(&file)?;
    println!("   least  median    most  milliseconds of {STARTS} starts");
    for (command, mut took) in commands.iter().zip(measured?) {
        took.sort();
        let ms = |index: usize| took[index].as_secs_f64() * 1_000.0;
        let (least, median, most) = (ms(0), ms(STARTS / 2), ms(STARTS - 1));
        println!("{least:8.1}{median:8.1}{most:8.1}  {command}");
    }
    Ok(())
}

/// What each start took, for each command.
fn measure(commands: &[String], file: &Path) -> Result<Vec<Vec<Duration>>, Box<dyn Error>> {
    let mut measured = vec![Vec::with_capacity(STARTS); commands.len()];
    for _ in 0..STARTS {
        for (command, took) in commands.iter().zip(&mut measured) {
            let addr = free_addr()?;
            let text = format!(
                "listener {} {}\nallow_anonymous true\n",
                addr.port(),
                addr.ip()
            );
            fs::write(file, text)?;
            took.push(start(command, file, addr).map_err(|error| format!("{command}: {error}"))?);
        }
    }
    Ok(measured)
}

fn free_addr() -> io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}

/// Is ended with its value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to kill.
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

fn start(command: &str, file: &Path, addr: SocketAddr) -> Result<Duration, Box<dyn Error>> {
    let mut words = command.split_ascii_whitespace();
    let mut program = Command::new(words.next().ok_or("it is empty")?);
    program.args(words).arg("-c").arg(file);
    program.stdout(Stdio::null()).stderr(Stdio::null());
    let begun = Instant::now();
    let mut broker = Running(program.spawn()?);
    loop {
        // A broker that is not there yet refuses at once.
        if let Ok(stream) = TcpStream::connect_timeout(&addr, PATIENCE) {
            is_accepted(stream)?;
            return Ok(begun.elapsed());
        }
        if let Some(status) = broker.0.try_wait()? {
            return Err(format!("ended with {status}").into());
        }
        if begun.elapsed() > PATIENCE {
            return Err(format!("does not listen within {PATIENCE:?}").into());
        }
        thread::sleep(PAUSE);
    }
}

fn is_accepted(mut stream: TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(CONNECT)?;
    let mut answer = [0; ACCEPTED.len()];
    stream.read_exact(&mut answer)?;
    if answer == ACCEPTED {
        Ok(())
    } else {
        Err(io::Error::other(format!("answers {answer:?}")))
    }
}
