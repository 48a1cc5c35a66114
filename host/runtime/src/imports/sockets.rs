//! `wasi:sockets`: always denied. Making a socket and resolving a name answer `access-denied`, each
//! recorded once per call; no permission exists that would allow it, because a raw connection
//! could not be checked the way a request is. Outgoing requests go through `wasi:http`.
//!
//! As no socket is ever made, the functions on sockets are those of wasmtime-wasi with nothing to
//! work on.

use wasmtime::component::{Linker, Resource};
use wasmtime_wasi::{
    p2::{
        DynPollable, Network, SocketError, SocketResult, TcpSocket, UdpSocket,
        bindings::sockets::{
            instance_network,
            ip_name_lookup::{self, ResolveAddressStream},
            network::{self, ErrorCode, IpAddress, IpAddressFamily},
            tcp, tcp_create_socket, udp, udp_create_socket,
        },
    },
    sockets::{WasiSockets, WasiSocketsCtx, WasiSocketsCtxView},
};

use super::{Imports, View};
use crate::state::{HostState, Stop};

/// Links `wasi:sockets`.
///
/// # Errors
/// When the names are linked already.
pub(super) fn link(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    let options = network::LinkOptions::default();
    network::add_to_linker::<_, Imports>(linker, &options, View::of)?;
    instance_network::add_to_linker::<_, WasiSockets>(linker, no_sockets)?;
    tcp::add_to_linker::<_, WasiSockets>(linker, no_sockets)?;
    udp::add_to_linker::<_, WasiSockets>(linker, no_sockets)?;
    ip_name_lookup::add_to_linker::<_, Imports>(linker, View::of)?;
    tcp_create_socket::add_to_linker::<_, Imports>(linker, View::of)?;
    udp_create_socket::add_to_linker::<_, Imports>(linker, View::of)
}

/// A context that allows nothing, should a socket ever come to be.
#[derive(Default)]
pub(super) struct NoSockets(WasiSocketsCtx);

fn no_sockets(state: &mut HostState) -> WasiSocketsCtxView<'_> {
    let state = state.enter();
    WasiSocketsCtxView { ctx: &mut state.imports.sockets.0, table: &mut state.table }
}

impl std::fmt::Debug for NoSockets {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("NoSockets")
    }
}

impl View<'_> {
    fn deny_socket(&self, function: &str, target: &str) -> SocketError {
        self.context.record.deny(None, function, target);
        ErrorCode::AccessDenied.into()
    }
}

impl network::Host for View<'_> {
    fn convert_error_code(&mut self, error: SocketError) -> wasmtime::Result<ErrorCode> {
        error.downcast()
    }

    fn network_error_code(
        &mut self,
        _: Resource<wasmtime::Error>,
    ) -> wasmtime::Result<Option<ErrorCode>> {
        Ok(None)
    }
}

/// The network itself is only a name for what is then denied.
impl network::HostNetwork for View<'_> {
    fn drop(&mut self, network: Resource<Network>) -> wasmtime::Result<()> {
        self.table.delete(network)?;
        Ok(())
    }
}

impl tcp_create_socket::Host for View<'_> {
    fn create_tcp_socket(&mut self, _: IpAddressFamily) -> SocketResult<Resource<TcpSocket>> {
        Err(self.deny_socket("wasi:sockets/tcp-create-socket#create-tcp-socket", ""))
    }
}

impl udp_create_socket::Host for View<'_> {
    async fn create_udp_socket(&mut self, _: IpAddressFamily) -> SocketResult<Resource<UdpSocket>> {
        Err(self.deny_socket("wasi:sockets/udp-create-socket#create-udp-socket", ""))
    }
}

impl ip_name_lookup::Host for View<'_> {
    fn resolve_addresses(
        &mut self,
        _: Resource<Network>,
        name: String,
    ) -> SocketResult<Resource<ResolveAddressStream>> {
        Err(self.deny_socket("wasi:sockets/ip-name-lookup#resolve-addresses", &name))
    }
}

/// No such stream is ever made.
impl ip_name_lookup::HostResolveAddressStream for View<'_> {
    fn resolve_next_address(
        &mut self,
        _: Resource<ResolveAddressStream>,
    ) -> SocketResult<Option<IpAddress>> {
        Err(ErrorCode::AccessDenied.into())
    }

    fn subscribe(
        &mut self,
        _: Resource<ResolveAddressStream>,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        Err(Stop::Denied.into())
    }

    fn drop(&mut self, stream: Resource<ResolveAddressStream>) -> wasmtime::Result<()> {
        self.table.delete(stream)?;
        Ok(())
    }
}
