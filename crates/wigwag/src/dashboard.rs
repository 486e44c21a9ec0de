//! `wigwag dashboard`: the web UI for any broker, or several.

use std::future::Future;
use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use tokio::net::TcpListener;
use wigwag_broker::http::{Router, only_for_own_pages, serve_router};

use crate::listen::{AddressArgs, cannot_listen};
use crate::output::say;
use crate::page::PageConfig;
use crate::shown::{Shown, TlsArgs, plan};
use crate::shutdown::Shutdown;

/// Where the web UI listens.
#[derive(Debug, clap::Args)]
pub(crate) struct HttpArgs {
    /// Port for the web UI; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 3000)]
    pub(crate) http_port: u16,

    /// Where else the page is opened, behind a proxy or by a public name, as https://NAME or http://NAME:PORT; may be
    /// repeated
    #[arg(long, value_name = "ORIGIN", value_parser = parse_origin)]
    pub(crate) origin: Vec<String>,
}

/// Options of `wigwag dashboard`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Broker to show, with a name of its own if you like: mqtt://HOST, mqtts://HOST or unix:///PATH through this
    /// server, ws://HOST:PORT/PATH or wss://… directly from the browser; may be repeated
    #[arg(
        long,
        value_name = "[NAME=]URL",
        default_value = "ws://localhost:9001",
        value_parser = Shown::parse,
    )]
    broker: Vec<Shown>,
    #[command(flatten)]
    tls: TlsArgs,
    #[command(flatten)]
    address: AddressArgs,
    #[command(flatten)]
    http: HttpArgs,
}

fn parse_origin(text: &str) -> Result<String, String> {
    let host = text
        .strip_prefix("http://")
        .or_else(|| text.strip_prefix("https://"));
    match host {
        Some(host) if !host.is_empty() && !host.contains(['/', '?', '#', '@', ' ']) => {
            Ok(text.to_ascii_lowercase())
        }
        _ => Err(
            "no origin; write http://NAME, http://NAME:PORT or https://…, without a path"
                .to_owned(),
        ),
    }
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut shutdown = Shutdown::listen()?;
    let (brokers, relays) = plan(&args.broker, &args.tls)?;
    let server = WebServer::bind(args.address, &args.http).await?;
    for broker in &args.broker {
        say!("broker    {}  {}", broker.url(), broker.name());
    }
    print_page(args.address, server.addr.port());
    say!("ready     Ctrl-C stops");
    let router = wigwag_ui::router(serde_json::to_value(PageConfig::new(brokers))?).merge(relays);
    let router = only_for_own_pages(router, &args.http.origin);
    server.serve(router, shutdown.requested()).await?;
    Ok(ExitCode::SUCCESS)
}

/// Prints where a browser on this machine finds the web UI.
pub(crate) fn print_page(address: AddressArgs, port: u16) {
    let note = if wigwag_ui::is_built() {
        ""
    } else {
        "  (built without Node: the page says how to get it)"
    };
    say!("web ui    http://{}:{port}{note}", address.host());
}

/// The web UI on a port that is open.
struct WebServer {
    listener: TcpListener,
    addr: SocketAddr,
}

impl WebServer {
    async fn bind(address: AddressArgs, http: &HttpArgs) -> anyhow::Result<WebServer> {
        let addr = SocketAddr::new(address.listen, http.http_port);
        let listener = TcpListener::bind(addr)
            .await
            .map_err(|error| cannot_listen(addr, "--http-port", &error))?;
        let addr = listener
            .local_addr()
            .context("the web UI's socket has no address")?;
        Ok(WebServer { listener, addr })
    }

    /// Serves until `stop`.
    async fn serve(self, router: Router, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
        let serve = serve_router(self.listener, router);
        // A page that is open keeps its connection; nothing is lost when that is cut.
        tokio::select! {
            served = serve => served.context("the web UI's server has failed")?,
            () = stop => return Ok(()),
        }
        bail!("the web UI's server has ended")
    }
}
