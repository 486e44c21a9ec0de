//! `wigwag dashboard`: the web UI for any broker that speaks MQTT over WebSocket.

use std::future::Future;
use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use tokio::net::TcpListener;
use wigwag_broker::http::{Router, serve_router};

use crate::listen::{AddressArgs, cannot_listen};
use crate::output::say;
use crate::page::{PageBroker, PageConfig, Way};
use crate::shutdown::Shutdown;

/// Where the web UI listens.
#[derive(Debug, clap::Args)]
pub(crate) struct HttpArgs {
    /// Port for the web UI; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 3000)]
    pub(crate) http_port: u16,
}

/// Options of `wigwag dashboard`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Broker that the browser connects to: ws://HOST:PORT/PATH or wss://…
    #[arg(long, value_name = "URL", default_value = "ws://localhost:9001", value_parser = check_url)]
    broker: String,
    #[command(flatten)]
    address: AddressArgs,
    #[command(flatten)]
    http: HttpArgs,
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut shutdown = Shutdown::listen()?;
    let server = WebServer::bind(args.address, &args.http).await?;
    say!("broker    {}", args.broker);
    server.print(args.address);
    say!("ready     Ctrl-C stops");
    let broker = PageBroker::elsewhere("broker", Way::Url(args.broker.clone()));
    server
        .serve(vec![broker], None, shutdown.requested())
        .await?;
    Ok(ExitCode::SUCCESS)
}

fn check_url(url: &str) -> Result<String, String> {
    let rest = url
        .strip_prefix("ws://")
        .or_else(|| url.strip_prefix("wss://"));
    match rest {
        Some(rest) if !rest.is_empty() && !rest.starts_with('/') => Ok(url.to_owned()),
        _ => Err("a browser speaks MQTT over WebSocket only: ws://HOST[:PORT]/PATH or wss://HOST[:PORT]/PATH".to_owned()),
    }
}

/// The web UI on a port that is open.
pub(crate) struct WebServer {
    listener: TcpListener,
    addr: SocketAddr,
}

impl WebServer {
    pub(crate) async fn bind(address: AddressArgs, http: &HttpArgs) -> anyhow::Result<WebServer> {
        let addr = SocketAddr::new(address.listen, http.http_port);
        let listener = TcpListener::bind(addr)
            .await
            .map_err(|error| cannot_listen(addr, "--http-port", &error))?;
        let addr = listener
            .local_addr()
            .context("the web UI's socket has no address")?;
        Ok(WebServer { listener, addr })
    }

    /// Prints where a browser on this machine finds it.
    pub(crate) fn print(&self, address: AddressArgs) {
        let note = if wigwag_ui::is_built() {
            ""
        } else {
            "  (built without Node: the page says how to get it)"
        };
        say!(
            "web ui    http://{}:{}{note}",
            address.host(),
            self.addr.port()
        );
    }

    /// Serves until `stop`. The page is told of `brokers`; what a broker of this process tells of itself is served
    /// `beside` it.
    pub(crate) async fn serve(
        self,
        brokers: Vec<PageBroker>,
        beside: Option<Router>,
        stop: impl Future<Output = ()>,
    ) -> anyhow::Result<()> {
        let config = serde_json::to_value(PageConfig::new(brokers))?;
        let page = wigwag_ui::router(config);
        let router = match beside {
            Some(beside) => page.merge(beside),
            None => page,
        };
        let serve = serve_router(self.listener, router);
        // A page that is open keeps its connection; nothing is lost when that is cut.
        tokio::select! {
            served = serve => served.context("the web UI's server has failed")?,
            () = stop => return Ok(()),
        }
        bail!("the web UI's server has ended")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_websocket_addresses_are_taken() {
        assert!(check_url("ws://localhost:9001").is_ok());
        assert!(check_url("wss://broker.example/mqtt").is_ok());
        for url in ["mqtt://localhost", "ws://", "ws:///mqtt", "localhost:9001"] {
            assert!(check_url(url).is_err(), "{url}");
        }
    }
}
