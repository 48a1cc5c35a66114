//! The second half of the demo: components that run models, and hold neither model nor device.

use std::{fs, path::PathBuf};

use anyhow::Context;
use serde_json::Value;

use super::{Demo, chapter};
use crate::{say, tools};

/// Packages of models, by their folder below `target/models`.
const PACKAGES: [&str; 4] = ["ppocr", "minilm", "tiny-rerank", "tiny-translation"];
/// Lines of a passage that are shown.
const PASSAGE_LINES: usize = 4;

/// The library of ONNX Runtime that `cargo xtask models` fetched; none where there is none for this
/// machine.
pub(super) fn runtime() -> anyhow::Result<Option<PathBuf>> {
    let runtimes = tools::root().join("target/runtimes/onnxruntime");
    for version in tools::subfolders(&runtimes)? {
        for entry in fs::read_dir(&version).context("look for ONNX Runtime")? {
            let path = entry.context("look for ONNX Runtime")?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if name.starts_with("libonnxruntime.so") {
                return Ok(Some(path));
            }
        }
    }
    Ok(None)
}

impl Demo {
    /// Reads a photographed page, asks a folder of documents and translates a sentence.
    pub(super) fn show_models(&self) -> anyhow::Result<()> {
        chapter("Models run natively, beside the components. Which engine is here?");
        let models = tools::root().join("target/models");
        for package in PACKAGES {
            let from = models.join(package).display().to_string();
            self.ok(&["model", "add", package, "--from", &from])?;
        }
        self.ok(&["runtime", "list"])?;
        self.read_a_page()?;
        self.ask_documents()?;
        self.translate()
    }

    fn read_a_page(&self) -> anyhow::Result<()> {
        chapter("A photographed page is read by a component that asked for three models.");
        let page = tools::root().join("target/samples/page/page.png");
        self.ok(&["plugin", "install", "ocr", "--yes"])?;
        let image = format!("image=@{}", page.display());
        let answer = self.call(&["ocr.recognize", &image])?;
        let lines = answer.pointer("/data/lines").and_then(Value::as_array);
        let lines = lines.context("the page has no lines")?;
        for line in lines {
            say::line(format!("  {}", text(line, "/text")));
        }
        say::line(ran(&answer));
        Ok(())
    }

    fn ask_documents(&self) -> anyhow::Result<()> {
        chapter("A folder is taken in, and a question is answered with passages of it.");
        let docs = self.root.join("docs").display().to_string();
        self.ok(&["plugin", "install", "embedding", "--yes"])?;
        self.ok(&["plugin", "install", "rerank", "--yes"])?;
        let folder = format!("fs:ro={docs}");
        let grants =
            ["--grant", &folder, "--grant", "call=embedding.*", "--grant", "call=rerank.*"];
        self.ok(&[&["plugin", "install", "rag", "--yes"], &grants[..]].concat())?;
        let folder = format!("path={docs}");
        self.ok(&["call", "rag.ingest", "corpus=docs", &folder])?;
        let question = "question=How much memory may all models take that are loaded at once?";
        let query = ["rag.query", "corpus=docs", question, "limit=2", "rerank=false"];
        let answer = self.call(&query)?;
        let passages = answer.pointer("/data/passages").and_then(Value::as_array);
        for passage in passages.context("there are no passages")? {
            let (first, last) = ("/place/value/first", "/place/value/last");
            say::line(format!(
                "  {}, lines {} to {}",
                text(passage, "/path"),
                text(passage, first),
                text(passage, last)
            ));
            for line in text(passage, "/text").lines().take(PASSAGE_LINES) {
                say::line(format!("    {line}"));
            }
        }
        Ok(())
    }

    fn translate(&self) -> anyhow::Result<()> {
        chapter("A sentence is translated, by a tiny model that the project trained itself.");
        self.ok(&["plugin", "install", "translation", "--yes"])?;
        let texts = r#"texts:=["The cat sees the dog. Does the woman love a horse?"]"#;
        let answer = self.call(&["translation.translate", texts, "to=de"])?;
        say::line(format!("  {}", text(&answer, "/data/translations/0/text")));
        say::line(ran(&answer));
        Ok(())
    }

    /// Calls a capability, and answers with what came back.
    pub(super) fn call(&self, arguments: &[&str]) -> anyhow::Result<Value> {
        let arguments = [&["call"], arguments].concat();
        self.typed(&arguments);
        let output = self.command(&[&arguments[..], &["--json"]].concat()).output();
        let output = output.context("start meshhost")?;
        let answer: Value = serde_json::from_slice(&output.stdout).context("read the answer")?;
        anyhow::ensure!(output.status.success(), "that failed: {answer}");
        Ok(answer)
    }
}

/// What stands at a place, in words.
pub(super) fn text(value: &Value, place: &str) -> String {
    match value.pointer(place) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    }
}

/// Which engine ran the models of a call, and how long.
fn ran(answer: &Value) -> String {
    let models = answer.pointer("/models").and_then(Value::as_array);
    let spent = models.into_iter().flatten().filter_map(|model| model.get("run_us")?.as_u64());
    let milliseconds = spent.sum::<u64>() / 1000;
    let engine = models.and_then(|models| models.first()).map(|model| text(model, "/engine"));
    format!("  ({milliseconds} ms in models, on {})", engine.unwrap_or_default())
}
