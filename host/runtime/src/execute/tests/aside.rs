//! Where large values are converted.

use std::{
    sync::Mutex,
    thread::{self, ThreadId},
};

use async_trait::async_trait;
use meshhost_core::ports::{BlobWriter, PortError};

use super::*;

/// Has every blob, and keeps on which thread it was asked: that of the conversion.
#[derive(Debug, Default)]
struct Asked(Mutex<Vec<ThreadId>>);

#[async_trait]
impl BlobStore for Asked {
    async fn length(&self, _: &Digest) -> Result<u64, PortError> {
        self.0.lock().unwrap().push(thread::current().id());
        Ok(2)
    }

    async fn read(&self, _: &Digest, _: u64, _: u32) -> Result<Vec<u8>, PortError> {
        Ok(b"hi".to_vec())
    }

    async fn ready(&self, _: &Digest) -> Result<(), PortError> {
        Ok(())
    }

    async fn begin(&self, _: u64) -> Result<Box<dyn BlobWriter>, PortError> {
        Err(PortError::NotFound)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn large_input_is_converted_on_a_thread_of_its_own() {
    let wat = r#"(component
        (core module $m (memory (export "memory") 2)
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 8)
            (func (export "run") (param i32 i32 i32 i32) (result i32) local.get 3))
        (core instance $i (instantiate $m))
        (func (export "run") (param "b" (list u8)) (param "n" (list u32)) (result u32)
            (canon lift (core func $i "run") (memory (core memory $i "memory"))
                (realloc (core func $i "realloc")))))"#;
    let mut fixture = Fixture::new(wat);
    for (length, is_aside) in [(10, false), (10_000, true)] {
        let blob = Digest::of(b"hi").to_string();
        fixture.input = json!({ "b": { "blob": blob }, "n": vec![0; length] });
        let asked = Arc::new(Asked::default());
        let mut request = fixture.request();
        request.execution.blobs = Arc::clone(&asked) as Arc<dyn BlobStore>;
        let runtime = Arc::clone(&fixture.runtime);
        let (worker, executed) =
            tokio::spawn(async move { (thread::current().id(), runtime.perform(request).await) })
                .await
                .unwrap();
        assert_eq!(executed.outcome, Outcome::Success(json!(length)));
        let asked = asked.0.lock().unwrap().clone();
        assert!(!asked.is_empty() && asked.iter().all(|own| (*own != worker) == is_aside));
    }
}
