//! `meshhost model …`: add, look at, check and remove models.

use clap::{Args, Subcommand};
use meshhost_core::{code::Code, id::ModelName, inference::Pooling, outcome::Refusal};

use super::{
    json as documents,
    print::Output,
    session::{Session, unexpected},
    table::table,
    text::{bytes, clean_line, count, thousands, wrap},
};
use crate::{
    api::{AddedModel, ModelChange, ModelVerification, Reply, Request, RunningModels},
    store::models::{ModelRecord, Task},
};

/// Hexadecimal digits of a digest that are shown in a list.
const DIGEST_DIGITS: usize = 12;

/// Add, list, inspect, check and remove models.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  meshhost model add minilm --from ./models/minilm
  meshhost model list
  meshhost model verify
")]
pub(crate) enum ModelCommand {
    Add(AddCommand),
    /// List the models of this node.
    #[command(after_help = "Example:\n  meshhost model list")]
    List,
    /// Show the models that are loaded, and the process that runs them.
    #[command(after_help = "Example:\n  meshhost model ps")]
    Ps,
    /// Show one model.
    #[command(after_help = "Example:\n  meshhost model inspect minilm")]
    Inspect(Named),
    /// Remove a model. Evidence stays.
    #[command(after_help = "Example:\n  meshhost model remove minilm")]
    Remove(Named),
    Verify(VerifyCommand),
}

/// Add models, or replace those of the same name.
#[derive(Debug, Args)]
#[command(after_help = "\
A folder has `models.toml`, which says what each model is for. NAME is the one that
is added, or what the names of several begin with: `ppocr` adds `ppocr-det` and
`ppocr-rec`. A file that ends in .onnx takes tensors and is called NAME; of several
each is called NAME, `-` and the name of the file.

Examples:
  meshhost model add minilm --from ./models/minilm
  meshhost model add segment --from ./segment.onnx
")]
pub(crate) struct AddCommand {
    /// What plugins ask for.
    #[arg(value_name = "NAME")]
    name: ModelName,
    /// One folder with `models.toml`, or .onnx files.
    #[arg(long, required = true, num_args = 1.., value_name = "PATH")]
    from: Vec<String>,
}

/// One model.
#[derive(Debug, Args)]
pub(crate) struct Named {
    /// The model.
    #[arg(value_name = "NAME")]
    name: ModelName,
}

/// Compare the files of models with what was added.
#[derive(Debug, Args)]
#[command(after_help = "\
Reads every file again. Ends with exit code 13 when one is not what was added.

Examples:
  meshhost model verify
  meshhost model verify minilm
")]
pub(crate) struct VerifyCommand {
    /// The model; without it all.
    #[arg(value_name = "NAME")]
    name: Option<ModelName>,
}

pub(crate) async fn run(command: ModelCommand, session: &mut Session) -> Result<Output, Refusal> {
    match command {
        ModelCommand::Add(command) => add(command, session).await,
        ModelCommand::List => {
            let reply = session.ask(Request::Models).await?;
            let Reply::Models(models) = &reply else { return Err(unexpected(&reply)) };
            Ok(Output::success(list(models), documents::of(&reply, "")))
        }
        ModelCommand::Ps => {
            let reply = session.ask(Request::ModelsRunning).await?;
            let Reply::ModelsRunning(running) = &reply else { return Err(unexpected(&reply)) };
            Ok(Output::success(processes(running), documents::of(&reply, "")))
        }
        ModelCommand::Inspect(Named { name }) => {
            let reply = session.ask(Request::Model { name }).await?;
            let Reply::Model(model) = &reply else { return Err(unexpected(&reply)) };
            Ok(Output::success(card(model), documents::of(&reply, "")))
        }
        ModelCommand::Remove(Named { name }) => {
            let text = format!("{name} is removed; its evidence stays\n");
            let reply = session.ask(Request::ModelRemove { name }).await?;
            Ok(Output::success(text, documents::of(&reply, "")))
        }
        ModelCommand::Verify(VerifyCommand { name }) => {
            let reply = session.ask(Request::ModelVerify { name }).await?;
            let Reply::ModelsVerified(found) = &reply else { return Err(unexpected(&reply)) };
            let json = documents::of(&reply, "");
            let output = Output::success(verified(found), json);
            let exit = if found.damaged.is_empty() { output.exit } else { Code::StoreFault.exit() };
            Ok(Output { exit, ..output })
        }
    }
}

async fn add(command: AddCommand, session: &mut Session) -> Result<Output, Refusal> {
    let from = command.from.iter().map(|path| session.place.absolute(path));
    let from = from.collect::<Result<_, _>>()?;
    let reply = session.ask(Request::ModelAdd { name: command.name, from }).await?;
    let Reply::ModelsAdded(added) = &reply else { return Err(unexpected(&reply)) };
    Ok(Output::success(added.iter().map(said).collect(), documents::of(&reply, "")))
}

