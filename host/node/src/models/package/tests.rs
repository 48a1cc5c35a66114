use proptest::prelude::*;

use super::*;

const MINILM: &str = r#"
[[model]]
name = "minilm"
file = "model.onnx"
files = ["tokenizer.json"]
task = "embed"
licence = "Apache-2.0"
source = "somewhere"
pooling = "mean"
tokens_max = 256
"#;

fn parsed(text: &str) -> Result<Vec<Planned>, Diagnostic> {
    parse(Path::new("/package"), "models.toml", text)
}

fn named(names: &[&str]) -> String {
    let model =
        |name| format!("[[model]]\nname = {name:?}\nfile = \"{name}.onnx\"\nlicence = \"x\"\n");
    names.iter().map(model).collect()
}

#[test]
fn a_description_is_read() {
    let planned = parsed(MINILM).unwrap();
    let expected = Planned {
        name: "minilm".parse().unwrap(),
        file: "/package/model.onnx".into(),
        files: vec![("tokenizer.json".to_owned(), "/package/tokenizer.json".into())],
        links: Links::Refuse,
        task: Task::Embed {
            tokenizer: "tokenizer.json".to_owned(),
            tokens_max: 256,
            pooling: Pooling::Mean,
            normalise: true,
        },
        batch_rows: 1,
        licence: "Apache-2.0".to_owned(),
        source: "somewhere".to_owned(),
    };
    assert_eq!(planned, [expected]);
    let rerank = MINILM.replace("embed", "rerank").replace("pooling = \"mean\"", "batch_rows = 8");
    let planned = parsed(&rerank).unwrap();
    let tokenizer = "tokenizer.json".to_owned();
    assert_eq!(planned[0].task, Task::Rerank { tokenizer, tokens_max: 256 });
    assert_eq!(planned[0].batch_rows, 8);
    let plain = &parsed(&named(&["a"])).unwrap()[0];
    assert_eq!((&plain.task, plain.source.as_str()), (&Task::Tensors, "unknown"));
}

#[test]
fn names_of_files_lead_nowhere() {
    let long = "x".repeat(NAME_BYTES_MAX + 1);
    for bad in [
        "../det.onnx",
        "/etc/passwd",
        "a/b.onnx",
        "..",
        ".",
        "",
        ".hidden",
        "a\\\\b",
        "a\\n",
        &long,
    ] {
        for text in [
            MINILM.replace("model.onnx", bad),
            MINILM.replace("[\"tokenizer.json\"]", &format!("[\"tokenizer.json\", \"{bad}\"]")),
        ] {
            let error = parsed(&text).unwrap_err();
            assert_eq!(error.code, Code::ModelInvalid);
            assert!(error.message.contains("name"), "{}", error.render());
        }
    }
}

