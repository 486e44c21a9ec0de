//! Places for metrics that are open, and those of the embedder's own. A reload opens and closes those of the configuration, and exchanges what
//! the others serve.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::Router;
use tokio::runtime::Handle;
use wigwag_net::accept;

use super::guard::Guard;
use super::{About, Extras, HttpListener, ListenerNotice, router, serve};
use crate::doors::OpenSocket;
use crate::listener::{Address, StartError};
use crate::logging::Log;
use crate::observer::Observer;

/// A socket that listens, and what is to be served there.
#[derive(Debug)]
pub(crate) struct ClosedHttp {
    listener: HttpListener,
    socket: TcpListener,
    addr: SocketAddr,
}

impl ClosedHttp {
    /// Opens the socket.
    pub(crate) fn bind(listener: HttpListener) -> Result<ClosedHttp, StartError> {
        let wanted = listener.addr();
        let failed = |source| StartError::Listen {
            address: Address::Tcp(wanted),
            source,
        };
        let socket = accept::listen(wanted).map_err(failed)?;
        let addr = socket.local_addr().map_err(failed)?;
        Ok(ClosedHttp {
            listener,
            socket,
            addr,
        })
    }
}

/// A listener that is served.
#[derive(Debug)]
pub(crate) struct OpenHttp {
    pub(crate) listener: HttpListener,
    pub(crate) addr: SocketAddr,
    serves: Arc<ArcSwap<Router>>,
    socket: OpenSocket,
}

/// What opens listeners, on a runtime that is driven for as long as they are to be open.
#[derive(Debug)]
pub(crate) struct HttpKeeper {
    pub(crate) runtime: Handle,
    pub(crate) observer: Arc<Observer>,
    pub(crate) about: Arc<About>,
}

impl HttpKeeper {
    fn router(&self, listener: &HttpListener) -> Router {
        let (observer, about) = (Arc::clone(&self.observer), Arc::clone(&self.about));
        let guard = Guard::of_embedder(listener.gate.clone(), about.is_open);
        router(&listener.serves, guard, observer, about, Extras::default())
    }

    /// Serves from here on.
    pub(crate) fn open(&self, closed: ClosedHttp) -> OpenHttp {
        let ClosedHttp {
            listener,
            socket,
            addr,
        } = closed;
        let serves = Arc::new(ArcSwap::from_pointee(self.router(&listener)));
        let routers = Arc::clone(&serves);
        let socket = OpenSocket::open(&self.runtime, Address::Tcp(addr), |open| async move {
            // Declared before the socket, dropped behind it.
            let _open = open;
            let socket = tokio::net::TcpListener::from_std(socket)?;
            serve(socket, || Router::clone(&routers.load())).await
        });
        OpenHttp {
            listener,
            addr,
            serves,
            socket,
        }
    }

    /// Connections that come from here on get something else.
    pub(crate) fn exchange(&self, open: &mut OpenHttp, listener: HttpListener) {
        open.serves.store(Arc::new(self.router(&listener)));
        open.listener = listener;
    }
}

impl OpenHttp {
    /// What the API says of it, if it is served there.
    pub(crate) fn notice(&self) -> Option<ListenerNotice> {
        let allow_anonymous = self.listener.gate.is_none();
        (self.listener.serves_api())
            .then(|| ListenerNotice::http(self.addr.port(), allow_anonymous))
    }

    /// Closes the socket and cuts its connections.
    pub(crate) fn close(self, log: &Log) {
        self.socket.close(log);
    }
}
