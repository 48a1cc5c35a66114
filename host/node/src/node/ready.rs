//! Makes an installed component ready to be called: from the cache of compiled code, or by
//! compiling it again when the cache has nothing that passes its checks.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use meshhost_core::{
    code::Code, config::COMPONENT_BYTES_MAX, id::Digest, link::Link, outcome::Refusal,
};
use meshhost_runtime::{
    cache::CodeCache,
    inspect::engine_of,
    load::{Loaded, Runtime},
};

use crate::{blocking, compiler::Compiler, regular_file, store::error::StoreError};

/// What it takes to make a component ready.
#[derive(Debug)]
pub struct Readiness {
    runtime: Arc<Runtime>,
    cache: CodeCache,
    compiler: Compiler,
    components: PathBuf,
}

impl Readiness {
    /// `components` is the folder of installed components.
    #[must_use]
    pub const fn new(
        runtime: Arc<Runtime>,
        cache: CodeCache,
        compiler: Compiler,
        components: PathBuf,
    ) -> Self {
        Self { runtime, cache, compiler, components }
    }

    /// The component with this digest.
    ///
    /// # Errors
    /// When its bytes are gone or are not what was installed, or it cannot be compiled or linked.
    pub async fn ready(&self, component: &Digest, links: &[Link]) -> Result<Arc<Loaded>, Refusal> {
        if let Some(loaded) = self.load(component, links).await? {
            return Ok(loaded);
        }
        let path = self.components.join(format!("{}.wasm", component.to_hex()));
        let component = *component;
        let bytes = blocking::run(move || installed(&path, &component)).await??;
        self.ready_from(&component, links, &bytes).await
    }

    /// The component with these bytes, compiled if need be.
    ///
    /// # Errors
    /// When it cannot be compiled or linked, or the cache cannot be written.
    pub async fn ready_from(
        &self,
        component: &Digest,
        links: &[Link],
        bytes: &[u8],
    ) -> Result<Arc<Loaded>, Refusal> {
        if let Some(loaded) = self.load(component, links).await? {
            return Ok(loaded);
        }
        let code = self.compiler.compile(bytes).await?;
        let (cache, digest, engine) = (self.cache.clone(), *component, engine_of(bytes));
        let put = blocking::run(move || cache.put(&digest, engine, &code)).await?;
        put.map_err(|error| StoreError::io("write the compiled code")(error).refusal())?;
        self.load(component, links).await?.ok_or_else(|| {
            Refusal::new(Code::HostFault, "the compiled code does not pass its own checks")
        })
    }

    /// Compiles an empty component, to see that compiling works here.
    ///
    /// # Errors
    /// When it does not.
    pub async fn probe(&self) -> Result<(), Refusal> {
        /// Magic number, version and layer of a component without sections.
        const EMPTY: [u8; 8] = [0x00, 0x61, 0x73, 0x6d, 0x0d, 0x00, 0x01, 0x00];
        self.compiler.compile(&EMPTY).await.map(|_| ())
    }

    /// From the cache, whose files can be large: all of one is read to check it.
    async fn load(
        &self,
        component: &Digest,
        links: &[Link],
    ) -> Result<Option<Arc<Loaded>>, Refusal> {
        let (runtime, cache) = (Arc::clone(&self.runtime), self.cache.clone());
        let (component, links) = (*component, links.to_owned());
        blocking::run(move || runtime.load(&component, &links, &cache))
            .await?
            .map_err(|error| Refusal::new(error.code, error.message))
    }
}

/// The bytes of an installed component.
fn installed(path: &Path, component: &Digest) -> Result<Vec<u8>, Refusal> {
    let fault = |message| Refusal::new(Code::StoreFault, message);
    let bytes = regular_file::read(path, COMPONENT_BYTES_MAX as u64)
        .map_err(|_| fault("the installed component cannot be read; install it again"))?;
    if Digest::of(&bytes) != *component {
        return Err(fault("the installed component was changed on disk; install it again"));
    }
    Ok(bytes)
}