/// What was done, the terms of use first of all.
fn said(added: &AddedModel) -> String {
    let model = &added.model;
    let done = match (added.change, &added.replaced) {
        (ModelChange::Added, _) => "is added".to_owned(),
        (ModelChange::Updated, Some(old)) if *old != model.digest => {
            format!("is updated; before it was {}", short(&old.to_string()))
        }
        (ModelChange::Updated, _) => "is updated: the same file, used in another way".to_owned(),
        (ModelChange::Unchanged, _) => "was here already, and is unchanged".to_owned(),
    };
    format!("{} {done}\n{}", model.name, details(model))
}

fn card(model: &ModelRecord) -> String {
    let beside = model.files.iter().map(|file| {
        let name = clean_line(&file.name);
        line("file", &format!("{name}, {}", bytes(file.bytes)))
            + &format!("{:12}{}\n", "", file.digest)
    });
    let beside: String = beside.collect();
    let batch = match model.batch_rows {
        1 => "calls run one by one".to_owned(),
        rows => format!("up to {} rows of several calls run together", thousands(rows.into())),
    };
    format!("{}\n{}{}{beside}", model.name, details(model), line("batch", &batch))
}

fn details(model: &ModelRecord) -> String {
    [
        line("licence", &model.licence),
        line("source", &model.source),
        line("use", &task(&model.task)),
        line("size", &size(model)),
        line("digest", &model.digest.to_string()),
    ]
    .concat()
}

fn line(key: &str, words: &str) -> String {
    format!("{}\n", wrap(&format!("  {key:<8}  "), &clean_line(words)))
}

fn size(model: &ModelRecord) -> String {
    let beside = model.files.len();
    let more = if beside == 0 {
        String::new()
    } else {
        format!(", and {} beside it", count(beside, "file"))
    };
    format!("{}{more}", bytes(model.bytes))
}

fn task(task: &Task) -> String {
    match task {
        Task::Tensors => "tensors".to_owned(),
        Task::Embed { tokens_max, pooling, normalise, .. } => {
            let pooling = match pooling {
                Pooling::Mean => "the mean of all tokens",
                Pooling::First => "the first token",
            };
            let scaled = if *normalise { ", scaled to length 1" } else { "" };
            format!("embed: {pooling}{scaled}; at most {} tokens", thousands((*tokens_max).into()))
        }
        Task::Rerank { tokens_max, .. } => {
            format!("rerank; at most {} tokens", thousands((*tokens_max).into()))
        }
    }
}

fn short(digest: &str) -> String {
    digest.trim_start_matches("blake3:").chars().take(DIGEST_DIGITS).collect()
}

fn list(models: &[ModelRecord]) -> String {
    if models.is_empty() {
        return "there are no models; try `meshhost model add NAME --from PATH`\n".to_owned();
    }
    let rows = models.iter().map(|model| {
        let all = model.files.iter().map(|file| file.bytes).sum::<u64>() + model.bytes;
        [
            model.name.to_string(),
            model.task.name().to_owned(),
            bytes(all),
            clean_line(&model.licence).into_owned(),
            short(&model.digest.to_string()),
        ]
    });
    table(["MODEL", "USE", "SIZE", "LICENCE", "DIGEST"], rows)
}

fn processes(running: &RunningModels) -> String {
    let worker = match (running.worker.as_str(), &running.reason) {
        ("running", _) => format!(
            "process {} runs models with {}",
            running.process.unwrap_or_default(),
            clean_line(running.engine.as_deref().unwrap_or_default())
        ),
        ("starting", _) => "the process that runs models is starting".to_owned(),
        (_, Some(reason)) => format!("no process runs models: {}", clean_line(reason)),
        (_, None) => "no process runs models; one starts when a plugin needs it".to_owned(),
    };
    let worker = format!("{}\n", wrap("", &worker));
    if running.models.is_empty() {
        return worker;
    }
    let rows = running.models.iter().map(|model| {
        let name = model.name.as_ref().map(ToString::to_string);
        [
            name.unwrap_or_else(|| short(&model.digest.to_string())),
            clean_line(&model.provider).into_owned(),
            model.sessions.to_string(),
            bytes(model.bytes),
            thousands(model.runs),
            format!("{} run, {} wait", model.running, model.waiting),
        ]
    });
    worker + &table(["MODEL", "ON", "SESSIONS", "SIZE", "RUNS", "CALLS"], rows)
}

fn verified(found: &ModelVerification) -> String {
    if found.damaged.is_empty() {
        let files = count(usize::try_from(found.files).unwrap_or(usize::MAX), "file");
        return format!("{files}, {}: all as they were added\n", bytes(found.bytes));
    }
    let rows = found.damaged.iter().map(|damaged| {
        let file = damaged.file.as_deref().map_or_else(|| "the model itself".into(), clean_line);
        [damaged.model.to_string(), file.into_owned(), clean_line(&damaged.problem).into_owned()]
    });
    let table = table(["MODEL", "FILE", "PROBLEM"], rows);
    format!("{table}add the model again: `meshhost model add NAME --from PATH`\n")
}

#[cfg(test)]
mod tests;