#[test]
fn what_is_wrong_is_shown_where_it_stands() {
    let with = |line: &str| format!("{MINILM}{line}\n");
    let without = |key: &str| {
        MINILM.lines().filter(|line| !line.starts_with(key)).collect::<Vec<_>>().join("\n")
    };
    let many: Vec<String> = (0..=MODELS_MAX).map(|number| format!("m{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let files: Vec<String> = (0..=FILES_MAX).map(|number| format!("\"{number}\"")).collect();
    let tensors = without("task").replace("tokens_max = 256", "");
    for (text, line, part) in [
        (String::new(), 1, "0 models"),
        ("[[model]".to_owned(), 1, ""),
        ("[[model]]\nfile = \"a\"".to_owned(), 1, "missing field"),
        (with("licens = 1"), 11, "unknown field"),
        (named(&many), 1, "65 models"),
        (named(&["a", "b", "a"]), 10, "two models are called a"),
        (named(&["A"]), 2, "a model's name"),
        (MINILM.replace("minilm", "../x"), 3, "a model's name"),
        (MINILM.replace("\"embed\"", "\"chat\""), 6, "unknown variant"),
        (MINILM.replace("Apache-2.0", " "), 7, "`licence` has no"),
        (MINILM.replace("somewhere", &"x".repeat(1_001)), 8, "`source` has no or too many"),
        (MINILM.replace("256", "0"), 10, "`tokens_max` is 0"),
        (MINILM.replace("256", "8193"), 10, "`tokens_max` is 8193"),
        (with("batch_rows = 1025"), 11, "`batch_rows` is 1025"),
        (with("tokenizer = \"vocab.txt\""), 11, "not among the model's files"),
        (without("files"), 2, "not among the model's files"),
        (without("pooling"), 2, "needs `pooling`"),
        (without("tokens_max"), 2, "needs `tokens_max`"),
        (tensors, 8, "`pooling` says nothing"),
        (MINILM.replace("embed", "rerank"), 9, "`pooling` says nothing"),
        (MINILM.replace("\"tokenizer.json\"", "\"a\", \"a\""), 5, "named twice"),
        (MINILM.replace("\"tokenizer.json\"", "\"model.onnx\""), 5, "named twice"),
        (MINILM.replace("\"tokenizer.json\"", &files.join(",")), 2, "more than 32 files"),
        (format!("#{}", "x".repeat(DESCRIPTION_BYTES_MAX)), 1, "larger than 65536 bytes"),
    ] {
        let error = parsed(&text).unwrap_err();
        assert!(error.message.contains(part), "{part}: {}", error.render());
        assert_eq!(error.line, line, "{}", error.render());
    }
}

#[test]
fn a_name_means_one_model_or_a_family() {
    let planned = parsed(&named(&["ocr-det", "ocr-rec", "ocr", "other"])).unwrap();
    let select = |name: &str, planned: &[Planned]| {
        select(&name.parse().unwrap(), planned.to_vec())
            .map(|chosen| chosen.into_iter().map(|one| one.name.to_string()).collect::<Vec<_>>())
    };
    assert_eq!(select("ocr", &planned).unwrap(), ["ocr"]);
    assert_eq!(select("ocr-rec", &planned).unwrap(), ["ocr-rec"]);
    let family = [planned[0].clone(), planned[1].clone(), planned[3].clone()];
    assert_eq!(select("ocr", &family).unwrap(), ["ocr-det", "ocr-rec"]);
    let refusal = select("oc", &planned).unwrap_err();
    assert_eq!(refusal.code, Code::NotFound);
    assert!(refusal.message.contains("it has ocr-det, ocr-rec"), "{}", refusal.message);
}

#[test]
fn files_are_called_by_the_name_and_their_stem() {
    let name: ModelName = "t5".parse().unwrap();
    let names = |from: &[&str]| {
        let from: Vec<PathBuf> = from.iter().map(PathBuf::from).collect();
        read(&name, &from)
            .map(|all| all.iter().map(|one| one.name.to_string()).collect::<Vec<_>>())
            .map_err(|refusal| refusal.code)
    };
    assert_eq!(names(&["/a/Any_Thing.onnx"]).unwrap(), ["t5"]);
    let two = ["/a/encoder_model.onnx", "/a/Decoder.v2.onnx"];
    assert_eq!(names(&two).unwrap(), ["t5-encoder-model", "t5-decoder-v2"]);
    assert_eq!(names(&["/a/x.onnx", "/b/x.onnx"]), Err(Code::ModelInvalid));
    assert_eq!(names(&["/a/ж.onnx", "/b/x.onnx"]), Err(Code::ModelInvalid));
    assert_eq!(names(&["/a/x.onnx", "/a/tokenizer.json"]), Err(Code::ModelInvalid));
    assert_eq!(names(&["/a/x"]), Err(Code::ModelInvalid));
    assert_eq!(names(&[]), Err(Code::UsageError));
}

proptest! {
    #[test]
    fn no_text_panics(text in any::<String>(), key in "[a-z_]{1,12}", value in "[ -~]{0,24}") {
        let _ = parsed(&text);
        let _ = parsed(&format!("{MINILM}{key} = {value}"));
    }
}
